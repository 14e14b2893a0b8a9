//! Plugins that were built against an earlier API load, run and are verified. The binaries in `tests/golden` are never built
//! again, and must work in every host with the same major version of the API.

use std::path::{Path, PathBuf};

use crate::support::{Place, Ran, repository, run_arguments};

/// The folders of `tests/golden`, one a version of the API.
fn versions() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository().join("tests/golden")).unwrap().flatten();
    let is_version = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("api_");
    let mut versions: Vec<_> = entries.map(|entry| entry.path()).filter(is_version).collect();
    versions.sort();
    assert!(!versions.is_empty());
    versions
}

/// The golden plugins of a version, the standard workloads and the native backend.
fn place(version: &Path) -> Place {
    let place = Place::new();
    for name in ["golden_runner", "golden_backend", "golden_workloads"] {
        place.stage(&version.join(format!("lib{name}.so")));
    }
    place
}

fn run(place: &Place, words: &str) -> Ran {
    place.crossrun(&run_arguments(words))
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn golden_plugins_run_verified_in_this_host() {
    for version in versions() {
        let place = place(&version);
        let listed = place.crossrun(&["backends", "--json"]).code(0).json();
        for row in listed.as_array().unwrap() {
            assert_eq!(row["status"], "available", "{row}");
        }
        let mut verified = 0;
        for backend in ["golden_rust", "golden_c", "native"] {
            for workload in ["golden_chain copies=3", "golden_reduce keys=7", "word_count", "pipeline"] {
                for how in ["batch_size=1 fusion=off", "batch_size=64 fusion=auto"] {
                    let words = format!("--backend {backend} --items 300 --workload {workload} {how}");
                    run(&place, &words).verified();
                    verified += 1;
                }
            }
        }
        assert_eq!(verified, 24);
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn the_answers_of_golden_plugins_are_read() {
    for version in versions() {
        let place = place(&version);
        let words = "--backend golden_rust --workload golden_chain";
        let failed = run(&place, &format!("{words} golden=fail")).code(4).says("it was asked to fail").json();
        assert_eq!(failed["metadata"]["error"]["kind"], "engine", "{failed}");
        assert_eq!(failed["metadata"]["error"]["remedy"], "do not ask", "{failed}");
        let panicked =
            run(&place, &format!("{words} golden=panic")).code(4).says("it was asked to panic").json();
        assert_eq!(panicked["metadata"]["error"]["kind"], "panic", "{panicked}");
        run(&place, &format!("{words} copies=17")).code(2).says("a whole number from 0 to 16");
        let listed = place.crossrun(&["workloads", "golden_chain", "--json"]).code(0).json();
        assert!(listed.to_string().contains("\"copies\""), "{listed}");
        place.crossrun(&["setup", "golden_rust"]).code(0);
        // A library of API 1.0 cannot describe its items.
        let shown = place.crossrun(&["workloads", "show", "golden_chain", "--items", "1"]).code(0);
        assert_eq!(shown.stdout().trim_end(), "{\"hex\":\"2a00000000000000\"}");
    }
}

#[test]
fn golden_plugins_are_small_and_contain_no_path_of_their_builder() {
    for version in versions() {
        let libraries = std::fs::read_dir(&version).unwrap().flatten().map(|entry| entry.path());
        for library in libraries.filter(|path| path.extension().is_some_and(|extension| extension == "so")) {
            let bytes = std::fs::read(&library).unwrap();
            assert!(bytes.len() < 1 << 20, "{} has {} bytes", library.display(), bytes.len());
            // Whose home it was, or where its packages came from.
            let homes = ["home", "root", "Users"].map(|name| format!("/{name}/"));
            for folder in homes.iter().map(String::as_str).chain(["registry/src"]) {
                let found = bytes.windows(folder.len()).any(|window| window == folder.as_bytes());
                assert!(!found, "{} names {folder}", library.display());
            }
        }
    }
}
