//! How a trial ended: the one answer to this question, from the executor through the records to the reports.

use serde::{Deserialize, Serialize};

use super::session::CallError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is right and no claim contradicts a clock.
    Verified,
    /// There are figures, but nobody looked at the answer: only in records of other writers.
    Unverified,
    /// The answer is wrong: in what.
    Wrong(CallError),
    /// The answer is right, but the measurement cannot be: why.
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

    /// Why the trial does not count; nothing if it does.
    pub fn error(&self) -> Option<&CallError> {
        match self {
            Self::Verified | Self::Unverified => None,
            Self::Wrong(error) | Self::Invalid(error) | Self::Failed(error) => Some(error),
        }
    }

    /// Whether the answer is right and no claim contradicts a clock.
    pub fn is_verified(&self) -> bool {
        *self == Self::Verified
    }
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unverified => "unverified",
            Self::Wrong => "wrong",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
        }
    }

    /// Whether the figures of such a trial count.
    pub fn has_figures(self) -> bool {
        matches!(self, Self::Verified | Self::Unverified)
    }
}
