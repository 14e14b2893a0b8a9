//! Memory, disk, and how file systems are mounted.

use std::path::Path;

use rustix::fs::{Access, StatVfsMountFlags};

use super::State;
use crate::control_group::text;
use crate::text::number_of;

/// Less free space than this ends in failures: an engine takes up to half of it.
const DISK: u64 = 2 << 30;

/// Fewer files than this that can still be made end in failures, too: the environment of an engine alone may have so many.
const FILES: u64 = 10_000;

/// Engines keep what their processes share in memory of this size; a container has 64 MiB of it by default.
const SHARED: u64 = 512 << 20;

/// What it does if there is less of it, or none.
const SHARED_EFFECT: &str = "engines that share memory between processes become slow, or fail";

pub(super) fn shared(root: &Path) -> Option<State> {
    let folder = root.join("dev/shm");
    let remedy = "docker run --shm-size=2g, or sudo mkdir -p /dev/shm && \
                  sudo mount -t tmpfs -o mode=1777,size=2g tmpfs /dev/shm";
    // Other systems have none.
    let has_devices = cfg!(target_os = "linux") && root.join("dev").is_dir();
    if has_devices && !folder.is_dir() {
        return Some(State::bad("there is no /dev/shm", SHARED_EFFECT, remedy));
    }
    let status = rustix::fs::statvfs(&folder).ok()?;
    if !is_in_memory(&folder) {
        // As a volume of Kubernetes is without `medium: Memory`.
        return Some(State::bad("/dev/shm is a folder on a disk", SHARED_EFFECT, remedy));
    }
    Some(shared_of(status.f_blocks.saturating_mul(status.f_frsize)))
}

/// Whether what is in a folder is in memory; true where the system does not say.
#[cfg(target_os = "linux")]
fn is_in_memory(folder: &Path) -> bool {
    /// The numbers of `tmpfs` and of `ramfs`.
    const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    let kind = rustix::fs::statfs(folder).ok().map(|status| u64::try_from(status.f_type).unwrap_or_default());
    kind.is_none_or(|kind| IN_MEMORY.contains(&kind))
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_folder: &Path) -> bool {
    true
}

fn shared_of(bytes: u64) -> State {
    // As a `tmpfs` that was mounted with the size 0, and a `ramfs`.
    if bytes == 0 {
        return State::good("/dev/shm has no limit of its own");
    }
    let found = format!("/dev/shm has {} MiB", bytes >> 20);
    if bytes >= SHARED {
        return State::good(found);
    }
    State::bad(found, SHARED_EFFECT, "docker run --shm-size=2g, or sudo mount -o remount,size=2g /dev/shm")
}

/// Whether what is in these folders may be executed: plugins, and the environments of engines.
pub(super) fn execution(folders: &[&Path]) -> State {
    let forbids = |folder: &&&Path| {
        let status = folder.ancestors().find_map(|folder| rustix::fs::statvfs(folder).ok());
        status.is_some_and(|status| status.f_flag.contains(StatVfsMountFlags::NOEXEC))
    };
    let forbidden: Vec<_> =
        folders.iter().filter(forbids).map(|folder| folder.display().to_string()).collect();
    if forbidden.is_empty() {
        return State::good(
            "programs and libraries may be in the folders of data, plugins and temporary files",
        );
    }
    let found = format!("nothing may be executed in {}", forbidden.join(", "));
    let effect = "libraries and programs there cannot be loaded: the file system is mounted with noexec";
    let remedy =
        "export CROSSRUN_DATA_DIR=DIR or TMPDIR=DIR, in a file system that is mounted without noexec";
    State::bad(found, effect, remedy)
}

pub(super) fn swap(root: &Path) -> Option<State> {
    let info = text(&root.join("proc/meminfo"))?;
    let (total, free): (u64, u64) = (number_of("SwapTotal:", &info)?, number_of("SwapFree:", &info)?);
    let used = total.saturating_sub(free) / 1024;
    Some(match (total, used) {
        (0, _) => State::good("there is none"),
        (_, 0) if free == total => State::good("none of it is in use"),
        _ => {
            let effect = "memory on a disk is a thousand times slower: runs that touch it are not comparable";
            State::doubtful(format!("{used} MiB are in use"), effect, "sudo swapoff -a && sudo swapon -a")
        }
    })
}

pub(super) fn huge_pages(root: &Path) -> Option<State> {
    let path = "sys/kernel/mm/transparent_hugepage/enabled";
    if !text(&root.join(path))?.contains("[always]") {
        return Some(State::good("only programs that ask for huge pages get them"));
    }
    let found = "all programs get huge pages";
    let effect = "the system decides which memory comes in pages of 2 MiB: peaks are larger, and some runs wait for them";
    Some(State::doubtful(found, effect, format!("echo madvise | sudo tee /{path}")))
}

/// Whether a folder takes what is written, and how much of it. `elsewhere` is what to do if not.
pub(super) fn disk(folder: &Path, elsewhere: &str) -> Option<State> {
    // A folder that is yet to be made stands where its parent is.
    let (place, status) =
        folder.ancestors().find_map(|folder| Some((folder, rustix::fs::statvfs(folder).ok()?)))?;
    // Some file systems do not say their size.
    let free = (status.f_blocks > 0).then(|| status.f_bavail.saturating_mul(status.f_frsize));
    let free = rustix::fs::access(place, Access::WRITE_OK).map_or(Some(0), |()| free);
    // And some make room for files as these come.
    let files = (status.f_files > 0).then_some(status.f_favail);
    Some(disk_of(folder, free, files, elsewhere))
}

/// What so many bytes mean that are free, and so many files that can still be made; nothing is known to be a limit where there is no
/// number.
fn disk_of(folder: &Path, free: Option<u64>, files: Option<u64>, elsewhere: &str) -> State {
    let effect = "engines, logs and what engines spill need room; set-ups fail without it, and some runs";
    // Where nothing can be written, that says more.
    if let Some(files) = files.filter(|files| *files < FILES && free != Some(0)) {
        let found = format!("only {files} more files can be made for {}", folder.display());
        return State::bad(found, effect, elsewhere);
    }
    let Some(free) = free else {
        let folder = folder.display();
        return State::good(format!("{folder} is in a file system that does not say how much is free"));
    };
    let gibibytes = free as f64 / f64::from(1 << 30);
    let found = match free {
        0 => format!("nothing can be written in {}", folder.display()),
        _ => format!("{gibibytes:.1} GiB are free for {}", folder.display()),
    };
    if free >= DISK {
        return State::good(found);
    }
    State::bad(found, effect, elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_small_shared_memory_is_told() {
        let small = shared_of(64 << 20);
        assert!(small.level == Level::Bad && small.found.contains("64 MiB"), "{small:?}");
        for bytes in [8 << 30, 0] {
            assert_eq!(shared_of(bytes).level, Level::Good, "{bytes}");
        }
    }

    #[test]
    fn a_folder_without_room_is_told_with_what_leads_elsewhere() {
        for (free, words) in [(0, "nothing can be written in /d"), (1 << 30, "1.0 GiB are free for /d")] {
            let told = disk_of(Path::new("/d"), Some(free), Some(1 << 20), "cd DIR");
            assert!(told.level == Level::Bad && told.found == words, "{told:?}");
            assert_eq!(told.remedy.as_deref(), Some("cd DIR"));
        }
        for free in [Some(DISK), None] {
            assert_eq!(disk_of(Path::new("/d"), free, None, "").level, Level::Good, "{free:?}");
        }
        for (free, files, words) in [
            (Some(DISK), 7, "only 7 more files can be made for /d"),
            (None, 7, "only 7 more files can be made for /d"),
            (Some(0), 7, "nothing can be written in /d"),
        ] {
            let told = disk_of(Path::new("/d"), free, Some(files), "cd DIR");
            assert!(told.level == Level::Bad && told.found.starts_with(words), "{told:?}");
        }
        assert_eq!(disk_of(Path::new("/d"), Some(DISK), Some(FILES), "").level, Level::Good);
        let place = tempfile::tempdir().unwrap();
        assert!(disk(&place.path().join("a/b"), "cd DIR").is_some());
    }
}
