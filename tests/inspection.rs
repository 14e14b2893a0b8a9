//! `backends inspect` describes a file without running it, and `backends --no-probe` lists plugins without loading them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::field::wrappers::wrapped;
use crate::support::{Place, Ran, hostile, plugin};

fn inspect(place: &Place, file: &Path, code: i32) -> Value {
    // A library that runs writes here.
    let trace = place.path().join("trace");
    let mut command = place.command(&["backends", "inspect", "--json"]);
    command.arg(file).env("CROSSRUN_TEST_TRACE", &trace);
    let description = Ran::of(command).code(code).json();
    assert!(!trace.exists(), "it was opened: {}", std::fs::read_to_string(trace).unwrap());
    description
}

#[test]
fn a_plugin_is_described_by_its_bytes() {
    let place = Place::new();
    let file = place.plugins().join("libnative_runner.so");
    let native = inspect(&place, &file, 0);
    assert_eq!((&native["status"], &native["reason"]), (&json!("plugin"), &Value::Null));
    assert_eq!((&native["kind"], &native["name"]), (&json!("runner"), &json!("native")));
    assert_eq!(native["size"], file.metadata().unwrap().len());
    assert_eq!(native["sha256"], crossrun::internals::plugin::sha256_of(&file).unwrap());
    assert_eq!(native["abi"]["plugin_api"], plugin_api::API_VERSION);
    assert_eq!(native["abi"]["runner_header"], "0.11");
    assert_eq!(native["object"]["of_this_machine"], true);
    assert!(native["needed"].as_array().unwrap().contains(&json!("libc.so.6")), "{native}");
    assert!(!native["glibc"]["symbols"].as_array().unwrap().is_empty(), "{native}");
    assert!(native["glibc"]["required"].is_string() && native["glibc"]["present"].is_string(), "{native}");
    assert_eq!(native["exports"]["ours"], json!(["_1as_0lib_1header_0root_bmodule_bloader"]));
    for key in ["rustc", "target", "profile", "opt_level", "debug_assertions", "target_features"] {
        assert!(!native["build"][key].is_null(), "no {key} in {native}");
    }
    assert_eq!(native["trusted"], true);

    let workloads = inspect(&place, &place.plugins().join("libstandard_workloads.so"), 0);
    assert_eq!(workloads["abi"]["workload_abi"], "1");
    assert!(workloads["workloads"].as_array().unwrap().contains(&json!("pipeline")), "{workloads}");
    assert!(workloads["exports"]["ours"].as_array().unwrap().contains(&json!("crossrun_workload_open")));
}

#[test]
fn a_file_for_another_machine_is_described_as_such() {
    let place = Place::empty();
    let mut bytes = std::fs::read(plugin("native_runner")).unwrap();
    // The machine in the header of an ELF file: 243 is RISC-V.
    bytes[18..20].copy_from_slice(&243_u16.to_le_bytes());
    let file = place.plugins().join("libother.so");
    std::fs::write(&file, bytes).unwrap();
    let other = inspect(&place, &file, 3);
    assert_eq!((&other["status"], &other["name"]), (&json!("rejected"), &json!("native")));
    assert!(other["reason"].as_str().unwrap().contains("another machine"), "{other}");
    assert_eq!(other["remedy"], format!("rebuild it for {}", std::env::consts::ARCH));
    assert_eq!(other["object"]["architecture"], "Riscv64");
    assert_eq!(other["object"]["of_this_machine"], false);
    assert_eq!(other["abi"]["runner_header"], "0.11");
}

#[test]
fn a_rejected_file_is_described_as_far_as_it_can_be_read() {
    let place = Place::empty();
    let stranger = inspect(&place, &hostile("crashing_library"), 3);
    assert_eq!(stranger["reason"], "not a crossrun plugin: it has no metadata section");
    assert!(stranger["name"].is_null() && stranger["exports"]["ours"] == json!([]));
    assert!(!stranger["needed"].as_array().unwrap().is_empty(), "{stranger}");

    let text = place.plugins().join("libtext.so");
    std::fs::write(&text, "I am not a library\n").unwrap();
    let text = inspect(&place, &text, 3);
    assert_eq!((&text["reason"], &text["object"]), (&json!("not a shared library"), &Value::Null));
    assert_eq!(text["sha256"].as_str().unwrap().len(), 64);

    let whole = std::fs::read(plugin("native_runner")).unwrap();
    let cut = place.plugins().join("libcut.so");
    std::fs::write(&cut, &whole[..whole.len() - 1]).unwrap();
    assert!(inspect(&place, &cut, 3)["reason"].as_str().unwrap().contains("cut short or damaged"));

    place.crossrun(&["backends", "inspect", "/nowhere/at/all.so"]).code(3).says("cannot be read");
    let listing = "; try: crossrun backends --no-probe --plugin-dir plugins\n";
    place.crossrun(&["backends", "inspect", "plugins"]).code(3).says("not a regular file").says(listing);
    let told = place.crossrun(&["run", "--backend", "x=plugins"]).code(3);
    told.says("is a folder, not a backend").says(listing);
    place.crossrun(&["backends", "check", "plugins"]).code(3).says("is a folder, not a plugin").says(listing);
    // Nobody else would find a folder for all again that lost this right.
    let shared = place.path().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
    for words in ["backends check shared", "backends inspect shared", "backends --plugin-dir shared"] {
        let told = place.run(words);
        assert!(!told.stderr().contains("chmod") && !told.stdout().contains("chmod"), "{}", told.explain());
    }
}

#[test]
fn the_text_has_a_line_for_each_fact() {
    let place = Place::new();
    let file = place.plugins().join("libnative_runner.so");
    let text = place.crossrun(&["backends", "inspect", file.to_str().unwrap()]).code(0).stdout();
    assert_eq!(text.lines().next(), file.to_str());
    let labels: Vec<_> = text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    let expected =
        "status plugin about license plugin-api header format needs glibc exports build size sha256 trusted";
    assert_eq!(labels.join(" "), expected);
    assert!(text.contains("\n  status      a plugin for this host\n"), "{text}");
    let plugin = format!("\n  plugin      runner native {}\n", env!("CARGO_PKG_VERSION"));
    assert!(text.contains(&plugin), "{text}");
}

#[test]
fn the_name_of_a_plugin_that_is_found_stands_for_its_file() {
    let place = Place::new();
    let inspected = |name: &str| place.crossrun(&["backends", "inspect", "--json", name]);
    for (name, file) in
        [("native", "libnative_runner.so"), ("Standard_Workloads", "libstandard_workloads.so")]
    {
        let described = inspected(name).code(0).json();
        assert!(described["path"].as_str().unwrap().ends_with(&format!("plugins/{file}")), "{described}");
        let check = ["backends", "check", name, "--include", "file.metadata", "--json"];
        assert_eq!(place.crossrun(&check).json()["file"], described["path"]);
    }
    // Also where there is a file of that name: that is a path, which is no name.
    std::fs::write(place.path().join("native"), "I am not a library\n").unwrap();
    assert_eq!(inspected("native").code(0).json()["name"], "native");
    assert_eq!(inspected("./native").code(3).json()["reason"], "not a shared library");
    inspected("plugins/native").code(3).says("cannot be read");
    inspected("natvie").code(3).says("there is native").says("try: crossrun backends");
    // A backend that is rejected can be looked at.
    std::fs::write(place.plugins().join("libbroken_runner.so"), "I am not a library\n").unwrap();
    assert_eq!(inspected("broken").code(3).json()["reason"], "not a shared library");
    // A check takes a library of workloads by its name too, and a backend is none.
    let check = |workloads| {
        let arguments =
            ["backends", "check", "native", "--include", "file.metadata", "--workloads", workloads];
        place.crossrun(&arguments)
    };
    check("standard_workloads").code(0);
    check("native").code(3).says("is a backend, not a library of workloads");
    let near = check("standard_workload").code(3).says("there is no workload library \"standard_workload\"");
    near.says("there is standard_workloads ").says("; try: --workloads standard_workloads\n");
    check("nosuch").code(3).says("; try: crossrun backends --no-probe --plugin-dir ");
}

#[test]
fn a_name_that_two_files_claim_is_said_to_be_that_also_with_a_lock() {
    let place = Place::new();
    place.crossrun(&["backends", "lock"]).code(0);
    let mut other = std::fs::read(place.plugins().join("libnative_runner.so")).unwrap();
    other.push(0);
    std::fs::write(place.plugins().join("libother_runner.so"), other).unwrap();
    let verbs = [
        &["run", "--backend", "native", "--workload", "null"][..],
        &["backends", "inspect", "native"],
        &["backends", "check", "native"],
    ];
    for verb in verbs {
        let ran = place.crossrun(&[verb, &["--locked"]].concat()).code(3);
        ran.says("two files claim the backend \"native\"");
    }
}

#[test]
fn a_large_file_is_hashed_only_on_demand() {
    let place = Place::new();
    let file = place.plugins().join("libnative_runner.so");
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(65 << 20).unwrap();
    let large = inspect(&place, &file, 0);
    assert_eq!((&large["status"], &large["sha256"]), (&json!("plugin"), &Value::Null));
    let file = file.to_str().unwrap();
    let hashed = place.crossrun(&["backends", "inspect", "--json", "--hash", file]).code(0).json();
    assert_eq!(hashed["sha256"], crossrun::internals::plugin::sha256_of(Path::new(file)).unwrap());
    assert!(place.crossrun(&["backends", "inspect", file]).code(0).stdout().contains("--hash computes it"));
}

#[test]
fn a_listing_without_probing_loads_nothing_and_reads_no_file_whole() {
    let place = Place::with_misbehaving();
    let trace = place.path().join("trace");
    let list = |more: &[&str]| {
        let mut command = place.command(&[&["backends", "--json"], more].concat());
        command.env("CROSSRUN_TEST_TRACE", &trace).env("CROSSRUN_TEST_PROBE", "unavailable");
        Ran::of(command).code(0).json()
    };
    for row in list(&["--no-probe"]).as_array().unwrap() {
        assert_eq!((&row["status"], &row["sha256"]), (&json!("found"), &Value::Null), "{row}");
    }
    assert!(!trace.exists() && !place.data().exists());
    let probed = list(&[]);
    assert_eq!((&probed[0]["name"], &probed[0]["status"]), (&json!("misbehaving"), &json!("unavailable")));
    assert_eq!(probed[0]["sha256"].as_str().unwrap().len(), 64);
}

/// A backend in C in a folder of its own, that needs the library `name` which was beside it when it was linked.
fn needing(place: &Place, name: &str) -> PathBuf {
    let folder = place.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    let library = folder.join(name);
    let source = folder.join("beside.c");
    std::fs::write(&source, "int beside(void) { return 1; }\n").unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", &format!("-Wl,-soname,{name}"), "-o"]).args([&library, &source]);
    assert!(cc.status().unwrap().success());
    let link =
        [&format!("-L{}", folder.display()), "-Wl,--no-as-needed,-rpath,$ORIGIN", &format!("-l:{name}")];
    let plugin = crate::c_backend::compiled(
        "plugin-api/examples/c/minimal_backend.c",
        &format!("needs_{name}"),
        &link,
    );
    let staged = folder.join("libminimal_runner.so");
    std::fs::copy(plugin, &staged).unwrap();
    staged
}

#[test]
fn a_plugin_is_rejected_without_a_library_that_it_needs_and_not_with_it_beside_it() {
    let place = Place::new();
    let file = needing(&place, "libbeside.so.3");
    assert_eq!(inspect(&place, &file, 0)["status"], "plugin");
    std::fs::remove_file(file.with_file_name("libbeside.so.3")).unwrap();
    let description = inspect(&place, &file, 3);
    assert_eq!(description["reason"], "needs libbeside.so.3, which the dynamic linker does not find");
    assert!(description["remedy"].as_str().unwrap().starts_with("export LD_LIBRARY_PATH="), "{description}");
    assert!(description["needed"].as_array().unwrap().contains(&json!("libbeside.so.3")), "{description}");
}

#[test]
fn a_library_in_a_folder_of_the_environment_is_found() {
    let place = Place::new();
    let file = needing(&place, "libelsewhere.so");
    let elsewhere = place.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let library = elsewhere.join("libelsewhere.so");
    std::fs::rename(file.with_file_name("libelsewhere.so"), &library).unwrap();
    inspect(&place, &file, 3);
    // In the current folder the dynamic linker does not look, also without the variable.
    for variable in [None, Some("")] {
        let mut command = place.command(&["backends", "inspect"]);
        command.arg(&file).current_dir(&elsewhere).env_remove("LD_LIBRARY_PATH");
        variable.map(|empty| command.env("LD_LIBRARY_PATH", empty));
        Ran::of(command).code(3);
    }
    let found = |variable: &str, value: &std::ffi::OsStr| {
        let mut command = place.command(&["backends", "inspect"]);
        command.arg(&file).env(variable, value);
        Ran::of(command).code(0);
    };
    found("LD_LIBRARY_PATH", elsewhere.as_os_str());
    found("LD_PRELOAD", library.as_os_str());
    // Both separate folders, and where a variable leads is not known.
    for before in ["/nowhere;", "/nowhere:"] {
        found("LD_LIBRARY_PATH", format!("{before}{}", elsewhere.display()).as_ref());
    }
    found("LD_LIBRARY_PATH", "/opt/$LIB".as_ref());
    let newer = elsewhere.join("glibc-hwcaps/x86-64-v2");
    std::fs::create_dir_all(&newer).unwrap();
    std::fs::rename(&library, newer.join("libelsewhere.so")).unwrap();
    found("LD_LIBRARY_PATH", elsewhere.as_os_str());
}

#[test]
fn a_plugin_of_another_c_library_is_rejected() {
    let place = Place::new();
    let file = needing(&place, "libc.musl-x86_64.so.1");
    let description = inspect(&place, &file, 3);
    assert!(description["reason"].as_str().unwrap().starts_with("built for musl"), "{description}");
    let remedy = description["remedy"].as_str().unwrap();
    assert!(remedy.starts_with("rebuild it for ") && remedy.ends_with("-linux-gnu"), "{remedy}");
}

#[test]
fn a_library_beside_a_locked_plugin_is_not_found_and_the_lock_is_named() {
    let place = Place::new();
    let file = needing(&place, "libbeside.so.3");
    let plugins = ["libminimal_runner.so", "libbeside.so.3"];
    for name in plugins {
        std::fs::copy(file.with_file_name(name), place.plugins().join(name)).unwrap();
    }
    let run = ["run", "--backend", "minimal", "--workload", "null", "--no-lock"];
    place.crossrun(&run).code(0);
    place.crossrun(&["backends", "lock"]).code(0);
    let locked = [&run[..], &["--locked"]].concat();
    let ran = place.crossrun(&locked).code(3).says("a file in a lock is loaded from a copy in memory");
    // The command that it names works.
    let remedy = ran
        .stderr()
        .split_once("export LD_LIBRARY_PATH=")
        .unwrap()
        .1
        .split([' ', '\n', ')'])
        .next()
        .unwrap()
        .to_owned();
    let mut command = place.command(&locked);
    command.env("LD_LIBRARY_PATH", remedy);
    Ran::of(command).code(0);
}

#[test]
fn an_author_names_the_compiler_of_another_language() {
    let place = Place::new();
    let go = "-DCROSSRUN_COMPILER=\"go 1.24\"";
    let plugin = crate::c_backend::compiled("plugin-api/examples/c/minimal_backend.c", "of_go", &[go]);
    assert_eq!(inspect(&place, &place.stage(&plugin), 0)["build"]["compiler"], "go 1.24");
}

/// A backend in C, staged, with a block of static TLS: its own, or that of a library beside it.
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
fn with_static_tls(place: &Place, is_own: bool) -> PathBuf {
    let source = place.path().join("block.c");
    let code = "static __thread char block[20000] __attribute__((tls_model(\"initial-exec\")));\n\
                char *crossrun_test_block(void) { return block; }\n";
    std::fs::write(&source, code).unwrap();
    let mut options = vec![source.display().to_string()];
    if !is_own {
        let library = place.plugins().join("libblock.so.1");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-Wl,-soname,libblock.so.1", "-o"]).args([&library, &source]);
        assert!(cc.status().unwrap().success());
        let folder = format!("-L{}", place.plugins().display());
        options = vec![folder, "-Wl,--no-as-needed,-rpath,$ORIGIN".into(), "-l:libblock.so.1".into()];
    }
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let name = format!("static_tls_{is_own}");
    let file = crate::c_backend::compiled("plugin-api/examples/c/minimal_backend.c", &name, &options);
    place.stage_as(&file, "libminimal_runner.so")
}

#[test]
#[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
fn a_library_that_needs_more_static_tls_than_there_is_gets_the_setting_that_helps() {
    for is_own in [true, false] {
        let place = Place::new();
        let staged = with_static_tls(&place, is_own);
        let run = ["run", "--backend", "minimal", "--workload", "null", "--no-lock"];
        let ran = place.crossrun(&[&run[..], &["--json"]].concat()).code(3);
        let error = ran.json()["error"].clone();
        assert!(error["message"].as_str().unwrap().contains("static TLS"), "{error}");
        let remedy = error["remedy"].as_str().unwrap();
        assert!(remedy.starts_with("export GLIBC_TUNABLES=glibc.rtld.optional_static_tls="), "{error}");
        if is_own {
            assert_eq!(inspect(&place, &staged, 3)["remedy"], remedy);
        } else {
            // Only the dynamic linker looks into what a plugin needs.
            inspect(&place, &staged, 0);
            let check = place.crossrun(&["backends", "check", staged.to_str().unwrap()]).code(4).stdout();
            assert!(check.contains(&format!("try: {remedy}\n")), "{check}");
        }
        // The command works when it is pasted.
        let script = format!("{remedy} && exec \"$@\"");
        Ran::of(wrapped("sh", &["-c", &script, "sh"], &place.command(&run))).code(0);
    }
}
