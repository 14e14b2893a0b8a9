//! METG: how long a task must be for its engine to keep the cores at work. Pure: no clock, no files, no printing.
//!
//! The *minimum effective task granularity* at 50 % is the shortest kernel at which half of the cores' time goes into
//! kernels (Slaughter et al., "Task LoadRunner: a parameterized benchmark for evaluating parallel runtime performance", SC20).
//! `sweep` decides which kernels are run, on whatever runs them; `curve` turns what came of it into the value of a block;
//! `value` puts blocks together. `docs/method.md` says why each rule is as it is.

mod curve;
mod sweep;
mod value;

#[cfg(test)]
mod simulation;

pub(crate) use curve::{MeasuredLoad, TooEfficient, block_value, floor};
pub(crate) use sweep::{Load, LoadRunner, Sweep};
pub(crate) use value::{Value, over_blocks};

/// The share of the cores' time that must go into kernels.
pub(crate) const TARGET_EFFICIENCY: f64 = 0.5;
/// A sweep begins with a kernel at which at least this share does.
pub(crate) const FIRST_EFFICIENCY: f64 = 0.9;
/// A sweep ends with a kernel at which at most this share does.
pub(crate) const LAST_EFFICIENCY: f64 = 0.1;
/// More than this cannot be: either more cores worked than were allowed to, or the reference is too slow.
pub(crate) const MAX_EFFICIENCY: f64 = 1.05;

/// Seconds that one iteration of the kernel takes on average over the cores, from the seconds of one serial call on each
/// of them: the harmonic mean, as cores that work side by side add up their speeds. Nothing if a time is none.
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
    fn the_reference_is_what_cores_of_unlike_speed_do_together() {
        assert_eq!(seconds_per_iteration(&[2.0, 2.0], 1000), Some(0.002));
        // One does 1000 a second, the other 500: 1500 on two cores.
        assert!((seconds_per_iteration(&[1.0, 2.0], 1000).unwrap() - 2.0 / 1500.0).abs() < 1e-12);
        for bad in [&[][..], &[0.0], &[1.0, f64::NAN], &[f64::INFINITY]] {
            assert_eq!(seconds_per_iteration(bad, 1000), None);
        }
    }
}
