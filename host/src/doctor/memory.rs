//! Memory, disk, and how file systems are mounted.

use std::path::Path;

use rustix::fs::StatVfsMountFlags;

use super::{Finding, Level, System};

/// Less free space than this ends in failures: an engine takes up to half of it.
const DISK: u64 = 2 << 30;

/// Engines keep what their processes share in memory of this size; a container has 64 MiB of it by default.
const SHARED: u64 = 512 << 20;

pub(super) fn shared(system: &System) -> Finding {
    let id = "shm";
    let size =
        rustix::fs::statvfs(system.root.join("dev/shm")).map(|it| it.f_blocks.saturating_mul(it.f_frsize));
    size.map_or_else(|_| Finding::unknown(id), |size| shared_of(id, size))
}

fn shared_of(id: &'static str, bytes: u64) -> Finding {
    let found = format!("/dev/shm has {} MiB", bytes >> 20);
    if bytes >= SHARED {
        return Finding::good(id, found);
    }
    let effect = "engines that share memory between processes become slow, or fail";
    Finding::harm(id, Level::Bad, found, effect)
        .mended_by("docker run --shm-size=2g, or sudo mount -o remount,size=2g /dev/shm")
}

/// Whether what is in these folders may be executed: plugins, and the environments of engines.
pub(super) fn execution(folders: &[&Path]) -> Finding {
    let id = "noexec";
    let forbids = |folder: &&&Path| {
        let status = folder.ancestors().find_map(|folder| rustix::fs::statvfs(folder).ok());
        status.is_some_and(|status| status.f_flag.contains(StatVfsMountFlags::NOEXEC))
    };
    let forbidden: Vec<_> =
        folders.iter().filter(forbids).map(|folder| folder.display().to_string()).collect();
    if forbidden.is_empty() {
        return Finding::good(
            id,
            "programs and libraries may be in the folders of data, plugins and temporary files",
        );
    }
    let effect = "libraries and programs there cannot be loaded: the file system is mounted with noexec";
    Finding::harm(id, Level::Bad, format!("nothing may be executed in {}", forbidden.join(", ")), effect)
        .mended_by(
            "export CROSSRUN_DATA_DIR=DIR or TMPDIR=DIR, in a file system that is mounted without noexec",
        )
}

pub(super) fn swap(system: &System) -> Finding {
    let id = "swap";
    let Some(info) = system.text("proc/meminfo") else { return Finding::unknown(id) };
    let kibibytes = |key: &str| -> Option<u64> {
        let line = info.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    let Some((total, free)) = kibibytes("SwapTotal:").zip(kibibytes("SwapFree:")) else {
        return Finding::unknown(id);
    };
    let used = total.saturating_sub(free) / 1024;
    match (total, used) {
        (0, _) => Finding::good(id, "there is none"),
        (_, 0) if free == total => Finding::good(id, "none of it is in use"),
        _ => {
            let effect = "memory on a disk is a thousand times slower: runs that touch it are not comparable";
            Finding::harm(id, Level::Doubtful, format!("{used} MiB are in use"), effect)
                .mended_by("sudo swapoff -a && sudo swapon -a")
        }
    }
}

pub(super) fn huge_pages(system: &System) -> Finding {
    let id = "thp";
    let path = "sys/kernel/mm/transparent_hugepage/enabled";
    let Some(text) = system.text(path) else { return Finding::unknown(id) };
    if !text.contains("[always]") {
        return Finding::good(id, "large pages are given to those that ask");
    }
    let effect =
        "memory comes in pages of 2 MiB at the system's will: peaks are larger, and some runs wait for them";
    Finding::harm(id, Level::Doubtful, "large pages are given to everybody", effect)
        .mended_by(format!("echo madvise | sudo tee /{path}"))
}

pub(super) fn disk(folder: &Path) -> Finding {
    let id = "disk";
    // A folder that is yet to be made stands where its parent is.
    let Some(status) = folder.ancestors().find_map(|folder| rustix::fs::statvfs(folder).ok()) else {
        return Finding::unknown(id);
    };
    let free = status.f_bavail.saturating_mul(status.f_frsize);
    let gibibytes = free as f64 / f64::from(1 << 30);
    let found = format!("{gibibytes:.1} GiB are free for {}", folder.display());
    if free >= DISK {
        return Finding::good(id, found);
    }
    let effect = "engines, logs and what engines spill need room; without it runs and set-ups fail";
    Finding::harm(id, Level::Bad, found, effect)
        .mended_by("export CROSSRUN_DATA_DIR=DIR, on a disk with room")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_shared_memory_is_told() {
        let small = shared_of("shm", 64 << 20);
        assert!(small.level == Level::Bad && small.found.contains("64 MiB"), "{small:?}");
        assert_eq!(shared_of("shm", 8 << 30).level, Level::Good);
    }
}
