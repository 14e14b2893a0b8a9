//! Why a file is no plugin.

use std::io;

/// Why a file is no plugin for this host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Rejection {
    /// Why, in one line.
    pub reason: String,
    /// What mends it, if anything is known to.
    pub remedy: Option<String>,
}

impl Rejection {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: None }
    }

    pub(super) fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

impl From<io::Error> for Rejection {
    fn from(error: io::Error) -> Self {
        Self::new(format!("cannot be read: {error}"))
    }
}
