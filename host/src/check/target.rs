//! The plugin that is checked, and the setting of the checks.

use std::path::PathBuf;
use std::time::Duration;

use crate::plugin::PluginRef;
use crate::plugin::inspect::{Kind, Rejection};
use crate::run::session::Launch;
use crate::worker::protocol::{Folders, LibraryFile};

/// The setting of the checks.
pub(crate) struct Setting {
    pub launch: Launch,
    /// How long a run may take; without it, the checks decide.
    pub timeout: Option<Duration>,
    pub folders: Folders,
    pub target: Target,
    /// The workload libraries that a backend is checked with.
    pub libraries: Vec<PluginRef>,
    /// The backends that a workload library is checked with, by name.
    pub backends: Vec<(String, LibraryFile)>,
}

/// The file that is checked.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub path: PathBuf,
    /// The plugin, or why the file is not a plugin for this host.
    pub plugin: Result<PluginRef, Rejection>,
}

impl Target {
    /// Whether the plugin was built with Rust.
    pub(super) fn is_of_rust(&self) -> bool {
        self.plugin.as_ref().is_ok_and(|plugin| plugin.metadata.is_of_rust())
    }

    /// Whether the plugin is a backend; nothing if the file is not a plugin.
    pub(super) fn is_backend(&self) -> Option<bool> {
        self.plugin.as_ref().ok().map(|plugin| matches!(plugin.metadata.kind, Kind::Runner))
    }
}
