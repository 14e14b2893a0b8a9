//! Checks of runs, with all options that a host may set.

use std::time::Duration;

use plugin_api::workload::{CatalogueEntry, GRAPH};
use plugin_api::{ErrorKind, StageKind, WorkloadSpec};
use serde_json::{Value, json};

use super::allowance::{allowance, seconds};
use super::errors::expected_error;
use super::finding::{CheckResult, NotPassed};
use super::fixture::Fixture;
use super::trials::{self, failed_run, verified};
use crate::plan::defaults::{SLEEPING, TASK_GRAPH};
use crate::run::judge;
use crate::run::session::{CANCEL_GRACE, CallError, Fault};
use crate::run::trial::TrialResult;
use crate::slowdown;
use crate::text::plural;
use crate::worker::protocol::Reply;

/// A prime number of items, which is not a multiple of a batch size.
const ITEMS: u64 = 101;

const MANY: u64 = 5003;

/// How long an item takes in a workload that sleeps.
const SLEEP_MICROS: u64 = 10_000;

/// How long a run goes on before it is cancelled.
const BEFORE_CANCEL: Duration = Duration::from_secs(1);

/// How many cancelled runs there are at most until one stops in time: other processes come and go, and the slowdown is measured beside a
/// run, not in it.
const CANCELLED: u32 = 3;

/// The largest number of failures that one check reports.
const MAX_FAILURES: usize = 3;

/// The items of an open loop in a second.
const RATE: u64 = 500;

/// A spec of a workload that sleeps for a short time, or has a moderate rate.
fn spec_of(entry: &CatalogueEntry, items: u64, extra: &[(&str, Value)]) -> WorkloadSpec {
    let mut spec = trials::spec_of(entry, items, 100, RATE);
    spec.extra.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    spec
}

pub(super) fn is_keyed(entry: &CatalogueEntry) -> bool {
    entry.plan.stages.iter().any(|stage| stage.kind == StageKind::KeyedReduce)
}

pub(super) fn is_plain(entry: &CatalogueEntry) -> bool {
    !is_keyed(entry) && !entry.plan.open_loop
}

/// Runs all `specs`. Each must meet the demand, or be refused as unsupported.
fn all(
    fixture: &mut Fixture,
    specs: Vec<WorkloadSpec>,
    demand: impl Fn(&TrialResult) -> Result<(), NotPassed>,
) -> CheckResult {
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), Vec::new());
    for spec in &specs {
        match fixture.run(spec).and_then(|run| demand(&run)) {
            Ok(()) => passed += 1,
            Err(NotPassed::Failed(why)) => failed.push(format!("{}: {why}", describe(spec))),
            Err(timed_out @ NotPassed::TimedOut(_)) => return Err(timed_out.named(&describe(spec))),
            Err(NotPassed::Skipped(why)) => skipped.push(format!("{}: {why}", spec.name)),
            Err(other) => return Err(other),
        }
        if fixture.setting.launch.interrupt.is_set() || failed.len() >= MAX_FAILURES {
            break;
        }
    }
    skipped.dedup();
    match (failed.is_empty(), passed) {
        (false, _) => Err(NotPassed::Failed(failed.join("; "))),
        (true, 0) if skipped.is_empty() => Err(NotPassed::NotRun("there are no workloads to run".into())),
        (true, 0) => Err(NotPassed::Skipped(skipped.join("; "))),
        (true, _) if skipped.is_empty() => Ok(plural(passed, "run")),
        (true, _) => Ok(format!("{}; skipped: {}", plural(passed, "run"), skipped.join("; "))),
    }
}

/// Describes a run in an error message.
fn describe(spec: &WorkloadSpec) -> String {
    let WorkloadSpec { name, total_items, parallelism, extra, seed, .. } = spec;
    let extra: String = extra.iter().map(|(key, value)| format!(" {key}={value}")).collect();
    format!("{name} items={total_items} parallelism={parallelism} seed={seed}{extra}")
}

/// The workloads of a kind, which are those without keys other than open loops, those with a keyed reduction, or the open loops.
pub(super) fn of_kind(fixture: &mut Fixture, kind: fn(&CatalogueEntry) -> bool) -> CheckResult {
    let entries = fixture.entries()?;
    let specs: Vec<_> =
        entries.iter().filter(|entry| kind(entry)).map(|entry| spec_of(entry, ITEMS, &[])).collect();
    if specs.is_empty() {
        return Err(NotPassed::Skipped("no library has such a workload".into()));
    }
    all(fixture, specs, verified)
}

/// Runs the specs that `specs` makes of every workload other than open loops.
fn closed_loops<S: IntoIterator<Item = WorkloadSpec>>(
    fixture: &mut Fixture,
    specs: impl Fn(&CatalogueEntry) -> S,
) -> CheckResult {
    let entries = fixture.entries()?;
    let specs = entries.iter().filter(|entry| !entry.plan.open_loop).flat_map(specs).collect();
    all(fixture, specs, verified)
}

/// No items, one, two, and many.
pub(super) fn sizes(fixture: &mut Fixture) -> CheckResult {
    closed_loops(fixture, |entry| {
        let mut many = trials::spec_of(entry, MANY, 0, RATE);
        many.extra.insert("batch_size".into(), json!(64));
        [0, 1, 2].map(|items| spec_of(entry, items, &[])).into_iter().chain([many])
    })
}

/// Batches that do not divide the items, and a batch that is larger than all of them.
pub(super) fn batches(fixture: &mut Fixture) -> CheckResult {
    closed_loops(fixture, |entry| {
        [7, ITEMS, 4096].map(|size| spec_of(entry, ITEMS, &[("batch_size", json!(size))]))
    })
}

/// With and without fusion of stages.
pub(super) fn fusion(fixture: &mut Fixture) -> CheckResult {
    closed_loops(fixture, |entry| {
        ["off", "auto"]
            .map(|fusion| spec_of(entry, ITEMS, &[("fusion", json!(fusion)), ("batch_size", json!(7))]))
    })
}

/// A parallelism of 1, and more than there are items.
pub(super) fn parallelism(fixture: &mut Fixture) -> CheckResult {
    closed_loops(fixture, |entry| {
        [(1, 11), (5, 3)]
            .map(|(parallelism, items)| WorkloadSpec { parallelism, ..spec_of(entry, items, &[]) })
    })
}

/// Different data of the same size in one session, so that a cached answer is detected.
pub(super) fn data(fixture: &mut Fixture) -> CheckResult {
    closed_loops(fixture, |entry| [1, 2].map(|seed| WorkloadSpec { seed, ..spec_of(entry, ITEMS, &[]) }))
}

fn sleeping(items: u64, extra: &[(&str, Value)]) -> WorkloadSpec {
    trials::spec(SLEEPING, items, &[[("sleep_us", json!(SLEEP_MICROS))].as_slice(), extra].concat())
}

/// No more operators run at once than parallelism: a run of operators that sleep takes at least the time that follows from it.
pub(super) fn at_once(fixture: &mut Fixture) -> CheckResult {
    fixture.demand_workload(SLEEPING, &["sleep_us"])?;
    let off = [("fusion", json!("off"))];
    all(fixture, vec![sleeping(40, &[]), sleeping(40, &off)], verified)
}

/// The time that the backend reports is not longer than the worker's, and not far below it.
pub(super) fn timing(fixture: &mut Fixture) -> CheckResult {
    fixture.demand_workload(SLEEPING, &["sleep_us"])?;
    all(fixture, vec![sleeping(100, &[])], |result| {
        verified(result)?;
        let understated = |slowdown| judge::understated(result.finished.as_ref()?, slowdown);
        match understated(1.0).and_then(|_| understated(slowdown::measure())) {
            None => Ok(()),
            Some(why) => Err(NotPassed::Failed(why)),
        }
    })
}

/// A cancelled run ends in time, and of a backend that runs graphs also one of the tasks of a graph.
pub(super) fn cancel(fixture: &mut Fixture) -> CheckResult {
    fixture.demand_workload(SLEEPING, &["sleep_us"])?;
    let said = cancel_soon(fixture, &sleeping(1_000_000, &[]))?;
    let runs_graphs = fixture.loading()?.supports.iter().any(|word| word == GRAPH);
    if !runs_graphs || fixture.demand_workload(TASK_GRAPH, &["pattern", "iters"]).is_err() {
        return Ok(said);
    }
    match cancel_soon(fixture, &graph_of_hours()) {
        Ok(of_graph) => Ok(format!("{said}; a graph of tasks {of_graph}")),
        // As any workload, it may be refused.
        Err(NotPassed::Skipped(_)) => Ok(said),
        Err(other) => Err(other.named("a graph of tasks")),
    }
}

/// A graph of more than a million rows, whose tasks take a tenth of a millisecond each and need outputs of the row before.
fn graph_of_hours() -> WorkloadSpec {
    let extra = [("pattern", json!("stencil_1d")), ("iters", json!(100_000))];
    trials::spec(TASK_GRAPH, 100_000_000, &extra)
}

/// Whether a run of hours ends in time: one of a few, if other processes make one late. The time limit is extended by the slowdown of
/// this machine, which is measured before the engine is started and after it has ended, so that the load of the backend itself does not
/// count.
fn cancel_soon(fixture: &mut Fixture, spec: &WorkloadSpec) -> CheckResult {
    let (mut took, mut slowdown) = cancel_once(fixture, spec)?;
    for _ in 1..CANCELLED {
        if stopped(took, slowdown).is_err() {
            (took, slowdown) = cancel_once(fixture, spec)?;
        }
    }
    stopped(took, slowdown)
}

/// How long after it was cancelled a run stopped, and the slowdown of the machine if that was late.
fn cancel_once(fixture: &mut Fixture, spec: &WorkloadSpec) -> Result<(Duration, f64), NotPassed> {
    let before = slowdown::measure();
    let mut engine = fixture.engine(spec)?;
    let longest = CANCEL_GRACE.mul_f64(slowdown::MAX);
    let request = fixture.executor.request(spec.clone(), &engine.supports);
    let ended = request.and_then(|request| engine.run_and_cancel(&request, BEFORE_CANCEL, longest));
    engine.session.discard();
    if let Err(CallError { fault: Fault::TimedOut, .. }) = ended {
        let (waited, limit) = (longest.as_secs(), CANCEL_GRACE.as_secs());
        let why = format!("it had not stopped {waited} s after it was cancelled, of {limit} s");
        return Err(NotPassed::Failed(why));
    }
    match ended.map_err(failed_run)? {
        (Reply::Failed { error, .. }, None) => Err(failed_run(CallError::reported("run", error, None))),
        (_, None) => Err(NotPassed::Failed("a run of hours ended before it was cancelled".into())),
        (Reply::Failed { error, .. }, Some(took)) => {
            let error = CallError::reported("run", error, None);
            expected_error::<()>(Err(error), &[ErrorKind::Cancelled])?;
            let slowdown = if took > CANCEL_GRACE { before.max(slowdown::measure()) } else { 1.0 };
            Ok((took, slowdown))
        }
        (_, Some(took)) => Err(NotPassed::Failed(format!(
            "a run of hours was reported as done {} after it was cancelled",
            seconds(took)
        ))),
    }
}

/// Whether a run that stopped this long after it was cancelled is within the limit, which `slowdown` extends.
fn stopped(took: Duration, slowdown: f64) -> CheckResult {
    let allowed = CANCEL_GRACE.mul_f64(slowdown);
    let said = format!("{} after it was cancelled, of {}", seconds(took), allowance(CANCEL_GRACE, slowdown));
    if took <= allowed { Ok(said) } else { Err(NotPassed::Failed(format!("it stopped {said}"))) }
}

/// An operator that fails or panics ends the run with an error of kind workload.
pub(super) fn fault(fixture: &mut Fixture, fault: &str) -> CheckResult {
    fixture.demand_workload(SLEEPING, &["sleep_us", "fault"])?;
    let spec = sleeping(20, &[("fault", json!(fault)), ("sleep_us", json!(0))]);
    expected_error(fixture.run_unjudged(&spec), &[ErrorKind::Workload])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_stops_late_fails_unless_the_machine_is_as_busy() {
        let took = Duration::from_millis(2500);
        assert_eq!(
            stopped(Duration::from_millis(400), 1.0).unwrap(),
            "0.400 s after it was cancelled, of 2 s"
        );
        let Err(NotPassed::Failed(why)) = stopped(took, 1.0) else { panic!("it passed") };
        assert_eq!(why, "it stopped 2.500 s after it was cancelled, of 2 s");
        assert!(stopped(took, 1.5).unwrap().ends_with("of 2 s × 1.5 because this machine is busy"));
        assert!(stopped(took * 2, 1.5).is_err());
    }
}
