//! What keeps a worker's processes together: the system's half of the sandbox.

#[cfg(not(all(target_os = "linux", not(crossrun_portable))))]
pub(crate) use super::elsewhere::tree::{Tree, hidden_command};
#[cfg(all(target_os = "linux", not(crossrun_portable)))]
pub(crate) use super::linux::{hidden::hidden_command, tree::Tree};
