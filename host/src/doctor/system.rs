//! Where the system says how it is.

use std::path::PathBuf;

use crate::control_group;

/// The system's own files, below a folder that tests choose.
#[derive(Clone, Debug)]
pub(crate) struct System {
    pub(super) root: PathBuf,
}

impl System {
    /// This machine.
    pub(crate) fn here() -> Self {
        Self { root: "/".into() }
    }

    /// What a file holds, without the white space around it.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        control_group::text(&self.root.join(path))
    }
}
