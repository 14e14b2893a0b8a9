//! Whether a plugin keeps the contract: a table of checks, each of which has an id that does not change, says what it
//! demands, and names the rule of plugin-api's `ABI.md` that is broken if it fails. `CONFORMANCE.md` has the table.
//!
//! Nothing of the plugin is run but in workers that may die, and every call has a deadline.

mod bench;
pub(crate) mod checks;
mod data;
mod file;
pub(crate) mod junit;
mod library;
mod life;
mod loading;
pub(crate) mod pattern;
mod runs;
pub(crate) mod selftest;
mod specs;
mod subject;

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use crate::plugin::PluginRef;
use crate::plugin::inspect::Rejection;
use crate::run::session::Launch;
use crate::worker::protocol::{Folders, LibraryFile};

pub(crate) use checks::{CHECKS, Check};

use bench::Bench;
use checks::Needs;

/// What is checked, with what, and where.
pub(crate) struct Setting {
    /// How workers are started.
    pub launch: Launch,
    /// Where they may write.
    pub folders: Folders,
    /// What is checked.
    pub target: Target,
    /// The libraries of workloads that a backend is run on.
    pub libraries: Vec<LibraryFile>,
    /// The backends that a library's workloads are run on, with their names.
    pub backends: Vec<(String, LibraryFile)>,
}

/// The file that is checked.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Where it is.
    pub path: PathBuf,
    /// What it is; or why it is no plugin for this host.
    pub plugin: Result<PluginRef, Rejection>,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The plugin does what is demanded.
    Passed {
        /// What is worth saying all the same; empty if nothing is.
        note: String,
    },
    /// It does not.
    Failed {
        /// What it does instead.
        why: String,
    },
    /// It does not have to.
    Skipped {
        /// Why not.
        why: String,
    },
    /// Whether it does cannot be told.
    NotRun {
        /// Why not.
        why: String,
        /// What mends that, if anything is known to.
        remedy: Option<String>,
    },
}

impl Outcome {
    /// In one word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "passed",
            Self::Failed { .. } => "FAILED",
            Self::Skipped { .. } => "skipped",
            Self::NotRun { .. } => "not run",
        }
    }

    /// What there is to say of it; empty if there is nothing.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Passed { note } => note,
            Self::Failed { why } | Self::Skipped { why } | Self::NotRun { why, .. } => why,
        }
    }
}

/// A check that was made.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// Which.
    pub id: &'static str,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What is demanded.
    pub demands: &'static str,
    /// Where the rule stands.
    pub rule: String,
    /// What to do if it failed.
    pub remedy: &'static str,
    /// How long it took.
    pub seconds: f64,
}

/// How many checks came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// The plugin does what is demanded.
    pub passed: usize,
    /// It does not.
    pub failed: usize,
    /// It does not have to.
    pub skipped: usize,
    /// Whether it does cannot be told.
    pub not_run: usize,
}

impl Summary {
    /// Counts.
    pub(crate) fn of(findings: &[Finding]) -> Self {
        let mut summary = Self::default();
        for finding in findings {
            let count = match finding.outcome {
                Outcome::Passed { .. } => &mut summary.passed,
                Outcome::Failed { .. } => &mut summary.failed,
                Outcome::Skipped { .. } => &mut summary.skipped,
                Outcome::NotRun { .. } => &mut summary.not_run,
            };
            *count += 1;
        }
        summary
    }

    /// Whether the plugin did all that it had to, of what was chosen. Something must have been tried.
    pub(crate) fn is_conformant(&self) -> bool {
        self.passed > 0 && self.failed == 0 && self.not_run == 0
    }
}

/// Makes those of the `chosen` checks that are for this kind of plugin, in their order, and tells of each before and after.
/// Ends early if the user interrupts.
pub(crate) fn run(
    setting: Setting,
    chosen: &[&'static Check],
    before: &mut dyn FnMut(&Check),
    after: &mut dyn FnMut(&Finding),
) -> Vec<Finding> {
    let mut bench = Bench::new(setting);
    let mut findings = Vec::new();
    let concerned: Vec<_> = chosen.iter().filter(|check| bench.concerns(check)).collect();
    for check in concerned {
        before(check);
        let started = Instant::now();
        let outcome = outcome(check, &mut bench);
        if bench.setting.launch.interrupt.is_set() {
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
    bench.end();
    findings
}

/// What a check found, if it was not what it demands.
#[derive(Clone, Debug)]
enum Trouble {
    /// The plugin is in the wrong.
    Failed(String),
    /// The check does not apply.
    Skipped(String),
    /// The check could not be made.
    NotRun(String),
}

impl From<crate::run::session::CallError> for Trouble {
    fn from(error: crate::run::session::CallError) -> Self {
        Self::Failed(error.message)
    }
}

fn outcome(check: &Check, bench: &mut Bench) -> Outcome {
    if let Some(missing) = missing(check.needs, bench) {
        return missing;
    }
    match (check.run)(bench) {
        Ok(note) => Outcome::Passed { note },
        Err(Trouble::Failed(why)) => Outcome::Failed { why },
        Err(Trouble::Skipped(why)) => Outcome::Skipped { why },
        Err(Trouble::NotRun(why)) => Outcome::NotRun { why, remedy: None },
    }
}

/// What a check stands on, if that is not there. What is wrong with it is told by the checks of its own.
fn missing(needs: Needs, bench: &mut Bench) -> Option<Outcome> {
    let not_run = |why: &str| Some(Outcome::NotRun { why: why.into(), remedy: None });
    if needs >= Needs::Plugin && bench.setting.target.plugin.is_err() {
        return not_run("the file is no plugin for this host");
    }
    if needs >= Needs::Loaded && bench.loading().is_err() {
        return not_run("the file cannot be loaded");
    }
    if needs < Needs::Engine {
        return None;
    }
    match bench.availability() {
        Ok(plugin_api::Availability::Available) => None,
        Ok(plugin_api::Availability::Unavailable { reason, remedy }) => Some(Outcome::NotRun {
            why: format!("the engine is not available: {reason}"),
            remedy: Some(remedy).filter(|remedy| !remedy.is_empty()),
        }),
        Err(_) => not_run("the backend does not say whether it could start"),
    }
}
