//! The plugin that a name was resolved to: one type from there to the record.

use std::path::PathBuf;

use super::inspect::metadata::Metadata;

/// A plugin that is to be loaded, with the hash of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRef {
    /// The file, with every link on the way to it resolved.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256, in hex.
    pub sha256: String,
    /// Its metadata section.
    pub metadata: Metadata,
    /// The lock file that lists it, if a lock file is in force.
    pub locked_by: Option<PathBuf>,
}

impl PluginRef {
    pub fn name(&self) -> &str {
        &self.metadata.name
    }
}
