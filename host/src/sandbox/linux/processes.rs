//! Finds processes by parentage and by the marker in their environment, and ends them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpgrp, kill_process, kill_process_group, wait,
};

use crate::sandbox::death::Death;

/// The environment variable that marks every process of one worker's tree.
pub(super) const MARKER: &str = "CROSSRUN_SESSION";

/// How a process died, from what `wait` says; nothing if it was only stopped.
pub(super) fn death(status: WaitStatus) -> Option<Death> {
    let signalled = status.terminating_signal().map(Death::Signalled);
    status.exit_status().map(Death::Exited).or(signalled)
}

/// How long processes that were killed may take to vanish.
const VANISH: Duration = Duration::from_secs(5);

struct Process {
    pid: i32,
    parent: i32,
    group: i32,
    /// Whether it is not just waiting to be reaped.
    alive: bool,
    resident_pages: u64,
}

/// A process of a tree that lives, or lived a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) pid: i32,
    pub(super) group: i32,
    pub(super) resident_bytes: u64,
}

impl From<Process> for Member {
    fn from(Process { pid, group, resident_pages, .. }: Process) -> Self {
        Self { pid, group, resident_bytes: resident_pages * rustix::param::page_size() as u64 }
    }
}

/// All processes that this one can see.
fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(process).collect()
}

/// Reads `/proc/<pid>/stat`, where the name, which may hold anything, stands in parentheses.
fn process(pid: i32) -> Option<Process> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after_name = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[after_name + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    // The fields 3, 4, 5 and 24 of proc(5).
    let (state, parent, group) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let resident_pages = fields.nth(18)?.parse().ok()?;
    Some(Process { pid, parent, group, alive: !matches!(state, "Z" | "X"), resident_pages })
}

/// Every living process below this one, however deep.
pub(super) fn descendants() -> Vec<Member> {
    below(own_pid()).into_iter().filter(|process| process.alive).map(Member::from).collect()
}

/// Every process below this one, those that wait to be reaped included: they have a number, too, of which a machine has only
/// so many. What this costs depends on the tree alone, where the system lists children, and else on the whole machine. A
/// child of a process that just ends may be missing.
pub(super) fn own_family() -> Vec<Member> {
    let own = own_pid();
    if !Path::new(&format!("/proc/{own}/task/{own}/children")).exists() {
        return below(own).into_iter().map(Member::from).collect();
    }
    let mut unseen = children(own);
    let mut family = Vec::new();
    while let Some(pid) = unseen.pop() {
        unseen.extend(children(pid));
        family.extend(process(pid).map(Member::from));
    }
    family
}

/// The children of all threads of a process.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Every process below `root`, those that wait to be reaped included: what they used still counts.
pub(super) fn family(root: i32) -> Vec<i32> {
    below(root).into_iter().map(|process| process.pid).collect()
}

fn below(root: i32) -> Vec<Process> {
    let all = processes();
    let mut found = HashSet::from([root]);
    // A child may come before its parent in the list: go on until a pass finds nothing new.
    while all.iter().any(|process| found.contains(&process.parent) && found.insert(process.pid)) {}
    found.remove(&root);
    all.into_iter().filter(|process| found.contains(&process.pid)).collect()
}

/// Every process of this user but this one with `marker` in the environment that it was started with.
pub(super) fn marked(marker: &str) -> Vec<Member> {
    let entry = format!("{MARKER}={marker}");
    let has_marker = |process: &Process| {
        let pid = process.pid;
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes())
    };
    let others = processes().into_iter().filter(|process| process.alive && process.pid != own_pid());
    others.filter(has_marker).map(Member::from).collect()
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Kills every process of the session `marker` until none is left.
pub(super) fn end_marked(marker: &str) {
    end(|| marked(marker), <[Member]>::is_empty);
}

/// Kills every process below this one, which gets the orphans among them as its children, until it has no children.
pub(super) fn end_descendants() {
    // A look finds nothing where each process starts the next and leaves before it is looked at; the system knows better.
    end(descendants, |_| has_no_children());
}

/// Reaps what has ended, and says whether nothing else is there.
fn has_no_children() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// Kills what `find` finds until that is `done` with.
fn end(mut find: impl FnMut() -> Vec<Member>, done: impl Fn(&[Member]) -> bool) {
    let deadline = Instant::now() + VANISH;
    stop(&mut find, deadline);
    loop {
        let found = find();
        if done(&found) || Instant::now() > deadline {
            return;
        }
        kill_groups(&found);
        for pid in found.into_iter().filter_map(|member| Pid::from_raw(member.pid)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Kills the groups of these processes, but for this process's own. The system kills a group as a whole: no process of it
/// gets away by starting another and leaving.
fn kill_groups(members: &[Member]) {
    let groups = members.iter().filter_map(|member| Pid::from_raw(member.group));
    for group in groups.filter(|group| *group != getpgrp()).collect::<HashSet<_>>() {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Stops what `find` finds until it finds nothing new: between a look and a kill a process may start others, and some do
/// nothing else, but what is stopped starts none. What is in a group that can be killed as a whole need not be stopped.
fn stop(find: &mut impl FnMut() -> Vec<Member>, deadline: Instant) {
    let mut stopped = HashSet::new();
    while Instant::now() < deadline {
        let found = find();
        kill_groups(&found);
        let fresh = found.into_iter().filter(|member| stopped.insert(member.pid));
        let fresh: Vec<_> = fresh.filter_map(|member| Pid::from_raw(member.pid)).collect();
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
        let pids = |members: Vec<Member>| members.into_iter().map(|member| member.pid).collect::<Vec<_>>();
        // While the system makes its address space anew, a process has no environment.
        let deadline = Instant::now() + Duration::from_secs(300);
        while marked(&marker).is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(pids(descendants()).contains(&pid));
        assert!(pids(own_family()).contains(&pid));
        assert_eq!(pids(marked(&marker)), [pid]);
        assert!(!pids(marked("another")).contains(&pid));
        end_marked(&marker);
        assert!(!child.wait().unwrap().success());
    }
}
