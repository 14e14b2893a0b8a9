//! The sage backend beside what one would write without crossrun, as ratios in one run: `cargo bench -p sage_runner`.
//!
//! Each round measures both, in turns, each in a fresh process that was warmed up; the interval is that of the comparison
//! itself. It sets the backend up, in a folder that is kept beside the build.

// A benchmark that cannot be set up has nothing better to do than to stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crossrun::stats::{PairedDifference, median};
use serde_json::Value;

const ROUNDS: usize = 8;

fn main() {
    let place = Place::new();
    println!("{:<64} {:>9} {:>9} {:>7}  interval", "", "sage", "peer", "ratio");
    for (workload, items, parallelism, extra) in [
        ("scheduler_comparison", 200, 4, r#"{"batch_size": 1}"#),
        ("pipeline", 20_000, 2, r#"{"batch_size": 100}"#),
        ("null", 200_000, 2, r#"{"batch_size": 1000}"#),
    ] {
        let name = format!("{workload}, {items} items, {extra}, beside a hand-written script");
        let peer = || place.handwritten(workload, items, parallelism, extra);
        paired(&name, ROUNDS, || place.measured(workload, items, parallelism, extra), peer);
    }
    let measured = || place.measured("scheduler_comparison", 200, 4, r#"{"batch_size": 1}"#);
    paired("200 items of 10 ms, beside the original layer's shape", 3, measured, || place.original());
    for backend in ["sage", "python"] {
        let [few, many] = [100_000, 1_000_000].map(|items| place.peak_mib(backend, items));
        println!(
            "{backend}: peak of all processes at 10⁵ and 10⁶ null items, batch size 1000: {few:.0} and {many:.0} MiB"
        );
    }
}

/// Measures both in turns, and prints medians, ratio and interval.
fn paired(name: &str, rounds: usize, mut ours: impl FnMut() -> f64, mut theirs: impl FnMut() -> f64) {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Who goes first changes from round to round.
        if round % 2 == 0 {
            with.push(ours());
            without.push(theirs());
        } else {
            without.push(theirs());
            with.push(ours());
        }
    }
    let logs: Vec<f64> = with.iter().zip(&without).map(|(a, b)| (a / b).ln()).collect();
    let difference = PairedDifference::new(&logs).unwrap();
    let interval = difference.interval.map_or_else(
        || "too few rounds".into(),
        |interval| format!("{:.2} to {:.2}", interval.low.exp(), interval.high.exp()),
    );
    let (ours, theirs) = (median(&with).unwrap(), median(&without).unwrap());
    println!("{name:<64} {ours:>7.3} s {theirs:>7.3} s {:>7.2}  {interval}", difference.estimate.exp());
}

/// The release build, and a data folder beside it.
struct Place {
    built: PathBuf,
    data: PathBuf,
    work: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release"])
            .current_dir(repository)
            .status();
        assert!(status.unwrap().success());
        // The benchmark's own file is in `deps`.
        let built = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
        let data = built.join("bench-data");
        let place = Self { built, data, work: tempfile::tempdir().unwrap() };
        assert!(place.crossrun(&["setup", "sage"]).status().unwrap().success());
        place
    }

    fn crossrun(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.built.join("crossrun"));
        command.args(arguments).env("CROSSRUN_DATA_DIR", &self.data).current_dir(self.work.path());
        command.stderr(Stdio::null());
        command
    }

    /// Seconds of a run in a session that was warmed up.
    fn measured(&self, workload: &str, items: u64, parallelism: u32, extra: &str) -> f64 {
        let (items, parallelism) = (items.to_string(), parallelism.to_string());
        let mut command = self.crossrun(&["compare", "--json", "--backends", "sage", "--blocks", "1"]);
        command.args(["--workloads", workload, "--items", &items, "--parallelism", &parallelism]);
        for (key, value) in serde_json::from_str::<serde_json::Map<String, Value>>(extra).unwrap() {
            command.arg("--extra").arg(format!("{key}={value}"));
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let events = String::from_utf8(output.stdout).unwrap();
        let trial = events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let trial = trial.rev().find(|event| event["event"] == "trial").unwrap();
        trial["duration_seconds"].as_f64().unwrap()
    }

    /// The interpreter of SAGE's environment, with the package through which the scripts call the library.
    fn python(&self, script: &str) -> Command {
        let environments = std::fs::read_dir(self.data.join("environments/sage")).unwrap().flatten();
        let mut pythons = environments.map(|entry| entry.path().join("bin/python"));
        let python = pythons.find(|python| python.exists()).unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(python);
        command.arg(folder.join("benches").join(script));
        command.env("PYTHONPATH", folder.join("../python_engine/python")).stderr(Stdio::null());
        command
    }

    fn handwritten(&self, workload: &str, items: u64, parallelism: u32, extra: &str) -> f64 {
        let batch_size = serde_json::from_str::<Value>(extra).unwrap()["batch_size"].to_string();
        let mut command = self.python("handwritten.py");
        command.arg(self.built.join("libstandard_workloads.so")).arg(workload);
        command.args([items.to_string(), parallelism.to_string(), batch_size, extra.into()]);
        first_number(command)
    }

    fn original(&self) -> f64 {
        let mut command = self.python("original.py");
        command.args(["200", "10", "4"]);
        first_number(command)
    }

    fn peak_mib(&self, backend: &str, items: u64) -> f64 {
        let items = items.to_string();
        let run = [
            "run",
            "--json",
            "--backend",
            backend,
            "--workload",
            "null",
            "--items",
            &items,
            "--extra",
            "batch_size=1000",
        ];
        let output = self.crossrun(&run).output().unwrap();
        assert!(output.status.success());
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        record["metadata"]["resources"]["peak_memory_bytes"].as_f64().unwrap() / f64::from(1 << 20)
    }
}

/// The seconds that a script prints first.
fn first_number(mut command: Command) -> f64 {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}
