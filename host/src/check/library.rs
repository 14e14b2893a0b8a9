//! What a library of workloads promises every backend.

use plugin_api::workload::{CatalogueEntry, Outcome as Answer};
use plugin_api::{Availability, ErrorKind, WorkloadSpec};
use serde_json::json;

use super::errors::expected_error;
use super::finding::{CheckResult, NotPassed};
use super::fixture::Fixture;
use super::trials::{TIMEOUT, trial};
use crate::plugin::inspect::Kind;
use crate::run::backend::Backend;
use crate::run::executor::log_file;
use crate::run::judge::Judge;
use crate::run::outcome::Outcome;
use crate::run::session::{CallError, Fault};
use crate::worker::protocol::LibraryFile;

/// How many items: none, one, a prime number, and many.
const SIZES: [u64; 4] = [0, 1, 101, 5003];

/// How many items travel together.
const BATCHES: [u64; 3] = [1, 7, 1024];

/// How many times each workload is given bytes that are none.
const ROUNDS: u32 = 300;

fn spec_of(entry: &CatalogueEntry, items: u64) -> WorkloadSpec {
    let mut spec = WorkloadSpec { total_items: items, ..WorkloadSpec::new(entry.name.clone()) };
    // What sleeps does not, and what has a schedule is quick.
    for (name, value) in [("sleep_us", json!(0)), ("rate", json!(100_000))] {
        if entry.parameters.iter().any(|parameter| parameter.name == name) {
            spec.extra.insert(name.into(), value);
        }
    }
    spec
}

fn with_batches(mut spec: WorkloadSpec, batch_size: u64) -> WorkloadSpec {
    spec.extra.insert("batch_size".into(), batch_size.into());
    spec
}

/// Does `check` with a judge in a worker of its own, which is ended whatever comes of it.
fn with_judge<T>(
    fixture: &mut Fixture,
    check: impl FnOnce(&mut Judge) -> Result<T, NotPassed>,
) -> Result<T, NotPassed> {
    let mut judge = fixture.judge()?;
    let checked = check(&mut judge);
    judge.end();
    checked
}

/// What the oracle says, and no answer of it that was kept.
fn computed(judge: &mut Judge, spec: &WorkloadSpec) -> Result<Answer, CallError> {
    judge.compute(spec, TIMEOUT)
}

fn serial(judge: &mut Judge, spec: &WorkloadSpec) -> Result<Answer, CallError> {
    judge.serial(spec, TIMEOUT)
}

/// The catalogue lists what the metadata lists, and every workload opens at its defaults with the plan that it lists.
pub(super) fn catalogue(fixture: &mut Fixture) -> CheckResult {
    let Kind::Workloads(mut named) = fixture.plugin()?.metadata.kind.clone() else {
        return Err(NotPassed::NotRun("it is no library of workloads".into()));
    };
    let entries = with_judge(fixture, |judge| Ok(judge.catalogue()?))?;
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
        return Err(NotPassed::Failed(format!("the plan of {} is none", entry.name)));
    }
    with_judge(fixture, |judge| {
        for entry in &entries {
            computed(judge, &WorkloadSpec { total_items: 1, ..WorkloadSpec::new(entry.name.clone()) })?;
        }
        Ok(format!("{} workloads", entries.len()))
    })
}

/// A serial run comes to what the oracle says.
pub(super) fn oracle(fixture: &mut Fixture) -> CheckResult {
    with_judge(fixture, |judge| {
        for entry in judge.catalogue()? {
            for items in SIZES {
                let spec = with_batches(spec_of(&entry, items), 64);
                let (ran, expected) = (serial(judge, &spec)?, computed(judge, &spec)?);
                differ(&format!("{} of {items} items", entry.name), &ran, &expected)?;
            }
        }
        Ok(String::new())
    })
}

fn differ(what: &str, ran: &Answer, expected: &Answer) -> Result<(), NotPassed> {
    if (ran.count, &ran.checksum) == (expected.count, &expected.checksum) {
        return Ok(());
    }
    let told = |outcome: &Answer| format!("{} items with checksum {}", outcome.count, outcome.checksum);
    Err(NotPassed::Failed(format!("{what}: {}, but {} must come out", told(ran), told(expected))))
}

/// However the items are cut into batches, the same comes out.
pub(super) fn slices(fixture: &mut Fixture) -> CheckResult {
    with_judge(fixture, |judge| {
        for entry in judge.catalogue()? {
            let expected = serial(judge, &with_batches(spec_of(&entry, 101), 101))?;
            for size in BATCHES {
                let ran = serial(judge, &with_batches(spec_of(&entry, 101), size))?;
                differ(&format!("{} in batches of {size}", entry.name), &ran, &expected)?;
            }
        }
        Ok(String::new())
    })
}

/// Another process comes to the same.
pub(super) fn repeats(fixture: &mut Fixture) -> CheckResult {
    let answers = |judge: &mut Judge| {
        let mut answers = Vec::new();
        for entry in judge.catalogue()? {
            let spec = spec_of(&entry, 101);
            answers.push((
                entry.name,
                serial(judge, &with_batches(spec.clone(), 7))?,
                computed(judge, &spec)?,
            ));
        }
        Ok(answers)
    };
    let (one, two) = (with_judge(fixture, answers)?, with_judge(fixture, answers)?);
    for ((name, ran, expected), (_, again, expected_again)) in one.iter().zip(&two) {
        differ(&format!("{name} in another process"), again, ran)?;
        differ(&format!("the oracle of {name} in another process"), expected_again, expected)?;
    }
    Ok(String::new())
}

/// A workload or a parameter that cannot be is refused.
pub(super) fn refuses(fixture: &mut Fixture) -> CheckResult {
    with_judge(fixture, |judge| {
        let spec = WorkloadSpec::new("there_is_no_such_workload");
        let refused = expected_error(computed(judge, &spec), &[ErrorKind::InvalidSpec]);
        refused.map_err(|not_passed| not_passed.named("an unknown workload"))?;
        for entry in judge.catalogue()? {
            for parameter in &entry.parameters {
                let mut spec = spec_of(&entry, 1);
                spec.extra.insert(parameter.name.clone(), json!([{"no": "value"}]));
                let refused = expected_error(computed(judge, &spec), &[ErrorKind::InvalidSpec]);
                let what = format!("{} with a list as {}", entry.name, parameter.name);
                refused.map_err(|not_passed| not_passed.named(&what))?;
            }
        }
        Ok(String::new())
    })
}

/// Bytes that no backend would give it are refused or taken, and nothing crashes or panics.
pub(super) fn bytes(fixture: &mut Fixture) -> CheckResult {
    with_judge(fixture, |judge| {
        for entry in judge.catalogue()? {
            let given = judge.give_malformed(&spec_of(&entry, 10), ROUNDS, TIMEOUT);
            given.map_err(|error| NotPassed::from(error).named(&entry.name))?;
        }
        Ok(format!("{ROUNDS} rounds for each workload"))
    })
}

/// The backends here come to what the oracle says.
pub(super) fn backends(fixture: &mut Fixture) -> CheckResult {
    let entries = with_judge(fixture, |judge| Ok(judge.catalogue()?))?;
    let mut ran = Vec::new();
    for (name, library) in fixture.setting.backends.clone() {
        if on_backend(fixture, &name, &library, &entries)? {
            ran.push(name);
        }
    }
    if ran.is_empty() {
        return Err(NotPassed::NotRun("no backend that could start is in a plugin folder".into()));
    }
    Ok(format!("on {}", ran.join(", ")))
}

/// Runs every workload on a backend; says whether the backend could start.
fn on_backend(
    fixture: &mut Fixture,
    name: &str,
    library: &LibraryFile,
    entries: &[CatalogueEntry],
) -> Result<bool, NotPassed> {
    for entry in entries {
        let log = log_file(&fixture.setting.folders.log_dir, name);
        // What is wrong with a backend is no fault of the library's.
        let Ok(mut backend) = Backend::load(&fixture.setting.launch, library, name, &log) else {
            return Ok(false);
        };
        match backend.probe() {
            Ok(Availability::Available) => run_entry(fixture, backend, entry, name)?,
            other => {
                backend.end();
                return other.map(|_| false).map_err(NotPassed::not_run);
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
