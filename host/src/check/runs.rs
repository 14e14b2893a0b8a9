//! Runs that must be verified, in every way that a host may ask for them.

use std::time::Duration;

use plugin_api::workload::CatalogueEntry;
use plugin_api::{ErrorKind, StageKind, WorkloadSpec};
use serde_json::{Value, json};

use super::Trouble;
use super::bench::{Bench, Run};
use crate::pace;
use crate::plan::defaults::SLEEPING;
use crate::run::judge;
use crate::run::session::{CANCEL_GRACE, CallError, Fault};
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
fn all_verified(bench: &mut Bench, specs: Vec<WorkloadSpec>) -> Result<String, Trouble> {
    all(bench, specs, |run| run.verified())
}

fn all(
    bench: &mut Bench,
    specs: Vec<WorkloadSpec>,
    demand: impl Fn(&Run) -> Result<(), String>,
) -> Result<String, Trouble> {
    let (mut passed, mut failed, mut unsupported) = (0, Vec::new(), Vec::new());
    for spec in &specs {
        match bench.run(spec).and_then(|run| demand(&run).map_err(Trouble::Failed)) {
            Ok(()) => passed += 1,
            Err(Trouble::Failed(why)) => failed.push(format!("{}: {why}", how(spec))),
            Err(Trouble::Skipped(why)) => unsupported.push(format!("{}: {why}", spec.name)),
            Err(other) => return Err(other),
        }
        if bench.setting.launch.interrupt.is_set() || failed.len() >= TOLD {
            break;
        }
    }
    unsupported.dedup();
    match (failed.is_empty(), passed) {
        (false, _) => Err(Trouble::Failed(failed.join("; "))),
        (true, 0) if unsupported.is_empty() => Err(Trouble::NotRun("there is nothing to run".into())),
        (true, 0) => Err(Trouble::Skipped(unsupported.join("; "))),
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
pub(super) fn workloads(bench: &mut Bench) -> Result<String, Trouble> {
    of_kind(bench, is_plain)
}

/// The workloads with a keyed reduction.
pub(super) fn keyed(bench: &mut Bench) -> Result<String, Trouble> {
    of_kind(bench, is_keyed)
}

/// The workloads whose items come when they are due.
pub(super) fn open_loop(bench: &mut Bench) -> Result<String, Trouble> {
    of_kind(bench, |entry| entry.plan.open_loop)
}

fn of_kind(bench: &mut Bench, kind: fn(&CatalogueEntry) -> bool) -> Result<String, Trouble> {
    let entries = bench.entries()?;
    let specs: Vec<_> =
        entries.iter().filter(|entry| kind(entry)).map(|entry| spec_of(entry, ITEMS, &[])).collect();
    if specs.is_empty() {
        return Err(Trouble::Skipped("no library here has such a workload".into()));
    }
    all_verified(bench, specs)
}

/// Every workload that is no open loop, in each of these ways.
fn in_ways(bench: &mut Bench, ways: &[(u64, &[(&str, Value)])]) -> Result<String, Trouble> {
    let entries: Vec<_> = bench.entries()?.into_iter().filter(|entry| !entry.plan.open_loop).collect();
    let specs = entries.iter().flat_map(|entry| ways.iter().map(|(items, way)| spec_of(entry, *items, way)));
    let specs = specs.collect();
    all_verified(bench, specs)
}

/// No item, one, and many.
pub(super) fn sizes(bench: &mut Bench) -> Result<String, Trouble> {
    let many = [("batch_size", json!(64)), ("sleep_us", json!(0))];
    let known = |entry: &CatalogueEntry, name: &str| entry.parameters.iter().any(|it| it.name == name);
    let entries: Vec<_> = bench.entries()?.into_iter().filter(|entry| !entry.plan.open_loop).collect();
    let mut specs = Vec::new();
    for entry in &entries {
        specs.extend([0, 1, 2].map(|items| spec_of(entry, items, &[])));
        let way = if known(entry, "sleep_us") { &many[..] } else { &many[..1] };
        specs.push(spec_of(entry, MANY, way));
    }
    all_verified(bench, specs)
}

/// Batches that do not divide the items, and one that is larger than all of them.
pub(super) fn batches(bench: &mut Bench) -> Result<String, Trouble> {
    let ways: [(u64, &[(&str, Value)]); 3] = [
        (ITEMS, &[("batch_size", json!(7))]),
        (ITEMS, &[("batch_size", json!(ITEMS))]),
        (ITEMS, &[("batch_size", json!(4096))]),
    ];
    in_ways(bench, &ways)
}

/// Each stage and batch by itself.
pub(super) fn fusion(bench: &mut Bench) -> Result<String, Trouble> {
    let ways: [(u64, &[(&str, Value)]); 2] = [
        (ITEMS, &[("fusion", json!("off")), ("batch_size", json!(7))]),
        (ITEMS, &[("fusion", json!("auto")), ("batch_size", json!(7))]),
    ];
    in_ways(bench, &ways)
}

/// One operator at once, and more than there are items.
pub(super) fn parallelism(bench: &mut Bench) -> Result<String, Trouble> {
    let entries: Vec<_> = bench.entries()?.into_iter().filter(|entry| !entry.plan.open_loop).collect();
    let mut specs = Vec::new();
    for (parallelism, items) in [(1, 11), (5, 3)] {
        let at = |entry: &CatalogueEntry| WorkloadSpec { parallelism, ..spec_of(entry, items, &[]) };
        specs.extend(entries.iter().map(at));
    }
    all_verified(bench, specs)
}

/// The same size of other data in one session: an answer that was kept is found out.
pub(super) fn data(bench: &mut Bench) -> Result<String, Trouble> {
    let entries: Vec<_> = bench.entries()?.into_iter().filter(|entry| !entry.plan.open_loop).collect();
    let of = |entry: &CatalogueEntry| [1, 2].map(|seed| WorkloadSpec { seed, ..spec_of(entry, ITEMS, &[]) });
    let specs = entries.iter().flat_map(of).collect();
    all_verified(bench, specs)
}

fn waiting(items: u64, extra: &[(&str, Value)]) -> WorkloadSpec {
    let mut spec =
        WorkloadSpec { total_items: items, parallelism: PARALLELISM, ..WorkloadSpec::new(SLEEPING) };
    spec.extra.insert("sleep_us".into(), WAIT_MICROS.into());
    spec.extra.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    spec
}

/// No more operators work at once than were asked for: where they wait, a run takes as long as it must.
pub(super) fn at_once(bench: &mut Bench) -> Result<String, Trouble> {
    bench.workload_with(SLEEPING, &["sleep_us"])?;
    let off = [("fusion", json!("off"))];
    all_verified(bench, vec![waiting(40, &[]), waiting(40, &off)])
}

/// The runner's own time is within the worker's, and not far below it.
pub(super) fn timing(bench: &mut Bench) -> Result<String, Trouble> {
    bench.workload_with(SLEEPING, &["sleep_us"])?;
    all(bench, vec![waiting(100, &[])], |run| {
        run.verified()?;
        if judge::understated(&run.finished, 1.0).is_none() {
            return Ok(());
        }
        judge::understated(&run.finished, pace::slowdown()).map_or(Ok(()), Err)
    })
}

/// A run that is asked to stop does so. It is waited for as long as the busiest machine would excuse, and then judged by how
/// busy this one was before the engine was started and after it was ended: what the backend itself does must not count.
pub(super) fn cancel(bench: &mut Bench) -> Result<String, Trouble> {
    let library = bench.workload_with(SLEEPING, &["sleep_us"])?;
    let spec = waiting(1_000_000, &[]);
    let before = pace::slowdown();
    let mut subject = bench.subject()?;
    if let Err(error) = subject.open(&spec) {
        subject.dismiss();
        return Err(error.into());
    }
    let longest = CANCEL_GRACE.mul_f64(pace::MOST);
    let ended = subject.run_and_cancel(&spec, &library, BEFORE_CANCEL, longest);
    subject.dismiss();
    if let Err(CallError { fault: Fault::TimedOut, .. }) = ended {
        let (never, given) = (longest.as_secs(), CANCEL_GRACE.as_secs());
        let why = format!("it had not stopped {never} s after it was asked to, of {given} s");
        return Err(Trouble::Failed(why));
    }
    match ended? {
        (_, None) => Err(Trouble::Failed("a run of hours ended before it was asked to stop".into())),
        (Reply::Failed { error, .. }, Some(took)) => {
            let error = CallError::of_reply("run", error);
            expected_error(Err(error), &[ErrorKind::Cancelled])?;
            let slowdown = if took > CANCEL_GRACE { before.max(pace::slowdown()) } else { 1.0 };
            stopped(took, slowdown)
        }
        (_, Some(took)) => Err(Trouble::Failed(format!(
            "a run of hours was said to be done, {} after it was to stop",
            seconds(took)
        ))),
    }
}

/// Whether a run that stopped so long after it was asked to did so in time, where work takes `slowdown` times as long as it
/// must.
fn stopped(took: Duration, slowdown: f64) -> Result<String, Trouble> {
    let allowed = CANCEL_GRACE.mul_f64(slowdown);
    let said = format!("{} after it was asked to, of {}", seconds(took), allowance(CANCEL_GRACE, slowdown));
    if took <= allowed { Ok(said) } else { Err(Trouble::Failed(format!("it stopped {said}"))) }
}

fn seconds(took: Duration) -> String {
    format!("{:.3} s", took.as_secs_f64())
}

/// What a time of the contract is where work takes `slowdown` times as long as on a quiet machine.
pub(super) fn allowance(contract: Duration, slowdown: f64) -> String {
    let given = contract.as_secs();
    if slowdown > 1.0 {
        return format!("{given} s × {slowdown:.1}, as this machine is busy");
    }
    format!("{given} s")
}

/// An operator that fails or panics costs the run, and is told as what it is.
fn fault(bench: &mut Bench, fault: &str) -> Result<String, Trouble> {
    let library = bench.workload_with(SLEEPING, &["sleep_us", "fault"])?;
    let spec = waiting(20, &[("fault", json!(fault)), ("sleep_us", json!(0))]);
    let mut subject = bench.subject()?;
    let ran = subject.open(&spec).and_then(|()| subject.run(&spec, &library));
    subject.dismiss();
    expected_error(ran.map(|_| ()), &[ErrorKind::Workload])
}

/// An operator that fails.
pub(super) fn operator_error(bench: &mut Bench) -> Result<String, Trouble> {
    fault(bench, "error")
}

/// An operator that panics.
pub(super) fn operator_panic(bench: &mut Bench) -> Result<String, Trouble> {
    fault(bench, "panic")
}

/// A kind of error, as `ABI.md` has it.
fn word(kind: ErrorKind) -> String {
    let json = serde_json::to_value(kind).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}

/// A call must have failed with an error of one of these kinds.
pub(super) fn expected_error(ended: Result<(), CallError>, kinds: &[ErrorKind]) -> Result<String, Trouble> {
    let names: Vec<_> = kinds.iter().map(|kind| word(*kind)).collect();
    let names = names.join(" or ");
    match ended {
        Ok(()) => Err(Trouble::Failed(format!("it was accepted, but must be an error of kind {names}"))),
        Err(CallError { fault: Fault::Said(kind), message, .. }) if kinds.contains(&kind) => Ok(message),
        Err(CallError { fault: Fault::Said(kind), message, .. }) => {
            let kind = word(kind);
            Err(Trouble::Failed(format!("an error of kind {kind}, but must be of kind {names}: {message}")))
        }
        Err(error) => Err(error.into()),
    }
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
        let Err(Trouble::Failed(why)) = stopped(took, 1.0) else { panic!("it passed") };
        assert_eq!(why, "it stopped 2.500 s after it was asked to, of 2 s");
        assert!(stopped(took, 1.5).unwrap().ends_with("of 2 s × 1.5, as this machine is busy"));
        assert!(stopped(took * 2, 1.5).is_err());
    }
}
