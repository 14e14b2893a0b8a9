//! What was found, and what to think of it.

use serde::Serialize;

use crate::shell;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Finding {
    /// What, in a word that does not change.
    pub id: &'static str,
    #[serde(flatten)]
    pub state: State,
}

/// How it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct State {
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
    /// Of a state that is `None` where this system does not say.
    pub(super) fn new(id: &'static str, state: Option<State>) -> Self {
        let unknown = || State::without_effect(Level::Unknown, "this system does not say");
        Self { id, state: state.unwrap_or_else(unknown) }
    }
}

impl State {
    pub(super) fn good(found: impl Into<String>) -> Self {
        Self::without_effect(Level::Good, found)
    }

    pub(super) fn bad(found: impl Into<String>, effect: &'static str, remedy: impl Into<String>) -> Self {
        let remedy: String = remedy.into();
        Self { level: Level::Bad, found: found.into(), effect, remedy: Some(shell::as_root(&remedy)) }
    }

    pub(super) fn doubtful(
        found: impl Into<String>,
        effect: &'static str,
        remedy: impl Into<String>,
    ) -> Self {
        Self { level: Level::Doubtful, ..Self::bad(found, effect, remedy) }
    }

    fn without_effect(level: Level, found: impl Into<String>) -> Self {
        Self { level, found: found.into(), effect: "", remedy: None }
    }
}
