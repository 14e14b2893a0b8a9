//! Plugins that were built against an older or a newer plugin-api load in this host.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::support::{Place, built_outside, cargo_outside, repository};

/// A workspace of its own with plugin-api as `version`, in which `change` is made of what its files hold by their names, and with
/// the crates in `members`, of which those that are plugins are renamed: all are built into one folder.
fn workspace_of(version: &str, change: impl Fn(&str, String) -> String, members: &[&str]) -> PathBuf {
    let root = crate::support::executable().ancestors().nth(2).unwrap().join("abi_evolution").join(version);
    let api = root.join("plugin-api");
    copy(&repository().join("plugin-api"), &api, &change);
    let manifest = fs::read_to_string(api.join("Cargo.toml")).unwrap();
    write(&api.join("Cargo.toml"), &manifest.replace(&stated(plugin_api::API_VERSION), &stated(version)));
    write(&root.join("Cargo.toml"), &workspace(members));
    write(&root.join("Cargo.lock"), &fs::read_to_string(repository().join("Cargo.lock")).unwrap());
    for member in members {
        copy(&repository().join("plugins").join(member), &root.join("plugins").join(member), &change);
        if let Some(name) = member.strip_suffix("_runner") {
            let manifest = root.join("plugins").join(member).join("Cargo.toml");
            let text = without_development(fs::read_to_string(&manifest).unwrap());
            let name = format!("name = {:?}", named(name, version));
            write(&manifest, &text.replace(&format!("name = {member:?}"), &name));
        }
    }
    root
}

/// A manifest without what its tests and benches need, such as the host.
fn without_development(manifest: String) -> String {
    let Some((plugin, rest)) = manifest.split_once("[dev-dependencies]\n") else { return manifest };
    let (_, lints) = rest.split_once("[lints]\n").unwrap();
    format!("{plugin}[lints]\n{lints}")
}

/// The package of a plugin that was built against a version.
fn named(plugin: &str, version: &str) -> String {
    format!("{plugin}_{}", version.replace('.', "_"))
}

/// A runner against plugin-api as `version`, whose border was changed.
fn runner_against(version: &str, change: impl Fn(String) -> String) -> PathBuf {
    let border = |file: &str, text: String| {
        if file != "ffi.rs" {
            return text;
        }
        let after = change(text.clone());
        assert_ne!(text, after, "the border was not changed");
        after
    };
    let root = workspace_of(version, border, &["native_runner", "thread_engine"]);
    let name = named("native", version);
    cargo_outside(&root, &["build", "--quiet", "-p", &name]);
    built_outside(&format!("lib{name}.so"))
}

/// A version as a manifest has it.
fn stated(version: &str) -> String {
    format!("version = {version:?}")
}

/// The workspace's manifest, with these members and the crates beside them that they need.
fn workspace(members: &[&str]) -> String {
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let (_, shared) = manifest.split_once("[workspace.package]").unwrap();
    // Nothing is run for long, so that nothing of it need be optimised.
    let (shared, _) = shared.split_once("[profile.").unwrap();
    let shared = shared.replace(
        &format!("plugin-api = {{ path = \"plugin-api\", {} }}", stated(plugin_api::API_VERSION)),
        "plugin-api = { path = \"plugin-api\" }",
    );
    let members: Vec<_> = members.iter().map(|member| format!("plugins/{member}")).collect();
    format!(
        "[workspace]\nresolver = \"3\"\nmembers = {:?}\n\n[workspace.package]{shared}",
        [&["plugin-api".to_owned()][..], &members].concat()
    )
}

/// Copies the texts in a folder, each as `change` makes it of its name and what it holds.
fn copy(from: &Path, to: &Path, change: &impl Fn(&str, String) -> String) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let target = to.join(&name);
        if path.is_dir() && name != "__pycache__" {
            copy(&path, &target, change);
        } else if path.is_file() {
            write(&target, &change(name.to_str().unwrap(), fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Writes only what differs, so that cargo builds only what does.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return;
    }
    fs::write(path, text).unwrap();
}

fn runs(library: &Path, version: &str) {
    let place = Place::empty();
    place.stage(library);
    place.stage(&crate::support::plugin("standard_workloads"));
    let listed = place.crossrun(&["backends", "--json"]).code(0).json();
    assert_eq!(listed[0]["status"], "available", "{listed}");
    assert_eq!(listed[0]["build"]["plugin_api"], version);
    place.run("run --json --backend native --workload word_count --items 100").verified();
}

/// What was built against a version that is to come.
pub(crate) struct Later {
    /// The native backend.
    pub(crate) native: PathBuf,
    /// The backend in Python, with its driver and the package beside it.
    pub(crate) python: PathBuf,
    /// The workloads of `tests/golden`, under other names.
    pub(crate) workloads: PathBuf,
}

/// Backends of a version that is to come, whose types have one method and one field more, and a library of workloads that has one
/// function more, which the backends know too.
pub(crate) fn later() -> &'static Later {
    static BUILT: OnceLock<Later> = OnceLock::new();
    BUILT.get_or_init(|| {
        let members = ["native_runner", "thread_engine", "python_runner", "python_engine"];
        let root = workspace_of(LATER, with_more, &members);
        let workloads = root.join("plugins/later_workloads");
        fs::create_dir_all(workloads.join("src")).unwrap();
        let source =
            fs::read_to_string(repository().join("tests/golden/sources/golden_workloads.rs")).unwrap();
        write(&workloads.join("src/lib.rs"), &source.replace("\"golden_", "\"later_"));
        let manifest = fs::read_to_string(root.join("plugins/python_runner/Cargo.toml")).unwrap();
        let manifest = manifest.replace("python_engine.workspace = true\n", "");
        write(&workloads.join("Cargo.toml"), &manifest.replace(&named("python", LATER), "later_workloads"));
        let members = [&members[..], &["later_workloads"]].concat();
        write(&root.join("Cargo.toml"), &workspace(&members));
        let [native, python] = ["native", "python"].map(|plugin| named(plugin, LATER));
        let build = ["build", "--quiet", "-p", &native, "-p", &python, "-p", "later_workloads"];
        cargo_outside(&root, &build);
        let built = |name: &str| built_outside(&format!("lib{name}.so"));
        Later { native: built(&native), python: built(&python), workloads: built("later_workloads") }
    })
}

/// A text with replacements, each of which is made.
fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (before, after)| {
        assert!(text.contains(before), "there is no {before:?}");
        text.replacen(before, after, 1)
    })
}

/// The kernel of a Python driver that knows the later function, and calls it where a library has it.
const KERNEL: &[(&str, &str)] = &[
    (
        "    \"keys\": ([c_void_p, c_uint32, c_void_p, c_size_t, c_void_p], c_int32),\n}",
        "    \"keys\": ([c_void_p, c_uint32, c_void_p, c_size_t, c_void_p], c_int32),\n    \
         \"later\": ([c_void_p, c_void_p], c_int32),\n}",
    ),
    ("    keys: Any\n\n", "    keys: Any\n    later: Any\n\n"),
];

/// The version that is to come.
const LATER: &str = "1.2.0";

/// The files of plugin-api that the later version changes.
fn with_more(file: &str, text: String) -> String {
    match file {
        "ffi.rs" => changed(&text, BORDER),
        "kernel.py" => changed(&text, KERNEL),
        "functions.rs" => changed(&text, FUNCTIONS),
        "library.rs" if text.contains("ABI_VERSION: u32") => changed(&text, LIBRARY),
        "capi.rs" => changed(
            &text,
            &[(
                "pub use library::{ABI_VERSION, catalogue, open};",
                "pub use library::{ABI_VERSION, catalogue, later, open};",
            )],
        ),
        "types.rs" if text.contains("ABI_VERSION: u32") => changed(&text, VERSION),
        _ => text,
    }
}

const VERSION: &[(&str, &str)] = &[("ABI_VERSION: u32 = 1 << 16 | 1;", "ABI_VERSION: u32 = 1 << 16 | 2;")];

const BORDER: &[(&str, &str)] = &[
    (
        "    pub prepare: extern \"C\" fn(RunnerPointer, RunArguments<'_>) -> Reply,\n}",
        "    pub prepare: extern \"C\" fn(RunnerPointer, RunArguments<'_>) -> Reply,\n    \
         pub pause: extern \"C\" fn(RunnerPointer) -> Reply,\n}",
    ),
    ("        prepare,\n    }", "        prepare,\n        pause: close,\n    }"),
    (
        "    pub clock_nanos: extern \"C\" fn(HostPointer) -> u64,\n}",
        "    pub clock_nanos: extern \"C\" fn(HostPointer) -> u64,\n    \
         pub cores: extern \"C\" fn(HostPointer) -> u64,\n}",
    ),
    (
        "        clock_nanos: host_clock,\n    }",
        "        clock_nanos: host_clock,\n        cores: host_clock,\n    }",
    ),
];

/// One function more at the end of a library's table.
const FUNCTIONS: &[(&str, &str)] = &[(
    "                workload: *const RawWorkload, stage: u32, batch: *const u8, length: usize, out: *mut RawBuffer\n            ) -> i32;\n",
    "                workload: *const RawWorkload, stage: u32, batch: *const u8, length: usize, out: *mut RawBuffer\n            ) -> i32;\n            \
     /// Does nothing yet.\n            later(workload: *const RawWorkload, out: *mut RawBuffer) -> i32;\n",
)];

const LIBRARY: &[(&str, &str)] = &[
    VERSION[0],
    (
        "/// A JSON array of the library's workloads.",
        "/// Does nothing yet.\n///\n/// # Safety\n/// None is needed.\npub unsafe fn later(_: *const RawWorkload, _: *mut RawBuffer) -> i32 {\n    \
         0\n}\n\n/// A JSON array of the library's workloads.",
    ),
];

/// The border without the functions that each table got last.
const FEWER: &[(&str, &str)] = &[
    (
        "    /// For later extensions: the pointer for a name that both sides know, else null.\n    \
         pub query_extension: extern \"C\" fn(RunnerPointer, RStr<'_>) -> *const (),\n    \
         pub prepare: extern \"C\" fn(RunnerPointer, RunArguments<'_>) -> Reply,\n}",
        "}",
    ),
    ("        query_extension,\n        prepare,\n    }", "    }"),
    (
        "match self.module.prepare() {",
        "match None::<extern \"C\" fn(RunnerPointer, RunArguments<'_>) -> Reply> {",
    ),
    ("    pub clock_nanos: extern \"C\" fn(HostPointer) -> u64,\n}", "}"),
    ("        clock_nanos: host_clock,\n    }", "    }"),
    (
        "        match self.0.functions.clock_nanos() {\n            Some(clock_nanos) => clock_nanos(self.0.data),\n            \
         None => own_clock_nanos(),\n        }",
        "        own_clock_nanos()",
    ),
];

#[test]
fn a_plugin_that_has_one_method_and_one_field_more_loads() {
    runs(&later().native, LATER);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_plugin_that_has_one_method_and_one_field_fewer_loads() {
    let version = "1.1.1";
    let library = runner_against(version, |ffi| changed(&ffi, FEWER));
    runs(&library, version);
}

#[test]
fn a_plugin_with_an_incompatible_abi_is_rejected_in_one_line() {
    let library = runner_against("1.1.2", |ffi| {
        ffi.replace(
            "    pub done: u64,\n    pub total: u64,\n    pub message: RStr<'a>,",
            "    pub message: RStr<'a>,\n    pub done: u64,\n    pub total: u64,",
        )
    });
    let place = Place::empty();
    place.stage(&library);
    let listed = place.crossrun(&["backends", "--json"]).code(0).json();
    assert_eq!(listed[0]["status"], "rejected", "{listed}");
    let reason = listed[0]["reason"].as_str().unwrap();
    assert!(reason.contains("another plugin ABI") && reason.lines().count() == 1, "{reason}");
    assert!(listed[0]["remedy"].as_str().unwrap().starts_with("rebuild it against plugin-api"), "{listed}");
}
