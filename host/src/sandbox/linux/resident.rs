//! The resident memory of a process, with and without the part of others in shared pages.

use super::processes;
use crate::text::number_of;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Resident {
    /// Each page of the process counts in full.
    pub(super) bytes: u64,
    /// A page that n processes share counts as an nth of it.
    pub(super) proportional_bytes: u64,
    /// The part of these that is shared memory: of POSIX, of System V, or a memfd. 0 where the system does not say.
    pub(super) shared_memory_bytes: u64,
}

/// `None` for a process that is gone, and where the system does not say. Takes milliseconds for a process of many gigabytes.
pub(super) fn of(pid: i32) -> Option<Resident> {
    let rollup = String::from_utf8(processes::read(pid, "smaps_rollup")?).ok()?;
    let bytes = |name| number_of::<u64>(name, &rollup).map(|kib| kib * 1024);
    let shared_memory_bytes = bytes("Pss_Shmem:").unwrap_or_default();
    Some(Resident { bytes: bytes("Rss:")?, proportional_bytes: bytes("Pss:")?, shared_memory_bytes })
}
