//! Memory and other objects that belong to no process: POSIX and System V shared memory, semaphores and message queues. In a
//! namespace of its own a tree has its own, and they vanish with it. Elsewhere, System V shared memory that a process of the tree made is
//! removed, and what else a tree leaves behind is reported: nothing says who made it.

// The compiler cannot check what a system call does.
#![allow(unsafe_code)]

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::processes;
use crate::text::number_of;

/// The folders in which POSIX objects are files.
pub(super) const SHM: &str = "/dev/shm";
pub(super) const QUEUES: &str = "/dev/mqueue";

/// Where System V objects are listed: the file, what they are, the column of the owner, and that of the attachments.
const SYSTEM_V: [(&str, &str, usize, Option<usize>); 3] = [
    ("shm", "System V shared memory", 7, Some(6)),
    ("sem", "System V semaphores", 4, None),
    ("msg", "System V message queue", 7, None),
];

/// The shared objects of this user.
#[derive(Debug, Default)]
pub(super) struct Objects {
    files: BTreeSet<PathBuf>,
    system_v: BTreeSet<String>,
}

impl Objects {
    pub(super) fn look() -> Self {
        let user = geteuid().as_raw();
        let files =
            [SHM, QUEUES].into_iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
        let own = files.filter(|file| file.metadata().is_ok_and(|it| it.is_file() && it.uid() == user));
        Self {
            files: own.map(|file| file.path()).collect(),
            system_v: SYSTEM_V.iter().flat_map(|of| listed(of, user)).collect(),
        }
    }

    /// A message about what appeared since, and no process uses. It need not be of the tree: another program may have made it.
    pub(super) fn left_since(before: &Self) -> Option<String> {
        let now = Self::look();
        let files: BTreeSet<_> = now.files.difference(&before.files).cloned().collect();
        let files = if files.is_empty() { files } else { unused(files) };
        let files = files.iter().map(|file| file.display().to_string());
        let left: Vec<_> = files.chain(now.system_v.difference(&before.system_v).cloned()).collect();
        (!left.is_empty()).then(|| {
            format!(
                "shared memory was left behind, by the backend or by another program: {}",
                left.join(", ")
            )
        })
    }
}

/// The objects of `user` to which no process is attached.
fn listed((file, what, owner, attached): &(&str, &str, usize, Option<usize>), user: u32) -> Vec<String> {
    let table = fs::read_to_string(format!("/proc/sysvipc/{file}")).unwrap_or_default();
    let object = |line: &str| {
        let columns: Vec<i64> = line.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
        let is_attached = attached.is_some_and(|column| columns.get(column).is_some_and(|count| *count > 0));
        let is_own = columns.get(*owner) == Some(&i64::from(user));
        columns.get(1).filter(|_| is_own && !is_attached).map(|id| format!("{what} {id}"))
    };
    table.lines().skip(1).filter_map(object).collect()
}

/// The System V shared memory of this machine before a tree was started.
pub(super) struct SegmentsBefore {
    ids: HashSet<i32>,
    /// How many processes and threads the machine had started by then.
    started: Option<u64>,
}

impl SegmentsBefore {
    pub(super) fn look() -> Self {
        Self { ids: segments().iter().map(|segment| segment.id).collect(), started: started_tasks() }
    }

    /// Removes what one of these processes has made since, and no process uses.
    pub(super) fn remove_made_by(&self, pids: &HashSet<i32>) {
        if !self.numbers_are_unique() {
            return;
        }
        let is_left = |segment: &&Segment| {
            !self.ids.contains(&segment.id) && pids.contains(&segment.maker) && segment.attached == 0
        };
        for segment in segments().iter().filter(is_left) {
            // SAFETY: the call takes numbers, and with this action no place to write to.
            let _ = unsafe { libc::shmctl(segment.id, libc::IPC_RMID, std::ptr::null_mut()) };
        }
    }

    /// Whether no two processes since then can have had one number. The system gives numbers in turn, and begins anew after the
    /// highest.
    fn numbers_are_unique(&self) -> bool {
        let highest = fs::read_to_string("/proc/sys/kernel/pid_max").ok();
        let highest: Option<u64> = highest.and_then(|text| text.trim().parse().ok());
        let since = started_tasks().zip(self.started).and_then(|(now, before)| now.checked_sub(before));
        // Those in use are left out.
        since.zip(highest).is_some_and(|(since, highest)| since < highest / 2)
    }
}

fn started_tasks() -> Option<u64> {
    number_of("processes ", &fs::read_to_string("/proc/stat").ok()?)
}

/// A piece of System V shared memory.
#[derive(Debug, PartialEq)]
struct Segment {
    id: i32,
    /// The process that made it.
    maker: i32,
    /// How many processes use it.
    attached: i64,
}

fn segments() -> Vec<Segment> {
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    table.lines().skip(1).filter_map(segment).collect()
}

fn segment(line: &str) -> Option<Segment> {
    // The columns 2, 5 and 7.
    let mut columns = line.split_ascii_whitespace().skip(1);
    let (id, maker) = (columns.next()?.parse().ok()?, columns.nth(2)?.parse().ok()?);
    Some(Segment { id, maker, attached: columns.nth(1)?.parse().ok()? })
}

/// The files that no process has open or mapped.
fn unused(mut files: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    for pid in processes::all() {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        files.retain(|file| !file.to_str().is_some_and(|file| maps.contains(file)));
        let open: HashSet<_> = open_files(pid).map(|(_, target)| target).collect();
        files.retain(|file| !open.contains(file));
    }
    files
}

/// The open files of a process: the link, and its target.
fn open_files(pid: i32) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    let links =
        fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().map(|link| link.path());
    links.filter_map(|link| fs::read_link(&link).ok().map(|target| (link, target)))
}

/// The bytes in memory of files without a place on a disk that these processes have open, and of what is in the shared memory of
/// the namespace with the init process `init`.
pub(super) fn bytes(pids: &[i32], init: Option<i32>) -> u64 {
    let is_memory = |target: &Path| {
        target.as_os_str().as_encoded_bytes().starts_with(b"/memfd:")
            || (init.is_none() && target.starts_with(SHM))
    };
    let (mut known, mut sum) = (HashSet::new(), 0);
    for (link, _) in pids.iter().flat_map(|pid| open_files(*pid)).filter(|(_, target)| is_memory(target)) {
        if let Ok(status) = fs::metadata(link)
            && known.insert((status.dev(), status.ino()))
        {
            sum += status.blocks() * 512;
        }
    }
    sum + init.map_or(0, namespace_bytes)
}

fn namespace_bytes(init: i32) -> u64 {
    let folder = rustix::fs::statvfs(format!("/proc/{init}/root{SHM}"));
    let files = folder.map_or(0, |it| it.f_blocks.saturating_sub(it.f_bfree).saturating_mul(it.f_frsize));
    // The supervisor is in the namespace of these, and nobody else is. The column `rss` comes after the times.
    let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let resident = segments
        .lines()
        .skip(1)
        .filter_map(|line| line.split_ascii_whitespace().nth(14)?.parse::<u64>().ok());
    files + resident.sum::<u64>()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::{Duration, Instant};

    use super::*;

    /// Says, past the capture of the test harness, that a test does not run here.
    fn not_run() {
        let _ = writeln!(std::io::stderr(), "not run: no file can be made in {SHM}");
    }

    #[test]
    fn a_file_that_is_left_is_told_and_one_in_use_is_not() {
        let before = Objects::look();
        let named = |prefix: &str| tempfile::Builder::new().prefix(prefix).tempfile_in(SHM);
        let (Ok(open), Ok(left)) = (named("crossrun-test-open"), named("crossrun-test-left")) else {
            return not_run();
        };
        let left = left.into_temp_path();
        let (name, deadline) = (left.to_str().unwrap(), Instant::now() + Duration::from_secs(300));
        let mut told = String::new();
        // Whatever another test is just starting has the file open until its program runs.
        while !told.contains(name) && Instant::now() < deadline {
            told = Objects::left_since(&before).unwrap_or_default();
        }
        assert!(told.contains(name), "{told}");
        assert!(!told.contains(open.path().to_str().unwrap()), "{told}");
    }

    #[test]
    fn the_maker_of_a_segment_is_read() {
        let line = "         0         65     1600                  4096   1234  1235      2     0     0     0     0 1 2 3 4 0";
        assert_eq!(segment(line), Some(Segment { id: 65, maker: 1234, attached: 2 }));
        assert_eq!(segment("key"), None);
        assert!(SegmentsBefore::look().numbers_are_unique());
    }

    #[test]
    fn memory_that_is_mapped_nowhere_is_counted_once() {
        let Ok(mut file) = tempfile::tempfile_in(SHM) else { return not_run() };
        file.write_all(&[1; 8 << 20]).unwrap();
        // A process that has this file twice and no other: this one has those of other tests.
        let mut command = std::process::Command::new("sleep");
        command.arg("600").stdin(file.try_clone().unwrap()).stdout(file);
        let mut child = command.spawn().unwrap();
        // Before exec it has the files of this process.
        let stat = format!("/proc/{}/stat", child.id());
        while !std::fs::read_to_string(&stat).unwrap().contains("(sleep) S") {
            std::thread::sleep(Duration::from_millis(1));
        }
        let counted = bytes(&[child.id() as i32], None);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(counted, 8 << 20);
    }
}
