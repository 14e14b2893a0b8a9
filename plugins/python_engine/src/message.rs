//! The messages between runner and driver: a line of JSON each.

use std::path::Path;

use plugin_api::{ErrorKind, RunContext, RunResult, RunnerError, Session, WorkloadSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of this protocol. The driver's side is written to disk by this one, so that they differ only when
/// another program wrote there.
pub(crate) const PROTOCOL: u32 = 1;

/// A message to the driver.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Request<'a> {
    Open { session: &'a Session },
    Prepare(RunOrder<'a>),
    Run(RunOrder<'a>),
    Cancel,
    Close,
}

/// A run that the driver is to prepare, or to do.
#[derive(Serialize)]
pub(crate) struct RunOrder<'a> {
    spec: &'a WorkloadSpec,
    library: &'a Path,
    sha256: &'a str,
    log_dir: &'a Path,
}

impl<'a> RunOrder<'a> {
    pub(crate) fn new(spec: &'a WorkloadSpec, context: &'a RunContext) -> Self {
        let workload = context.workload();
        let (library, sha256) = (workload.library_path(), workload.library_sha256());
        Self { spec, library, sha256, log_dir: context.log_dir() }
    }
}

/// A message of the driver.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Message {
    Hello { protocol: u32 },
    Done,
    Result(Finished),
    Failed(RunnerError),
    Progress { done: u64, total: u64 },
    Log { level: String, message: String },
}

/// The result of a run.
#[derive(Debug, Deserialize)]
pub(crate) struct Finished {
    scheduler_name: String,
    elapsed_time: f64,
    results_count: u64,
    /// In hex.
    sink_state: String,
    metrics: Map<String, Value>,
}

impl Finished {
    pub(crate) fn into_result(self, backend: &str) -> Result<RunResult, RunnerError> {
        let Self { scheduler_name, elapsed_time, results_count, sink_state, metrics } = self;
        let sink_state = hex::decode(sink_state).map_err(|_| {
            RunnerError::new(ErrorKind::Internal, "the driver sent a sink's state that is not hex")
        })?;
        let backend = backend.to_owned();
        Ok(RunResult { backend, scheduler_name, elapsed_time, results_count, sink_state, metrics })
    }
}
