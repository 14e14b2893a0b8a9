//! Finds the processes below another.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::processes::{Process, are_visible, own_pid, process, processes, read};

/// How often a tree is walked at most.
const WALKS: usize = 5;

/// Every living process below this one, at any depth.
pub(super) fn living() -> Vec<Process> {
    let mut living = below(own_pid());
    living.retain(|process| process.alive);
    living
}

/// Every process below `root`, zombies included: they have process ids too, of which a machine has a limited number. Where the
/// system lists children, the cost depends on the tree, and otherwise on the whole machine.
pub(super) fn below(root: i32) -> Vec<Process> {
    if !are_visible() {
        return Vec::new();
    }
    // Many threads have as many lists: then to read all processes of the machine costs less.
    let mut files = fs::metadata("/proc").map_or(0, |status| status.nlink());
    let mut walked = || walk(root, &mut files).map(|tree| (identities(&tree), tree));
    settled(&mut walked).unwrap_or_else(|| scanned_below(root))
}

/// What one walk finds below this process: for whoever looks again and again, and may miss a process once.
pub(super) fn glance() -> Vec<Process> {
    let (root, mut files) = (own_pid(), u64::MAX);
    if !are_visible() {
        return Vec::new();
    }
    walk(root, &mut files).unwrap_or_else(|| scanned_below(root))
}

/// What makes a process another one: its number, when it began, and whether it has ended.
fn identities(tree: &[Process]) -> Vec<(i32, u64, bool)> {
    tree.iter().map(|process| (process.pid, process.started, process.alive)).collect()
}

/// Reads until two readings in a row are the same. A process that moves from one list to another, as its parent or a thread has ended, may
/// be in none that is read, and then is in one of the next reading. `None` if they do not settle, or cannot be read.
fn settled<K: PartialEq, T>(mut read: impl FnMut() -> Option<(K, T)>) -> Option<T> {
    let (mut before, _) = read()?;
    for _ in 1..WALKS {
        let (now, value) = read()?;
        if now == before {
            return Some(value);
        }
        before = now;
    }
    None
}

/// The processes below `root` to which the lists of children lead. `None` where the system has no such lists, and if more than so
/// many `files` are to be read, which it takes from them.
fn walk(root: i32, files: &mut u64) -> Option<Vec<Process>> {
    let (mut found, mut known, mut tree) = (vec![root], HashSet::from([root]), Vec::new());
    let mut has_lists = false;
    while let Some(pid) = found.pop() {
        *files = files.checked_sub(2)?;
        for thread in threads(pid) {
            *files = files.checked_sub(1)?;
            // Of a thread that is gone there is none either.
            let Some(children) = children(pid, &thread) else { continue };
            has_lists = true;
            found.extend(children.into_iter().filter(|child| known.insert(*child)));
        }
        // A number that was in a list may be that of another process since.
        let of_tree = |process: &Process| known.contains(&process.parent);
        tree.extend((pid != root).then(|| process(pid)).flatten().filter(of_tree));
    }
    has_lists.then_some(tree)
}

/// Those to which the parents of all processes lead.
fn scanned_below(root: i32) -> Vec<Process> {
    let all = processes();
    let mut found = HashSet::from([root]);
    // A child may come before its parent in the list: repeat until a pass finds nothing new.
    while all.iter().any(|process| found.contains(&process.parent) && found.insert(process.pid)) {}
    found.remove(&root);
    all.into_iter().filter(|process| found.contains(&process.pid)).collect()
}

/// `root` and the first processes below it, at most `most`, the nearest first. What that costs does not depend on the tree, nor on its
/// threads, of which as many are looked at in each process.
pub(super) fn nearest(root: i32, most: usize) -> Vec<Process> {
    if !are_visible() {
        return Vec::new();
    }
    let (mut found, mut next) = (vec![root], 0);
    while found.len() < most && next < found.len() {
        let (pid, room) = (found[next], most - found.len());
        let lists = threads(pid).take(most).filter_map(|thread| children(pid, &thread));
        found.extend(lists.flatten().take(room).collect::<Vec<_>>());
        next += 1;
    }
    found.into_iter().filter_map(process).collect()
}

/// The numbers of the threads of a process; none if it is gone.
pub(super) fn threads(pid: i32) -> impl Iterator<Item = String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads.filter_map(|thread| thread.file_name().into_string().ok())
}

/// The processes that a thread has started, and those that it has become the parent of; `None` if it is gone, and where the system does
/// not list them.
fn children(pid: i32, thread: &str) -> Option<Vec<i32>> {
    let list = String::from_utf8(read(pid, &format!("task/{thread}/children"))?).ok()?;
    Some(list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A shell, ended with all that it has started.
    struct Shell(Child);

    impl Drop for Shell {
        fn drop(&mut self) {
            let all = scanned_below(self.0.id() as i32).into_iter().map(|process| process.pid);
            for pid in all.filter_map(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_walk_and_a_scan_find_the_same_at_any_depth() {
        let script = "sleep 600 & sh -c 'sleep 600 & sh -c \"sleep 600 & echo ready; wait\"; wait'; wait";
        let command = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn();
        let mut shell = Shell(command.unwrap());
        let mut line = String::new();
        BufReader::new(shell.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let root = shell.0.id() as i32;
        let sorted = |mut tree: Vec<_>| {
            tree.sort_unstable();
            tree
        };
        let scanned = sorted(identities(&scanned_below(root)));
        assert!(scanned.len() >= 4, "{scanned:?}");
        assert_eq!(sorted(identities(&below(root))), scanned);
        // Some systems have no lists.
        if let Some(walked) = walk(root, &mut 1000) {
            assert_eq!(sorted(identities(&walked)), scanned);
            assert!(walk(root, &mut 5).is_none(), "more files are to be read");
        }
    }

    #[test]
    fn a_tree_is_read_until_it_is_the_same_twice_but_not_for_ever() {
        let found = |readings: &[Option<i32>]| {
            let mut readings = readings.iter().copied().zip(0..);
            settled(|| readings.next().and_then(|(tree, number)| Some((tree?, number))))
        };
        assert_eq!(found(&[Some(3), Some(3)]), Some(1));
        assert_eq!(found(&[Some(3), Some(4), Some(3), Some(3)]), Some(3));
        assert_eq!(found(&[Some(3), Some(4), Some(5), Some(6), Some(7), Some(7)]), None);
        assert_eq!(found(&[Some(3), None]), None);
    }

    #[test]
    fn of_a_process_that_is_gone_nothing_is_found() {
        let mut shell = Command::new("sh").args(["-c", "exit"]).spawn().unwrap();
        let root = shell.id() as i32;
        shell.wait().unwrap();
        assert_eq!(walk(root, &mut 1000).map(|tree| tree.len()), None);
        assert_eq!(below(root).len(), 0);
    }
}
