//! Stops and continues all processes of a tree.

use std::collections::HashSet;

use rustix::process::{Pid, Signal, kill_process};

use super::descendants;

/// Stops `root` and all processes below it. Repeated until there is no new one: a process may start others until it is stopped.
pub(in crate::sandbox) fn stop(root: u32) {
    let mut stopped = HashSet::new();
    while signal(root, Signal::STOP, |pid| stopped.insert(pid)) > 0 {}
}

/// Lets `root` and all processes below it go on.
pub(in crate::sandbox) fn resume(root: u32) {
    signal(root, Signal::CONT, |_| true);
}

/// Of so many processes of a tree it is looked whether they are stopped: the supervisor, the init process of the namespace, the worker,
/// and those that it has started itself.
const LOOKED_AT: usize = 8;

/// Which of the first processes of a tree a signal has stopped: its `root`, and one below it.
pub(in crate::sandbox) fn stopped(root: u32) -> (bool, bool) {
    let nearest = descendants::nearest(root as i32, LOOKED_AT);
    let (roots, below): (Vec<_>, Vec<_>) =
        nearest.into_iter().partition(|process| process.pid == root as i32);
    (roots.iter().any(|process| process.stopped), below.iter().any(|process| process.stopped))
}

/// Sends a signal to those processes of the tree that `wanted` names, and returns how many there were.
fn signal(root: u32, signal: Signal, mut wanted: impl FnMut(i32) -> bool) -> usize {
    let root = root as i32;
    let all = std::iter::once(root).chain(descendants::below(root).into_iter().map(|process| process.pid));
    let pids: Vec<_> = all.filter(|pid| wanted(*pid)).filter_map(Pid::from_raw).collect();
    for pid in &pids {
        let _ = kill_process(*pid, signal);
    }
    pids.len()
}
