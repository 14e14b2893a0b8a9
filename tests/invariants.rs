//! The rules of docs/architecture.md that the compiler does not keep.

mod imports;
mod sources;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::support::repository;
use imports::{Edges, cycles, describe, edges, grouped};
use sources::Sources;

/// The root of each crate that is shipped, without the binary of a few lines.
fn roots() -> Vec<String> {
    let plugins = std::fs::read_dir(repository().join("plugins")).unwrap().flatten();
    let plugins = plugins.filter(|entry| entry.path().join("Cargo.toml").exists());
    let plugins = plugins.map(|entry| format!("plugins/{}/src/lib.rs", entry.file_name().display()));
    let ours = [HOST, "host/archive/src/main.rs", PLUGIN_API];
    ours.map(str::to_owned).into_iter().chain(plugins).collect()
}

/// Every crate, read once.
fn crates() -> &'static BTreeMap<String, Sources> {
    static CRATES: OnceLock<BTreeMap<String, Sources>> = OnceLock::new();
    let read = |root: String| (root.clone(), Sources::of(&repository().join(root)));
    CRATES.get_or_init(|| roots().into_iter().map(read).collect())
}

const HOST: &str = "host/src/lib.rs";
const PLUGIN_API: &str = "plugin-api/src/lib.rs";

/// Every file below `folder`, with its text.
fn templates(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let found: Vec<_> = entries
        .flat_map(|path| match path.is_dir() {
            true => templates(&path),
            false => vec![(path.clone(), std::fs::read_to_string(path).unwrap())],
        })
        .collect();
    assert!(!found.is_empty(), "{} has no files", folder.display());
    found
}

fn is_in(path: &Path, modules: &[&str]) -> bool {
    let path = path.to_str().unwrap();
    modules
        .iter()
        .any(|module| path.contains(&format!("/{module}.rs")) || path.contains(&format!("/{module}/")))
}

fn assert_only_in(root: &str, words: &[&str], allowed: &[&str], why: &str) {
    for file in &crates()[root].files {
        let lines = file.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in lines {
            let found = words.iter().any(|word| line.contains(word));
            assert!(!found || is_in(&file.path, allowed), "{why}: {}: {line}", file.path.display());
        }
    }
}

#[test]
fn the_host_names_no_engine_but_its_default() {
    let templates = templates(&repository().join("host/templates"));
    let code = [HOST, PLUGIN_API].into_iter().flat_map(|root| &crates()[root].files);
    let code = code.map(|file| (&file.path, &file.text));
    for (path, text) in code.chain(templates.iter().map(|(path, text)| (path, text))) {
        for line in text.lines().filter(|line| !line.contains("const DEFAULT_BACKEND")) {
            let words = line.to_lowercase();
            let named = ["sage", "dask", "pyspark", "spark", "timely", "ray"].iter().find(|engine| {
                words.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == **engine)
            });
            assert_eq!(named, None, "{}: {line}", path.display());
        }
    }
}

#[test]
fn only_load_opens_libraries() {
    assert_only_in(HOST, &["libloading", "dlopen("], &["worker/load"], "opens a library");
}

#[test]
fn only_a_worker_loads() {
    let words = ["load::runner", "load::workloads", "worker::load"];
    assert_only_in(HOST, &words, &["worker", "internals"], "loads");
}

#[test]
fn only_the_sandbox_starts_processes() {
    let words = ["process::Command", "Command::new(", ".spawn()"];
    assert_only_in(HOST, &words, &["sandbox", "session"], "starts a process");
}

#[test]
fn only_the_command_line_prints() {
    let words = ["println!", "print!(", "stdout()", "stderr()"];
    assert_only_in(HOST, &words, &["cli", "app", "text", "sandbox", "worker"], "prints");
}

#[test]
fn only_text_puts_a_remedy_behind_a_message() {
    // So that every remedy is a field of its own until it is printed. The guard of an exit can format nothing.
    assert_only_in(HOST, &["; try: "], &["text", "exit_guard"], "puts a remedy into a message");
}

#[test]
fn unsafe_is_only_where_the_abi_or_the_system_needs_it() {
    assert_only_in(
        HOST,
        &["unsafe "],
        &["worker/load", "worker/exit_guard", "namespace", "cpu_clock", "shared_memory", "signal_mask"],
        "is unsafe",
    );
    let allowed = ["ffi", "c_abi", "export", "capi", "handle", "metadata"];
    let words = ["unsafe {", "unsafe fn", "unsafe impl"];
    assert_only_in(PLUGIN_API, &words, &allowed, "is unsafe");
}

#[test]
fn no_imports_between_files_form_a_cycle() {
    let edges: Edges<PathBuf> = crates().values().flat_map(edges).collect();
    let found = cycles(&edges);
    assert!(found.is_empty(), "a cycle of imports:\n{}", describe(&edges, &found));
}

/// What each module of the host imports from the others.
fn modules() -> Edges<String> {
    let root = repository().join("host/src");
    let module = |path: &Path| {
        let relative = path.strip_prefix(&root).unwrap().to_str().unwrap();
        relative.split(['/', '.']).next().unwrap().to_owned()
    };
    grouped(&edges(&crates()[HOST]), module)
}

#[test]
fn nothing_imports_the_command_line_and_no_imports_between_modules_form_a_cycle() {
    let modules = modules();
    for (module, targets) in &modules {
        let may = ["lib", "internals"].contains(&module.as_str());
        assert!(may || !targets.contains_key("cli"), "{module} imports cli");
    }
    let found = cycles(&modules);
    assert!(found.is_empty(), "\n{}", describe(&modules, &found));
}

#[test]
fn the_architecture_page_names_every_module() {
    let page = std::fs::read_to_string(repository().join("docs/architecture.md")).unwrap();
    for module in modules().keys().filter(|module| !["lib", "internals"].contains(&module.as_str())) {
        assert!(page.contains(&format!("`{module}`")), "docs/architecture.md does not name {module}");
    }
}

/// What all drivers share is in the package `crossrun_engine`: a driver that grows beyond this has something that belongs there.
#[test]
fn no_driver_in_python_has_more_than_500_lines() {
    let folders = std::fs::read_dir(repository().join("plugins")).unwrap().flatten();
    let mut drivers = 0;
    for folder in folders.map(|entry| entry.path()).filter(|folder| folder.join("driver.py").exists()) {
        let files = std::fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path());
        let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "py"));
        let lines: usize = files.map(|path| std::fs::read_to_string(path).unwrap().lines().count()).sum();
        assert!(lines <= 500, "{} has {lines} lines", folder.display());
        drivers += 1;
    }
    assert!(drivers >= 5, "{drivers} drivers were found");
}
