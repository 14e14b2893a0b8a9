//! What to run in a sandbox.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::affinity::Cores;
use super::limits::Limits;

#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub(super) executable: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) log: PathBuf,
    pub(super) cores: Option<Cores>,
    pub(super) limits: Limits,
    pub(super) owns_folder: bool,
}

impl Command {
    /// `executable`, which is a crossrun, with `arguments`; what the worker prints is appended to the file at `log`.
    pub(crate) fn new<A: AsRef<OsStr>>(
        executable: &Path,
        arguments: impl IntoIterator<Item = A>,
        log: &Path,
    ) -> Self {
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        let limits = Limits::usual();
        Self {
            executable: executable.into(),
            arguments,
            log: log.into(),
            cores: None,
            limits,
            owns_folder: false,
        }
    }

    /// Keeps the whole tree to these cores; without any, it may use what this process may.
    #[must_use]
    pub(crate) fn on(self, cores: Option<Cores>) -> Self {
        Self { cores, ..self }
    }

    /// What the tree may take.
    #[must_use]
    pub(crate) fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Every log in the folder of its log is kept small, not just its own: plugins write others beside it.
    #[must_use]
    pub(crate) fn with_logs_beside(self) -> Self {
        Self { owns_folder: true, ..self }
    }
}
