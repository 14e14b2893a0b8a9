//! Checks of workload libraries.

use std::time::Duration;

use plugin_api::workload::{CatalogueEntry, Outcome as Answer, WATERMARKS};
use plugin_api::{Availability, ErrorKind, WorkloadSpec};
use serde_json::json;

use super::errors::expected_error;
use super::finding::{CheckResult, NotPassed};
use super::fixture::Fixture;
use super::parameters::{defaults, names};
use super::trials::{self, trial};
use crate::plugin::inspect::Kind;
use crate::run::backend::Backend;
use crate::run::executor::log_file;
use crate::run::judge::Judge;
use crate::run::outcome::Outcome;
use crate::run::session::{CallError, Fault};
use crate::text::plural;
use crate::worker::protocol::LibraryFile;

/// The numbers of items: none, one, a prime number, and many.
const SIZES: [u64; 4] = [0, 1, 101, 5003];

/// The numbers of items and the batch sizes of workloads that close: windows end while the input of the last goes on.
const CLOSING: [(u64, u64); 4] = [(0, 1), (1, 1), (101, 7), (50_021, 512)];

/// The batch sizes.
const BATCHES: [u64; 3] = [1, 7, 1024];

/// After this time every clock shows another second.
const LATER: Duration = Duration::from_millis(1100);

/// How often each workload is given malformed input.
const ROUNDS: u32 = 300;

/// A spec of a workload that does not sleep, or has a high rate.
fn spec_of(entry: &CatalogueEntry, items: u64) -> WorkloadSpec {
    trials::spec_of(entry, items, 0, 100_000)
}

fn with_batches(mut spec: WorkloadSpec, batch_size: u64) -> WorkloadSpec {
    spec.extra.insert("batch_size".into(), batch_size.into());
    spec
}

/// The library that is checked, in a worker of its own.
struct Library {
    judge: Judge,
    /// How long a call may take.
    limit: Duration,
}

impl Library {
    fn answer(&mut self, spec: &WorkloadSpec) -> Result<Answer, CallError> {
        self.judge.expect(spec, self.limit)
    }

    fn serial(&mut self, spec: &WorkloadSpec) -> Result<Answer, CallError> {
        self.judge.serial(spec, self.limit)
    }
}

/// Runs `check` with the library in a worker of its own.
fn with_library<T>(
    fixture: &mut Fixture,
    check: impl FnOnce(&mut Library) -> Result<T, NotPassed>,
) -> Result<T, NotPassed> {
    let mut library = Library { judge: fixture.judge()?, limit: fixture.time_limit() };
    let checked = check(&mut library);
    library.judge.end();
    checked
}

/// The catalogue lists what the metadata lists, the plans are well formed, and every workload opens with its defaults.
pub(super) fn catalogue(fixture: &mut Fixture) -> CheckResult {
    let Kind::Workloads(mut named) = fixture.plugin()?.metadata.kind.clone() else {
        return Err(NotPassed::NotRun("it is not a library of workloads".into()));
    };
    let entries = with_library(fixture, |library| Ok(library.judge.catalogue()?.to_vec()))?;
    let mut listed: Vec<_> = entries.iter().map(|entry| entry.name.clone()).collect();
    named.sort();
    listed.sort();
    if named != listed {
        let (named, listed) = (named.join(", "), listed.join(", "));
        return Err(NotPassed::Failed(format!(
            "its metadata names {named}, but its catalogue lists {listed}"
        )));
    }
    if let Some(entry) = entries.iter().find(|entry| !entry.plan.is_well_formed()) {
        return Err(NotPassed::Failed(format!("the plan of {} is not well formed", entry.name)));
    }
    for entry in &entries {
        let is_bad = |word: &&String| word.is_empty() || word.contains(char::is_whitespace);
        if let Some(word) = entry.needs.iter().chain(&entry.uses).find(is_bad) {
            let name = &entry.name;
            return Err(NotPassed::Failed(format!(
                "{name} has the word {word:?}, which no backend can have"
            )));
        }
        let declared = names(&entry.parameters).and_then(|()| defaults(&entry.parameters));
        declared.map_err(|not_passed| not_passed.named(&entry.name))?;
    }
    with_library(fixture, |library| {
        for entry in &entries {
            library.answer(&WorkloadSpec { total_items: 1, ..WorkloadSpec::new(entry.name.clone()) })?;
        }
        Ok(())
    })?;
    with_library(fixture, |library| {
        for entry in &entries {
            // Another check says more of a run that fails.
            let Ok(ran) = library.serial(&spec_of(entry, 1)) else { break };
            is_listed_as_it_runs(entry, &ran)?;
        }
        Ok(plural(entries.len() as u64, "workload"))
    })
}

/// Whether it is an open loop is the same for no items, as it is listed, and for one: the sink of an open loop has latencies.
fn is_listed_as_it_runs(entry: &CatalogueEntry, ran: &Answer) -> Result<(), NotPassed> {
    let (listed, runs) = (entry.plan.open_loop, ran.latency.is_some());
    if listed == runs {
        return Ok(());
    }
    let kind = |is_open_loop| if is_open_loop { "an open loop" } else { "no open loop" };
    let (name, listed, runs) = (&entry.name, kind(listed), kind(runs));
    Err(NotPassed::Failed(format!(
        "{name} is listed as {listed}, but is {runs} when it is opened for one item: due(0) gives a time, or None, whatever the \
         number of items is"
    )))
}

/// A serial run gives the answer of the oracle.
pub(super) fn oracle(fixture: &mut Fixture) -> CheckResult {
    with_library(fixture, |library| {
        for entry in library.judge.catalogue()?.to_vec() {
            for items in SIZES {
                let spec = with_batches(spec_of(&entry, items), 64);
                let (ran, expected) = (library.serial(&spec)?, library.answer(&spec)?);
                require_equal(&format!("{} of {items} items", entry.name), &ran, &expected)?;
            }
        }
        Ok(String::new())
    })
}

fn require_equal(what: &str, ran: &Answer, expected: &Answer) -> Result<(), NotPassed> {
    if (ran.count, &ran.checksum) == (expected.count, &expected.checksum) {
        return Ok(());
    }
    let text = |answer: &Answer| format!("{} items with checksum {}", answer.count, answer.checksum);
    Err(NotPassed::Failed(format!("{what}: {}, but {} are expected", text(ran), text(expected))))
}

/// The answer does not depend on how items are split into batches.
pub(super) fn slices(fixture: &mut Fixture) -> CheckResult {
    with_library(fixture, |library| {
        for entry in library.judge.catalogue()?.to_vec() {
            let expected = library.serial(&with_batches(spec_of(&entry, 101), 101))?;
            for size in BATCHES {
                let ran = library.serial(&with_batches(spec_of(&entry, 101), size))?;
                require_equal(&format!("{} in batches of {size}", entry.name), &ran, &expected)?;
            }
        }
        Ok(String::new())
    })
}

/// What closes by watermarks gives the answer of the oracle, and no earlier than it may.
pub(super) fn closing(fixture: &mut Fixture) -> CheckResult {
    with_library(fixture, |library| {
        let closes = |entry: &&CatalogueEntry| {
            [&entry.needs, &entry.uses].into_iter().flatten().any(|word| word == WATERMARKS)
        };
        let entries: Vec<_> = library.judge.catalogue()?.iter().filter(closes).cloned().collect();
        for entry in &entries {
            for (items, batch) in CLOSING {
                let spec = with_batches(spec_of(entry, items), batch);
                let ran = library.judge.closing(&spec, library.limit);
                let ran = ran.map_err(|error| NotPassed::from(error).named(&entry.name))?;
                let what = format!("{} of {items} items that closes by watermarks", entry.name);
                require_equal(&what, &ran, &library.answer(&spec)?)?;
            }
        }
        if entries.is_empty() {
            return Ok("no workload has watermarks".into());
        }
        Ok(plural(entries.len() as u64, "workload"))
    })
}

/// Another process gives the same answer, also when the clock shows another second.
pub(super) fn repeats(fixture: &mut Fixture) -> CheckResult {
    let answers = |library: &mut Library| {
        let mut answers = Vec::new();
        for entry in library.judge.catalogue()?.to_vec() {
            let spec = spec_of(&entry, 101);
            answers.push((
                entry.name,
                library.serial(&with_batches(spec.clone(), 7))?,
                library.answer(&spec)?,
            ));
        }
        Ok(answers)
    };
    let one = with_library(fixture, answers)?;
    std::thread::sleep(LATER);
    let two = with_library(fixture, answers)?;
    for ((name, ran, expected), (_, again, expected_again)) in one.iter().zip(&two) {
        require_equal(&format!("{name} in another process, a second later"), again, ran)?;
        require_equal(
            &format!("the oracle of {name} in another process, a second later"),
            expected_again,
            expected,
        )?;
    }
    Ok(String::new())
}

/// An unknown workload and an invalid parameter are refused.
pub(super) fn refuses(fixture: &mut Fixture) -> CheckResult {
    with_library(fixture, |library| {
        let spec = WorkloadSpec::new("there_is_no_such_workload");
        let refused = expected_error(library.answer(&spec), &[ErrorKind::InvalidSpec]);
        refused.map_err(|not_passed| not_passed.named("an unknown workload"))?;
        for entry in library.judge.catalogue()?.to_vec() {
            for parameter in &entry.parameters {
                let mut spec = spec_of(&entry, 1);
                spec.extra.insert(parameter.name.clone(), json!([{"no": "value"}]));
                let refused = expected_error(library.answer(&spec), &[ErrorKind::InvalidSpec]);
                let what = format!("{} with a list as {}", entry.name, parameter.name);
                refused.map_err(|not_passed| not_passed.named(&what))?;
            }
        }
        Ok(String::new())
    })
}

/// Malformed input is refused or accepted, without a crash or a panic.
pub(super) fn bytes(fixture: &mut Fixture) -> CheckResult {
    with_library(fixture, |library| {
        for entry in library.judge.catalogue()?.to_vec() {
            let given = library.judge.give_malformed(&spec_of(&entry, 10), ROUNDS, library.limit);
            given.map_err(|error| NotPassed::from(error).named(&entry.name))?;
        }
        Ok(format!("{ROUNDS} rounds for each workload"))
    })
}

/// The backends that are found give the answer of the oracle.
pub(super) fn backends(fixture: &mut Fixture) -> CheckResult {
    let entries = with_library(fixture, |library| Ok(library.judge.catalogue()?.to_vec()))?;
    let mut ran = Vec::new();
    for (name, library) in fixture.setting.backends.clone() {
        if on_backend(fixture, &name, &library, &entries)? {
            ran.push(name);
        }
    }
    if ran.is_empty() {
        return Err(NotPassed::NotRun("no plugin folder has a backend that can start".into()));
    }
    Ok(format!("on {}", ran.join(", ")))
}

/// Runs every workload on a backend. Returns whether the backend could start.
fn on_backend(
    fixture: &mut Fixture,
    name: &str,
    library: &LibraryFile,
    entries: &[CatalogueEntry],
) -> Result<bool, NotPassed> {
    for entry in entries {
        let log = log_file(&fixture.setting.folders.log_dir, name);
        // A backend that cannot be loaded is not the library's fault.
        let Ok(mut backend) = Backend::load(&fixture.setting.launch, library, name, &log) else {
            return Ok(false);
        };
        match backend.probe() {
            Ok(Availability::Available) => run_entry(fixture, backend, entry, name)?,
            // Nor is one that does not say whether it can start.
            _ => {
                backend.end();
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Runs one workload on a backend.
fn run_entry(
    fixture: &mut Fixture,
    backend: Backend,
    entry: &CatalogueEntry,
    name: &str,
) -> Result<(), NotPassed> {
    let trial = trial(name, &with_batches(spec_of(entry, 101), 7), 1);
    if let Err(error) = fixture.executor.expect(&trial.workload_spec()) {
        backend.end();
        return Err(error.into());
    }
    match fixture.run_trial_alone(&trial, backend)?.outcome {
        Outcome::Failed(error) if matches!(error.fault, Fault::Reported(ErrorKind::Unsupported)) => Ok(()),
        Outcome::Wrong(error) | Outcome::Failed(error) => {
            Err(NotPassed::from(error).named(&format!("{} on {name}", entry.name)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::workload::{Distribution, Latency, Plan};

    use super::*;

    #[test]
    fn a_workload_is_an_open_loop_for_any_number_of_items() {
        let listed = |open_loop| CatalogueEntry {
            name: "timed".into(),
            description: String::new(),
            parameters: Vec::new(),
            plan: Plan { open_loop, ..Plan::new() },
            needs: Vec::new(),
            uses: Vec::new(),
        };
        let none = Distribution::default;
        let latency = || Latency { scheduled: none(), service: none(), lag: none() };
        let ran = |open_loop: bool| Answer {
            count: 0,
            checksum: String::new(),
            waiting_seconds: None,
            latency: open_loop.then(latency),
        };
        for kind in [false, true] {
            is_listed_as_it_runs(&listed(kind), &ran(kind)).unwrap();
            let Err(NotPassed::Failed(why)) = is_listed_as_it_runs(&listed(kind), &ran(!kind)) else {
                panic!("it passed")
            };
            assert!(why.contains("when it is opened for one item: due(0) gives a time"), "{why}");
            let as_open = why.starts_with("timed is listed as an open loop, but is no open loop");
            assert_eq!(as_open, kind, "{why}");
        }
    }
}
