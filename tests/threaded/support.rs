//! What the unit tests of backends on threads need to call a runner without a host.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use plugin_api::{HostServices, Progress, RunContext, WorkloadHandle, WorkloadSpec};
use serde_json::Value;

use super::workloads::workload_library;

/// A host that keeps the progress that is reported, and asks to stop when a test sets `cancelled`.
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
    workload_library().open(spec).unwrap()
}

pub(crate) fn context(spec: &WorkloadSpec, host: &Arc<Host>) -> RunContext {
    let host = Arc::clone(host) as Arc<dyn HostServices>;
    RunContext::new(open(spec), host, PathBuf::new(), PathBuf::new(), None)
}
