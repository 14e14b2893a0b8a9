//! The driver comes to what a serial oracle comes to, in a Python process, on a workload that has every kind of stage.
//!
//! The process opens the workload's library by its file: it is the example of this crate, which `cargo test` builds.

#[path = "../examples/sums.rs"]
mod sums;

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use plugin_api::{
    ErrorKind, HostServices, Progress, RunContext, RunResult, RunnerError, Session, WorkloadHandle,
    WorkloadRunner, WorkloadSpec,
};
use python_engine::PythonRunner;
use sha2::{Digest, Sha256};

use crate::ENGINE;

/// A host that asks for the run to be stopped, or does not.
struct Host {
    cancelled: AtomicBool,
}

impl HostServices for Host {
    fn log(&self, _level: log::Level, _target: &str, _message: &str) {}

    fn progress(&self, _progress: Progress) {}

    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn clock_nanos(&self) -> u64 {
        plugin_api::monotonic_nanos()
    }
}

/// A session with the driver's process, in a folder of its own.
struct Driven {
    runner: PythonRunner,
    folder: tempfile::TempDir,
}

impl Driven {
    fn open() -> Self {
        let (mut runner, folder) = (PythonRunner::new(&ENGINE), tempfile::tempdir().unwrap());
        let log_dir = folder.path().to_owned();
        // What `crossrun setup` installed is in the user's data folder.
        let installed = !ENGINE.requirements.is_empty();
        let data_dir = plugin_api::data_dir().filter(|_| installed);
        let data_dir = data_dir.unwrap_or_else(|| log_dir.clone());
        runner
            .open(&Session {
                parallelism: 2,
                nodes: 1,
                data_dir,
                log_dir,
                ..Session::default()
            })
            .unwrap();
        Self { runner, folder }
    }

    fn run(&mut self, spec: &WorkloadSpec, cancelled: bool) -> Result<RunResult, RunnerError> {
        let host = Arc::new(Host {
            cancelled: AtomicBool::new(cancelled),
        });
        let folder = || self.folder.path().to_owned();
        let context = RunContext::new(open(spec), host, folder(), folder(), None);
        self.runner.run(spec, &context)
    }
}

fn spec(total_items: u64, batch_size: u64, fusion: &str) -> WorkloadSpec {
    let mut spec = WorkloadSpec {
        total_items,
        ..WorkloadSpec::new("sums")
    };
    spec.extra.insert("batch_size".into(), batch_size.into());
    spec.extra.insert("fusion".into(), fusion.into());
    spec
}

fn open(spec: &WorkloadSpec) -> WorkloadHandle {
    let file = library();
    let sha256 = Sha256::digest(std::fs::read(&file).unwrap());
    sums::open(
        spec,
        &file,
        &sha256
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>(),
    )
}

/// The example, beside the folder of this test.
fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap();
    built
        .join("examples")
        .join(format!("{DLL_PREFIX}sums{DLL_SUFFIX}"))
}

#[test]
fn every_size_comes_to_what_the_oracle_comes_to() {
    let mut driven = Driven::open();
    for (total_items, batch_size) in [(0, 1), (1, 1), (97, 1), (97, 10), (1000, 64), (1000, 4096)] {
        for fusion in ["auto", "off"] {
            let spec = spec(total_items, batch_size, fusion);
            let result = driven.run(&spec, false).unwrap();
            let workload = open(&spec);
            let outcome = workload.outcome(&result.sink_state).unwrap();
            assert_eq!(
                outcome,
                workload.expected().unwrap(),
                "{total_items} items by {batch_size}, {fusion}"
            );
            assert_eq!(result.results_count, outcome.count);
        }
    }
    driven.runner.close().unwrap();
}

#[test]
fn a_run_that_is_not_wanted_stops() {
    let mut driven = Driven::open();
    let error = driven.run(&spec(1_000_000, 1, "auto"), true).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled);
    driven.runner.close().unwrap();
}
