//! Plugins in the process of the benchmark: a backend and workloads are called without a host around them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crossrun::internals::plugin::sha256_of;
use crossrun::internals::worker::LibraryFile;
use plugin_api::{HostServices, Progress, RunContext, WorkloadHandle};

/// A host that ignores everything.
#[derive(Debug)]
pub struct NoHost;

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

/// The file of a plugin, to be loaded.
pub fn library(path: PathBuf) -> LibraryFile {
    LibraryFile { sha256: sha256_of(&path).unwrap(), path, sealed: false }
}

/// What a run of a workload gets.
pub fn context(workload: &WorkloadHandle) -> RunContext {
    RunContext::new(workload.clone(), Arc::new(NoHost), std::env::temp_dir(), std::env::temp_dir(), None)
}

/// The seconds that `body` takes, without those for dropping what it returns.
pub fn timed<T>(body: impl FnOnce() -> T) -> f64 {
    let started = Instant::now();
    let done = body();
    let seconds = started.elapsed().as_secs_f64();
    drop(done);
    seconds
}
