//! Memory and disk.

use std::path::Path;

use super::{Finding, Level, System};

/// Less free space than this ends in failures: an engine takes up to half of it.
const DISK: u64 = 2 << 30;

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
