//! Why a message could not be exchanged.

use std::io;
use std::path::{Path, PathBuf};

use super::exit_reason::ExitReason;
use super::limits::Excess;

/// Why a message could not be exchanged.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("cannot start {}: {error}", path.display())]
    Start {
        /// The executable, the log or the temporary folder.
        path: PathBuf,
        error: io::Error,
    },
    #[error("the time was up")]
    Deadline,
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    #[error("it {0}")]
    Died(ExitReason),
    /// The tree exceeded a limit, and was killed.
    #[error("it exceeded a limit")]
    Exceeded(Excess),
    #[error("it sent bytes that are not a message")]
    Malformed,
    /// The channel was closed, though the worker lives.
    #[error("it closed its channel")]
    Closed,
    #[error("{0}")]
    System(#[from] io::Error),
}

/// The message for a temporary folder that could not be removed.
pub(super) fn unremoved(path: &Path, error: &io::Error) -> String {
    format!("the temporary folder {} could not be removed: {error}", path.display())
}

impl Failure {
    /// The failure for a system error at `path` while a worker is started.
    pub(super) fn to_start(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Start { path, error }
    }
}
