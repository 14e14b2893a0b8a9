//! The outcomes of checks.

use std::borrow::Cow;

use serde::Serialize;

use crate::run::session::{CallError, Fault};

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum CheckOutcome {
    /// The plugin meets the requirement.
    Passed {
        /// A remark, or nothing.
        note: String,
    },
    /// The plugin does not meet the requirement.
    Failed {
        /// What it does instead.
        why: String,
    },
    /// The requirement does not apply.
    Skipped { why: String },
    /// The check could not be run.
    NotRun {
        why: String,
        /// What makes it possible, if that is known.
        remedy: Option<String>,
    },
}

impl CheckOutcome {
    /// The label in a list of outcomes.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "passed",
            Self::Failed { .. } => "FAILED",
            Self::Skipped { .. } => "skipped",
            Self::NotRun { .. } => "not run",
        }
    }

    /// Whether the plugin was found to meet the requirement, as far as it applies.
    pub(super) fn is_met(&self) -> bool {
        matches!(self, Self::Passed { .. } | Self::Skipped { .. })
    }

    /// The reason, or the remark of a passed check.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Passed { note } => note,
            Self::Failed { why } | Self::Skipped { why } | Self::NotRun { why, .. } => why,
        }
    }
}

impl From<CheckResult> for CheckOutcome {
    fn from(result: CheckResult) -> Self {
        match result {
            Ok(note) => Self::Passed { note },
            Err(NotPassed::Failed(why) | NotPassed::TimedOut(why) | NotPassed::Refused { why, .. }) => {
                Self::Failed { why }
            }
            Err(NotPassed::Skipped(why)) => Self::Skipped { why },
            Err(NotPassed::NotRun(why)) => Self::NotRun { why, remedy: None },
        }
    }
}

/// The result of a check's function: a remark if it passed, which may be empty.
pub(super) type CheckResult = Result<String, NotPassed>;

/// Passed without a remark if `holds`, or else failed for this reason.
pub(super) fn demand(holds: bool, why: impl FnOnce() -> String) -> CheckResult {
    if holds { Ok(String::new()) } else { Err(NotPassed::Failed(why())) }
}

/// Why a check was not passed.
#[derive(Clone, Debug)]
pub(super) enum NotPassed {
    /// The plugin breaks the rule.
    Failed(String),
    /// The file was refused, and this helps.
    Refused { why: String, remedy: String },
    /// It does, as a call had no answer in time: another call of this kind takes as long again.
    TimedOut(String),
    /// The check does not apply.
    Skipped(String),
    /// The check could not be made.
    NotRun(String),
}

impl NotPassed {
    /// A call failed for a reason that is not the plugin's.
    pub(super) fn not_run(error: CallError) -> Self {
        Self::NotRun(error.message)
    }

    /// The user interrupted: no finding is reported then.
    pub(super) fn interrupted() -> Self {
        Self::NotRun("interrupted".into())
    }

    /// Prefixes a failure with what failed.
    pub(super) fn named(self, what: &str) -> Self {
        match self {
            Self::Failed(why) => Self::Failed(format!("{what}: {why}")),
            Self::TimedOut(why) => Self::TimedOut(format!("{what}: {why}")),
            other => other,
        }
    }
}

impl From<CallError> for NotPassed {
    fn from(error: CallError) -> Self {
        match (error.fault, error.remedy) {
            (Fault::TimedOut, _) => Self::TimedOut(error.message),
            (Fault::Refused(_), Some(remedy)) => Self::Refused { why: error.message, remedy },
            _ => Self::Failed(error.message),
        }
    }
}

/// A check with its outcome.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    pub id: &'static str,
    /// The requirement.
    pub demands: &'static str,
    /// The section that has the rule.
    pub rule: &'static str,
    pub remedy: Cow<'static, str>,
    /// After `remedy`: that of a check which was not run takes its place.
    #[serde(flatten)]
    pub outcome: CheckOutcome,
    pub seconds: f64,
}

/// The number of checks by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    pub not_run: usize,
}

impl Summary {
    pub(crate) fn of(findings: &[Finding]) -> Self {
        let mut summary = Self::default();
        for finding in findings {
            let count = match finding.outcome {
                CheckOutcome::Passed { .. } => &mut summary.passed,
                CheckOutcome::Failed { .. } => &mut summary.failed,
                CheckOutcome::Skipped { .. } => &mut summary.skipped,
                CheckOutcome::NotRun { .. } => &mut summary.not_run,
            };
            *count += 1;
        }
        summary
    }

    /// Whether the plugin is conformant: at least one check passed, none failed, and all were run.
    pub(crate) fn is_conformant(&self) -> bool {
        self.passed > 0 && self.failed == 0 && self.not_run == 0
    }
}
