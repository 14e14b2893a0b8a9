//! Runs of whole workloads, through the runner as the host calls it.

// By path and not as a crate: what exports the workloads can stand in a crate of its own tests only.
#[path = "../../../../tests/threaded/answers.rs"]
mod answers;
mod behaviour;
#[path = "../../../../tests/threaded/workloads.rs"]
mod workloads;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use plugin_api::{
    HostServices, Progress, RunContext, RunResult, RunnerError, WorkloadHandle, WorkloadRunner, WorkloadSpec,
};
use serde_json::Value;

use crate::Native;

pub(crate) const SCHEDULERS: [&str; 3] = ["default", "load_aware", "fifo"];
pub(crate) const FUSIONS: [&str; 2] = ["auto", "off"];

/// A host that remembers what it was told, and asks to stop when a test says so.
#[derive(Default)]
pub(crate) struct Host {
    pub(crate) cancelled: AtomicBool,
    pub(crate) progress: Mutex<Vec<Progress>>,
}

impl Host {
    pub(crate) fn shared() -> Arc<Self> {
        Arc::default()
    }
}

impl HostServices for Host {
    fn log(&self, _level: log::Level, _target: &str, _message: &str) {}

    fn progress(&self, progress: Progress) {
        self.progress.lock().unwrap().push(progress);
    }

    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn clock_nanos(&self) -> u64 {
        0
    }
}

pub(crate) fn spec(workload: &str) -> WorkloadSpec {
    WorkloadSpec::new(workload)
}

/// `spec` with one more key in `extra`.
pub(crate) fn with(mut spec: WorkloadSpec, key: &str, value: impl Into<Value>) -> WorkloadSpec {
    spec.extra.insert(key.into(), value.into());
    spec
}

pub(crate) fn open(spec: &WorkloadSpec) -> WorkloadHandle {
    workloads::workload_library().open(spec).unwrap()
}

pub(crate) fn context(spec: &WorkloadSpec, host: &Arc<Host>) -> RunContext {
    RunContext::new(
        open(spec),
        Arc::clone(host) as Arc<dyn HostServices>,
        PathBuf::new(),
        PathBuf::new(),
        None,
    )
}

pub(crate) fn run_with(spec: &WorkloadSpec, host: &Arc<Host>) -> Result<RunResult, RunnerError> {
    Native.run(spec, &context(spec, host))
}

pub(crate) fn run(spec: &WorkloadSpec) -> Result<RunResult, RunnerError> {
    run_with(spec, &Host::shared())
}
