//! The timely backend beside a program that one would write for timely directly, as ratios in one run.
//!
//! `cargo bench -p timely_runner --bench direct` builds what it needs and prints a table. Both sides take turns.

// A benchmark that cannot be set up has nothing better to do than to stop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod program;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use crossrun::protocol::LibraryFile;
use crossrun::{inspect, load};
use plugin_api::{HostServices, Progress, RunContext, WorkloadHandle, WorkloadRunner, WorkloadSpec};

use peers::{Pair, heading};

const BAR: &str = "not wholly above 1.05";

fn main() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    build(target);
    let mut timely =
        load::runner(&library(target, "timely_runner"), Arc::new(NoHost), log::LevelFilter::Off).unwrap();
    let workloads = load::workloads(&library(target, "standard_workloads")).unwrap();
    heading();
    for (name, items, batch_size, rounds) in [
        ("scheduler_comparison", 2000, 1, 8),
        ("pipeline", 20_000, 100, 31),
        ("word_count", 1_000_000, 1000, 15),
    ] {
        let workload = workloads.open(&spec(name, items, batch_size)).unwrap();
        let (spec, context) = (workload.spec().clone(), context(&workload));
        let mut backend = || timely.run(&spec, &context).unwrap().sink_state;
        let direct = || program::run(&workload, spec.parallelism as usize);
        let expected = workload.expected().unwrap();
        for sink in [backend(), direct()] {
            assert_eq!(workload.outcome(&sink).unwrap(), expected, "{name}");
        }
        let pair = Pair { with: || timed(&mut backend), without: || timed(&direct) };
        pair.compare(&format!("{name}, {items} items, batch_size {batch_size}"), BAR, rounds);
    }
}

fn spec(name: &str, items: u64, batch_size: u64) -> WorkloadSpec {
    let mut spec = WorkloadSpec { total_items: items, ..WorkloadSpec::new(name) };
    spec.extra.insert("batch_size".into(), batch_size.into());
    if name == "scheduler_comparison" {
        spec.extra.insert("sleep_us".into(), 500.into());
    }
    spec
}

fn timed<T>(mut body: impl FnMut() -> T) -> f64 {
    let started = Instant::now();
    let done = body();
    let seconds = started.elapsed().as_secs_f64();
    drop(done);
    seconds
}

fn build(target: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "-p", "timely_runner", "-p", "standard_workloads"]);
    let status = cargo.arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR")).status();
    assert!(status.unwrap().success());
}

fn library(target: &Path, name: &str) -> LibraryFile {
    let path: PathBuf = target.join("release").join(format!("lib{name}.so"));
    LibraryFile { sha256: inspect::sha256_of(&path).unwrap(), path }
}

fn context(workload: &WorkloadHandle) -> RunContext {
    RunContext::new(workload.clone(), Arc::new(NoHost), std::env::temp_dir(), std::env::temp_dir(), None)
}

/// A host that hears nothing.
struct NoHost;

impl HostServices for NoHost {
    fn log(&self, _level: log::Level, _target: &str, _message: &str) {}
    fn progress(&self, _progress: Progress) {}
    fn cancelled(&self) -> bool {
        false
    }
    fn clock_nanos(&self) -> u64 {
        0
    }
}
