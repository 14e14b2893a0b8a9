//! Why the archive could not be made.

use std::path::{Path, PathBuf};

/// Why the archive could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An action on a file or folder failed.
    #[error("{what} {}: {error}", path.display())]
    File { what: &'static str, path: PathBuf, error: std::io::Error },
    /// A command failed.
    #[error("{command} failed: {why}")]
    Command { command: String, why: String },
    /// A message of cargo could not be parsed.
    #[error("cannot parse a message of cargo: {0}")]
    Json(#[from] serde_json::Error),
    /// Something is missing from the build or the archive, or must not be in it.
    #[error("{0}")]
    Invalid(String),
}

impl Failure {
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { what, path, error }
    }
}
