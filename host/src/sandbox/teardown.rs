//! How the end of a worker's process tree went.

use super::exit_reason::ExitReason;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Teardown {
    /// How the worker exited; `None` if that is not known.
    pub worker: Option<ExitReason>,
    /// How many processes the worker left behind, which were then killed. Not counted if the worker itself had to be killed.
    pub leftovers: u32,
    /// Whether the beginning of a log was left out, as the log grew too large.
    pub log_cut: bool,
    /// Whether another process than the worker wrote to the worker's channel. What it wrote was ignored.
    pub has_strangers: bool,
    /// Messages about what could not be removed: the temporary folder, shared memory, and processes that may still run.
    pub unremoved: Vec<String>,
}
