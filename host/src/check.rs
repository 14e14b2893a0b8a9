//! Checks whether a plugin keeps the contract: a table of checks. The id of a check does not change. A check states a
//! requirement, and names the rule of plugin-api's `ABI.md` that a plugin breaks if it fails. `docs/conformance.md` has the table.
//!
//! The plugin runs only in workers, which may die, and every call has a deadline.
//!
//! Imports go one way: `table` → the checks by subject (`file`, `loading`, `runs`, `specs`, `sessions`, `library`) →
//! `fixture`, the results that several checks share → `observed`, a whole session → `trials`, runs on the executor →
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
pub(crate) mod pattern;
mod runs;
pub(crate) mod selftest;
mod sessions;
mod specs;
pub(crate) mod table;
mod target;
mod trials;

use std::time::Instant;

use plugin_api::Availability;

pub(crate) use finding::{CheckOutcome, Finding, Summary};
pub(crate) use table::{CHECKS, Check};
pub(crate) use target::{Setting, Target};

use fixture::Fixture;
use table::Needs;

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
    let mut findings = Vec::new();
    let applicable: Vec<_> =
        checks.iter().filter(|check| check.applies_to(&fixture.setting.target)).collect();
    for check in applicable {
        report(Progress::Started(check));
        let started = Instant::now();
        let outcome = missing(check.needs, &mut fixture).unwrap_or_else(|| (check.run)(&mut fixture).into());
        if fixture.setting.launch.interrupt.is_set() {
            break;
        }
        let finding = Finding {
            id: check.id,
            outcome,
            demands: check.demands,
            rule: check.rule,
            remedy: check.remedy,
            seconds: started.elapsed().as_secs_f64(),
        };
        report(Progress::Finished(&finding));
        findings.push(finding);
    }
    fixture.end();
    findings
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
