//! Watches the limits of a worker's tree: its memory, its number of processes, and the size of its logs.
//!
//! Watching must not disturb a measurement: each scan is followed by a pause of 250 times the CPU time of the scan.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::logs::Logs;
use super::resident::Resident;
use super::{descendants, processes, resident, shared_memory};
use crate::control_group;
use crate::sandbox::limits::{Excess, Limits};

/// The shortest pause between two scans.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// The pause after a scan, as a multiple of its CPU time.
const PAUSE: u32 = 250;
/// The longest pause, however large the tree is.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// If this machine has so many more tasks than at the last scan, the next scan is due at once.
const SURGE: u64 = 256;

pub(super) struct Watch {
    limits: Limits,
    logs: Logs,
    /// The processes of the tree at the last scan.
    known: Vec<i32>,
    /// Those of all scans, where the tree is in no namespace.
    pub(super) seen: HashSet<i32>,
    /// The number of tasks of this machine at the last scan.
    tasks: u64,
    scan_due: Instant,
    sum_due: Instant,
    logs_due: Instant,
    /// The init process of the namespace that the tree is in.
    pub(super) init: Option<i32>,
    /// The memory of the control group before the tree was started, where the processes of the tree cannot be seen.
    group_before: Option<u64>,
    /// The bytes at the last scan that need not be mapped by any process.
    shared: u64,
}

impl Watch {
    pub(super) fn new(limits: Limits, logs: Logs) -> Self {
        let now = Instant::now();
        let (scan_due, sum_due, logs_due) = (now, now, now);
        let (known, seen, tasks, init, shared) = (Vec::new(), HashSet::new(), 0, None, 0);
        let group_before = if processes::are_visible() { None } else { memory_of_group() };
        Self { limits, logs, known, seen, tasks, scan_due, sum_due, logs_due, init, group_before, shared }
    }

    /// Cuts logs that are too large, and returns whether there were any.
    pub(super) fn cut_logs(&self) -> bool {
        self.logs.cut(self.limits.log_bytes)
    }

    /// As [`Watch::cut_logs`], but not sooner than a folder of many files allows: their number must not cost the backend a core.
    pub(super) fn cut_due_logs(&mut self) -> bool {
        let (now, before) = (Instant::now(), processor_time());
        if now < self.logs_due {
            return false;
        }
        let cut = self.cut_logs();
        self.logs_due = now + pause_after(before);
        cut
    }

    /// The limit that the tree exceeds, if any.
    pub(super) fn excess(&mut self) -> Option<Excess> {
        let (now, before) = (Instant::now(), processor_time());
        if now >= self.scan_due || tasks() > self.tasks + SURGE {
            let excess = self.scan();
            self.scan_due = now + pause_after(before);
            self.sum_due = self.scan_due.min(now + TICK);
            excess
        } else if now >= self.sum_due {
            // Between two scans, memory grows mostly in known processes.
            let excess =
                self.excess_of_memory(self.known.iter().filter_map(|pid| resident_bytes(*pid)).sum());
            self.sum_due = now + pause_after(before);
            excess
        } else {
            None
        }
    }

    fn scan(&mut self) -> Option<Excess> {
        if let Some(before) = self.group_before {
            return self.excess_of(memory_of_group()?.saturating_sub(before));
        }
        self.tasks = tasks();
        let tree = descendants::glance();
        self.known = tree.iter().map(|process| process.pid).collect();
        if self.init.is_none() {
            self.seen.extend(&self.known);
        }
        let threads = tree.iter().fold(0, |sum: u32, process| sum.saturating_add(process.threads));
        if threads > self.limits.processes {
            return Some(Excess::Processes(threads));
        }
        self.shared = shared_memory::bytes(&self.known, self.init);
        self.excess_of_memory(tree.iter().map(|process| process.resident_bytes).sum())
    }

    /// `resident` counts shared pages for each process, and mapped pages of shared memory once more. Only if the sum exceeds the
    /// limit are they counted exactly, which is slower.
    fn excess_of_memory(&self, resident: u64) -> Option<Excess> {
        let limit = self.limits.memory_bytes;
        if resident + self.shared <= limit {
            return None;
        }
        let all_of =
            |pid: i32| Some(Resident { proportional_bytes: resident_bytes(pid)?, ..Resident::default() });
        let shares: Vec<_> =
            self.known.iter().filter_map(|pid| resident::of(*pid).or_else(|| all_of(*pid))).collect();
        let all: u64 = shares.iter().map(|share| share.proportional_bytes).sum();
        let mapped: u64 = shares.iter().map(|share| share.shared_memory_bytes).sum();
        self.excess_of(all + self.shared.saturating_sub(mapped))
    }

    fn excess_of(&self, bytes: u64) -> Option<Excess> {
        // Rounded up: what exceeds a limit must not be told as less.
        let mib = || bytes.div_ceil(1 << 20).try_into().unwrap_or(u32::MAX);
        (bytes > self.limits.memory_bytes).then(|| Excess::Memory(mib()))
    }
}

fn memory_of_group() -> Option<u64> {
    control_group::memory_used(Path::new("/"))
}

fn pause_after(before: Duration) -> Duration {
    (processor_time().saturating_sub(before) * PAUSE).clamp(TICK, MAX_PAUSE)
}

/// The CPU time of this process.
fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// The number of tasks of this machine: the number after the slash in `0.20 0.18 0.12 1/80 11206`.
fn tasks() -> u64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let counts = load.split_ascii_whitespace().nth(3).and_then(|counts| counts.split_once('/'));
    counts.and_then(|(_, all)| all.parse().ok()).unwrap_or_default()
}

fn resident_bytes(pid: i32) -> Option<u64> {
    let sizes = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = sizes.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(memory_bytes: u64, processes: u32) -> Watch {
        let limits = Limits { memory_bytes, processes, log_bytes: u64::MAX };
        Watch::new(limits, Logs::none())
    }

    #[test]
    fn an_excess_is_never_told_as_less_than_the_limit() {
        let limit = (300 << 20) + (1 << 19);
        assert_eq!(watch(limit, 1).excess_of(limit), None);
        assert_eq!(watch(limit, 1).excess_of(limit + 1), Some(Excess::Memory(301)));
    }

    #[test]
    fn logs_are_not_looked_through_before_they_are_due() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        let limits = Limits { memory_bytes: 1 << 40, processes: 64, log_bytes: 1 << 20 };
        let mut watch = Watch::new(limits, Logs::of_folder(folder.path()));
        let grow = || fs::write(&log, vec![b'x'; 2 << 20]).unwrap();
        grow();
        assert!(watch.cut_due_logs());
        assert!(watch.logs_due > Instant::now() - MAX_PAUSE, "the next time is set");
        grow();
        watch.logs_due = Instant::now() + Duration::from_hours(1);
        assert!(!watch.cut_due_logs());
        // At the end of the worker they are cut, due or not.
        assert!(watch.cut_logs());
    }

    /// A child of this process, ended with it.
    struct Child(std::process::Child);

    impl Child {
        fn sleeping() -> Self {
            let child = Self(std::process::Command::new("sleep").arg("600").spawn().unwrap());
            // Before exec it is a copy of this process.
            let stat = format!("/proc/{}/stat", child.0.id());
            while !fs::read_to_string(&stat).unwrap().contains("(sleep) S") {
                std::thread::sleep(Duration::from_millis(1));
            }
            child
        }
    }

    impl Drop for Child {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn an_excess_of_each_kind_is_found() {
        let _children = [Child::sleeping(), Child::sleeping()];
        assert_eq!(watch(u64::MAX, 1_000_000).excess(), None);
        // A scan may miss them while threads and children of other tests end.
        let found = |memory_bytes, processes| (0..100).find_map(|_| watch(memory_bytes, processes).excess());
        assert!(matches!(found(u64::MAX, 1), Some(Excess::Processes(2..))));
        assert!(matches!(found(1, 1_000_000), Some(Excess::Memory(_))));
    }

    #[test]
    fn where_processes_cannot_be_seen_the_growth_of_the_control_group_counts() {
        let Some(used) = memory_of_group().filter(|used| *used > 0) else { return };
        for (before, exceeds) in [(0, true), (u64::MAX, false)] {
            let mut watch = Watch { group_before: Some(before), ..watch(used / 2, 1) };
            let excess = watch.excess();
            assert_eq!(matches!(excess, Some(Excess::Memory(_))), exceeds, "{excess:?}");
            assert!(!matches!(excess, Some(Excess::Processes(_))), "they are not counted");
        }
    }

    #[test]
    fn shared_pages_are_no_excess() {
        let child = Child::sleeping();
        let pid = child.0.id() as i32;
        let mut watch = watch(u64::MAX, 1_000_000);
        watch.known = vec![pid];
        let (resident, share) = (resident_bytes(pid).unwrap(), resident::of(pid).unwrap().proportional_bytes);
        assert!(share < resident, "{share} of {resident}: the C library is shared");
        watch.limits.memory_bytes = resident - 1;
        assert_eq!(watch.excess_of_memory(resident), None);
        watch.limits.memory_bytes = share / 2;
        assert!(watch.excess_of_memory(resident).is_some());
    }

    #[test]
    fn this_machine_has_tasks() {
        assert!(tasks() > 1);
    }
}
