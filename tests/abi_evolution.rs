//! Plugins that were built against an older or a newer plugin-api load in this host.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::support::{Place, built_outside, cargo_outside, repository};

/// Copies plugin-api, changes its border with `change`, and builds a runner against the copy.
fn runner_against(version: &str, change: impl Fn(String) -> String) -> PathBuf {
    let target = crate::support::executable().ancestors().nth(2).unwrap();
    let root = target.join("abi_evolution").join(version);
    let api = root.join("plugin-api");
    copy(&repository().join("plugin-api"), &api);
    let ffi = api.join("src/ffi.rs");
    let before = fs::read_to_string(&ffi).unwrap();
    let after = change(before.clone());
    assert_ne!(before, after, "the border was not changed");
    write(&ffi, &after);
    let manifest = fs::read_to_string(api.join("Cargo.toml")).unwrap();
    write(&api.join("Cargo.toml"), &manifest.replace(&stated(plugin_api::API_VERSION), &stated(version)));
    write(&root.join("Cargo.toml"), &workspace());
    for plugin in ["plugins/native_runner", "plugins/thread_engine"] {
        copy(&repository().join(plugin), &root.join(plugin));
    }
    write(&root.join("Cargo.lock"), &fs::read_to_string(repository().join("Cargo.lock")).unwrap());
    // A file of its own: all are built into one folder.
    let (name, manifest) =
        (format!("native_{}", version.replace('.', "_")), root.join("plugins/native_runner/Cargo.toml"));
    let renamed = fs::read_to_string(&manifest)
        .unwrap()
        .replace("name = \"native_runner\"", &format!("name = {name:?}"));
    write(&manifest, &renamed);
    cargo_outside(&root, &["build", "--quiet", "-p", &name]);
    built_outside(&format!("lib{name}.so"))
}

/// A version as a manifest has it.
fn stated(version: &str) -> String {
    format!("version = {version:?}")
}

/// The workspace's manifest, with these two members and the crates beside them that they need.
fn workspace() -> String {
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let (_, shared) = manifest.split_once("[workspace.package]").unwrap();
    let shared = shared.replace(
        &format!("plugin-api = {{ path = \"plugin-api\", {} }}", stated(plugin_api::API_VERSION)),
        "plugin-api = { path = \"plugin-api\" }",
    );
    format!(
        "[workspace]\nresolver = \"3\"\nmembers = [\"plugin-api\", \"plugins/native_runner\"]\n\n[workspace.package]{shared}"
    )
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            write(&target, &fs::read_to_string(&path).unwrap());
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
    let run = ["run", "--json", "--backend", "native", "--workload", "word_count", "--items", "100"];
    assert_eq!(place.crossrun(&run).code(0).json()["metadata"]["verified"], true);
}

/// The native backend of a version that is to come, whose types have one method and one field more.
pub(crate) fn later_runner() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| runner_against(LATER, with_more))
}

/// The version that is to come.
const LATER: &str = "1.2.0";

fn with_more(ffi: String) -> String {
    ffi.replace(
        "    pub prepare: extern \"C\" fn(RunnerPointer, RunArguments<'_>) -> Reply,\n}",
        "    pub prepare: extern \"C\" fn(RunnerPointer, RunArguments<'_>) -> Reply,\n    \
             pub pause: extern \"C\" fn(RunnerPointer) -> Reply,\n}",
    )
    .replace("        prepare,\n    }", "        prepare,\n        pause: close,\n    }")
    .replace(
        "    pub clock_nanos: extern \"C\" fn(HostPointer) -> u64,\n}",
        "    pub clock_nanos: extern \"C\" fn(HostPointer) -> u64,\n    \
             pub cores: extern \"C\" fn(HostPointer) -> u64,\n}",
    )
    .replace(
        "        clock_nanos: host_clock,\n    }",
        "        clock_nanos: host_clock,\n        cores: host_clock,\n    }",
    )
}

#[test]
fn a_plugin_that_has_one_method_and_one_field_more_loads() {
    runs(later_runner(), LATER);
}

#[test]
fn a_plugin_that_has_one_method_and_one_field_fewer_loads() {
    let version = "1.1.1";
    let library = runner_against(version, |ffi| {
        ffi.lines()
            .filter(|line| !line.contains("For later extensions"))
            .collect::<Vec<_>>()
            .join("\n")
            .replace("    pub query_extension: extern \"C\" fn(RunnerPointer, RStr<'_>) -> *const (),\n", "")
            .replace("    pub prepare: extern \"C\" fn(RunnerPointer, RunArguments<'_>) -> Reply,\n}", "}")
            .replace("        query_extension,\n        prepare,\n    }", "    }")
            .replace("match self.module.prepare() {", "match None::<extern \"C\" fn(RunnerPointer, RunArguments<'_>) -> Reply> {")
            .replace("    pub clock_nanos: extern \"C\" fn(HostPointer) -> u64,\n}", "}")
            .replace("        clock_nanos: host_clock,\n    }", "    }")
            .replace(
                "        match self.0.functions.clock_nanos() {\n            Some(clock_nanos) => clock_nanos(self.0.data),\n            \
                 None => own_clock_nanos(),\n        }",
                "        own_clock_nanos()",
            )
    });
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
    assert!(reason.contains("rebuild it against plugin-api") && reason.lines().count() == 1, "{reason}");
}
