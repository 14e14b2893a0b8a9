//! Takes a resource snapshot of the worker's process: threads, temporary files and references to workloads.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::load::references;
use crate::worker::protocol::ResourceSnapshot;

/// How many names a snapshot has at most.
const NAMES: usize = 20;

/// The worker's folder for temporary files.
static TEMPORARY: OnceLock<PathBuf> = OnceLock::new();

/// Remembers the worker's folder for temporary files, before a plugin may name another one.
pub(super) fn remember_folder() {
    TEMPORARY.get_or_init(std::env::temp_dir);
}

pub(super) fn take() -> ResourceSnapshot {
    let threads = fs::read_dir("/proc/self/task").map(|tasks| tasks.flatten().count() as u64).ok();
    let entries = fs::read_dir(TEMPORARY.get_or_init(std::env::temp_dir)).into_iter().flatten().flatten();
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut temporary: Vec<_> = entries.map(name).take(NAMES).collect();
    temporary.sort();
    ResourceSnapshot { threads, temporary, references: references::left() }
}
