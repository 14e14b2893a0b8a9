//! A backend whose engine runs: any number of trials, one after the other.

use std::time::{Duration, Instant};

use plugin_api::workload::Outcome;

use super::{Conclusion, Event, Events, Forward, Phases, Report, Trial};
use crate::run::judge::{self, Judge};
use crate::run::session::{CallError, WorkerSession};
use crate::sandbox::Ending;
use crate::worker::protocol::{Finished, Reply, Request};

/// A backend whose engine runs.
pub(crate) struct Engine {
    session: WorkerSession,
    load_seconds: f64,
    open_seconds: f64,
    /// Whether the worker can still be asked for something.
    alive: bool,
}

/// How an engine was stopped.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    /// How long that took; nothing if it failed or there was nothing to stop.
    pub seconds: Option<f64>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Engine {
    pub(super) fn new(session: WorkerSession, load_seconds: f64, open_seconds: f64) -> Self {
        Self { session, load_seconds, open_seconds, alive: true }
    }

    /// Whether another trial may be run: after a failure the session is to be made anew.
    pub(crate) fn is_usable(&self) -> bool {
        self.alive
    }

    /// Runs `trial` and has it judged by `judge`; `expected` is what must come out.
    pub(crate) fn run(
        &mut self,
        trial: &Trial,
        judge: &mut Judge,
        expected: Outcome,
        events: Events<'_>,
    ) -> Report {
        events(Event::Running);
        let (load_seconds, open_seconds) = (Some(self.load_seconds), Some(self.open_seconds));
        let mut report = Report {
            phases: Phases { load_seconds, open_seconds, ..Phases::default() },
            expected: Some(expected),
            actual: None,
            finished: None,
            conclusion: Conclusion::Failed(CallError::unexpected("run")),
            usage: None,
            warnings: Vec::new(),
        };
        let before = self.session.begin_usage();
        match self.measure(trial, events) {
            Ok((finished, host_elapsed)) => {
                report.usage = self.session.usage().zip(before).map(|(after, before)| after.since(before));
                report.phases.host_elapsed = Some(host_elapsed);
                events(Event::Judging);
                report.judge(trial, judge, finished, host_elapsed, events);
            }
            Err(error) => {
                self.alive = false;
                report.conclusion = Conclusion::Failed(error);
            }
        }
        report
    }

    fn measure(&mut self, trial: &Trial, events: Events<'_>) -> Result<(Finished, f64), CallError> {
        let Trial { spec, library, folders, timeout, .. } = trial;
        let request = Request::Run {
            spec: spec.clone(),
            library: library.clone(),
            folders: folders.clone(),
            timeout_seconds: Some(timeout.as_secs_f64()),
        };
        match self.call("run", request, *timeout, events)? {
            (Reply::Finished(finished), seconds) => Ok((*finished, seconds)),
            _ => Err(CallError::unexpected("run")),
        }
    }

    fn call(
        &mut self,
        phase: &'static str,
        request: Request,
        deadline: Duration,
        events: Events<'_>,
    ) -> Result<(Reply, f64), CallError> {
        let started = Instant::now();
        let reply = self.session.call(phase, request, Some(deadline), &mut Forward(events))?;
        Ok((reply, started.elapsed().as_secs_f64()))
    }

    /// Stops the engine and ends its worker. A failure here costs a warning, not the answers.
    pub(crate) fn close(mut self, events: Events<'_>) -> Closing {
        let mut closing = Closing::default();
        if self.alive {
            let deadline = self.session.deadlines().close;
            match self.call("close", Request::Close, deadline, events) {
                Ok((_, seconds)) => closing.seconds = Some(seconds),
                Err(error) => closing.warnings.push(format!("closing the backend failed: {error}")),
            }
        }
        closing.warnings.extend(leftovers(self.session.end()));
        closing
    }
}

impl Report {
    fn judge(
        &mut self,
        trial: &Trial,
        judge: &mut Judge,
        finished: Finished,
        host_elapsed: f64,
        events: Events<'_>,
    ) {
        let Trial { spec, backend, .. } = trial;
        let judged = judge.judge(spec, &finished.sink_state, &mut Forward(events));
        self.conclusion = match (judged, &self.expected) {
            (Ok(actual), Some(expected)) => {
                let verdict =
                    judge::verdict(backend, spec.parallelism, &finished, host_elapsed, &actual, expected);
                self.actual = Some(actual);
                Conclusion::Judged(verdict)
            }
            (Ok(_), None) => Conclusion::Failed(CallError::unexpected("judge")),
            (Err(error), _) => Conclusion::Failed(error),
        };
        self.warnings.extend(judge::understated(&finished));
        self.warnings.extend(reported_warnings(&finished));
        self.finished = Some(finished);
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

/// How many warnings of a backend are told, and how long each may be.
const WARNINGS: usize = 20;
const WARNING: usize = 1000;

/// The strings in the metrics' `warnings`.
fn reported_warnings(finished: &Finished) -> Vec<String> {
    let warnings = finished.metrics.get("warnings").and_then(|warnings| warnings.as_array());
    let mut texts = warnings.into_iter().flatten().filter_map(|warning| warning.as_str());
    let mut told: Vec<_> =
        texts.by_ref().take(WARNINGS).map(|text| text.chars().take(WARNING).collect()).collect();
    let more = texts.count();
    told.extend((more > 0).then(|| format!("the backend gives {more} more warnings")));
    told
}
