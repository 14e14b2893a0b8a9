//! Kills processes until none is left.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getpgrp, kill_process, kill_process_group, wait};

use super::descendants;
use super::processes::{Process, marked};

/// How long killed processes may take to disappear.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// Kills every process of the session `marker` until none is left, or for so long that some cannot be killed. Returns whether none is
/// left.
pub(super) fn end_marked(marker: &str) -> bool {
    end(|| marked(marker), <[Process]>::is_empty, KILL_GRACE)
}

/// Kills every process below this one, the parent of the orphans among them, until it has no children.
pub(super) fn end_descendants() {
    // A scan may miss processes that each start the next and exit; the system's own list of children does not.
    end(descendants::living, |_| has_no_children(), KILL_GRACE);
}

/// Reaps all children that have exited, and returns whether there are no others.
fn has_no_children() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// Kills the processes that `find` finds until `done` holds, or `grace` has passed. Returns whether it holds.
fn end(mut find: impl FnMut() -> Vec<Process>, done: impl Fn(&[Process]) -> bool, grace: Duration) -> bool {
    let deadline = Instant::now() + grace;
    stop(&mut find, deadline);
    loop {
        let found = find();
        let is_done = done(&found);
        if is_done || Instant::now() > deadline {
            return is_done;
        }
        kill_groups(&found);
        for pid in found.into_iter().filter_map(|process| Pid::from_raw(process.pid)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Kills the groups of these processes, except for this process's own group. The system kills a group as a whole: no process of
/// it escapes by starting another and exiting.
fn kill_groups(processes: &[Process]) {
    let groups = processes.iter().filter_map(|process| Pid::from_raw(process.group));
    for group in groups.filter(|group| *group != getpgrp()).collect::<HashSet<_>>() {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Stops the processes that `find` finds until it finds nothing new: between a scan and a kill a process may start others, and
/// some processes do nothing else, but a stopped process starts none. Groups that can be killed as a whole are killed.
fn stop(find: &mut impl FnMut() -> Vec<Process>, deadline: Instant) {
    let mut stopped = HashSet::new();
    while Instant::now() < deadline {
        let found = find();
        kill_groups(&found);
        let fresh = found.into_iter().filter(|process| stopped.insert(process.pid));
        let fresh: Vec<_> = fresh.filter_map(|process| Pid::from_raw(process.pid)).collect();
        if fresh.is_empty() {
            return;
        }
        for pid in fresh {
            let _ = kill_process(pid, Signal::STOP);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::processes::{MARKER, own_pid};
    use super::*;

    #[test]
    fn a_marked_child_is_found_both_ways_and_ended() {
        let marker = format!("test-{}", own_pid());
        let mut child = Command::new("sleep").arg("600").env(MARKER, &marker).spawn().unwrap();
        let pid = child.id() as i32;
        let pids = |found: Vec<Process>| found.into_iter().map(|process| process.pid).collect::<Vec<_>>();
        // A process has no environment while the system replaces its address space.
        let deadline = Instant::now() + Duration::from_secs(300);
        while marked(&marker).is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        // A scan may miss it while threads and children of other tests end.
        let is_found = |find: fn() -> Vec<Process>| (0..100).any(|_| pids(find()).contains(&pid));
        assert!(is_found(descendants::living));
        assert_eq!(pids(marked(&marker)), [pid]);
        assert!(!pids(marked("another")).contains(&pid));
        end_marked(&marker);
        assert!(!child.wait().unwrap().success());
        assert!(end_marked(&marker), "none is left");
    }

    #[test]
    fn what_cannot_be_ended_in_time_is_told() {
        assert!(!end(Vec::new, |_| false, Duration::from_millis(1)));
        assert!(end(Vec::new, |_| true, Duration::ZERO));
    }
}
