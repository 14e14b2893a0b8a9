//! Why a message could not be exchanged.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::exit_reason::ExitReason;
use super::limits::Excess;
use crate::control_group;
use crate::resource_limit::{self, Resource};
use crate::shell;

/// The action that fails where TMPDIR names no folder that can be used.
pub(super) const TEMPORARY: &str = "make a temporary folder in";

/// Why a message could not be exchanged.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// This machine, or a setting, keeps a worker from being started.
    #[error("cannot {action} {}: {error}", path.display())]
    Start {
        action: &'static str,
        /// The executable, the log, or the folder for temporary ones.
        path: PathBuf,
        error: io::Error,
    },
    #[error("the time was up")]
    Deadline,
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    #[error("it {0}")]
    Died(ExitReason),
    /// The tree exceeded a limit, and was killed.
    #[error("it exceeded a limit")]
    Exceeded(Excess),
    #[error("it sent bytes that are not a message")]
    Malformed,
    /// The channel was closed, though the worker lives.
    #[error("it closed its channel")]
    Closed,
    #[error("{0}")]
    System(#[from] io::Error),
}

/// What to do where no more processes may be started.
fn more_processes() -> String {
    let group = control_group::process_limit(Path::new("/")).map_or_else(String::new, |limit| {
        format!(", or pids.max of the control group, which is {limit} (--pids-limit of a container)")
    });
    let more = resource_limit::of(Resource::Processes).soft.map_or_else(String::new, |now| {
        resource_limit::by_root(Resource::Processes, Some(now.saturating_add(1)))
    });
    format!("end other processes, or raise the limit of `ulimit -u`{more}{group}")
}

fn has_dangling_link(path: &Path) -> bool {
    path.ancestors().any(|folder| folder.is_symlink() && !folder.exists())
}

/// The message for a temporary folder that could not be removed.
pub(super) fn unremoved(path: &Path, error: &io::Error) -> String {
    format!("the temporary folder {} could not be removed: {error}", path.display())
}

impl Failure {
    /// The failure for a system error at `path` while a worker is started.
    pub(super) fn cannot(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Start { action, path, error }
    }

    /// What to do about a worker that could not be started, where that is known.
    pub(crate) fn remedy(&self) -> Option<String> {
        let (action, path, error) = match self {
            Self::Start { action, path, error } => (*action, path.as_path(), error),
            Self::System(error) => ("", Path::new(""), error),
            _ => return None,
        };
        if let Some(remedy) = resource_limit::remedy(error) {
            return Some(remedy);
        }
        // What starts workers needs no rights.
        let is_filtered = matches!(Errno::from_io_error(error), Some(Errno::NOSYS | Errno::PERM));
        match error.kind() {
            io::ErrorKind::WouldBlock => Some(more_processes()),
            _ if is_filtered && matches!(action, "start" | "") => Some(
                "update the container engine, whose filter of system calls refuses a call, or start the container with \
                 --security-opt seccomp=unconfined"
                    .into(),
            ),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Some("free some space (or remove files, if df -i shows none left)".into())
            }
            // Through a link that leads nowhere, no folder is made.
            io::ErrorKind::NotFound if action == TEMPORARY && !has_dangling_link(path) => {
                Some(shell::command("mkdir", [Path::new("-p"), path]))
            }
            _ if action == TEMPORARY => Some("export TMPDIR=DIR, with a folder that you may write to".into()),
            _ => None,
        }
    }
}
