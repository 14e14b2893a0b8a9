//! Why a file is rejected.

use std::io;

use serde::Serialize;

/// Why this host rejects a file or a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{reason}")]
pub struct Rejection {
    /// Why, in one line.
    pub reason: String,
    /// What to do about it, if that is known.
    pub remedy: Option<String>,
}

impl Rejection {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: None }
    }

    /// A file that must be built anew against this host's version of plugin-api.
    pub(super) fn rebuild(reason: impl Into<String>) -> Self {
        Self::new(reason).with_remedy(format!("rebuild it against plugin-api {}", plugin_api::API_VERSION))
    }

    /// A file that a later version of this host may know.
    pub(super) fn update(reason: impl Into<String>) -> Self {
        Self::new(reason).with_remedy("update crossrun")
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
