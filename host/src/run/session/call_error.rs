//! Why a call to a worker failed.

use std::borrow::Cow;
use std::path::Path;

use plugin_api::{ErrorKind, RunnerError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sandbox::Excess;
use crate::text::word;
use crate::worker::protocol::Refusal;

/// What went wrong in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file was refused: it is no plugin for this host.
    Refused(Refusal),
    /// The plugin reported an error of this kind.
    Reported(ErrorKind),
    /// The worker died.
    Crashed,
    /// The system killed the worker for lack of memory, which something else may have taken.
    OutOfMemory,
    /// The deadline passed.
    TimedOut,
    /// The worker's processes exceeded a limit, and were killed.
    Exceeded(Excess),
    /// The user asked to stop.
    Interrupted,
    /// The worker broke the protocol.
    Protocol,
    /// This machine is at fault, or somebody who changed a file: no result of any backend, so that nothing is recorded.
    Host,
    /// The answer differs from that of the oracle.
    WrongAnswer,
    /// The answer is right, but a claim contradicts a clock.
    InvalidMeasurement,
    /// The answer is right and no claim is impossible, but the source fell behind its own schedule. This machine is the cause.
    LateSource,
    /// A kind in a record of another version, which this one does not know.
    Other(String),
}

impl Fault {
    /// The label in records.
    pub(crate) fn label(&self) -> Cow<'_, str> {
        match self {
            Self::Refused(_) => "refused".into(),
            Self::Reported(kind) => word(kind).into(),
            Self::Crashed | Self::OutOfMemory => "crashed".into(),
            Self::TimedOut => "timed_out".into(),
            Self::Exceeded(excess) => excess.label().into(),
            Self::Interrupted => "interrupted".into(),
            Self::Protocol => "protocol".into(),
            Self::Host => "host".into(),
            Self::WrongAnswer => "wrong_answer".into(),
            Self::InvalidMeasurement | Self::LateSource => "invalid_measurement".into(),
            Self::Other(label) => label.into(),
        }
    }

    /// Whether the worker is lost by it.
    pub(in crate::run) fn ends_worker(&self) -> bool {
        matches!(
            self,
            Self::Crashed | Self::OutOfMemory | Self::TimedOut | Self::Exceeded(_) | Self::Protocol
        )
    }

    /// The fault with this label in a record. A label has neither the reason of a refusal, nor the amount of an excess, nor
    /// whether a source was late or memory was lacking.
    fn from_label(label: String) -> Self {
        let known = [
            Self::Refused(Refusal::Other),
            Self::Crashed,
            Self::TimedOut,
            Self::Interrupted,
            Self::Protocol,
            Self::WrongAnswer,
            Self::InvalidMeasurement,
        ];
        // `ErrorKind` reads any other word as `internal`.
        let kind = || {
            let kind: ErrorKind = serde_json::from_value(label.as_str().into()).ok()?;
            (word(kind) == label).then_some(Self::Reported(kind))
        };
        known.into_iter().find(|fault| fault.label() == label).or_else(kind).unwrap_or(Self::Other(label))
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.label())
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from_label)
    }
}

/// The phase in which the host compares what a workload needs with what a backend supports. Nothing has been started then.
pub(crate) const NEGOTIATION: &str = "negotiation";

/// The phase in which a worker is started.
pub(crate) const START: &str = "start";

/// A call that failed: its phase, its kind, a message and a remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// The phase of the call.
    pub phase: Cow<'static, str>,
    #[serde(rename = "kind")]
    pub fault: Fault,
    /// What happened, in one line.
    pub message: String,
    /// What the user can do about it, if that is known.
    pub remedy: Option<String>,
}

impl CallError {
    pub(in crate::run) fn new(fault: Fault, phase: &'static str, message: impl Into<String>) -> Self {
        Self { fault, phase: phase.into(), message: message.into(), remedy: None }
    }

    /// The worker sent a reply of another kind than the request asks for.
    pub fn unexpected(phase: &'static str) -> Self {
        Self::new(Fault::Protocol, phase, format!("the worker sent a reply that does not answer {phase}"))
    }

    /// The runner reports another name than the metadata of its file.
    pub fn other_name(path: &Path, name: &str, reported: &str) -> Self {
        let message =
            format!("{} is named {name:?} in its metadata, but calls itself {reported:?}", path.display());
        Self::new(Fault::Refused(Refusal::Other), "load", message)
    }

    /// A workload needs `word`, which the backend does not support.
    pub(in crate::run) fn unsupported(word: &str) -> Self {
        let fault = Fault::Reported(ErrorKind::Unsupported);
        Self::new(fault, NEGOTIATION, format!("unsupported: needs {word}"))
    }

    /// A plugin's file is not the one that takes part.
    pub(in crate::run) fn replaced(path: &Path, why: &str) -> Self {
        let message = format!("{} is not the file that takes part any more: {why}", path.display());
        Self { remedy: Some("put the same file back".into()), ..Self::new(Fault::Host, START, message) }
    }

    /// The same error where no code of a plugin runs, so that a backend cannot be its cause.
    pub(super) fn of_host(self) -> Self {
        match self.fault {
            Fault::Crashed | Fault::OutOfMemory | Fault::TimedOut | Fault::Protocol => {
                Self { fault: Fault::Host, ..self }
            }
            _ => self,
        }
    }

    /// The same error where this machine is not at fault: a worker that could not be started beside a backend can be started without it, or
    /// a file of which the worker said that it was replaced is the same.
    pub(in crate::run) fn of_backend(self) -> Self {
        if self.fault != Fault::Host {
            return self;
        }
        let why = if self.phase == START {
            "without the processes of the backend one can be started"
        } else {
            "its file is as it was"
        };
        let message = format!("{}; {why}", self.message);
        Self { fault: Fault::Reported(ErrorKind::Engine), message, ..self }
    }

    /// The user asked to stop.
    pub fn interrupted(phase: &'static str) -> Self {
        Self::new(Fault::Interrupted, phase, format!("interrupted in {phase}"))
    }

    /// The judge rejected the answer or the claims of a run.
    pub(in crate::run) fn judged(fault: Fault, why: String) -> Self {
        Self::new(fault, "judge", why)
    }

    /// The plugin reported `error`; with `refused`, the file itself was refused.
    pub fn reported(phase: &'static str, error: RunnerError, refused: Option<Refusal>) -> Self {
        let RunnerError { kind, message, remedy } = error;
        let fault = match refused {
            Some(Refusal::Changed) => Fault::Host,
            refused => refused.map_or(Fault::Reported(kind), Fault::Refused),
        };
        Self { fault, phase: phase.into(), message, remedy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_kept_whether_it_is_known_or_not() {
        for label in ["memory_limit", "process_limit", "crashed", "internal", "engine", "a_later_word"] {
            assert_eq!(Fault::from_label(label.into()).label(), label);
        }
        assert_eq!(Fault::from_label("engine".into()), Fault::Reported(ErrorKind::Engine));
    }

    #[test]
    fn what_only_a_backend_keeps_from_being_started_is_an_error_of_the_backend() {
        let start = |fault| CallError::new(fault, START, "no worker could be started");
        let error = start(Fault::Host).of_backend();
        assert_eq!(error.fault, Fault::Reported(ErrorKind::Engine));
        assert!(error.message.contains("without the processes of the backend"), "{error}");
        assert_eq!(start(Fault::Crashed).of_backend(), start(Fault::Crashed));
    }

    #[test]
    fn a_file_that_was_only_said_to_be_replaced_is_an_error_of_the_backend() {
        let said = RunnerError::new(ErrorKind::Unavailable, "mine.so was replaced after it was inspected");
        let error = CallError::reported("run", said, Some(Refusal::Changed));
        assert_eq!(error.fault, Fault::Host);
        let error = error.of_backend();
        assert_eq!(error.fault, Fault::Reported(ErrorKind::Engine));
        assert!(error.message.ends_with("was inspected; its file is as it was"), "{error}");
    }
}
