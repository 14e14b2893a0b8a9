//! What to run in a sandbox.

use std::ffi::OsString;
use std::path::PathBuf;

use super::affinity::Cores;
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
