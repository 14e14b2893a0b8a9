//! Opening the library, and asking it who it is and whether it could start.

use std::time::Duration;

use plugin_api::Availability;

use super::allowance::allowance;
use super::finding::{CheckResult, NotPassed};
use super::fixture::Fixture;
use crate::run::session::{CallError, Fault};
use crate::slowdown;
use crate::worker::protocol::Refusal;

/// How long loading may take on a quiet machine: each listing and each session waits for it.
const SOON: Duration = Duration::from_secs(2);

/// How often loading is timed: what else the machine does must not count.
const TIMES: usize = 3;

/// The dynamic linker finds all that the library needs, and the library makes what it exports.
pub(super) fn opens(fixture: &mut Fixture) -> CheckResult {
    match fixture.loading() {
        Ok(_) | Err(CallError { fault: Fault::Refused(Refusal::Abi), .. }) => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

/// The host can call what the library exports.
pub(super) fn abi(fixture: &mut Fixture) -> CheckResult {
    match fixture.loading() {
        Ok(_) => Ok(String::new()),
        Err(error) if error.fault == Fault::Refused(Refusal::Abi) => Err(error.into()),
        Err(_) => Err(NotPassed::NotRun("the file cannot be opened".into())),
    }
}

/// The fastest of a few loads is fast.
pub(super) fn time(fixture: &mut Fixture) -> CheckResult {
    let mut fastest = fixture.loading()?.took;
    for _ in 1..TIMES {
        // No machine is so busy that the last would be too slow.
        if fastest <= SOON || fastest > SOON.mul_f64(slowdown::MAX) {
            break;
        }
        fastest = fastest.min(fixture.load()?.took);
    }
    let took = format!("{:.3} s", fastest.as_secs_f64());
    if fastest <= SOON {
        return Ok(took);
    }
    let slowdown = slowdown::measure();
    let allowed = allowance(SOON, slowdown);
    if fastest <= SOON.mul_f64(slowdown) {
        return Ok(format!("{took}, of {allowed}"));
    }
    Err(NotPassed::Failed(format!("loading took {took}, but may take {allowed}")))
}

/// The runner has the name of its file's metadata.
pub(super) fn name(fixture: &mut Fixture) -> CheckResult {
    let said = fixture.loading()?.reported_name;
    let named = &fixture.plugin()?.metadata.name;
    if said.to_lowercase() == *named {
        return Ok(String::new());
    }
    Err(NotPassed::Failed(format!("it is named {named:?} in its metadata, but calls itself {said:?}")))
}

/// The options that the runner declares are such as the host can show and check.
pub(super) fn options(fixture: &mut Fixture) -> CheckResult {
    let options = fixture.loading()?.options;
    let mut seen = std::collections::BTreeSet::new();
    for option in &options {
        if !seen.insert(&option.name) {
            return Err(NotPassed::Failed(format!("the option {:?} is declared twice", option.name)));
        }
        if option.description.trim().is_empty() {
            return Err(NotPassed::Failed(format!("the option {:?} has no description", option.name)));
        }
    }
    Ok(String::new())
}

/// The question whether it could start is answered in time.
pub(super) fn probe(fixture: &mut Fixture) -> CheckResult {
    match fixture.availability()? {
        Availability::Available => Ok("it could start".into()),
        Availability::Unavailable { reason, .. } if reason.trim().is_empty() => {
            Err(NotPassed::Failed("it could not start, and does not say why".into()))
        }
        Availability::Unavailable { reason, .. } => Ok(format!("it could not start: {reason}")),
    }
}

/// The answer is the same again, in the same process and in another.
pub(super) fn repeats(fixture: &mut Fixture) -> CheckResult {
    let first = fixture.availability()?;
    let mut backend = fixture.backend()?;
    let again = backend.probe().and_then(|one| Ok([one, backend.probe()?]));
    backend.end();
    match again?.into_iter().find(|answer| *answer != first) {
        None => Ok(String::new()),
        Some(other) => Err(NotPassed::Failed(format!("it says {first:?}, and then {other:?}"))),
    }
}
