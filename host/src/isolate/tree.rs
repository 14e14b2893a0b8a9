//! Finds processes by parentage and by the marker in their environment, and ends them.

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::MARKER;

/// How long processes that were killed may take to vanish.
const VANISH: Duration = Duration::from_secs(5);

struct Process {
    pid: i32,
    parent: i32,
    /// Whether it is not just waiting to be reaped.
    alive: bool,
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
    let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
    Some(Process { pid, parent, alive: !matches!(state, "Z" | "X") })
}

/// Every living process below this one, however deep.
pub(super) fn descendants() -> Vec<i32> {
    below(own_pid()).into_iter().filter(|process| process.alive).map(|process| process.pid).collect()
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
pub(super) fn marked(marker: &str) -> Vec<i32> {
    let entry = format!("{MARKER}={marker}");
    let has_marker = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes())
    };
    let pids = processes().into_iter().filter(|process| process.alive).map(|process| process.pid);
    pids.filter(|pid| *pid != own_pid()).filter(has_marker).collect()
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Kills every process of the session `marker` until none is left.
pub(super) fn end_marked(marker: &str) {
    end(|| marked(marker));
}

/// Kills what `find` finds until it finds nothing: between a look and a kill a process may start another.
pub(super) fn end(mut find: impl FnMut() -> Vec<i32>) {
    let deadline = Instant::now() + VANISH;
    loop {
        let found = find();
        if found.is_empty() || Instant::now() > deadline {
            return;
        }
        for pid in found.into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(1));
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
        assert!(descendants().contains(&pid));
        assert_eq!(marked(&marker), [pid]);
        assert!(!marked("another").contains(&pid));
        end_marked(&marker);
        assert!(!child.wait().unwrap().success());
    }
}
