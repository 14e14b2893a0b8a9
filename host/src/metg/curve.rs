//! The points of one sweep: their efficiencies, where the curve through them crosses the target, and the overhead of a
//! task.

use super::{FIRST_EFFICIENCY, MAX_EFFICIENCY, TARGET_EFFICIENCY, Value};
use crate::stats::{isotonic, median};

/// The number of shortest kernels from which the overhead of a task is computed.
const FLOOR_KERNELS: usize = 3;

/// A measured point with a verified answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MeasuredLoad {
    /// Seconds of the kernel of one task in the reference of the block.
    pub kernel_seconds: f64,
    pub tasks: u64,
    pub seconds: f64,
    pub cores: u32,
}

impl MeasuredLoad {
    /// The share of the cores' time that was spent in kernels.
    pub(crate) fn efficiency(&self) -> f64 {
        self.kernel_seconds / self.granularity()
    }

    /// The seconds of a core that one task takes: kernel and overhead.
    pub(crate) fn granularity(&self) -> f64 {
        f64::from(self.cores) * self.seconds / self.tasks as f64
    }

    /// The overhead of one task in seconds of a core.
    pub(crate) fn overhead(&self) -> f64 {
        self.granularity() - self.kernel_seconds
    }
}

/// Why a block has no value, with the point that shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NoValue {
    /// An efficiency is impossible.
    TooEfficient { kernel_seconds: f64, efficiency: f64 },
    /// The longest kernel has an efficiency below [`FIRST_EFFICIENCY`]. Nothing then tells the overhead of the backend from
    /// other work on the machine, so that there is no bound either.
    NeverEfficient { kernel_seconds: f64, efficiency: f64 },
}

/// The shortest kernel at which the curve through the points reaches [`TARGET_EFFICIENCY`]. None without points.
///
/// The curve is the isotonic regression of the efficiencies over the kernels. Between two points it is linear in the
/// logarithm of the kernel.
pub(crate) fn block_value(points: &[MeasuredLoad]) -> Result<Option<Value>, NoValue> {
    let points = by_kernel(points);
    if let Some(point) = points.iter().find(|point| point.efficiency() > MAX_EFFICIENCY) {
        let (kernel_seconds, efficiency) = (point.kernel_seconds, point.efficiency());
        return Err(NoValue::TooEfficient { kernel_seconds, efficiency });
    }
    if let Some(longest) = points.last().filter(|longest| longest.efficiency() < FIRST_EFFICIENCY) {
        let (kernel_seconds, efficiency) = (longest.kernel_seconds, longest.efficiency());
        return Err(NoValue::NeverEfficient { kernel_seconds, efficiency });
    }
    let fit = fit(&points);
    let kernel = |at: usize| points[at].kernel_seconds;
    Ok(match reaching(&fit) {
        None => None,
        Some(0) => Some(Value::Below { seconds: kernel(0) }),
        Some(at) => {
            let part = (TARGET_EFFICIENCY - fit[at - 1]) / (fit[at] - fit[at - 1]);
            let (low, high) = (kernel(at - 1).ln(), kernel(at).ln());
            Some(Value::At { seconds: (low + part * (high - low)).exp() })
        }
    })
}

/// The place, in the order of the kernels, of the shortest kernel at which the curve reaches [`TARGET_EFFICIENCY`]. The point
/// there and the one before it are on either side of the value.
pub(crate) fn crossing(points: &[MeasuredLoad]) -> Option<usize> {
    reaching(&fit(&by_kernel(points)))
}

/// The efficiencies of the curve through points in the order of their kernels.
fn fit(points: &[MeasuredLoad]) -> Vec<f64> {
    isotonic(&points.iter().map(MeasuredLoad::efficiency).collect::<Vec<_>>())
}

fn reaching(fit: &[f64]) -> Option<usize> {
    fit.iter().position(|efficiency| *efficiency >= TARGET_EFFICIENCY)
}

/// The overhead of a task in seconds of a core: the median over the three shortest kernels. None for fewer.
pub(crate) fn floor(points: &[MeasuredLoad]) -> Option<f64> {
    let overheads: Vec<_> =
        by_kernel(points).iter().take(FLOOR_KERNELS).map(MeasuredLoad::overhead).collect();
    if overheads.len() < FLOOR_KERNELS { None } else { median(&overheads) }
}

fn by_kernel(points: &[MeasuredLoad]) -> Vec<MeasuredLoad> {
    let mut points = points.to_vec();
    points.sort_by(|one, other| one.kernel_seconds.total_cmp(&other.kernel_seconds));
    points
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// On one core a run of one task takes kernel / efficiency.
    fn point(kernel_seconds: f64, efficiency: f64) -> MeasuredLoad {
        MeasuredLoad { kernel_seconds, tasks: 1, seconds: kernel_seconds / efficiency, cores: 1 }
    }

    fn value(points: &[(f64, f64)]) -> Value {
        let points: Vec<_> = points.iter().map(|(kernel, efficiency)| point(*kernel, *efficiency)).collect();
        block_value(&points).unwrap().unwrap()
    }

    fn seconds(value: Value) -> f64 {
        let Value::At { seconds } = value else { panic!("{value:?}") };
        seconds
    }

    #[test]
    fn efficiency_and_overhead_follow_from_the_time_of_all_cores() {
        let point = MeasuredLoad { kernel_seconds: 1e-3, tasks: 100, seconds: 0.1, cores: 2 };
        assert!((point.efficiency() - 0.5).abs() < 1e-12);
        assert!((point.granularity() - 2e-3).abs() < 1e-12);
        assert!((point.overhead() - 1e-3).abs() < 1e-12);
    }

    #[test]
    fn the_curve_is_linear_in_the_logarithm() {
        assert!((seconds(value(&[(1.0, 0.25), (4.0, 0.75), (8.0, 0.95)])) - 2.0).abs() < 1e-9);
        assert!((seconds(value(&[(4.0, 0.95), (1.0, 0.1), (2.0, 0.5)])) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_crossing_is_the_first_point_that_reaches_the_target() {
        let place = |points: &[(f64, f64)]| {
            crossing(
                &points.iter().map(|(kernel, efficiency)| point(*kernel, *efficiency)).collect::<Vec<_>>(),
            )
        };
        assert_eq!(place(&[(4.0, 0.75), (1.0, 0.25), (8.0, 0.95)]), Some(1));
        assert_eq!(place(&[(1.0, 0.5), (2.0, 0.95)]), Some(0));
        assert_eq!(place(&[(1.0, 0.2), (2.0, 0.4)]), None);
    }

    #[test]
    fn a_decreasing_efficiency_is_pooled_first() {
        // 0.6 and 0.4 become 0.5 each: the shorter of the two reaches it.
        assert!((seconds(value(&[(1.0, 0.1), (2.0, 0.6), (4.0, 0.4), (8.0, 0.95)])) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn if_the_shortest_kernel_is_efficient_the_value_is_a_bound() {
        assert_eq!(value(&[(1.0, 0.5), (2.0, 0.95)]), Value::Below { seconds: 1.0 });
        assert_eq!(block_value(&[]), Ok(None));
    }

    #[test]
    fn an_impossible_efficiency_is_an_error() {
        let error = block_value(&[point(1.0, 0.2), point(2.0, 1.06)]).unwrap_err();
        let NoValue::TooEfficient { kernel_seconds, efficiency } = error else { panic!("{error:?}") };
        assert_eq!(kernel_seconds, 2.0);
        assert!((efficiency - 1.06).abs() < 1e-9);
        assert!(block_value(&[point(1.0, 0.2), point(2.0, 1.04)]).is_ok());
    }

    #[test]
    fn without_an_efficient_kernel_there_is_neither_a_value_nor_a_bound() {
        for efficiency in [0.05, 0.49, 0.5, 0.89] {
            let error = block_value(&[point(2.0, efficiency), point(1.0, 0.04)]).unwrap_err();
            let NoValue::NeverEfficient { kernel_seconds, efficiency: found } = error else {
                panic!("{error:?}")
            };
            assert_eq!(kernel_seconds, 2.0);
            assert!((found - efficiency).abs() < 1e-9);
        }
        assert!(block_value(&[point(2.0, 0.901), point(1.0, 0.04)]).unwrap().is_some());
    }

    #[test]
    fn the_floor_is_the_median_over_the_three_shortest_kernels() {
        let at = |kernel_seconds: f64, overhead: f64| MeasuredLoad {
            kernel_seconds,
            tasks: 1,
            seconds: kernel_seconds + overhead,
            cores: 1,
        };
        let points = [at(8.0, 100.0), at(1.0, 3.0), at(2.0, 9.0), at(4.0, 5.0)];
        assert!((floor(&points).unwrap() - 5.0).abs() < 1e-12);
        assert_eq!(floor(&points[..2]), None);
    }

    fn points() -> impl Strategy<Value = Vec<(f64, f64)>> {
        let steps = (prop::collection::vec(0.01..1.05_f64, 0..16), FIRST_EFFICIENCY + 0.001..1.05);
        steps.prop_map(|(shorter, longest)| {
            let all = shorter.into_iter().chain([longest]).zip(0..);
            all.map(|(efficiency, step)| (2_f64.powi(step) * 1e-7, efficiency)).collect()
        })
    }

    proptest! {
        #[test]
        fn a_value_is_between_two_kernels_and_a_bound_at_the_end_of_all(points in points()) {
            let (first, last) = (points[0].0, points[points.len() - 1].0);
            match value(&points) {
                Value::At { seconds } => prop_assert!(first < seconds * (1.0 + 1e-9) && seconds <= last * (1.0 + 1e-9)),
                Value::Below { seconds } => prop_assert_eq!(seconds, first),
            }
        }

        #[test]
        fn the_value_scales_with_the_unit(points in points(), scale in 1e-3..1e3_f64) {
            let scaled: Vec<_> = points.iter().map(|(kernel, efficiency)| (kernel * scale, *efficiency)).collect();
            let relative = match (value(&points), value(&scaled)) {
                (Value::At { seconds: one }, Value::At { seconds: other })
                | (Value::Below { seconds: one }, Value::Below { seconds: other }) => other / one / scale,
                pair => panic!("{pair:?}"),
            };
            prop_assert!((relative - 1.0).abs() < 1e-6, "{}", relative);
        }

        #[test]
        fn a_more_efficient_backend_has_no_greater_value(points in points(), gain in 1.0..1.5_f64) {
            let better: Vec<_> = points.iter().map(|(kernel, e)| (*kernel, (e * gain).min(1.05))).collect();
            let rank = |value: Value| match value {
                Value::Below { .. } => 0.0,
                Value::At { seconds } => seconds,
            };
            prop_assert!(rank(value(&better)) <= rank(value(&points)) * (1.0 + 1e-9));
        }
    }
}
