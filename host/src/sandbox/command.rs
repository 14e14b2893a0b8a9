//! What to run in a sandbox.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustix::fs::OFlags;

use super::affinity::Cores;
use super::failure::Failure;
use super::limits::Limits;

#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// A crossrun executable, which is also the supervisor.
    pub(crate) executable: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// The file to which the worker's output is appended.
    pub(crate) log: PathBuf,
    /// The affinity set of the whole tree; without one, it may use all cores that this process may use.
    pub(crate) cores: Option<Cores>,
    pub(crate) limits: Limits,
    /// Whether the size limit holds for every log in the folder of `log`: plugins write others there.
    pub(crate) owns_folder: bool,
}

impl Command {
    /// Opens the log, and waits for nothing: a plugin may have put a pipe in its place.
    pub(super) fn open_log(&self) -> Result<File, Failure> {
        let flags = OFlags::NONBLOCK.bits() as i32;
        let log = OpenOptions::new().create(true).append(true).custom_flags(flags).open(&self.log);
        log.map_err(Failure::cannot("open the log", &self.log))
    }
}
