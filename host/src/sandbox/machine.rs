//! The system's cores, memory and senders of messages, for the portable modules.

#[cfg(all(target_os = "linux", not(crossrun_portable)))]
pub(super) use super::linux::{affinity, memory, sender, signal_tree};
#[cfg(not(all(target_os = "linux", not(crossrun_portable))))]
pub(super) use super::process_group::{affinity, memory, sender, signal_tree};
