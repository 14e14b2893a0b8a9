//! A backend whose engine runs: any number of runs, one after the other.

use std::time::{Duration, Instant};

use plugin_api::Session;
use serde_json::{Map, Value};

use super::event::{Listener, forward};
use super::reports::{apart, call_apart};
use super::session::{CallError, Observer, WorkerSession};
use super::trial::{Closing, Phases, RunUsage};
use crate::sandbox::{self, Teardown, Usage};
use crate::worker::protocol::{Finished, Folders, Loaded, Reply, Request, RunOrder, Work};

/// Whether an option of a backend has it join a cluster that runs already, as options whose names end in `_address` or `_master` do,
/// unless their value is `none`.
pub(crate) fn names_a_cluster((option, value): (&String, &Value)) -> bool {
    (option.ends_with("_address") || option.ends_with("_master")) && *value != "none"
}

/// A backend whose engine runs.
pub(crate) struct Engine {
    pub(crate) session: WorkerSession,
    /// The backend's own name, in lower case.
    pub(crate) name: String,
    /// The words of what the backend can do beyond the stages of API 1.0.
    pub(crate) supports: Vec<String>,
    /// The names of the options that the backend reads.
    options: Vec<String>,
    /// How long loading and starting took.
    pub(super) phases: Phases,
    /// Whether the worker can still be asked for something.
    alive: bool,
    /// What its processes had used at the end of the last run.
    used: Option<Usage>,
    /// For how many seconds this thread waited for a processor in the last run, while its clock went on.
    pub(super) host_waited: f64,
}

/// How a run ended, with the seconds from the request to run until its reply, and what the backend's processes used meanwhile.
pub(super) type Ran = (Result<(Finished, f64), CallError>, Option<RunUsage>);

/// A run that an engine is asked for.
#[derive(Clone, Debug)]
pub(crate) struct RunRequest {
    /// The workload, and the seed of its data.
    pub work: Work,
    /// Where the backend may write.
    pub folders: Folders,
    /// How long the run may take.
    pub timeout: Duration,
}

impl Engine {
    pub(super) fn new(session: WorkerSession, name: String, loaded: Loaded, phases: Phases) -> Self {
        let Loaded { supports, options, .. } = loaded;
        let options = options.into_iter().map(|option| option.name).collect();
        Self { session, name, supports, options, phases, alive: true, used: None, host_waited: 0.0 }
    }

    /// Whether the backend joins a cluster that runs already. An address may be for another backend of a comparison, which all get.
    pub(super) fn joins_cluster(&self, extra: &Map<String, Value>) -> bool {
        extra.iter().any(|option| names_a_cluster(option) && self.options.contains(option.0))
    }

    /// Whether another trial may be run: after a failure a new session is needed.
    pub(crate) fn is_usable(&self) -> bool {
        self.alive
    }

    /// CPU seconds that its processes have used so far; `None` where the system does not say.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        self.cpu_seconds_and_newest().map(|(seconds, _)| seconds)
    }

    /// The same, and when the newest of its processes began.
    pub(super) fn cpu_seconds_and_newest(&self) -> Option<(f64, u64)> {
        self.session.usage(false).map(|usage| (usage.cpu_seconds, usage.newest))
    }

    /// Runs `request`; also what the backend's processes used meanwhile, if the run succeeded. Neither figure counts how long `listener`
    /// takes, as for a terminal that is stopped.
    pub(super) fn measured(&mut self, request: &RunRequest, listener: Listener<'_>) -> Ran {
        let mut observer = forward(listener);
        if self.session.is_in_process() {
            return self.measure(request, &mut observer);
        }
        apart(&mut observer, |observer| self.measure(request, observer))
    }

    fn measure(&mut self, request: &RunRequest, observer: Observer<'_>) -> Ran {
        let idle = self.session.usage(true);
        if let Err(error) = self.prepare(request, observer) {
            return (Err(error), None);
        }
        let started = Instant::now();
        let before = self.session.usage(true);
        let ran = self.run_prepared(request, observer);
        let after = if ran.is_ok() { self.session.usage(false) } else { None };
        let window_seconds = started.elapsed().as_secs_f64();
        let last = std::mem::replace(&mut self.used, after);
        let usage = after.zip(before).map(|(after, before)| RunUsage {
            used: after.since(before),
            window_seconds,
            cpu_preparing: idle.map(|idle| before.since(idle).cpu_seconds),
            cpu_between_runs: idle.zip(last).map(|(idle, last)| idle.since(last).cpu_seconds),
        });
        (ran, usage)
    }

    /// Prepares and runs `request`; also the seconds from the request to run until its reply.
    ///
    /// # Errors
    /// The backend's error, or how it died; the engine cannot be used any more.
    pub(crate) fn run(
        &mut self,
        request: &RunRequest,
        observer: Observer<'_>,
    ) -> Result<(Finished, f64), CallError> {
        self.prepare(request, observer)?;
        self.run_prepared(request, observer)
    }

    fn prepare(&mut self, request: &RunRequest, observer: Observer<'_>) -> Result<(), CallError> {
        // That of the run before is not this one's, if this one fails.
        self.phases.prepare_seconds = None;
        let deadline = self.session.deadlines.prepare;
        let prepared =
            self.session.timed("prepare", Request::Prepare(request.order(deadline)), deadline, observer);
        let (_, seconds) = prepared.inspect_err(|_| self.alive = false)?;
        self.phases.prepare_seconds = Some(seconds);
        Ok(())
    }

    fn run_prepared(
        &mut self,
        request: &RunRequest,
        observer: Observer<'_>,
    ) -> Result<(Finished, f64), CallError> {
        let order = Request::Run(request.order(request.timeout));
        let (answer, waited) =
            sandbox::with_waits(|| self.session.timed("run", order, request.timeout, observer));
        self.host_waited = waited;
        match answer {
            Ok((Reply::Finished(finished), seconds)) => Ok((*finished, seconds)),
            Ok(_) => Err(CallError::unexpected("run")),
            Err(error) => Err(error),
        }
        .inspect_err(|_| self.alive = false)
    }

    /// Prepares and starts `request`, cancels it when `after` has passed, and waits for its end until `grace` has passed too. Also returns
    /// the time from cancelling to the end; `None` if the run ended before.
    pub(crate) fn run_and_cancel(
        &mut self,
        request: &RunRequest,
        after: Duration,
        grace: Duration,
    ) -> Result<(Reply, Option<Duration>), CallError> {
        self.prepare(request, &mut |_| ())?;
        self.session.call_and_cancel("run", Request::Run(request.order(request.timeout)), after, grace)
    }

    /// Starts the engine again in the same process, after it was stopped. A backend may refuse that.
    pub(crate) fn open_again(&mut self, session: Session) -> Result<(), CallError> {
        let deadline = self.session.deadlines.open;
        self.session.timed("open", Request::Open { session }, deadline, &mut |_| ()).map(|_| ())
    }

    /// Stops the engine, and returns how many seconds that took.
    pub(crate) fn stop(&mut self, listener: Listener<'_>) -> Result<f64, CallError> {
        let deadline = self.session.deadlines.close;
        let closed =
            call_apart(&mut self.session, "close", &Request::Close, deadline, &mut forward(listener));
        closed.map(|(_, seconds)| seconds)
    }

    /// Stops the engine, unless it has failed, and ends its processes, before it is closed. No other trial can be run then.
    pub(super) fn end_processes(&mut self) {
        if std::mem::take(&mut self.alive) {
            // So that nothing of it stays in a cluster that it joined. If it fails, its processes end nevertheless.
            let _ = self.stop(&mut |_| ());
        }
        self.session.end_processes();
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
        closing.warnings.extend(teardown_warnings(self.session.end()));
        closing
    }
}

impl RunRequest {
    /// What is asked of the worker, which may take so long.
    fn order(&self, limit: Duration) -> RunOrder {
        let Self { work, folders, .. } = self.clone();
        RunOrder { work, folders, timeout_seconds: Some(limit.as_secs_f64()) }
    }
}

/// What the user should know of the end of a worker's process tree.
pub(super) fn teardown_warnings(teardown: Option<Teardown>) -> Vec<String> {
    let Some(Teardown { leftovers: count, log_cut, has_strangers, unremoved, .. }) = teardown else {
        return Vec::new();
    };
    let noun = if count == 1 { "process" } else { "processes" };
    let processes =
        (count > 0).then(|| format!("the backend left {count} {noun} behind, which crossrun ended"));
    let log = log_cut.then(|| "a log grew too large: only its end was kept (see --log-limit)".to_owned());
    let strangers = has_strangers.then(|| {
        "a process that the backend started wrote to the worker's channel; what it wrote was ignored"
            .to_owned()
    });
    processes.into_iter().chain(log).chain(strangers).chain(unremoved).collect()
}
