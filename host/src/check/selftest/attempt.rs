//! How each cheat is tried, and how that ended.

use std::thread::sleep;
use std::time::{Duration, Instant};

use plugin_api::{ErrorKind, WorkloadSpec};
use serde_json::{Value, json};

use super::table::How;
use super::trials::{Trials, computing};
use crate::check::trials::spec;
use crate::plan::Purpose;
use crate::plan::defaults::{NULL, OPEN_LOOP, SLEEPING, TASK_GRAPH};
use crate::run::engine::Engine;
use crate::run::judge::understated;
use crate::run::outcome::Outcome;
use crate::run::session::{CallError, Fault};
use crate::run::trial::TrialResult;
use crate::worker::cheat::{Cheat, GAINED};

/// How the attempt to cheat ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) how: How,
    /// The reason that the record has.
    pub(crate) reason: String,
}

/// The part by which a run may be faster than the longest path of its graph.
const TOLERATED: f64 = 0.25;

/// The data of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    /// Fresh data, as every trial of a comparison has.
    Fresh,
    /// The data of the first trial, as every call of `crossrun run` with one seed has.
    OfFirst,
}

use Data::{Fresh, OfFirst};

/// The trials of each session.
fn trials_of(cheat: Cheat) -> &'static [&'static [Data]] {
    match cheat {
        Cheat::None
        | Cheat::Cached
        | Cheat::GuessSeed
        | Cheat::WorkAfterRun
        | Cheat::AnswerBeforeRunAndBurn => &[&[Fresh, Fresh]],
        Cheat::Memoise => &[&[Fresh, Fresh, OfFirst]],
        Cheat::CachedOnDisk => &[&[Fresh], &[Fresh]],
        Cheat::RememberOnDisk => &[&[Fresh], &[Fresh, OfFirst]],
        _ => &[&[Fresh]],
    }
}

/// A workload on which a backend gains by the cheat.
fn workload_of(cheat: Cheat) -> WorkloadSpec {
    let alone = |spec| WorkloadSpec { parallelism: 1, ..spec };
    match cheat {
        // At least half a second of sleep without parallelism.
        Cheat::MoreParallelism | Cheat::StopClockEarly => alone(spec(SLEEPING, 50, &[])),
        Cheat::SlowClock => spec(NULL, 1, &[]),
        // A cheat that does no work may be delayed: its run must be far shorter than the work takes.
        Cheat::ClosedForm | Cheat::AskCopy | Cheat::AnswerBeforeRun => computing(20_000),
        // So much that it is far below half of the work too, which is what counts on a busy machine.
        Cheat::ClosedFormAndWait | Cheat::IdleSweep => alone(computing(4000)),
        Cheat::MoreThreads | Cheat::Memoise | Cheat::RememberOnDisk => alone(computing(1000)),
        Cheat::GraphAhead => narrow_graph(),
        // Far more work than preparing may take.
        Cheat::AnswerBeforeRunAndBurn => alone(computing(40_000)),
        // The last item is due after a second.
        Cheat::EarlyLoop => open_loop(200, 200),
        Cheat::LateStart | Cheat::ForgedStamps => open_loop(100, 1000),
        _ => computing(100),
    }
}

fn open_loop(items: u64, rate: u64) -> WorkloadSpec {
    let options = [("rate", json!(rate)), ("schedule", json!("constant")), ("batch_size", json!(items))];
    WorkloadSpec { parallelism: 1, ..spec(OPEN_LOOP, items, &options) }
}

/// Four tasks, three of which are on the longest path: two cores could run them in half of the time if none needed another, and in
/// three quarters as they are.
fn narrow_graph() -> WorkloadSpec {
    // About a tenth of a second each.
    let options = [("pattern", json!("dom")), ("width", json!(2)), ("iters", json!(20_000_000))];
    WorkloadSpec { parallelism: 2, ..spec(TASK_GRAPH, 6, &options) }
}

/// Runs the backend that cheats in one way.
pub(super) fn sessions(trials: &mut Trials, cheat: Cheat) -> Result<Ended, CallError> {
    let (spec, point) = (workload_of(cheat), format!("{cheat:?}"));
    let (mut last, mut number) = (None, 0);
    for session in trials_of(cheat) {
        let mut engine = trials.open(cheat, &spec)?;
        for data in *session {
            let purpose = Purpose::WarmUp(if *data == Fresh { number } else { 0 });
            let spec = trials.with_data(&spec, &point, 0, purpose)?;
            let result = match cheat {
                Cheat::IdleSweep => trials.sweep(&mut engine, &spec)?,
                _ => trials.run(&mut engine, &spec)?,
            };
            let ended = Ended::of(cheat, &result);
            number += 1;
            if ended.how == How::Believed && cheat != Cheat::None && last.is_some() {
                return Ok(ended);
            }
            last = Some(ended);
            if cheat == Cheat::WorkAfterRun {
                await_work(&engine);
            }
        }
        engine.close(&mut |_| ());
    }
    last.ok_or_else(|| CallError::unexpected("run"))
}

/// Waits until the engine has worked for a while, although nothing was asked of it.
fn await_work(engine: &Engine) {
    /// More than is noted of CPU time between runs.
    const WORK: f64 = 0.2;
    const PATIENCE: Duration = Duration::from_secs(15);
    let cpu_seconds = || engine.cpu_seconds().unwrap_or_default();
    let (started, before) = (Instant::now(), cpu_seconds());
    while cpu_seconds() < before + WORK && started.elapsed() < PATIENCE {
        sleep(Duration::from_millis(20));
    }
}

impl Ended {
    /// Of one run.
    pub(super) fn of(cheat: Cheat, result: &TrialResult) -> Self {
        let (how, reason) = match &result.outcome {
            Outcome::Wrong(error) => (How::WrongAnswer, error.message.clone()),
            Outcome::Invalid(error) => (How::Invalid, error.message.clone()),
            Outcome::Failed(error) if error.fault == Fault::Reported(ErrorKind::Workload) => {
                (How::Refused, error.message.clone())
            }
            Outcome::Failed(error) => (How::Failed, error.message.clone()),
            Outcome::Verified | Outcome::Unverified => match warnings(cheat, result).as_slice() {
                [] => verified(cheat, result),
                warnings => (How::Warning, warnings.join("; ")),
            },
        };
        Self { how, reason }
    }
}

/// What the harness warns of. That the worker measured more than the backend counts only for a cheat with its clock: it is said of an
/// honest run too that had to wait for a core between two readings.
fn warnings(cheat: Cheat, result: &TrialResult) -> Vec<&str> {
    let has_other_clock = matches!(cheat, Cheat::StopClockEarly | Cheat::Stall);
    let finished = result.finished.as_ref().filter(|_| !has_other_clock);
    let of_clock = finished.and_then(|finished| understated(finished, 1.0));
    let all = result.warnings.iter().filter(|warning| Some(*warning) != of_clock.as_ref());
    all.map(String::as_str).collect()
}

/// Whether a backend gained by the cheat in a run of which the harness has nothing to say.
fn verified(cheat: Cheat, result: &TrialResult) -> (How, String) {
    let finished = result.finished.as_ref();
    let gained = finished.and_then(|finished| finished.metrics.get(GAINED)).and_then(Value::as_bool);
    if gained == Some(false) {
        let reason = match cheat {
            Cheat::RaisePriority => "the system did not let it",
            _ => "it knew nothing of the data of this run",
        };
        return (How::GainedNothing, reason.into());
    }
    let reference = result.reference.filter(|_| result.work_checked);
    let least = reference.and_then(|it| it.least_cpu_seconds);
    if let (Cheat::MoreThreads, Some(finished), Some(least)) = (cheat, finished, least) {
        let took = finished.duration_seconds;
        let reason = format!("the run took {took:.3} s, and one thread works for {least:.3} s");
        return (How::GainedNothing, reason);
    }
    // On a busy machine its threads wait too.
    let path = least.zip(reference).map(|(least, reference)| least * reference.path_part);
    if let (Cheat::GraphAhead, Some(finished), Some(path)) =
        (cheat, finished, path.filter(|path| *path > 0.0))
        && finished.duration_seconds > path * (1.0 - TOLERATED)
    {
        let took = finished.duration_seconds;
        let reason = format!(
            "the run took {took:.3} s, and the longest path of the graph takes {path:.3} s by the serial reference"
        );
        return (How::GainedNothing, reason);
    }
    (How::Believed, String::new())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::record::trial::examples;
    use crate::worker::protocol::Finished;

    #[test]
    fn a_run_that_had_to_wait_for_a_core_is_caught_only_where_the_cheat_is_one_with_its_clock() {
        let finished = Finished { elapsed_time: Some(0.5), ..examples::finished(1.5) };
        let warnings = vec![understated(&finished, 1.0).unwrap()];
        let finished = Some(finished);
        let result = TrialResult { finished, warnings, ..TrialResult::new(UNIX_EPOCH, Outcome::Verified) };
        let how = |cheat| Ended::of(cheat, &result).how;
        assert_eq!([Cheat::None, Cheat::Stall].map(how), [How::Believed, How::Warning]);
    }
}
