//! Which cores a worker's process tree may use: one affinity set, taken before anything is loaded and inherited by
//! whatever the worker starts.

use std::fmt;
use std::io;
use std::str::FromStr;

use super::machine::affinity;

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
        let mut allowed = affinity::allowed();
        allowed.sort_by_key(|core| (affinity::place_among_siblings(*core), *core));
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

    pub fn numbers(&self) -> &[usize] {
        &self.0
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
        let numbers: Option<Vec<usize>> = text.split(',').map(|number| number.parse().ok()).collect();
        let no_cores = || io::Error::new(io::ErrorKind::InvalidInput, format!("{text:?} are no cores"));
        numbers.map(Self).ok_or_else(no_cores)
    }
}

/// The cores that this process may use; one whose number is not known counts as the first.
pub(crate) fn cores() -> Vec<usize> {
    let allowed = affinity::allowed();
    if allowed.is_empty() { vec![0] } else { allowed }
}

/// Keeps the calling thread on `core`. One that may not be bound still measures.
pub(crate) fn stay_on(core: usize) {
    let _ = affinity::keep(&[core]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_read_back_as_they_are_written() {
        let cores = Cores(vec![0, 3, 12]);
        assert_eq!(cores.to_string(), "0,3,12");
        assert_eq!("0,3,12".parse::<Cores>().unwrap(), cores);
        for bad in ["", "a", "0,", "-1"] {
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
}
