//! Which cores a worker's process tree may use: one affinity set, taken before anything is loaded and inherited by
//! whatever the worker starts.

use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A set of cores, by the numbers that the system gives them; sorted, and not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// `count` of the cores that this process may use, or the number that there are if that is less. Threads that share
    /// a core are taken last: they would slow each other down.
    ///
    /// # Errors
    /// How many cores there are, if they are too few.
    pub fn choose(count: usize) -> Result<Self, usize> {
        let mut allowed = allowed();
        allowed.sort_by_key(|core| (place_among_siblings(*core), *core));
        Self::first(allowed, count)
    }

    fn first(mut cores: Vec<usize>, count: usize) -> Result<Self, usize> {
        if count == 0 || cores.len() < count {
            return Err(cores.len());
        }
        cores.truncate(count);
        cores.sort_unstable();
        Ok(Self(cores))
    }

    /// Their numbers.
    pub fn numbers(&self) -> &[usize] {
        &self.0
    }

    /// Keeps the calling thread, and all that it starts from now on, to these cores.
    pub(super) fn keep(&self) -> io::Result<()> {
        let mut set = CpuSet::new();
        self.0.iter().for_each(|core| set.set(*core));
        Ok(sched_setaffinity(None, &set)?)
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&numbers.join(","))
    }
}

impl FromStr for Cores {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Self> {
        let number = |text: &str| text.parse().ok().filter(|number| *number < CpuSet::MAX_CPU);
        let numbers: Option<Vec<usize>> = text.split(',').map(number).collect();
        let no_cores = || io::Error::new(io::ErrorKind::InvalidInput, format!("{text:?} are no cores"));
        numbers.map(Self).ok_or_else(no_cores)
    }
}

/// The cores that this process may use.
fn allowed() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect(),
        Err(_) => Vec::new(),
    }
}

/// How many threads of the same core come before this one; 0 where the system does not say.
fn place_among_siblings(core: usize) -> usize {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    fs::read_to_string(path).ok().and_then(|list| place_in(&list, core)).unwrap_or(0)
}

/// The place of `core` in a list such as `0,4` or `0-1`.
fn place_in(list: &str, core: usize) -> Option<usize> {
    let mut place = 0;
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if (first..=last).contains(&core) {
            return Some(place + core - first);
        }
        place += (last + 1).saturating_sub(first);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_read_back_as_they_are_written() {
        let cores = Cores(vec![0, 3, 12]);
        assert_eq!(cores.to_string(), "0,3,12");
        assert_eq!("0,3,12".parse::<Cores>().unwrap(), cores);
        for bad in ["", "a", "0,", "-1", "99999"] {
            assert!(bad.parse::<Cores>().is_err(), "{bad}");
        }
    }

    #[test]
    fn there_are_as_many_as_were_asked_for_or_it_is_said_how_many_there_are() {
        assert_eq!(Cores::first(vec![2, 0, 3, 1], 2), Ok(Cores(vec![0, 2])));
        assert_eq!(Cores::first(vec![0, 1], 3), Err(2));
        assert_eq!(Cores::first(vec![0, 1], 0), Err(2));
        assert_eq!(Cores::choose(1).unwrap().numbers().len(), 1);
    }

    #[test]
    fn the_second_thread_of_a_core_is_known() {
        assert_eq!(["0,4\n", "0-1", "0-1,8-9"].map(|list| place_in(list, 0)), [Some(0); 3]);
        assert_eq!((place_in("0,4", 4), place_in("0-1,8-9", 9)), (Some(1), Some(3)));
        assert_eq!((place_in("0,4", 5), place_in("", 0)), (None, None));
    }

    #[test]
    fn a_thread_that_is_kept_to_a_core_stays_there_and_so_does_what_it_starts() {
        let one = Cores::choose(1).unwrap();
        let kept = std::thread::spawn(move || {
            one.keep().unwrap();
            let child = std::thread::spawn(allowed).join().unwrap();
            (one.0, allowed(), child)
        });
        let (one, here, child) = kept.join().unwrap();
        assert_eq!((&one, &one), (&here, &child));
    }
}
