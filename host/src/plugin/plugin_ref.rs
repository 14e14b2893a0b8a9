//! A plugin that is to be loaded: the one type that stands for it from its resolution to its record.

use std::path::PathBuf;

use super::inspect::metadata::Metadata;

/// A plugin that is to be loaded: a file of which every byte is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRef {
    /// The file, with every link on the way to it resolved.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256, in hex.
    pub sha256: String,
    /// What it says of itself.
    pub metadata: Metadata,
    /// The lock file that lists it, if only what that lists may be loaded.
    pub locked_by: Option<PathBuf>,
}

impl PluginRef {
    pub fn name(&self) -> &str {
        &self.metadata.name
    }
}
