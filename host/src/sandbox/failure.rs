//! Why a message could not be exchanged.

use std::io;
use std::path::{Path, PathBuf};

use super::death::Death;
use super::limits::Excess;

/// Why a message could not be exchanged.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("cannot start {}: {error}", path.display())]
    Start {
        /// The executable, or the log.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    #[error("the time was up")]
    Deadline,
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    #[error("it {0}")]
    Died(Death),
    /// It had too much of something, and was ended.
    #[error("it had too much of something")]
    Exceeded(Excess),
    #[error("it sent something that is no message")]
    Malformed,
    /// The channel was closed, though the worker lives.
    #[error("it closed its channel")]
    Closed,
    #[error("{0}")]
    System(#[from] io::Error),
}

impl Failure {
    /// What an error at `path` means while a worker is started.
    pub(super) fn to_start(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Start { path, error }
    }
}
