//! The system's cores and memory, for the portable modules.

#[cfg(all(target_os = "linux", not(crossrun_portable)))]
pub(super) use super::linux::{affinity, memory};
#[cfg(not(all(target_os = "linux", not(crossrun_portable))))]
pub(super) use super::process_group::{affinity, memory};
