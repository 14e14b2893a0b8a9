//! What a library of workloads promises every backend.

use std::convert::Infallible;

use plugin_api::workload::{CatalogueEntry, Outcome};
use plugin_api::{Availability, ErrorKind, WorkloadSpec};
use serde_json::json;

use super::Trouble;
use super::bench::Bench;
use super::runs::expected_error;
use super::subject::TIMEOUT;
use crate::plan::BackendChoice;
use crate::plugin::inspect::Kind;
use crate::run::backend::Backend;
use crate::run::executor::{Executor, Setting, log_file};
use crate::run::outcome::Outcome as Ended;
use crate::run::participants::Participants;
use crate::run::session::{CallError, Deaf, Fault, WorkerSession};
use crate::run::trial::TrialSpec;
use crate::stats::WarmUp;
use crate::worker::protocol::{LibraryFile, Reply, Request};

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

/// A worker over the library.
struct Reader {
    session: WorkerSession,
    library: LibraryFile,
}

impl Reader {
    fn new(bench: &mut Bench) -> Result<Self, Trouble> {
        let library = LibraryFile::from(bench.plugin()?);
        Ok(Self { session: bench.plain_worker()?, library })
    }

    fn catalogue(&mut self) -> Result<Vec<CatalogueEntry>, CallError> {
        let (library, deadline) = (self.library.clone(), self.session.deadlines().catalogue);
        match self.session.call("catalogue", Request::Catalogue { library }, Some(deadline), &mut Deaf)? {
            Reply::Catalogue { entries } => Ok(entries),
            _ => Err(CallError::unexpected("catalogue")),
        }
    }

    fn outcome(&mut self, phase: &'static str, request: Request) -> Result<Outcome, CallError> {
        match self.session.call(phase, request, Some(TIMEOUT), &mut Deaf)? {
            // How long it took is no part of the answer, nor is how long its operators wait.
            Reply::Outcome { outcome } => Ok(Outcome { latency: None, waiting_seconds: None, ..outcome }),
            _ => Err(CallError::unexpected(phase)),
        }
    }

    fn expect(&mut self, spec: &WorkloadSpec) -> Result<Outcome, CallError> {
        let (spec, library) = (spec.clone(), self.library.clone());
        self.outcome("expect", Request::Expect { spec, library })
    }

    fn serial(&mut self, spec: &WorkloadSpec) -> Result<Outcome, CallError> {
        let (spec, library) = (spec.clone(), self.library.clone());
        self.outcome("serial", Request::Serial { spec, library })
    }
}

/// Does `check` in a worker of its own, which is ended whatever comes of it.
fn reading<T>(
    bench: &mut Bench,
    check: impl FnOnce(&mut Reader) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let mut reader = Reader::new(bench)?;
    let checked = check(&mut reader);
    reader.session.dismiss();
    checked
}

/// The catalogue lists what the metadata lists, and every workload opens at its defaults with the plan that it lists.
pub(super) fn catalogue(bench: &mut Bench) -> Result<String, Trouble> {
    let Kind::Workloads(mut named) = bench.plugin()?.metadata.kind.clone() else {
        return Err(Trouble::NotRun("it is no library of workloads".into()));
    };
    let entries = reading(bench, |reader| Ok(reader.catalogue()?))?;
    let mut listed: Vec<_> = entries.iter().map(|entry| entry.name.clone()).collect();
    named.sort();
    listed.sort();
    if named != listed {
        let (named, listed) = (named.join(", "), listed.join(", "));
        return Err(Trouble::Failed(format!("its metadata names {named}, but its catalogue lists {listed}")));
    }
    if let Some(entry) = entries.iter().find(|entry| !entry.plan.is_well_formed()) {
        return Err(Trouble::Failed(format!("the plan of {} is none", entry.name)));
    }
    reading(bench, |reader| {
        for entry in &entries {
            reader.expect(&WorkloadSpec { total_items: 1, ..WorkloadSpec::new(entry.name.clone()) })?;
        }
        Ok(format!("{} workloads", entries.len()))
    })
}

/// A serial run comes to what the oracle says.
pub(super) fn oracle(bench: &mut Bench) -> Result<String, Trouble> {
    reading(bench, |reader| {
        for entry in reader.catalogue()? {
            for items in SIZES {
                let spec = with_batches(spec_of(&entry, items), 64);
                let (ran, expected) = (reader.serial(&spec)?, reader.expect(&spec)?);
                differ(&format!("{} of {items} items", entry.name), &ran, &expected)?;
            }
        }
        Ok(String::new())
    })
}

fn differ(what: &str, ran: &Outcome, expected: &Outcome) -> Result<(), Trouble> {
    if (ran.count, &ran.checksum) == (expected.count, &expected.checksum) {
        return Ok(());
    }
    let told = |outcome: &Outcome| format!("{} items with checksum {}", outcome.count, outcome.checksum);
    Err(Trouble::Failed(format!("{what}: {}, but {} must come out", told(ran), told(expected))))
}

/// However the items are cut into batches, the same comes out.
pub(super) fn slices(bench: &mut Bench) -> Result<String, Trouble> {
    reading(bench, |reader| {
        for entry in reader.catalogue()? {
            let expected = reader.serial(&with_batches(spec_of(&entry, 101), 101))?;
            for size in BATCHES {
                let ran = reader.serial(&with_batches(spec_of(&entry, 101), size))?;
                differ(&format!("{} in batches of {size}", entry.name), &ran, &expected)?;
            }
        }
        Ok(String::new())
    })
}

/// Another process comes to the same.
pub(super) fn repeats(bench: &mut Bench) -> Result<String, Trouble> {
    let answers = |reader: &mut Reader| {
        let mut answers = Vec::new();
        for entry in reader.catalogue()? {
            let spec = spec_of(&entry, 101);
            answers.push((entry.name, reader.serial(&with_batches(spec.clone(), 7))?, reader.expect(&spec)?));
        }
        Ok(answers)
    };
    let (one, two) = (reading(bench, answers)?, reading(bench, answers)?);
    for ((name, ran, expected), (_, again, expected_again)) in one.iter().zip(&two) {
        differ(&format!("{name} in another process"), again, ran)?;
        differ(&format!("the oracle of {name} in another process"), expected_again, expected)?;
    }
    Ok(String::new())
}

/// A workload or a parameter that cannot be is refused.
pub(super) fn refuses(bench: &mut Bench) -> Result<String, Trouble> {
    reading(bench, |reader| {
        let spec = WorkloadSpec::new("there_is_no_such_workload");
        let refused = reader.expect(&spec).map(|_| ());
        named("an unknown workload", expected_error(refused, &[ErrorKind::InvalidSpec]))?;
        for entry in reader.catalogue()? {
            for parameter in &entry.parameters {
                let mut spec = spec_of(&entry, 1);
                spec.extra.insert(parameter.name.clone(), json!([{"no": "value"}]));
                let refused = reader.expect(&spec).map(|_| ());
                let what = format!("{} with a list as {}", entry.name, parameter.name);
                named(&what, expected_error(refused, &[ErrorKind::InvalidSpec]))?;
            }
        }
        Ok(String::new())
    })
}

fn named(what: &str, checked: Result<String, Trouble>) -> Result<(), Trouble> {
    match checked {
        Ok(_) => Ok(()),
        Err(Trouble::Failed(why)) => Err(Trouble::Failed(format!("{what}: {why}"))),
        Err(other) => Err(other),
    }
}

/// Bytes that no backend would give it are refused or taken, and nothing crashes or panics.
pub(super) fn bytes(bench: &mut Bench) -> Result<String, Trouble> {
    reading(bench, |reader| {
        for entry in reader.catalogue()? {
            let (spec, library) = (spec_of(&entry, 10), reader.library.clone());
            let request = Request::Malformed { spec, library, rounds: ROUNDS };
            let fed = reader.session.call("feed", request, Some(TIMEOUT), &mut Deaf);
            fed.map_err(|error| Trouble::Failed(format!("{}: {}", entry.name, error.message)))?;
        }
        Ok(format!("{ROUNDS} rounds for each workload"))
    })
}

/// The backends here come to what the oracle says.
pub(super) fn backends(bench: &mut Bench) -> Result<String, Trouble> {
    let entries = reading(bench, |reader| Ok(reader.catalogue()?))?;
    let mut ran = Vec::new();
    for (name, library) in bench.setting.backends.clone() {
        if on_backend(bench, &name, &library, &entries)? {
            ran.push(name);
        }
    }
    if ran.is_empty() {
        return Err(Trouble::NotRun("no backend that could start is in a plugin folder".into()));
    }
    Ok(format!("on {}", ran.join(", ")))
}

/// Runs every workload on a backend; says whether the backend could start.
fn on_backend(
    bench: &mut Bench,
    name: &str,
    library: &LibraryFile,
    entries: &[CatalogueEntry],
) -> Result<bool, Trouble> {
    let (launch, folders) = (bench.setting.launch.clone(), bench.setting.folders.clone());
    let plugin = bench.plugin()?.clone();
    let libraries = entries.iter().map(|entry| (entry.name.clone(), plugin.clone())).collect();
    let participants = Participants { libraries, ..Participants::default() };
    let (timeout, warm_up) = (TIMEOUT, WarmUp::default());
    let log = log_file(&folders.log_dir, name);
    let mut executor =
        Executor::new(Setting { launch: launch.clone(), participants, folders, timeout, warm_up });
    let mut could_start = true;
    let mut found = Ok(());
    for entry in entries {
        // What is wrong with a backend is no fault of the library's.
        let Ok(mut backend) = Backend::load(&launch, library, name, &log) else {
            could_start = false;
            break;
        };
        match backend.probe() {
            Ok(Availability::Available) => {}
            Ok(Availability::Unavailable { .. }) => could_start = false,
            Err(error) => found = Err(Trouble::NotRun(error.message)),
        }
        if !could_start || found.is_err() {
            backend.end();
            break;
        }
        found = run_entry(&mut executor, backend, entry, name);
        if found.is_err() {
            break;
        }
    }
    executor.end();
    found.map(|()| could_start)
}

/// Runs one workload on a backend.
fn run_entry(
    executor: &mut Executor,
    backend: Backend,
    entry: &CatalogueEntry,
    name: &str,
) -> Result<(), Trouble> {
    let spec = with_batches(spec_of(entry, 101), 7);
    if let Err(error) = executor.expect(&spec) {
        backend.end();
        return Err(error.into());
    }
    let trial = TrialSpec::alone(BackendChoice::new(name), "check".into(), spec, 1);
    let ran = executor.run_alone(&trial, backend, &mut |_| Ok::<(), Infallible>(()));
    // The user interrupted: nothing is said of the checks then.
    let Ok(result) = ran else { return Ok(()) };
    match result.outcome {
        Ended::Failed(error) if matches!(error.fault, Fault::Said(ErrorKind::Unsupported)) => Ok(()),
        Ended::Wrong(error) | Ended::Failed(error) => {
            Err(Trouble::Failed(format!("{} on {name}: {}", entry.name, error.message)))
        }
        _ => Ok(()),
    }
}
