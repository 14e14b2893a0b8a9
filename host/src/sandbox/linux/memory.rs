//! The memory that is available to this process and its descendants.

use std::fs;
use std::path::Path;

use crate::control_group;
use crate::text::number_of;

/// The memory of the machine in bytes, or the limit of this process's control groups if that is less.
pub(in crate::sandbox) fn available() -> Option<u64> {
    machine_memory().into_iter().chain(control_group::memory_limit(Path::new("/"))).min()
}

fn machine_memory() -> Option<u64> {
    let kibibytes: u64 = number_of("MemTotal:", &fs::read_to_string("/proc/meminfo").ok()?)?;
    kibibytes.checked_mul(1024)
}
