//! The rules of ARCHITECTURE.md that the compiler does not keep.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::repository;

/// Every file below `folder`.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    assert!(!found.is_empty(), "{folder} has no files");
    found
}

/// Every Rust file below `folder`, with its text without tests.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let is_source = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs")
    };
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap().to_owned();
        (path, code)
    };
    let found: Vec<_> = files(folder).into_iter().filter(is_source).map(read).collect();
    assert!(!found.is_empty(), "{folder} has no sources");
    found
}

fn is_in(path: &Path, modules: &[&str]) -> bool {
    let path = path.to_str().unwrap();
    modules
        .iter()
        .any(|module| path.contains(&format!("/{module}.rs")) || path.contains(&format!("/{module}/")))
}

fn demand(folder: &str, words: &[&str], allowed: &[&str], why: &str) {
    for (path, code) in sources(folder) {
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in lines {
            let found = words.iter().any(|word| line.contains(word));
            assert!(!found || is_in(&path, allowed), "{why}: {}: {line}", path.display());
        }
    }
}

#[test]
fn the_host_names_no_engine_but_its_default() {
    let templates = files("host/templates");
    let texts = templates.iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()));
    let code = ["host/src", "plugin-api/src"].map(sources).into_iter().flatten();
    for (path, text) in code.chain(texts) {
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
    demand("host/src", &["libloading", "dlopen("], &["worker/load"], "opens a library");
}

#[test]
fn only_a_worker_loads() {
    demand(
        "host/src",
        &["load::runner", "load::workloads", "worker::load"],
        &["worker", "internals"],
        "loads",
    );
}

#[test]
fn only_the_sandbox_starts_processes() {
    demand(
        "host/src",
        &["process::Command", "Command::new(", ".spawn()"],
        &["sandbox", "session"],
        "starts a process",
    );
}

#[test]
fn only_the_command_line_prints() {
    let words = ["println!", "print!(", "stdout()", "stderr()"];
    demand("host/src", &words, &["cli", "app", "text", "sandbox", "worker"], "prints");
}

#[test]
fn unsafe_stands_where_the_abi_or_the_system_needs_it() {
    demand("host/src", &["unsafe "], &["worker/load", "namespace"], "is unsafe");
    let allowed = ["ffi", "c_abi", "export", "capi", "handle", "metadata"];
    demand("plugin-api/src", &["unsafe {", "unsafe fn", "unsafe impl"], &allowed, "is unsafe");
}

/// What each module of the host imports from the others.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let root = repository().join("host/src");
    for (path, code) in sources("host/src") {
        let relative = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let module = relative.split(['/', '.']).next().unwrap().to_owned();
        let targets = imports.entry(module.clone()).or_default();
        for (_, rest) in code.match_indices("crate::").map(|(at, _)| code.split_at(at + "crate::".len())) {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            if rest[..end] != module {
                targets.insert(rest[..end].to_owned());
            }
        }
    }
    imports
}

#[test]
fn nothing_imports_the_command_line_and_there_is_no_cycle() {
    let imports = imports();
    for (module, targets) in &imports {
        let may = ["main", "lib", "internals"].contains(&module.as_str());
        assert!(may || !targets.contains("cli"), "{module} imports cli");
    }
    for start in imports.keys() {
        let (mut seen, mut next) = (BTreeSet::new(), vec![start.clone()]);
        while let Some(module) = next.pop() {
            for target in imports.get(&module).into_iter().flatten() {
                assert_ne!(target, start, "{start} imports itself by way of {module}");
                if seen.insert(target.clone()) {
                    next.push(target.clone());
                }
            }
        }
    }
}

#[test]
fn the_architecture_page_names_every_module() {
    let page = std::fs::read_to_string(repository().join("host/ARCHITECTURE.md")).unwrap();
    for module in imports().keys().filter(|module| !["lib", "main", "internals"].contains(&module.as_str())) {
        assert!(page.contains(&format!("`{module}`")), "ARCHITECTURE.md does not name {module}");
    }
}
