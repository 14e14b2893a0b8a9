//! Whether a plugin keeps the contract: a table of checks, each of which has an id that does not change, says what it
//! demands, and names the rule of plugin-api's `ABI.md` that is broken if it fails. `docs/conformance.md` has the table.
//!
//! Nothing of the plugin is run but in workers that may die, and every call has a deadline.
//!
//! Imports go one way: `table` → the checks by subject (`file`, `loading`, `runs`, `specs`, `sessions`, `library`) →
//! `fixture`, what is found out once for many checks → `observed`, a whole session → `trials`, runs on the one executor →
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

/// Makes those of the `chosen` checks that are for this kind of plugin, in their order, and tells of each before and after.
/// Ends early if the user interrupts.
pub(crate) fn run(
    setting: Setting,
    chosen: &[&'static Check],
    before: &mut dyn FnMut(&Check),
    after: &mut dyn FnMut(&Finding),
) -> Vec<Finding> {
    let mut fixture = Fixture::new(setting);
    let mut findings = Vec::new();
    let concerned: Vec<_> = chosen.iter().filter(|check| check.concerns(&fixture.setting.target)).collect();
    for check in concerned {
        before(check);
        let started = Instant::now();
        let outcome = missing(check.needs, &mut fixture).unwrap_or_else(|| (check.run)(&mut fixture).into());
        if fixture.setting.launch.interrupt.is_set() {
            break;
        }
        let finding = Finding {
            id: check.id,
            outcome,
            demands: check.demands,
            rule: check.rule(),
            remedy: check.remedy,
            seconds: started.elapsed().as_secs_f64(),
        };
        after(&finding);
        findings.push(finding);
    }
    fixture.end();
    findings
}

/// What a check stands on, if that is not there. What is wrong with it is told by the checks of its own.
fn missing(needs: Needs, fixture: &mut Fixture) -> Option<CheckOutcome> {
    let not_run = |why: &str| Some(CheckOutcome::NotRun { why: why.into(), remedy: None });
    if needs >= Needs::Plugin && fixture.setting.target.plugin.is_err() {
        return not_run("the file is no plugin for this host");
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
        Err(_) => not_run("the backend does not say whether it could start"),
    }
}
