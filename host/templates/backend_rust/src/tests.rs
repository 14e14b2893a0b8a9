//! The backend comes to what a serial oracle comes to, on a workload that has every kind of stage.

mod sums;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use plugin_api::{
    ErrorKind, HostServices, Progress, RunContext, RunResult, RunnerError, Session, WorkloadHandle,
    WorkloadRunner, WorkloadSpec,
};

use crate::Runner;

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

fn spec(total_items: u64, batch_size: u64) -> WorkloadSpec {
    let mut spec = WorkloadSpec {
        total_items,
        ..WorkloadSpec::new("sums")
    };
    spec.extra.insert("batch_size".into(), batch_size.into());
    spec
}

fn open(spec: &WorkloadSpec) -> WorkloadHandle {
    sums::open(spec, Path::new("linked"), "linked")
}

fn run(spec: &WorkloadSpec, cancelled: bool) -> Result<RunResult, RunnerError> {
    let host = Arc::new(Host {
        cancelled: AtomicBool::new(cancelled),
    });
    let context = RunContext::new(open(spec), host, PathBuf::new(), PathBuf::new(), None);
    let mut runner = Runner;
    runner.open(&Session {
        parallelism: spec.parallelism,
        nodes: 1,
        ..Session::default()
    })?;
    let result = runner.run(spec, &context)?;
    runner.close().map(|()| result)
}

#[test]
fn every_size_comes_to_what_the_oracle_comes_to() {
    for (total_items, batch_size) in [(0, 1), (1, 1), (97, 1), (97, 10), (1000, 64), (1000, 4096)] {
        let spec = spec(total_items, batch_size);
        let result = run(&spec, false).unwrap();
        let workload = open(&spec);
        let outcome = workload.outcome(&result.sink_state).unwrap();
        assert_eq!(
            outcome,
            workload.expected().unwrap(),
            "{total_items} items by {batch_size}"
        );
        assert_eq!(result.results_count, outcome.count);
    }
}

#[test]
fn a_run_that_is_not_wanted_stops() {
    assert_eq!(
        run(&spec(1000, 1), true).unwrap_err().kind,
        ErrorKind::Cancelled
    );
}
