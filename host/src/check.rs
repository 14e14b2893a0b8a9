//! Checks whether a plugin keeps the contract: a table of checks. The id of a check does not change. A check states a
//! requirement, and names the rule of plugin-api's `ABI.md` that a plugin breaks if it fails. `docs/conformance.md` has the table.
//!
//! The plugin runs only in workers, which may die, and every call has a deadline.
//!
//! Imports go one way: `table` → the checks by subject (`file`, `loading`, `runs`, `specs`, `sessions`, `library`) →
//! `fixture`, the results that several checks share, with the `time_limit` of runs → `observed`, a whole session → `trials`, runs on the executor →
//! `finding` and `target`.

mod allowance;
mod data;
mod errors;
mod file;
mod finding;
mod fixture;
pub(crate) mod junit;
mod library;
mod loading;
mod observed;
mod parameters;
pub(crate) mod pattern;
mod runs;
pub(crate) mod selftest;
mod sessions;
mod specs;
pub(crate) mod table;
mod target;
mod time_limit;
mod trials;

use std::borrow::Cow;
use std::time::Instant;

use plugin_api::Availability;

pub(crate) use finding::{CheckOutcome, Finding, Summary};
pub(crate) use table::{CHECKS, Check};
pub(crate) use target::{Setting, Target};

use finding::NotPassed;
use fixture::Fixture;
use table::Needs;

/// So many checks may fail as a call had no answer in time. The others are not run then: each would wait as long.
const MAX_TIMED_OUT: usize = 2;

/// The progress of the checks.
pub(crate) enum Progress<'a> {
    Started(&'a Check),
    Finished(&'a Finding),
}

/// Runs those of the `checks` that are for this kind of plugin, in their order, and reports each to `report`. Ends early if the
/// user interrupts.
pub(crate) fn run(
    setting: Setting,
    checks: &[&'static Check],
    report: &mut dyn FnMut(Progress<'_>),
) -> Vec<Finding> {
    let mut fixture = Fixture::new(setting);
    let mut findings: Vec<Finding> = Vec::new();
    let mut timed_out = Vec::new();
    let applicable: Vec<_> =
        checks.iter().filter(|check| check.applies_to(&fixture.setting.target)).collect();
    for check in applicable {
        report(Progress::Started(check));
        let (started, mut own) = (Instant::now(), None);
        let outcome = missing(check.needs, &mut fixture)
            .or_else(|| unfounded(check, &findings))
            .or_else(|| hopeless(&timed_out));
        let outcome = outcome.unwrap_or_else(|| {
            let result = (check.run)(&mut fixture);
            timed_out.extend(matches!(result, Err(NotPassed::TimedOut(_))).then_some(check.id));
            if let Err(NotPassed::Refused { remedy, .. }) = &result {
                own = Some(remedy.clone());
            }
            result.into()
        });
        if fixture.setting.launch.interrupt.is_set() {
            break;
        }
        let finding = Finding {
            id: check.id,
            outcome,
            demands: check.demands,
            rule: check.rule,
            remedy: own.map_or(check.remedy(&fixture.setting.target).into(), Cow::Owned),
            seconds: started.elapsed().as_secs_f64(),
        };
        report(Progress::Finished(&finding));
        findings.push(finding);
    }
    fixture.end();
    findings
}

/// Why a check is not run, if one that it depends on was run and not passed: it would fail for the same reason.
fn unfounded(check: &Check, findings: &[Finding]) -> Option<CheckOutcome> {
    let depends_on = |finding: &&Finding| check.depends_on.contains(&finding.id) && !finding.outcome.is_met();
    let base = findings.iter().find(depends_on)?.id;
    Some(CheckOutcome::NotRun { why: format!("it depends on {base}, which was not passed"), remedy: None })
}

/// Why no more checks are run, if too many calls had no answer in time.
fn hopeless(timed_out: &[&str]) -> Option<CheckOutcome> {
    let why = format!("calls had no answer in time in {}", timed_out.join(" and "));
    (timed_out.len() >= MAX_TIMED_OUT).then_some(CheckOutcome::NotRun { why, remedy: None })
}

/// Why a check cannot be run, if what it needs is missing. Other checks report what is wrong with that.
fn missing(needs: Needs, fixture: &mut Fixture) -> Option<CheckOutcome> {
    let not_run = |why: &str| Some(CheckOutcome::NotRun { why: why.into(), remedy: None });
    if needs >= Needs::Plugin && fixture.setting.target.plugin.is_err() {
        return not_run("the file is not a plugin for this host");
    }
    if needs >= Needs::Loaded && fixture.loading().is_err() {
        return not_run("the file cannot be loaded");
    }
    if needs < Needs::Engine {
        return None;
    }
    match fixture.availability() {
        Ok(Availability::Available) => None,
        Ok(Availability::Unavailable { reason, remedy }) => Some(CheckOutcome::NotRun {
            why: format!("the engine is not available: {reason}"),
            remedy: Some(remedy).filter(|remedy| !remedy.is_empty()),
        }),
        Err(_) => not_run("the backend does not answer whether it can start"),
    }
}
