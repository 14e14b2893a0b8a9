//! METG: the shortest tasks that an engine runs efficiently. Pure: no clock, no files, no printing.
//!
//! The *granularity* of a task is cores · duration / tasks: the time of a core that one task takes, overhead included. The
//! *minimum effective task granularity* at 50 % is the granularity at which half of the cores' time is spent in kernels
//! (Slaughter et al., "Task Bench: a parameterized benchmark for evaluating parallel runtime performance", SC20). As
//! efficiency is kernel / granularity, the kernel at that point is half of it. The curve is evaluated over the kernel.
//! `sweep` chooses the kernels and their numbers of tasks, `curve` computes the value of a block from its points, and
//! `value` combines the blocks. `docs/method.md` says why each rule is as it is.

mod curve;
mod sweep;
mod value;

#[cfg(test)]
mod simulation;

pub(crate) use curve::{MeasuredLoad, NoValue, block_value, crossing, floor};
pub(crate) use sweep::{Load, LoadRunner, Range, Sweep};
pub(crate) use value::{Estimate, Value, over_blocks};

/// The workload's parameter for the length of the kernel.
pub(crate) const ITERATIONS: &str = "iters";
/// The largest value that a sweep gives it: the largest power of two that the standard workloads take.
pub(crate) const MOST_ITERATIONS: u64 = 1 << 29;
/// The keys of `extra` that a sweep over independent tasks sets: an item is one kernel, and each item and each stage is scheduled by
/// itself.
pub(crate) const SWEPT_KEYS: [&str; 4] = ["batch_size", "fusion", ITERATIONS, "stages"];

/// The share of the cores' time that must be spent in kernels.
pub(crate) const TARGET_EFFICIENCY: f64 = 0.5;
/// A sweep begins with a kernel of at least this efficiency. Without such a kernel the block has no value.
pub(crate) const FIRST_EFFICIENCY: f64 = 0.9;
/// A sweep ends with a kernel of at most this efficiency.
pub(crate) const LAST_EFFICIENCY: f64 = 0.1;
/// A higher efficiency is impossible: the backend used more cores than allowed, or the reference is too slow.
pub(crate) const MAX_EFFICIENCY: f64 = 1.05;

/// The average seconds of one iteration of the kernel, from the seconds of one serial call on each core. It is the harmonic
/// mean, because the speeds of cores add up. None if a time is not positive and finite.
pub(crate) fn seconds_per_iteration(calls: &[f64], iterations: u64) -> Option<f64> {
    let usable = calls.iter().all(|seconds| seconds.is_finite() && *seconds > 0.0);
    let speed: f64 = calls.iter().map(|seconds| iterations as f64 / seconds).sum();
    let each = calls.len() as f64 / speed;
    (usable && each.is_finite() && each > 0.0).then_some(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_adds_up_the_speeds_of_the_cores() {
        assert_eq!(seconds_per_iteration(&[2.0, 2.0], 1000), Some(0.002));
        // One does 1000 a second, the other 500: 1500 on two cores.
        assert!((seconds_per_iteration(&[1.0, 2.0], 1000).unwrap() - 2.0 / 1500.0).abs() < 1e-12);
        for bad in [&[][..], &[0.0], &[1.0, f64::NAN], &[f64::INFINITY]] {
            assert_eq!(seconds_per_iteration(bad, 1000), None);
        }
    }
}
