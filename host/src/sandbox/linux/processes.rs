//! Finds processes by parentage and by the marker in their environment, and kills them.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpgrp, kill_process, kill_process_group, wait,
};

use crate::sandbox::exit_reason::ExitReason;
use crate::text::number_of;

/// The environment variable that marks every process of one worker's tree.
pub(super) const MARKER: &str = "CROSSRUN_SESSION";

/// How a process exited, by the status of `wait`; `None` if it was only stopped.
pub(super) fn exit_reason(status: WaitStatus) -> Option<ExitReason> {
    let signalled = status.terminating_signal().map(ExitReason::Signalled);
    status.exit_status().map(ExitReason::Exited).or(signalled)
}

/// How long killed processes may take to disappear.
const KILL_GRACE: Duration = Duration::from_secs(5);

pub(super) struct Process {
    pub(super) pid: i32,
    parent: i32,
    group: i32,
    /// Whether it is more than a zombie, which waits to be reaped.
    alive: bool,
    /// Whether a signal has stopped it; not whether a debugger holds it.
    pub(super) stopped: bool,
    /// The number of its threads; a zombie counts as one, as it has a process id.
    pub(super) threads: u32,
    pub(super) resident_bytes: u64,
    /// When it began, in ticks since the system did.
    pub(super) started: u64,
}

/// Whether `/proc` shows this process under its own number. In the `/proc` of another PID namespace, a number means another process.
pub(in crate::sandbox) fn are_visible() -> bool {
    fs::read_link("/proc/self").is_ok_and(|own| own.to_str() == Some(&own_pid().to_string()))
}

/// The ids of all processes that this one can see; none where their numbers mean other processes.
pub(super) fn all() -> impl Iterator<Item = i32> {
    let entries = are_visible().then(|| fs::read_dir("/proc").ok()).flatten().into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// All processes that this one can see.
fn processes() -> Vec<Process> {
    all().filter_map(process).collect()
}

/// The fields of `/proc/<pid>/stat` after the name, which may hold anything and stands in parentheses.
pub(super) fn stat(pid: i32) -> Option<String> {
    let mut stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    String::from_utf8(stat.split_off(name_end + 1)).ok()
}

fn process(pid: i32) -> Option<Process> {
    let stat = stat(pid)?;
    let mut fields = stat.split_ascii_whitespace();
    // The fields 3, 4, 5, 20, 22 and 24 of proc(5).
    let (state, parent, group) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let threads = fields.nth(14)?.parse::<u32>().ok()?.max(1);
    let started = fields.nth(1)?.parse().ok()?;
    let resident_pages: u64 = fields.nth(1)?.parse().ok()?;
    let resident_bytes = resident_pages * rustix::param::page_size() as u64;
    let (alive, stopped) = (!matches!(state, "Z" | "X"), state == "T");
    Some(Process { pid, parent, group, alive, stopped, threads, resident_bytes, started })
}

/// Every living process below this one, at any depth.
pub(super) fn descendants() -> Vec<Process> {
    let mut descendants = below(own_pid());
    descendants.retain(|process| process.alive);
    descendants
}

/// Every process below this one, zombies included: they have process ids too, of which a machine has a limited number. Where
/// the system lists children, the cost depends on the tree alone, and otherwise on the whole machine. A child of a process
/// that exits at this moment may be missing.
pub(super) fn own_tree() -> Vec<Process> {
    let own = own_pid();
    if !are_visible() || !Path::new(&format!("/proc/{own}/task/{own}/children")).exists() {
        return below(own);
    }
    let children = |pid| children_of_threads(pid, usize::MAX);
    let mut unseen = children(own);
    let mut tree = Vec::new();
    while let Some(pid) = unseen.pop() {
        unseen.extend(children(pid));
        tree.extend(process(pid));
    }
    tree
}

/// `root` and the first processes below it, at most `most`, the nearest first. What that costs does not depend on the tree, nor on its
/// threads, of which as many are looked at in each process.
pub(super) fn nearest(root: i32, most: usize) -> Vec<Process> {
    if !are_visible() {
        return Vec::new();
    }
    let (mut found, mut next) = (vec![root], 0);
    while found.len() < most && next < found.len() {
        let room = most - found.len();
        found.extend(children_of_threads(found[next], most).into_iter().take(room));
        next += 1;
    }
    found.into_iter().filter_map(process).collect()
}

/// The children of so many threads of a process.
fn children_of_threads(pid: i32, count: usize) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().take(count);
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Every process below `root`, zombies included.
pub(super) fn below(root: i32) -> Vec<Process> {
    let all = processes();
    let mut found = HashSet::from([root]);
    // A child may come before its parent in the list: repeat until a pass finds nothing new.
    while all.iter().any(|process| found.contains(&process.parent) && found.insert(process.pid)) {}
    found.remove(&root);
    all.into_iter().filter(|process| found.contains(&process.pid)).collect()
}

/// Every other process of this user that was started with `marker` in its environment.
pub(super) fn marked(marker: &str) -> Vec<Process> {
    let entry = format!("{MARKER}={marker}");
    let has_marker = |process: &Process| {
        let pid = process.pid;
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes())
    };
    let others = processes().into_iter().filter(|process| process.alive && process.pid != own_pid());
    others.filter(has_marker).collect()
}

/// The process that traces `pid`, if there is one.
pub(super) fn tracer(pid: u32) -> Option<u32> {
    status_number(pid, "TracerPid:").filter(|tracer| *tracer != 0)
}

/// The number after `key` in `/proc/<pid>/status`, which begins with the name of the process: that may hold any bytes.
pub(super) fn status_number<N: FromStr>(pid: impl Display, key: &str) -> Option<N> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    number_of(key, &String::from_utf8_lossy(&status))
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Kills every process of the session `marker` until none is left.
pub(super) fn end_marked(marker: &str) {
    end(|| marked(marker), <[Process]>::is_empty);
}

/// Kills every process below this one, the parent of the orphans among them, until it has no children.
pub(super) fn end_descendants() {
    // A scan may miss processes that each start the next and exit; the system's own list of children does not.
    end(descendants, |_| has_no_children());
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

/// Kills the processes that `find` finds until `done` holds.
fn end(mut find: impl FnMut() -> Vec<Process>, done: impl Fn(&[Process]) -> bool) {
    let deadline = Instant::now() + KILL_GRACE;
    stop(&mut find, deadline);
    loop {
        let found = find();
        if done(&found) || Instant::now() > deadline {
            return;
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
        assert!(is_found(descendants));
        assert!(is_found(own_tree));
        assert_eq!(pids(marked(&marker)), [pid]);
        assert!(!pids(marked("another")).contains(&pid));
        end_marked(&marker);
        assert!(!child.wait().unwrap().success());
    }
}
