//! The system's process tree and hidden commands, for the portable modules.

#[cfg(all(target_os = "linux", not(crossrun_portable)))]
pub(crate) use super::linux::{end_with_host, hidden_command, tree::Tree};
#[cfg(not(all(target_os = "linux", not(crossrun_portable))))]
pub(crate) use super::process_group::tree::{Tree, end_with_host, hidden_command};
