//! What was found, and what to think of it.

use serde::Serialize;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// What, in a word that does not change.
    pub id: &'static str,
    pub level: Level,
    pub found: String,
    /// What it does to figures, or to engines; empty if it does nothing.
    pub effect: &'static str,
    /// A command that mends it, if one can.
    pub remedy: Option<String>,
}

/// What to think of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// It harms.
    Bad,
    /// It may harm.
    Doubtful,
    /// This system does not say.
    Unknown,
    /// As it should be.
    Good,
}

impl Finding {
    pub(super) fn good(id: &'static str, found: impl Into<String>) -> Self {
        Self { id, level: Level::Good, found: found.into(), effect: "", remedy: None }
    }

    pub(super) fn unknown(id: &'static str) -> Self {
        Self { level: Level::Unknown, ..Self::good(id, "this system does not say") }
    }

    pub(super) fn harm(
        id: &'static str,
        level: Level,
        found: impl Into<String>,
        effect: &'static str,
    ) -> Self {
        Self { id, level, found: found.into(), effect, remedy: None }
    }

    pub(super) fn mended_by(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}
