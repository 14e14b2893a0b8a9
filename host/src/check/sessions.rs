//! Checks of what a session leaves behind.

use super::finding::{CheckResult, NotPassed, demand};
use super::fixture::{Fixture, grows};
use super::observed::ObservedSession;
use crate::sandbox::ExitReason;
use crate::text::plural;

/// In so many sessions of one process the number of threads must stop growing: a runtime that starts a thread when all others wait, as
/// that of Go, may need some until it has as many as ever wait at once.
const SESSIONS: usize = 6;

/// The first of the two sessions, if its run was verified.
fn first(fixture: &mut Fixture) -> Result<ObservedSession, NotPassed> {
    let [one, _] = fixture.observed_sessions()?;
    match &one.ran {
        Ok(()) => Ok(one),
        Err(why) => Err(NotPassed::NotRun(format!("the session's run failed: {why}"))),
    }
}

/// The engine stops in time, and the worker exits by itself.
pub(super) fn shuts_down(fixture: &mut Fixture) -> CheckResult {
    let session = first(fixture)?;
    let took = session.closed.map_err(NotPassed::Failed)?;
    match session.teardown.and_then(|teardown| teardown.worker) {
        Some(ExitReason::Exited(0)) | None => Ok(format!("in {took:.3} s")),
        Some(reason) => Err(NotPassed::Failed(format!("after close the worker {reason}"))),
    }
}

/// Two sessions, one after another, give right answers and are closed.
pub(super) fn twice(fixture: &mut Fixture) -> CheckResult {
    for (session, which) in fixture.observed_sessions()?.into_iter().zip(["first", "second"]) {
        let failed = |why: String| NotPassed::Failed(format!("the {which} session failed: {why}"));
        session.ran.map_err(failed)?;
        session.closed.map_err(failed)?;
    }
    Ok(String::new())
}

/// Nothing is printed on standard output.
pub(super) fn prints_nothing(fixture: &mut Fixture) -> CheckResult {
    let printed = first(fixture)?.printed;
    let line = printed.lines().next().unwrap_or_default();
    demand(printed.is_empty(), || format!("standard output begins with {line:?}"))
}

/// No process is left after close.
pub(super) fn leaves_no_processes(fixture: &mut Fixture) -> CheckResult {
    match first(fixture)?.teardown.map_or(0, |teardown| teardown.leftovers) {
        0 => Ok(String::new()),
        1 => Err(NotPassed::Failed("1 process was left after close, and killed".into())),
        count => Err(NotPassed::Failed(format!("{count} processes were left after close, and killed"))),
    }
}

/// No thread is left after close, unless it is one of a fixed number.
pub(super) fn leaves_no_threads(fixture: &mut Fixture) -> CheckResult {
    let session = first(fixture)?;
    let after = session.after.ok_or_else(not_stopped)?;
    match (session.before.threads, after.threads) {
        (Some(before), Some(after)) if after > before => grows_no_threads(fixture, after - before),
        (None, _) | (_, None) => Err(NotPassed::NotRun("this system does not count threads".into())),
        _ => Ok(String::new()),
    }
}

/// The runtime of a language may keep threads that never end, as those of Go and Java do. Threads of an engine that are left become
/// more with each session.
fn grows_no_threads(fixture: &mut Fixture, left: u64) -> CheckResult {
    let left = plural(left, "thread");
    let counts = fixture.threads_after(SESSIONS)?;
    let grows = grows(&counts);
    if grows && counts.len() < SESSIONS {
        return Ok(format!(
            "{left} left after close; no second session in one process tells whether more come"
        ));
    }
    let words: Vec<_> = counts.iter().map(ToString::to_string).collect();
    demand(!grows, || {
        format!("each session in one process leaves threads: after close there are {}", words.join(", then "))
    })
    .map(|_| format!("{left} left after close, and no more by further sessions"))
}

/// No temporary file is left after close.
pub(super) fn leaves_no_files(fixture: &mut Fixture) -> CheckResult {
    let left = first(fixture)?.after.ok_or_else(not_stopped)?.temporary;
    demand(left.is_empty(), || format!("left in TMPDIR after close: {}", left.join(", ")))
}

/// All references to workloads are given back.
pub(super) fn gives_workloads_back(fixture: &mut Fixture) -> CheckResult {
    let left = first(fixture)?.after.ok_or_else(not_stopped)?.references;
    demand(left == 0, || format!("{} to a workload left after close", plural(left, "reference")))
}

fn not_stopped() -> NotPassed {
    NotPassed::NotRun("the engine was not stopped".into())
}

/// The data folder does not grow with each session.
pub(super) fn keeps_its_data(fixture: &mut Fixture) -> CheckResult {
    let [one, two] = fixture.observed_sessions()?;
    let mut new: Vec<_> = two.data.difference(&one.data).take(5).cloned().collect();
    new.sort();
    let why = || format!("new in the data folder after a second session: {}", new.join(", "));
    demand(new.is_empty(), why)
}
