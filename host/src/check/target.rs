//! What is checked, and with what.

use std::path::PathBuf;

use crate::plugin::PluginRef;
use crate::plugin::inspect::{Kind, Rejection};
use crate::run::session::Launch;
use crate::worker::protocol::{Folders, LibraryFile};

/// What is checked, with what, and where.
pub(crate) struct Setting {
    /// How workers are started.
    pub launch: Launch,
    /// Where they may write.
    pub folders: Folders,
    /// What is checked.
    pub target: Target,
    /// The libraries of workloads that a backend is run on.
    pub libraries: Vec<PluginRef>,
    /// The backends that a library's workloads are run on, with their names.
    pub backends: Vec<(String, LibraryFile)>,
}

/// The file that is checked.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Where it is.
    pub path: PathBuf,
    /// What it is; or why it is no plugin for this host.
    pub plugin: Result<PluginRef, Rejection>,
}

impl Target {
    /// Whether it is a backend; nothing if it is no plugin.
    pub(super) fn is_backend(&self) -> Option<bool> {
        self.plugin.as_ref().ok().map(|plugin| matches!(plugin.metadata.kind, Kind::Runner))
    }
}
