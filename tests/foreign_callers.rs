//! The workload library's C ABI, called by programs in C and in Python.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{plugin, repository};

const WORKLOADS: [(&str, &str); 5] = [
    ("null", "{}"),
    ("pipeline", r#"{"iters": 10}"#),
    ("imbalance", r#"{"iters": 10, "distribution": "pareto"}"#),
    ("word_count", r#"{"keys": 50}"#),
    ("scheduler_comparison", r#"{"sleep_us": 0}"#),
];

fn compiled(folder: &Path) -> PathBuf {
    let program = folder.join("run_workload");
    let output = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(repository().join("plugin-api/include"))
        .arg(repository().join("tests/fixtures/c/run_workload.c"))
        .arg("-o")
        .arg(&program)
        .arg("-ldl")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// Runs a caller on every workload, and demands that it computed what the oracle did.
fn run_all(caller: impl Fn() -> Command) -> Vec<String> {
    let run = |(workload, extra): &(&str, &str)| {
        let mut command = caller();
        command.arg(plugin("standard_workloads")).args([workload, "1000", "64", extra]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{workload}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    WORKLOADS.iter().map(run).collect()
}

#[test]
fn c_and_python_compute_what_the_oracle_does() {
    let folder = tempfile::tempdir().unwrap();
    let program = compiled(folder.path());
    let script = repository().join("tests/fixtures/python/run_workload.py");
    let from_c = run_all(|| Command::new(&program));
    let from_python = run_all(|| {
        let mut command = Command::new("python3");
        command.arg(&script);
        command
    });
    assert_eq!(from_c, from_python);
    assert!(from_c.iter().all(|line| line.split_whitespace().count() == 4), "{from_c:?}");
}

#[test]
fn an_unknown_workload_is_an_error_for_foreign_callers_too() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(compiled(folder.path()))
        .arg(plugin("standard_workloads"))
        .args(["nosuch", "1", "1", "{}"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("word_count"));
}
