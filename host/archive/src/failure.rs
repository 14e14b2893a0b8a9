//! Why there is no archive.

use std::path::{Path, PathBuf};

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A file or folder.
    #[error("{what} {}: {error}", path.display())]
    File { what: &'static str, path: PathBuf, error: std::io::Error },
    /// A command did not do what it should.
    #[error("{command} failed: {why}")]
    Command { command: String, why: String },
    /// What cargo says cannot be understood.
    #[error("cannot read what cargo says: {0}")]
    Json(#[from] serde_json::Error),
    /// Something is missing, or stands where it must not.
    #[error("{0}")]
    Unfit(String),
}

impl Failure {
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { what, path, error }
    }
}
