//! The memory that is available to this process and its descendants.

use std::fs;
use std::path::{Path, PathBuf};

/// The memory of the machine in bytes, or the limit of this process's control groups if that is less.
pub(in crate::sandbox) fn available() -> Option<u64> {
    machine_memory().into_iter().chain(group_memory()).min()
}

fn machine_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The lowest limit of this process's control groups, in either version of the interface.
fn group_memory() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match controllers {
            "" => limits_up(Path::new("/sys/fs/cgroup"), path, "memory.max"),
            "memory" => limits_up(Path::new("/sys/fs/cgroup/memory"), path, "memory.limit_in_bytes"),
            _ => Vec::new(),
        }
    });
    limits.min()
}

/// The limits in `file` of the group at `path` and of all groups above it.
fn limits_up(root: &Path, path: &str, file: &str) -> Vec<u64> {
    let folder: PathBuf = root.join(path.trim_start_matches('/'));
    let folders = folder.ancestors().take_while(|folder| folder.starts_with(root));
    // Without a limit, the file has `max`.
    folders.filter_map(|folder| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_groups_above_count() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/b/memory.max"), "max\n").unwrap();
        fs::write(root.path().join("a/memory.max"), "1000\n").unwrap();
        assert_eq!(limits_up(root.path(), "/a/b", "memory.max"), [1000]);
    }
}
