//! Exit codes, and the problems that cause them.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use serde_json::{Value, json};

use plugin_api::{ErrorKind, RunnerError};

use crate::plan::PlanError;
use crate::record::RecordError;
use crate::resource_limit;
use crate::run::event::Stopped;
use crate::run::outcome::Status;
use crate::run::session::{CallError, Fault};
use crate::sandbox::Interrupt;
use crate::text::with_remedy;

/// The exit codes of the process. `docs/operating.md` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Unexpected = 1,
    /// The command line is not valid.
    Usage = 2,
    /// A backend or workload is unknown, rejected or not available.
    Unavailable = 3,
    /// A trial or a check failed.
    TrialFailed = 4,
    WrongAnswer = 5,
    /// An invalid or incomparable measurement.
    Invalid = 6,
    /// A regression, or a difference from the lock file.
    Difference = 7,
    SetupFailed = 8,
    Interrupted = 130,
}

impl Exit {
    /// The exit code for the worst of several trials: 5, 4 and 6 in this order.
    pub(crate) fn of_worst(statuses: &[Status]) -> Self {
        let ranked = [
            (Status::Wrong, Self::WrongAnswer),
            (Status::Failed, Self::TrialFailed),
            (Status::Invalid, Self::Invalid),
        ];
        let worst = ranked.into_iter().find(|(status, _)| statuses.contains(status));
        worst.map_or(Self::Done, |(_, exit)| exit)
    }

    /// Of a run whose records were altered while it wrote them: its measurement is not to be trusted, if nothing worse happened.
    pub(crate) fn unless_altered(self, altered: &[String]) -> Self {
        if self == Self::Done && !altered.is_empty() { Self::Invalid } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed: what is wrong, where, and what to do about it.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub exit: Exit,
    pub message: String,
    /// A command or a setting that solves the problem.
    pub remedy: Option<String>,
}

impl Problem {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), remedy: None }
    }

    /// A problem with the command line or a setting.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A file of records that was named and cannot be used: a usage error.
    pub(crate) fn of_record(error: RecordError) -> Self {
        // An interrupt ends the wait for the writer of a pipe.
        let exit = if Interrupt::has_come() { Exit::Interrupted } else { Exit::Usage };
        Self::new(exit, error.to_string()).with_remedy(error.remedy().unwrap_or_default())
    }

    /// A failure of this program or of the system.
    pub(crate) fn unexpected(error: &(dyn Error + 'static)) -> Self {
        let system = error.downcast_ref().and_then(resource_limit::remedy);
        Self::new(Exit::Unexpected, error.to_string()).with_remedy(system.unwrap_or_default())
    }

    /// A file or a folder that could not be written, with what to do about the limit that was reached, or else `remedy`.
    pub(crate) fn of_file(error: &io::Error, message: impl Into<String>, remedy: &str) -> Self {
        let of_limit = resource_limit::remedy(error);
        // An interrupt ends the wait for the reader of a pipe.
        let exit = if Interrupt::has_come() { Exit::Interrupted } else { Exit::Unexpected };
        Self::new(exit, message).with_remedy(of_limit.unwrap_or_else(|| remedy.to_owned()))
    }

    /// Why a schedule of measurements stopped; `resume` gives the command that goes on after an interrupt.
    pub(crate) fn of_stopped(stopped: Stopped<Self>, resume: impl FnOnce() -> String) -> Self {
        match stopped {
            Stopped::Sink(problem) => problem.before(&resume()),
            Stopped::Failed(error) => {
                let Self { exit, message, remedy } = error.into();
                let message = format!("{message}; nothing of it is recorded as a failure of a backend");
                Self { exit, message, remedy }.before(&resume())
            }
            Stopped::Interrupted => {
                Self::new(Exit::Interrupted, "interrupted; all finished trials are recorded")
                    .with_remedy(resume())
            }
        }
    }

    /// Adds a command to run once the remedy, if there is one, has helped.
    pub(crate) fn before(self, command: &str) -> Self {
        let remedy = self.remedy.as_ref().map_or_else(String::new, |remedy| format!("{remedy}, then "));
        self.with_remedy(remedy + command)
    }

    /// Adds a remedy, unless it is empty.
    #[must_use]
    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into()).filter(|remedy: &String| !remedy.is_empty());
        self
    }

    /// The problem with a name that is like the one that was given, for a command that takes it otherwise than by `option`.
    #[must_use]
    pub(crate) fn with_name(self, option: &str, remedy: impl FnOnce(&str) -> String) -> Self {
        let name = self.remedy.as_deref().and_then(|remedy| remedy.strip_prefix(option)?.strip_prefix(' '));
        match name.map(remedy) {
            Some(remedy) => self.with_remedy(remedy),
            None => self,
        }
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        with_remedy(&self.message, self.remedy.as_deref())
    }

    /// One object for programs.
    pub(crate) fn json(&self) -> Value {
        json!({"error": {"message": self.message, "remedy": self.remedy, "exit_code": self.exit as u8}})
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let exit = exit_of(&error);
        Self { exit, message: error.message, remedy: error.remedy }
    }
}

impl From<RunnerError> for Problem {
    fn from(error: RunnerError) -> Self {
        let exit = if error.kind == ErrorKind::InvalidSpec { Exit::Usage } else { Exit::Unexpected };
        Self { exit, message: error.message, remedy: error.remedy }
    }
}

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        let exit = match error {
            // As a report that would be replaced: the user chose the folder.
            RecordError::Foreign(_) => Exit::Usage,
            // An interrupt ends the wait for a file that another process holds.
            _ if Interrupt::has_come() => Exit::Interrupted,
            _ => Exit::Unexpected,
        };
        Self { exit, ..Self::of_record(error) }
    }
}

impl From<PlanError> for Problem {
    fn from(error: PlanError) -> Self {
        Self::usage(error.to_string()).with_remedy(error.remedy().unwrap_or_default())
    }
}

/// The exit code for a failed call.
pub(crate) fn exit_of(error: &CallError) -> Exit {
    match error.fault {
        Fault::Refused(_) | Fault::Reported(ErrorKind::Unavailable) => Exit::Unavailable,
        Fault::Reported(ErrorKind::InvalidSpec) => Exit::Usage,
        Fault::Reported(ErrorKind::Setup) => Exit::SetupFailed,
        Fault::Interrupted => Exit::Interrupted,
        Fault::Host => Exit::Unexpected,
        Fault::WrongAnswer => Exit::WrongAnswer,
        Fault::InvalidMeasurement | Fault::LateSource => Exit::Invalid,
        Fault::Reported(_)
        | Fault::Crashed
        | Fault::OutOfMemory
        | Fault::TimedOut
        | Fault::Exceeded(_)
        | Fault::Protocol
        | Fault::Other(_) => Exit::TrialFailed,
    }
}
