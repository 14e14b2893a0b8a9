//! Opening the library, and asking it who it is and whether it could start.

use std::time::Duration;

use plugin_api::Availability;

use super::Trouble;
use super::bench::Bench;
use super::runs::allowance;
use crate::pace;

/// How long loading may take on a quiet machine: each listing and each session waits for it.
const SOON: Duration = Duration::from_secs(2);

/// How often loading is timed: what else the machine does must not count.
const TIMES: usize = 3;

/// Words of a refusal that is about layouts or versions.
const OF_ABI: &str = "plugin ABI";

/// The dynamic linker finds all that the library needs, and the library makes what it exports.
pub(super) fn opens(bench: &mut Bench) -> Result<String, Trouble> {
    match bench.loading() {
        Err(error) if !error.message.contains(OF_ABI) => Err(error.into()),
        _ => Ok(String::new()),
    }
}

/// The host can call what the library exports.
pub(super) fn abi(bench: &mut Bench) -> Result<String, Trouble> {
    match bench.loading() {
        Ok(_) => Ok(String::new()),
        Err(error) if error.message.contains(OF_ABI) => Err(error.into()),
        Err(_) => Err(Trouble::NotRun("the file cannot be opened".into())),
    }
}

/// The fastest of a few loads is fast.
pub(super) fn time(bench: &mut Bench) -> Result<String, Trouble> {
    let mut fastest = bench.loading()?.loading;
    for _ in 1..TIMES {
        // No machine is so busy that the last would be too slow.
        if fastest <= SOON || fastest > SOON.mul_f64(pace::MOST) {
            break;
        }
        fastest = fastest.min(bench.load()?.loading);
    }
    let took = format!("{:.3} s", fastest.as_secs_f64());
    if fastest <= SOON {
        return Ok(took);
    }
    let slowdown = pace::slowdown();
    let allowed = allowance(SOON, slowdown);
    if fastest <= SOON.mul_f64(slowdown) {
        return Ok(format!("{took}, of {allowed}"));
    }
    Err(Trouble::Failed(format!("loading took {took}, but may take {allowed}")))
}

/// The runner has the name of its file's metadata.
pub(super) fn name(bench: &mut Bench) -> Result<String, Trouble> {
    let said = bench.loading()?.name;
    let named = &bench.plugin()?.metadata.name;
    if said.to_lowercase() == *named {
        return Ok(String::new());
    }
    Err(Trouble::Failed(format!("it is named {named:?} in its metadata, but calls itself {said:?}")))
}

/// The options that the runner declares are such as the host can show and check.
pub(super) fn options(bench: &mut Bench) -> Result<String, Trouble> {
    let subject = bench.subject()?;
    let options = subject.options.clone();
    subject.dismiss();
    let mut seen = std::collections::BTreeSet::new();
    for option in &options {
        if !seen.insert(&option.name) {
            return Err(Trouble::Failed(format!("the option {:?} is declared twice", option.name)));
        }
        if option.description.trim().is_empty() {
            return Err(Trouble::Failed(format!("the option {:?} has no description", option.name)));
        }
    }
    Ok(String::new())
}

/// The question whether it could start is answered in time.
pub(super) fn probe(bench: &mut Bench) -> Result<String, Trouble> {
    match bench.availability()? {
        Availability::Available => Ok("it could start".into()),
        Availability::Unavailable { reason, .. } if reason.trim().is_empty() => {
            Err(Trouble::Failed("it could not start, and does not say why".into()))
        }
        Availability::Unavailable { reason, .. } => Ok(format!("it could not start: {reason}")),
    }
}

/// The answer is the same again, in the same process and in another.
pub(super) fn repeats(bench: &mut Bench) -> Result<String, Trouble> {
    let first = bench.availability()?;
    let mut subject = bench.subject()?;
    let again = subject.probe().and_then(|one| Ok([one, subject.probe()?]));
    subject.dismiss();
    match again?.into_iter().find(|answer| *answer != first) {
        None => Ok(String::new()),
        Some(other) => Err(Trouble::Failed(format!("it says {first:?}, and then {other:?}"))),
    }
}
