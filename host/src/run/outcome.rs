//! The outcome of a trial: one type, from the executor through the records to the reports.

use serde::{Deserialize, Serialize};

use super::session::CallError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is right and no claim contradicts a clock.
    Verified,
    /// The trial was measured, but nobody verified the answer: only in records of other programs.
    Unverified,
    /// The answer is wrong.
    Wrong(CallError),
    /// The answer is right, but the measurement is not valid.
    Invalid(CallError),
    /// There is no answer.
    Failed(CallError),
}

/// An [`Outcome`] without its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Verified,
    Unverified,
    Wrong,
    Invalid,
    Failed,
}

impl Outcome {
    pub fn status(&self) -> Status {
        match self {
            Self::Verified => Status::Verified,
            Self::Unverified => Status::Unverified,
            Self::Wrong(_) => Status::Wrong,
            Self::Invalid(_) => Status::Invalid,
            Self::Failed(_) => Status::Failed,
        }
    }

    /// Why the trial does not count; `None` if it counts.
    pub fn error(&self) -> Option<&CallError> {
        match self {
            Self::Verified | Self::Unverified => None,
            Self::Wrong(error) | Self::Invalid(error) | Self::Failed(error) => Some(error),
        }
    }

    pub fn is_verified(&self) -> bool {
        *self == Self::Verified
    }
}

impl Status {
    /// Whether the times of such a trial count.
    pub fn has_figures(self) -> bool {
        matches!(self, Self::Verified | Self::Unverified)
    }
}
