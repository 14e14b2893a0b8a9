//! The affinity set of a thread.

use std::fs;
use std::io;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::descendants::threads;
use crate::sandbox::core_list::listed;

/// Restricts the calling thread, and everything that it starts from now on, to these cores.
pub(in crate::sandbox) fn set(cores: &[usize]) -> io::Result<()> {
    let mut cpus = CpuSet::new();
    for core in cores {
        if *core >= CpuSet::MAX_CPU {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no core {core}")));
        }
        cpus.set(*core);
    }
    Ok(sched_setaffinity(None, &cpus)?)
}

/// The cores that this process may use.
pub(in crate::sandbox) fn allowed() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect(),
        Err(_) => Vec::new(),
    }
}

/// Whether a thread of these processes may use a core that `root` may not use: a set is a wish, which each process can change.
pub(super) fn is_exceeded(root: i32, pids: impl IntoIterator<Item = i32>) -> bool {
    let Some(given) = of_thread(root) else { return false };
    let exceeds = |set: CpuSet| (0..CpuSet::MAX_CPU).any(|core| set.is_set(core) && !given.is_set(core));
    pids.into_iter().flat_map(threads).filter_map(|thread| of_thread(thread.parse().ok()?)).any(exceeds)
}

fn of_thread(thread: i32) -> Option<CpuSet> {
    sched_getaffinity(Some(Pid::from_raw(thread)?)).ok()
}

/// How fast this core can be, in relation to the others of the machine; `None` where the system does not say.
pub(in crate::sandbox) fn capacity(core: usize) -> Option<u64> {
    let read = |file: &str| {
        let text = fs::read_to_string(format!("/sys/devices/system/cpu/cpu{core}/{file}")).ok()?;
        text.trim().parse().ok()
    };
    // Where there is the first, cores may differ at one clock rate.
    read("cpu_capacity").or_else(|| read("cpufreq/cpuinfo_max_freq"))
}

/// The position of this hardware thread among those of its core; 0 where the system does not say.
pub(in crate::sandbox) fn place_among_siblings(core: usize) -> usize {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    let list = fs::read_to_string(path).unwrap_or_default();
    listed(&list).position(|sibling| sibling == core).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_and_its_children_stay_on_the_cores_of_their_set() {
        let one = allowed()[..1].to_vec();
        let pinned = std::thread::spawn(move || {
            set(&one).unwrap();
            let child = std::thread::spawn(allowed).join().unwrap();
            assert_eq!((&one, &one), (&allowed(), &child));
        });
        pinned.join().unwrap();
    }

    #[test]
    fn a_core_that_no_machine_has_is_refused() {
        assert!(set(&[99_999]).is_err());
    }
}
