//! What a backend's author implements, and what the host gives it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use crate::error::{ErrorKind, RunnerError};
use crate::result::RunResult;
use crate::spec::WorkloadSpec;
use crate::workload::{Parameter, WorkloadError, WorkloadHandle};

/// One backend. A worker process creates one, and calls it from one thread at a time.
pub trait WorkloadRunner: Send {
    /// The backend's name in lower case: what `--backend` takes, and what `export_runner!` was given.
    fn backend_name(&self) -> &str;

    /// Whether the backend could start here, as far as can be told without starting the engine.
    fn is_available(&self) -> Availability;

    /// What the backend reads from a spec's `extra`, beside `batch_size` and `fusion`: the host warns of a key that
    /// neither the backend nor the workload knows.
    fn options(&self) -> Vec<Parameter> {
        Vec::new()
    }

    /// The words of what the backend can do beyond the stages of API 1.0. A workload that [needs](crate::Workload::needs) a
    /// word which is not among them is not run.
    fn supports(&self) -> Vec<String> {
        Vec::new()
    }

    /// Starts the engine, so that no run includes its start. Called once before the first
    /// [`run`](WorkloadRunner::run). The default starts nothing, and refuses more machines than this one.
    ///
    /// # Errors
    /// Why the engine cannot start.
    fn open(&mut self, session: &Session) -> Result<(), RunnerError> {
        session.demand_one_node(self.backend_name())
    }

    /// Prepares a run before its clock starts: opens the workload in every process in which it will run. Called after
    /// [`open`](WorkloadRunner::open) and before each [`run`](WorkloadRunner::run), with that run's spec (but `start_nanos`) and
    /// workload. It may be called again, and forgets what it prepared before. No item is processed here: a run that takes less
    /// time than its work is invalid. The default does nothing, as the workload of `context` is open.
    ///
    /// # Errors
    /// Why the run cannot be prepared. The trial has failed then, as after a failure of `run`.
    fn prepare(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<(), RunnerError> {
        let (_, _) = (spec, context);
        Ok(())
    }

    /// Runs the workload of `context` as `spec` says and returns the merged state of its sinks.
    ///
    /// # Errors
    /// Why the run could not be completed. An incomplete result must not be returned as `Ok`.
    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError>;

    /// Stops the engine. Called once, after the last run.
    ///
    /// # Errors
    /// What could not be stopped or removed.
    fn close(&mut self) -> Result<(), RunnerError> {
        Ok(())
    }

    /// Installs what the engine needs, or removes it. Idempotent, and safe when two processes call it at once.
    ///
    /// # Errors
    /// What is missing; the remedy is the command that solves it.
    fn setup(&mut self, request: &SetupRequest, context: &SetupContext) -> Result<(), RunnerError> {
        let (_, _) = (request, context);
        Ok(())
    }
}

/// Whether a backend could start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Availability {
    /// It is set up and can be started, as far as can be told.
    Available,
    /// It cannot be started.
    Unavailable {
        /// Why, in one line.
        reason: String,
        /// A command to paste that solves the problem; empty if there is none.
        remedy: String,
    },
}

impl Availability {
    /// Whether it is [`Availability::Available`].
    pub fn is_available(&self) -> bool {
        matches!(self, Self::Available)
    }
}

impl From<WorkloadError> for RunnerError {
    fn from(error: WorkloadError) -> Self {
        let kind = if error.is_invalid_spec() { ErrorKind::InvalidSpec } else { ErrorKind::Workload };
        Self::new(kind, error.to_string())
    }
}

/// What stays the same from `open` to `close`: one backend at one parallelism, on one cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// The parallelism of every run in this session.
    pub parallelism: u32,
    /// How many machines were asked for; 1 means this one.
    pub nodes: u32,
    /// The `extra` of the first run, in which session options such as a cluster's address stand.
    pub options: Map<String, Value>,
    /// A persistent folder of the user, where engines keep what `setup` installed.
    pub data_dir: PathBuf,
    /// A folder for this session's logs. It exists.
    pub log_dir: PathBuf,
}

impl Session {
    /// For a backend that runs on this machine only.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if more machines than one were asked for: a record must not say that more took part.
    pub fn demand_one_node(&self, backend: &str) -> Result<(), RunnerError> {
        if self.nodes <= 1 {
            return Ok(());
        }
        let message = format!("{backend} runs on this machine only, but {} nodes were asked for", self.nodes);
        Err(RunnerError::new(ErrorKind::Unsupported, message).with_remedy("--nodes 1"))
    }
}

/// The request of `crossrun setup`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SetupRequest {
    /// Remove what an earlier set-up installed, instead of installing.
    pub remove: bool,
    /// The Python interpreter to install for, for engines in Python.
    pub python: Option<PathBuf>,
}

/// The progress of a long call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all, or 0 when that is not known.
    pub total: u64,
    /// What is being done, in a few words; may be empty.
    pub message: String,
}

/// What the host does for a plugin. Each library has its own statics, such as a logger, so everything that is to reach
/// the user goes through this.
pub trait HostServices: Send + Sync {
    /// Sends a log record to the host.
    fn log(&self, level: log::Level, target: &str, message: &str);
    /// Reports the progress of a long call.
    fn progress(&self, progress: Progress);
    /// Whether the host wants the current call to stop.
    fn cancelled(&self) -> bool;
    /// The host's monotonic clock, in nanoseconds from an origin that is fixed for the process.
    fn clock_nanos(&self) -> u64;
}

/// What a run gets beside its spec.
pub struct RunContext {
    workload: WorkloadHandle,
    host: Arc<dyn HostServices>,
    data_dir: PathBuf,
    log_dir: PathBuf,
    deadline: Option<Instant>,
}

impl RunContext {
    /// A context for a run that ends at `deadline` at the latest. Hosts and embedders make these.
    pub fn new(
        workload: WorkloadHandle,
        host: Arc<dyn HostServices>,
        data_dir: PathBuf,
        log_dir: PathBuf,
        deadline: Option<Instant>,
    ) -> Self {
        Self { workload, host, data_dir, log_dir, deadline }
    }

    /// The workload to run. Cloning the handle is cheap.
    pub fn workload(&self) -> &WorkloadHandle {
        &self.workload
    }

    /// A persistent folder of the user, where engines keep what `setup` installed.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A folder for this run's logs. It exists.
    pub fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    /// When the host will end the run, if it will.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The time until the deadline, if there is one.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Reports to the host that `done` of `total` items have been processed.
    pub fn progress(&self, done: u64, total: u64) {
        self.host.progress(Progress { done, total, message: String::new() });
    }

    /// Whether the host wants the run to stop. The host kills a backend whose run does not stop. This costs about as much
    /// as a system call: ask once a batch or once in a few milliseconds, not once an item.
    pub fn cancelled(&self) -> bool {
        self.host.cancelled()
    }

    /// As [`cancelled`](RunContext::cancelled), for a loop that asks once a batch.
    ///
    /// # Errors
    /// [`RunnerError::cancelled`] if the host wants the run to stop.
    pub fn check_cancelled(&self) -> Result<(), RunnerError> {
        if self.cancelled() { Err(RunnerError::cancelled()) } else { Ok(()) }
    }

    /// The host's monotonic clock, in nanoseconds.
    pub fn clock_nanos(&self) -> u64 {
        self.host.clock_nanos()
    }
}

/// What a set-up gets beside its request.
pub struct SetupContext {
    host: Arc<dyn HostServices>,
    data_dir: PathBuf,
    log_dir: PathBuf,
}

impl SetupContext {
    /// A context for one call of `setup`.
    pub fn new(host: Arc<dyn HostServices>, data_dir: PathBuf, log_dir: PathBuf) -> Self {
        Self { host, data_dir, log_dir }
    }

    /// Where to install: a persistent folder of the user.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A folder for the logs of this call. It exists.
    pub fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    /// Reports the progress to the user; `total` is 0 if it is not known.
    pub fn progress(&self, done: u64, total: u64, message: impl Into<String>) {
        self.host.progress(Progress { done, total, message: message.into() });
    }

    /// Whether the user has asked to stop.
    pub fn cancelled(&self) -> bool {
        self.host.cancelled()
    }
}
