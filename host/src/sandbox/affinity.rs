//! The affinity set of a worker's process tree. It is set before anything is loaded, and every process below inherits it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::machine::affinity;
use crate::control_group::{self, Quota};

/// A set of cores, by the system's numbers; sorted, and not empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// `count` of the cores that this process may use. Hardware threads that share a core are taken last, as they slow each
    /// other down.
    ///
    /// # Errors
    /// The number of cores, if it is less than `count`.
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

/// The cores that this process may use; core 0 if the system does not say.
pub(crate) fn cores() -> Vec<usize> {
    let allowed = affinity::allowed();
    if allowed.is_empty() { vec![0] } else { allowed }
}

/// As many of these cores as a quota of processor time leaves: more would wait for it in turn.
pub(crate) fn within_quota(cores: Vec<usize>) -> Vec<usize> {
    within(cores, control_group::cpu_quota(Path::new("/")))
}

fn within(cores: Vec<usize>, quota: Option<Quota>) -> Vec<usize> {
    match quota {
        Some(Quota::Cores(quota)) => some_of(&cores, quota as usize),
        Some(Quota::Unlimited) | None => cores,
    }
}

/// At most so many of these cores, spread over all of them, but one at least.
pub(crate) fn some_of(cores: &[usize], most: usize) -> Vec<usize> {
    let number = most.clamp(1, cores.len().max(1));
    (0..number).filter_map(|place| cores.get(place * cores.len() / number).copied()).collect()
}

/// A core that is at most this part as fast as the fastest is slow. Cores of one kind, some of which a processor may prefer, differ
/// by less.
const SLOW: f64 = 0.9;

/// The cores that this process may use, without those that the system says are slow: a processor may have cores of two kinds.
pub(crate) fn fast_cores() -> Vec<usize> {
    fast(cores().into_iter().map(|core| (core, affinity::capacity(core))).collect())
}

fn fast(cores: Vec<(usize, Option<u64>)>) -> Vec<usize> {
    let most = cores.iter().filter_map(|(_, capacity)| *capacity).max().unwrap_or_default() as f64;
    let is_fast =
        |(_, capacity): &(usize, Option<u64>)| capacity.is_none_or(|capacity| capacity as f64 > SLOW * most);
    cores.into_iter().filter(is_fast).map(|(core, _)| core).collect()
}

/// Keeps the calling thread, and the threads that it starts, to `cores`. Where that is not allowed, it goes on without being kept.
pub(crate) fn keep_to(cores: &[usize]) {
    let _ = affinity::set(cores);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_cores_are_of_all_parts_of_the_machine() {
        let all: Vec<_> = (0..128).collect();
        assert_eq!(some_of(&all, 10), [0, 12, 25, 38, 51, 64, 76, 89, 102, 115]);
        assert_eq!(some_of(&all, 0), [0]);
        assert_eq!(some_of(&[3, 5], 10), [3, 5]);
    }

    #[test]
    fn no_more_cores_compute_at_once_than_a_quota_leaves() {
        let of = |quota| within((0..64).collect(), quota);
        assert_eq!(of(Some(Quota::Cores(2.5))), [0, 32]);
        assert_eq!(of(Some(Quota::Cores(0.5))), [0]);
        let all = [Some(Quota::Cores(99.0)), Some(Quota::Unlimited), None].map(|quota| of(quota).len());
        assert_eq!(all, [64; 3]);
    }

    #[test]
    fn only_cores_that_are_clearly_slower_are_left_out() {
        let of = |capacities: [Option<u64>; 4]| fast((0..).zip(capacities).collect());
        // Two cores of 4.7 GHz, of which one is preferred, and two of 3.4 GHz.
        assert_eq!(of([Some(4_700_000), Some(4_800_000), Some(3_400_000), Some(3_400_000)]), [0, 1]);
        assert_eq!(of([Some(1024); 4]), [0, 1, 2, 3]);
        assert_eq!(of([None; 4]), [0, 1, 2, 3]);
    }

    #[test]
    fn the_result_has_the_requested_number_of_cores_or_is_an_error() {
        assert_eq!(Cores::first(vec![2, 0, 3, 1], 2), Ok(Cores(vec![0, 2])));
        assert_eq!(Cores::first(vec![0, 1], 3), Err(2));
        assert_eq!(Cores::first(vec![0, 1], 0), Err(2));
        assert_eq!(Cores::choose(1).unwrap().numbers().len(), 1);
    }
}
