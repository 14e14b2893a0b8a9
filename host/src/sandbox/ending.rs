//! How a worker's tree ended.

use std::fmt;
use std::path::PathBuf;

use super::death::Death;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How the worker died; nothing if that is not known.
    pub death: Option<Death>,
    /// How many processes it left behind, which were then killed. Not counted if the worker itself had to be killed.
    pub leftovers: u32,
    /// Whether the beginning of a log was left out, as it grew too large.
    pub log_cut: bool,
    /// The temporary folder, if it could not be removed, and why.
    pub unremoved: Option<Unremoved>,
}

/// A temporary folder that could not be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unremoved {
    pub path: PathBuf,
    /// The system's words.
    pub why: String,
}

impl fmt::Display for Unremoved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, why } = self;
        write!(formatter, "the temporary folder {} could not be removed: {why}", path.display())
    }
}
