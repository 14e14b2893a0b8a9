//! Runs that must be verified, in every way that a host may ask for them.

use std::time::Duration;

use plugin_api::workload::CatalogueEntry;
use plugin_api::{ErrorKind, StageKind, WorkloadSpec};
use serde_json::{Value, json};

use super::allowance::{allowance, seconds};
use super::errors::expected_error;
use super::finding::{CheckResult, NotPassed};
use super::fixture::Fixture;
use super::trials::verified;
use crate::plan::defaults::SLEEPING;
use crate::run::judge;
use crate::run::session::{CANCEL_GRACE, CallError, Fault};
use crate::run::trial::TrialResult;
use crate::slowdown;
use crate::text::plural;
use crate::worker::protocol::Reply;

/// The parallelism of most runs: starting an engine anew for another takes time.
const PARALLELISM: u32 = 2;

/// So many items, a prime number, are no multiple of any batch.
const ITEMS: u64 = 101;

/// Many items for a check.
const MANY: u64 = 5003;

/// An item takes that long where the workload waits.
const WAIT_MICROS: u64 = 10_000;

/// How long a run goes on before it is asked to stop.
const BEFORE_CANCEL: Duration = Duration::from_secs(1);

/// How many failures of one check are told.
const TOLD: usize = 3;

fn spec_of(entry: &CatalogueEntry, items: u64, extra: &[(&str, Value)]) -> WorkloadSpec {
    let mut spec = WorkloadSpec {
        total_items: items,
        parallelism: PARALLELISM,
        ..WorkloadSpec::new(entry.name.clone())
    };
    // What sleeps sleeps no longer than it must, and what has a schedule keeps a quick one.
    for (name, value) in [("sleep_us", json!(100)), ("rate", json!(500))] {
        if entry.parameters.iter().any(|parameter| parameter.name == name) {
            spec.extra.insert(name.into(), value);
        }
    }
    spec.extra.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    spec
}

fn is_keyed(entry: &CatalogueEntry) -> bool {
    entry.plan.stages.iter().any(|stage| stage.kind == StageKind::KeyedReduce)
}

fn is_plain(entry: &CatalogueEntry) -> bool {
    !is_keyed(entry) && !entry.plan.open_loop
}

/// Runs all `specs`: every one must be verified, or be none of what the backend can express.
fn all_verified(fixture: &mut Fixture, specs: Vec<WorkloadSpec>) -> CheckResult {
    all(fixture, specs, verified)
}

fn all(
    fixture: &mut Fixture,
    specs: Vec<WorkloadSpec>,
    demand: impl Fn(&TrialResult) -> Result<(), NotPassed>,
) -> CheckResult {
    let (mut passed, mut failed, mut unsupported) = (0, Vec::new(), Vec::new());
    for spec in &specs {
        match fixture.run(spec).and_then(|run| demand(&run)) {
            Ok(()) => passed += 1,
            Err(NotPassed::Failed(why)) => failed.push(format!("{}: {why}", how(spec))),
            Err(NotPassed::Skipped(why)) => unsupported.push(format!("{}: {why}", spec.name)),
            Err(other) => return Err(other),
        }
        if fixture.setting.launch.interrupt.is_set() || failed.len() >= TOLD {
            break;
        }
    }
    unsupported.dedup();
    match (failed.is_empty(), passed) {
        (false, _) => Err(NotPassed::Failed(failed.join("; "))),
        (true, 0) if unsupported.is_empty() => Err(NotPassed::NotRun("there is nothing to run".into())),
        (true, 0) => Err(NotPassed::Skipped(unsupported.join("; "))),
        (true, _) if unsupported.is_empty() => Ok(plural(passed, "run")),
        (true, _) => Ok(format!("{}; not supported: {}", plural(passed, "run"), unsupported.join("; "))),
    }
}

/// How a run is told of.
fn how(spec: &WorkloadSpec) -> String {
    let WorkloadSpec { name, total_items, parallelism, extra, seed, .. } = spec;
    let extra: String = extra.iter().map(|(key, value)| format!(" {key}={value}")).collect();
    format!("{name} items={total_items} parallelism={parallelism} seed={seed}{extra}")
}

/// The workloads without keys or a schedule.
pub(super) fn workloads(fixture: &mut Fixture) -> CheckResult {
    of_kind(fixture, is_plain)
}

/// The workloads with a keyed reduction.
pub(super) fn keyed(fixture: &mut Fixture) -> CheckResult {
    of_kind(fixture, is_keyed)
}

/// The workloads whose items come when they are due.
pub(super) fn open_loop(fixture: &mut Fixture) -> CheckResult {
    of_kind(fixture, |entry| entry.plan.open_loop)
}

fn of_kind(fixture: &mut Fixture, kind: fn(&CatalogueEntry) -> bool) -> CheckResult {
    let entries = fixture.entries()?;
    let specs: Vec<_> =
        entries.iter().filter(|entry| kind(entry)).map(|entry| spec_of(entry, ITEMS, &[])).collect();
    if specs.is_empty() {
        return Err(NotPassed::Skipped("no library here has such a workload".into()));
    }
    all_verified(fixture, specs)
}

/// Every workload that is no open loop, in each of these ways.
fn in_ways(fixture: &mut Fixture, ways: &[(u64, &[(&str, Value)])]) -> CheckResult {
    let entries: Vec<_> = fixture.entries()?.into_iter().filter(|entry| !entry.plan.open_loop).collect();
    let specs = entries.iter().flat_map(|entry| ways.iter().map(|(items, way)| spec_of(entry, *items, way)));
    let specs = specs.collect();
    all_verified(fixture, specs)
}

/// No item, one, and many.
pub(super) fn sizes(fixture: &mut Fixture) -> CheckResult {
    let many = [("batch_size", json!(64)), ("sleep_us", json!(0))];
    let known = |entry: &CatalogueEntry, name: &str| entry.parameters.iter().any(|it| it.name == name);
    let entries: Vec<_> = fixture.entries()?.into_iter().filter(|entry| !entry.plan.open_loop).collect();
    let mut specs = Vec::new();
    for entry in &entries {
        specs.extend([0, 1, 2].map(|items| spec_of(entry, items, &[])));
        let way = if known(entry, "sleep_us") { &many[..] } else { &many[..1] };
        specs.push(spec_of(entry, MANY, way));
    }
    all_verified(fixture, specs)
}

/// Batches that do not divide the items, and one that is larger than all of them.
pub(super) fn batches(fixture: &mut Fixture) -> CheckResult {
    let ways: [(u64, &[(&str, Value)]); 3] = [
        (ITEMS, &[("batch_size", json!(7))]),
        (ITEMS, &[("batch_size", json!(ITEMS))]),
        (ITEMS, &[("batch_size", json!(4096))]),
    ];
    in_ways(fixture, &ways)
}

/// Each stage and batch by itself.
pub(super) fn fusion(fixture: &mut Fixture) -> CheckResult {
    let ways: [(u64, &[(&str, Value)]); 2] = [
        (ITEMS, &[("fusion", json!("off")), ("batch_size", json!(7))]),
        (ITEMS, &[("fusion", json!("auto")), ("batch_size", json!(7))]),
    ];
    in_ways(fixture, &ways)
}

/// One operator at once, and more than there are items.
pub(super) fn parallelism(fixture: &mut Fixture) -> CheckResult {
    let entries: Vec<_> = fixture.entries()?.into_iter().filter(|entry| !entry.plan.open_loop).collect();
    let mut specs = Vec::new();
    for (parallelism, items) in [(1, 11), (5, 3)] {
        let at = |entry: &CatalogueEntry| WorkloadSpec { parallelism, ..spec_of(entry, items, &[]) };
        specs.extend(entries.iter().map(at));
    }
    all_verified(fixture, specs)
}

/// The same size of other data in one session: an answer that was kept is found out.
pub(super) fn data(fixture: &mut Fixture) -> CheckResult {
    let entries: Vec<_> = fixture.entries()?.into_iter().filter(|entry| !entry.plan.open_loop).collect();
    let of = |entry: &CatalogueEntry| [1, 2].map(|seed| WorkloadSpec { seed, ..spec_of(entry, ITEMS, &[]) });
    let specs = entries.iter().flat_map(of).collect();
    all_verified(fixture, specs)
}

fn waiting(items: u64, extra: &[(&str, Value)]) -> WorkloadSpec {
    let mut spec =
        WorkloadSpec { total_items: items, parallelism: PARALLELISM, ..WorkloadSpec::new(SLEEPING) };
    spec.extra.insert("sleep_us".into(), WAIT_MICROS.into());
    spec.extra.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    spec
}

/// No more operators work at once than were asked for: where they wait, a run takes as long as it must.
pub(super) fn at_once(fixture: &mut Fixture) -> CheckResult {
    fixture.demand_workload(SLEEPING, &["sleep_us"])?;
    let off = [("fusion", json!("off"))];
    all_verified(fixture, vec![waiting(40, &[]), waiting(40, &off)])
}

/// The runner's own time is within the worker's, and not far below it.
pub(super) fn timing(fixture: &mut Fixture) -> CheckResult {
    fixture.demand_workload(SLEEPING, &["sleep_us"])?;
    all(fixture, vec![waiting(100, &[])], |result| {
        verified(result)?;
        let understated = |slowdown| judge::understated(result.finished.as_ref()?, slowdown);
        match understated(1.0).and_then(|_| understated(slowdown::measure())) {
            None => Ok(()),
            Some(why) => Err(NotPassed::Failed(why)),
        }
    })
}

/// A run that is asked to stop does so. It is waited for as long as the busiest machine would excuse, and then judged by how
/// busy this one was before the engine was started and after it was ended: what the backend itself does must not count.
pub(super) fn cancel(fixture: &mut Fixture) -> CheckResult {
    fixture.demand_workload(SLEEPING, &["sleep_us"])?;
    let spec = waiting(1_000_000, &[]);
    let before = slowdown::measure();
    let mut engine = fixture.engine(&spec)?;
    let longest = CANCEL_GRACE.mul_f64(slowdown::MAX);
    let ended = engine.run_and_cancel(&fixture.executor.request(spec), BEFORE_CANCEL, longest);
    engine.session.discard();
    if let Err(CallError { fault: Fault::TimedOut, .. }) = ended {
        let (never, given) = (longest.as_secs(), CANCEL_GRACE.as_secs());
        let why = format!("it had not stopped {never} s after it was asked to, of {given} s");
        return Err(NotPassed::Failed(why));
    }
    match ended? {
        (_, None) => Err(NotPassed::Failed("a run of hours ended before it was asked to stop".into())),
        (Reply::Failed { error, .. }, Some(took)) => {
            let error = CallError::reported("run", error, None);
            expected_error::<()>(Err(error), &[ErrorKind::Cancelled])?;
            let slowdown = if took > CANCEL_GRACE { before.max(slowdown::measure()) } else { 1.0 };
            stopped(took, slowdown)
        }
        (_, Some(took)) => Err(NotPassed::Failed(format!(
            "a run of hours was said to be done, {} after it was to stop",
            seconds(took)
        ))),
    }
}

/// Whether a run that stopped so long after it was asked to did so in time, where work takes `slowdown` times as long as it
/// must.
fn stopped(took: Duration, slowdown: f64) -> CheckResult {
    let allowed = CANCEL_GRACE.mul_f64(slowdown);
    let said = format!("{} after it was asked to, of {}", seconds(took), allowance(CANCEL_GRACE, slowdown));
    if took <= allowed { Ok(said) } else { Err(NotPassed::Failed(format!("it stopped {said}"))) }
}

/// An operator that fails or panics costs the run, and is told as what it is.
fn fault(fixture: &mut Fixture, fault: &str) -> CheckResult {
    fixture.demand_workload(SLEEPING, &["sleep_us", "fault"])?;
    let spec = waiting(20, &[("fault", json!(fault)), ("sleep_us", json!(0))]);
    expected_error(fixture.run_unjudged(&spec), &[ErrorKind::Workload])
}

/// An operator that fails.
pub(super) fn operator_error(fixture: &mut Fixture) -> CheckResult {
    fault(fixture, "error")
}

/// An operator that panics.
pub(super) fn operator_panic(fixture: &mut Fixture) -> CheckResult {
    fault(fixture, "panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_stops_late_fails_unless_the_machine_is_as_busy() {
        let took = Duration::from_millis(2500);
        assert_eq!(
            stopped(Duration::from_millis(400), 1.0).unwrap(),
            "0.400 s after it was asked to, of 2 s"
        );
        let Err(NotPassed::Failed(why)) = stopped(took, 1.0) else { panic!("it passed") };
        assert_eq!(why, "it stopped 2.500 s after it was asked to, of 2 s");
        assert!(stopped(took, 1.5).unwrap().ends_with("of 2 s × 1.5, as this machine is busy"));
        assert!(stopped(took * 2, 1.5).is_err());
    }
}
