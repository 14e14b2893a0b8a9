//! Checks of loading a plugin, and of probing a backend.

use std::time::Duration;

use plugin_api::Availability;

use super::allowance::{allowance, seconds};
use super::finding::{CheckResult, NotPassed, demand};
use super::fixture::Fixture;
use super::parameters::defaults;
use crate::run::session::{CallError, Fault};
use crate::slowdown;
use crate::worker::protocol::Refusal;

/// The time limit for loading on a quiet machine: each listing and each session waits for loading.
const LIMIT: Duration = Duration::from_secs(2);

/// How often loading is timed. The fastest counts, so that other processes have less effect.
const TIMES: usize = 3;

/// What helps if the library of a backend opens, and the backend cannot be made or described.
const NOT_DESCRIBED: &str = "do in open what can fail, and nothing in create; let describe answer as plugin-api/ABI.md says, in Rust \
                             by backend_name, options and supports";

/// The dynamic linker finds everything that the library needs, and the library creates what it exports.
pub(super) fn opens(fixture: &mut Fixture) -> CheckResult {
    match fixture.loading() {
        Ok(_) | Err(CallError { fault: Fault::Refused(Refusal::Abi), .. }) => Ok(String::new()),
        // The linker found everything: to link more would not help.
        Err(CallError { fault: Fault::Reported(_), message, remedy, .. }) => Err(NotPassed::Refused {
            why: message,
            remedy: remedy.unwrap_or_else(|| NOT_DESCRIBED.to_owned()),
        }),
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
        // Fast enough, or too slow even for the busiest machine.
        if fastest <= LIMIT || fastest > LIMIT.mul_f64(slowdown::MAX) {
            break;
        }
        fastest = fastest.min(fixture.load()?.took);
    }
    let took = seconds(fastest);
    if fastest <= LIMIT {
        return Ok(took);
    }
    let slowdown = slowdown::measure();
    let allowed = allowance(LIMIT, slowdown);
    if fastest <= LIMIT.mul_f64(slowdown) {
        return Ok(format!("{took}, of {allowed}"));
    }
    Err(NotPassed::Failed(format!("loading took {took}, but the limit is {allowed}")))
}

/// The backend reports the name that its metadata has.
pub(super) fn name(fixture: &mut Fixture) -> CheckResult {
    let said = fixture.loading()?.reported_name;
    let named = &fixture.plugin()?.metadata.name;
    let why = || format!("the name is {named:?} in its metadata, but it reports {said:?}");
    demand(said.to_lowercase() == *named, why)
}

/// The options that the backend declares can be shown and checked by the host.
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
    defaults(&options)?;
    Ok(String::new())
}

/// Probing returns an answer within the deadline.
pub(super) fn probe(fixture: &mut Fixture) -> CheckResult {
    match fixture.availability()? {
        Availability::Available => Ok("it can start".into()),
        Availability::Unavailable { reason, .. } if reason.trim().is_empty() => {
            Err(NotPassed::Failed("it cannot start, and gives no reason".into()))
        }
        Availability::Unavailable { reason, .. } => Ok(format!("it cannot start: {reason}")),
    }
}

/// Probing returns the same answer again, in the same process and in another.
pub(super) fn repeats(fixture: &mut Fixture) -> CheckResult {
    let first = fixture.availability()?;
    let mut backend = fixture.backend()?;
    let again = backend.probe().and_then(|one| Ok([one, backend.probe()?]));
    backend.end();
    match again?.into_iter().find(|answer| *answer != first) {
        None => Ok(String::new()),
        Some(other) => {
            Err(NotPassed::Failed(format!("the first answer is {first:?}, a later one is {other:?}")))
        }
    }
}
