//! What the portable half asks of the machine: its cores and its memory.

#[cfg(not(all(target_os = "linux", not(crossrun_portable))))]
pub(super) use super::elsewhere::{affinity, memory};
#[cfg(all(target_os = "linux", not(crossrun_portable)))]
pub(super) use super::linux::{affinity, memory};
