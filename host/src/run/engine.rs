//! A backend whose engine runs: any number of runs, one after the other.

use std::time::{Duration, Instant};

use plugin_api::WorkloadSpec;

use super::event::{Forward, Listener};
use super::session::{CallError, WorkerSession};
use super::trial::{Closing, Phases};
use crate::sandbox::{Ending, Usage};
use crate::worker::protocol::{Finished, Folders, LibraryFile, Reply, Request, ResourceSnapshot};

/// A backend whose engine runs.
pub(crate) struct Engine {
    session: WorkerSession,
    name: String,
    load_seconds: f64,
    open_seconds: f64,
    /// Whether the worker can still be asked for something.
    alive: bool,
}

/// A run that an engine is asked for.
#[derive(Clone, Debug)]
pub(crate) struct RunRequest {
    /// What to run, on which data.
    pub spec: WorkloadSpec,
    /// The workload's library.
    pub library: LibraryFile,
    /// Where the backend may write.
    pub folders: Folders,
    /// When the run is ended.
    pub timeout: Duration,
}

impl Engine {
    pub(super) fn new(session: WorkerSession, name: String, load_seconds: f64, open_seconds: f64) -> Self {
        Self { session, name, load_seconds, open_seconds, alive: true }
    }

    /// The backend's own name, in lower case.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether another trial may be run: after a failure the session is to be made anew.
    pub(crate) fn is_usable(&self) -> bool {
        self.alive
    }

    /// How long loading and starting took.
    pub(super) fn phases(&self) -> Phases {
        let (load_seconds, open_seconds) = (Some(self.load_seconds), Some(self.open_seconds));
        Phases { load_seconds, open_seconds, close_seconds: None }
    }

    /// Runs `request`; also what the backend's processes used meanwhile, if the run ended.
    pub(super) fn measured(
        &mut self,
        request: &RunRequest,
        listener: Listener<'_>,
    ) -> (Result<(Finished, f64), CallError>, Option<Usage>) {
        let before = self.session.begin_usage();
        let ran = self.run(request, listener);
        let after = if ran.is_ok() { self.session.usage() } else { None };
        (ran, after.zip(before).map(|(after, before)| after.since(before)))
    }

    /// Runs `request`, and says how many seconds passed from request to reply.
    ///
    /// # Errors
    /// What the backend says, or how it died; the engine is of no more use.
    pub(crate) fn run(
        &mut self,
        request: &RunRequest,
        listener: Listener<'_>,
    ) -> Result<(Finished, f64), CallError> {
        let deadline = request.timeout;
        match self.call("run", request.message(), deadline, listener) {
            Ok((Reply::Finished(finished), seconds)) => Ok((*finished, seconds)),
            Ok(_) => Err(CallError::unexpected("run")),
            Err(error) => Err(error),
        }
        .inspect_err(|_| self.alive = false)
    }

    fn call(
        &mut self,
        phase: &'static str,
        request: Request,
        deadline: Duration,
        listener: Listener<'_>,
    ) -> Result<(Reply, f64), CallError> {
        let started = Instant::now();
        let reply = self.session.call(phase, request, Some(deadline), &mut Forward(listener))?;
        Ok((reply, started.elapsed().as_secs_f64()))
    }

    /// Begins `request`, asks it to stop when `after` has passed, and gives it up when `grace` has passed from then on. How it
    /// ended, and how long after it was asked that was; nothing if it had ended before.
    ///
    /// # Errors
    /// How the backend died, or that it did not stop.
    pub(crate) fn run_and_cancel(
        &mut self,
        request: &RunRequest,
        after: Duration,
        grace: Duration,
    ) -> Result<(Reply, Option<Duration>), CallError> {
        self.session.call_and_cancel("run", &request.message(), after, grace)
    }

    /// Stops the engine, and says how many seconds that took.
    ///
    /// # Errors
    /// What the backend says, or how it died.
    pub(crate) fn stop(&mut self, listener: Listener<'_>) -> Result<f64, CallError> {
        let deadline = self.session.deadlines().close;
        self.call("close", Request::Close, deadline, listener).map(|(_, seconds)| seconds)
    }

    /// What the worker's process has.
    ///
    /// # Errors
    /// When the worker dies or hangs.
    pub(crate) fn snapshot(&mut self) -> Result<ResourceSnapshot, CallError> {
        self.session.snapshot()
    }

    /// Ends the worker, and says how that went.
    pub(crate) fn end(self) -> Option<Ending> {
        self.session.end()
    }

    /// Ends the worker, where nobody asks how that went.
    pub(crate) fn dismiss(self) {
        self.session.dismiss();
    }

    /// Stops the engine and ends its worker. A failure here costs a warning, not the answers.
    pub(crate) fn close(mut self, listener: Listener<'_>) -> Closing {
        let mut closing = Closing::default();
        if self.alive {
            match self.stop(listener) {
                Ok(seconds) => closing.seconds = Some(seconds),
                Err(error) => closing.warnings.push(format!("closing the backend failed: {error}")),
            }
        }
        closing.warnings.extend(leftovers(self.end()));
        closing
    }
}

impl RunRequest {
    /// As a worker is asked.
    fn message(&self) -> Request {
        let Self { spec, library, folders, timeout } = self.clone();
        Request::Run { spec, library, folders, timeout_seconds: Some(timeout.as_secs_f64()) }
    }
}

/// Warnings for what a worker left behind.
pub(super) fn leftovers(ending: Option<Ending>) -> Vec<String> {
    let Some(Ending { leftovers: count, log_cut, unremoved, .. }) = ending else { return Vec::new() };
    let noun = if count == 1 { "process" } else { "processes" };
    let processes = (count > 0).then(|| format!("the backend left {count} {noun} behind, which were ended"));
    let log = log_cut.then(|| "a log grew too large: only its end was kept (see --log-limit)".to_owned());
    processes.into_iter().chain(log).chain(unremoved.map(|unremoved| unremoved.to_string())).collect()
}
