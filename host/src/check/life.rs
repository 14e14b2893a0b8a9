//! A whole session, from loading to the end of the worker, and what is left of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use plugin_api::WorkloadSpec;
use serde_json::json;

use super::Trouble;
use super::bench::Bench;
use super::data::{DEPTH, OURS, OwnData};
use super::subject::Subject;
use crate::pace::Patience;
use crate::plan::defaults::COMPUTING;
use crate::sandbox::{Death, Ending};
use crate::worker::protocol::ResourceSnapshot;

/// How long threads may take to leave after the engine was stopped, on a quiet machine.
const SETTLE: Duration = Duration::from_secs(2);

/// How a session went.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// What the run came to.
    ran: Result<(), String>,
    /// How long stopping the engine took.
    closed: Result<Duration, String>,
    before: ResourceSnapshot,
    after: Option<ResourceSnapshot>,
    printed: String,
    ending: Option<Ending>,
    /// What was in the data folder at the end.
    data: BTreeSet<String>,
}

/// A few items that need all of the engine.
fn spec(bench: &mut Bench) -> Result<WorkloadSpec, Trouble> {
    bench.workload_with(COMPUTING, &["iters"])?;
    let mut spec = WorkloadSpec { total_items: 50, ..WorkloadSpec::new(COMPUTING) };
    spec.extra.insert("iters".into(), json!(100));
    Ok(spec)
}

impl Life {
    pub(super) fn live(bench: &mut Bench, data: &OwnData) -> Result<Self, Trouble> {
        let spec = spec(bench)?;
        let mut subject = bench.subject_in(data.path())?;
        let before = subject.snapshot()?;
        let ran = match subject.open(&spec) {
            Ok(()) => {
                bench.run_on(&mut subject, &spec).and_then(|run| run.verified().map_err(Trouble::Failed))
            }
            Err(error) => Err(error.into()),
        };
        let closed = match &ran {
            Ok(()) => subject.close().map_err(|error| error.message),
            Err(_) => Err("the run failed".to_owned()),
        };
        let after = closed.is_ok().then(|| settled(&mut subject, &before)).flatten();
        let printed = subject.printed();
        let ending = subject.end();
        let data = listing(data.path());
        let ran = match ran {
            Ok(()) => Ok(()),
            Err(Trouble::Failed(why)) => Err(why),
            Err(other) => return Err(other),
        };
        Ok(Self { ran, closed, before, after, printed, ending, data })
    }
}

/// What is there when threads had time to leave.
fn settled(subject: &mut Subject, before: &ResourceSnapshot) -> Option<ResourceSnapshot> {
    let (closed, mut patience) = (Instant::now(), Patience::new(SETTLE));
    loop {
        let snapshot = subject.snapshot().ok()?;
        if snapshot.threads <= before.threads || patience.is_over(closed.elapsed()) {
            return Some(snapshot);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What is in the folder, but for what the host keeps there.
fn listing(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    list(folder, "", DEPTH, &mut found);
    found
}

fn list(folder: &Path, prefix: &str, depth: usize, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if prefix.is_empty() && OURS.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&entry.path(), &format!("{path}/"), depth - 1, found);
        }
        found.insert(path);
    }
}

/// The first of the two sessions, which must have run.
fn first(bench: &mut Bench) -> Result<Life, Trouble> {
    let [one, _] = bench.lives()?;
    match &one.ran {
        Ok(()) => Ok(one),
        Err(why) => Err(Trouble::NotRun(format!("the session's run failed: {why}"))),
    }
}

/// The engine is stopped in time, and the worker leaves by itself.
pub(super) fn shuts_down(bench: &mut Bench) -> Result<String, Trouble> {
    let life = first(bench)?;
    let took = life.closed.map_err(Trouble::Failed)?;
    match life.ending.and_then(|ending| ending.death) {
        Some(Death::Exited(0)) | None => Ok(format!("in {:.3} s", took.as_secs_f64())),
        Some(death) => Err(Trouble::Failed(format!("after close the worker {death}"))),
    }
}

/// Two sessions, one after the other, give right answers and end well.
pub(super) fn twice(bench: &mut Bench) -> Result<String, Trouble> {
    for (life, which) in bench.lives()?.into_iter().zip(["first", "second"]) {
        let failed = |why: String| Trouble::Failed(format!("the {which} session failed: {why}"));
        life.ran.map_err(failed)?;
        life.closed.map_err(failed)?;
    }
    Ok(String::new())
}

/// Nothing is printed on standard output.
pub(super) fn prints_nothing(bench: &mut Bench) -> Result<String, Trouble> {
    let printed = first(bench)?.printed;
    if printed.is_empty() {
        return Ok(String::new());
    }
    let line = printed.lines().next().unwrap_or_default();
    Err(Trouble::Failed(format!("something was printed, which begins with {line:?}")))
}

/// No process is left.
pub(super) fn leaves_no_processes(bench: &mut Bench) -> Result<String, Trouble> {
    match first(bench)?.ending.map_or(0, |ending| ending.leftovers) {
        0 => Ok(String::new()),
        1 => Err(Trouble::Failed("1 process was left after close, and ended".into())),
        count => Err(Trouble::Failed(format!("{count} processes were left after close, and ended"))),
    }
}

/// No thread is left.
pub(super) fn leaves_no_threads(bench: &mut Bench) -> Result<String, Trouble> {
    let life = first(bench)?;
    let after = life.after.ok_or_else(|| Trouble::NotRun("the engine was not stopped".into()))?;
    match (life.before.threads, after.threads) {
        (Some(before), Some(after)) if after > before => Err(Trouble::Failed(format!(
            "the worker had {before} threads before open, and {after} after close"
        ))),
        (None, _) | (_, None) => Err(Trouble::NotRun("this system does not count threads".into())),
        _ => Ok(String::new()),
    }
}

/// No temporary file is left.
pub(super) fn leaves_no_files(bench: &mut Bench) -> Result<String, Trouble> {
    let after = first(bench)?.after.ok_or_else(|| Trouble::NotRun("the engine was not stopped".into()))?;
    if after.temporary.is_empty() {
        return Ok(String::new());
    }
    Err(Trouble::Failed(format!("left in TMPDIR after close: {}", after.temporary.join(", "))))
}

/// The data folder does not grow with each session.
pub(super) fn keeps_its_data(bench: &mut Bench) -> Result<String, Trouble> {
    let [one, two] = bench.lives()?;
    let mut new: Vec<_> = two.data.difference(&one.data).take(5).cloned().collect();
    if new.is_empty() {
        return Ok(String::new());
    }
    new.sort();
    Err(Trouble::Failed(format!("new in the data folder after a second session: {}", new.join(", "))))
}
