//! What came of checks.

use serde::Serialize;

use crate::run::session::CallError;

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum CheckOutcome {
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

impl CheckOutcome {
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

impl From<CheckResult> for CheckOutcome {
    fn from(result: CheckResult) -> Self {
        match result {
            Ok(note) => Self::Passed { note },
            Err(NotPassed::Failed(why)) => Self::Failed { why },
            Err(NotPassed::Skipped(why)) => Self::Skipped { why },
            Err(NotPassed::NotRun(why)) => Self::NotRun { why, remedy: None },
        }
    }
}

/// What the function of a check gives: what is worth saying if it passed, empty if nothing is.
pub(super) type CheckResult = Result<String, NotPassed>;

/// Why a check was not passed.
#[derive(Clone, Debug)]
pub(super) enum NotPassed {
    /// The plugin breaks the rule.
    Failed(String),
    /// The check does not apply.
    Skipped(String),
    /// The check could not be made.
    NotRun(String),
}

impl NotPassed {
    /// A call failed that has nothing to do with the plugin.
    pub(super) fn not_run(error: CallError) -> Self {
        Self::NotRun(error.message)
    }

    /// The user asked to stop: no finding is told then.
    pub(super) fn interrupted() -> Self {
        Self::NotRun("interrupted".into())
    }

    /// Says before a failure what failed.
    pub(super) fn named(self, what: &str) -> Self {
        match self {
            Self::Failed(why) => Self::Failed(format!("{what}: {why}")),
            other => other,
        }
    }
}

impl From<CallError> for NotPassed {
    fn from(error: CallError) -> Self {
        Self::Failed(error.message)
    }
}

/// A check that was made.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// Which.
    pub id: &'static str,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: CheckOutcome,
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
                CheckOutcome::Passed { .. } => &mut summary.passed,
                CheckOutcome::Failed { .. } => &mut summary.failed,
                CheckOutcome::Skipped { .. } => &mut summary.skipped,
                CheckOutcome::NotRun { .. } => &mut summary.not_run,
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
