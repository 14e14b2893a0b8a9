//! Combines the values of blocks into one with an interval.

use serde::Serialize;

use super::TARGET_EFFICIENCY;
use crate::stats::{Interval, PairedDifference, median};

/// The kernel at which a curve crosses the target, or a bound of it; or the same as a granularity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum Value {
    /// The curve crosses the target between two kernels.
    At { seconds: f64 },
    /// The shortest kernel was already long enough.
    Below { seconds: f64 },
}

impl Value {
    pub(crate) fn seconds(self) -> f64 {
        let (Self::At { seconds } | Self::Below { seconds }) = self;
        seconds
    }

    /// The granularity at which the kernel of a task is this long: METG as Task Bench defines it. Efficiency is kernel /
    /// granularity, and the value is where efficiency equals the target.
    pub(crate) fn granularity(self) -> Self {
        match self {
            Self::At { seconds } => Self::At { seconds: seconds / TARGET_EFFICIENCY },
            Self::Below { seconds } => Self::Below { seconds: seconds / TARGET_EFFICIENCY },
        }
    }
}

/// The combined value of all blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub value: Value,
    /// In seconds. None with fewer than six blocks, or if a block has only a bound.
    pub interval: Option<Interval>,
}

impl Estimate {
    /// The granularities of these kernels.
    pub(crate) fn granularity(self) -> Self {
        let scaled = |Interval { low, high, confidence }| Interval {
            low: low / TARGET_EFFICIENCY,
            high: high / TARGET_EFFICIENCY,
            confidence,
        };
        Self { value: self.value.granularity(), interval: self.interval.map(scaled) }
    }
}

/// The estimate of Hodges and Lehmann over the logarithms of the blocks' values, with their exact signed-rank interval.
///
/// If some blocks have a bound, the result is a bound: the median with each bound in place of its value is a bound of the
/// median. None without blocks.
pub(crate) fn over_blocks(values: &[Value]) -> Option<Estimate> {
    let seconds: Vec<_> = values.iter().map(|value| value.seconds()).collect();
    if values.iter().any(|value| matches!(value, Value::Below { .. })) {
        return Some(Estimate { value: Value::Below { seconds: median(&seconds)? }, interval: None });
    }
    let logarithms: Vec<_> = seconds.iter().map(|seconds| seconds.ln()).collect();
    let PairedDifference { estimate, interval, .. } = PairedDifference::new(&logarithms)?;
    Some(Estimate { value: Value::At { seconds: estimate.exp() }, interval: interval.map(Interval::exp) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: f64) -> Value {
        Value::At { seconds }
    }

    #[test]
    fn there_is_an_interval_from_six_blocks_on() {
        let blocks = |count: i32| (0..count).map(|block| at(1.1_f64.powi(block))).collect::<Vec<_>>();
        assert_eq!(over_blocks(&blocks(5)).unwrap().interval, None);
        let Estimate { value, interval } = over_blocks(&blocks(7)).unwrap();
        let (Value::At { seconds }, Some(interval)) = (value, interval) else { panic!("{value:?}") };
        assert!((seconds / 1.1_f64.powi(3) - 1.0).abs() < 1e-9, "{seconds}");
        assert!(interval.low < seconds && seconds < interval.high && interval.confidence >= 0.95);
    }

    #[test]
    fn the_granularity_is_twice_the_kernel_with_its_interval() {
        let kernel = over_blocks(&[1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6].map(at)).unwrap();
        let granularity = kernel.granularity();
        assert_eq!(granularity.value, at(2.0 * kernel.value.seconds()));
        let (kernel, granularity) = (kernel.interval.unwrap(), granularity.interval.unwrap());
        assert_eq!((granularity.low, granularity.high), (2.0 * kernel.low, 2.0 * kernel.high));
        assert_eq!(granularity.confidence, kernel.confidence);
        assert_eq!(Value::Below { seconds: 3.0 }.granularity(), Value::Below { seconds: 6.0 });
    }

    #[test]
    fn with_a_bound_in_one_block_the_result_is_a_bound() {
        let below = Value::Below { seconds: 4.0 };
        let combined = |values: &[Value]| over_blocks(values).map(|estimate| estimate.value);
        assert_eq!(combined(&[below; 7]), Some(below));
        assert_eq!(combined(&[at(1.0), below, at(9.0)]), Some(Value::Below { seconds: 4.0 }));
        assert_eq!(combined(&[]), None);
    }

    proptest! {
        #[test]
        fn a_bound_holds_for_all_bounded_values(
            blocks in prop::collection::vec((1.0..10.0_f64, any::<bool>(), 1.0..10.0_f64), 1..12),
        ) {
            let value = |(seconds, bounded, _): &(f64, bool, f64)| {
                if *bounded { Value::Below { seconds: *seconds } } else { at(*seconds) }
            };
            let truth = |(seconds, bounded, beyond): &(f64, bool, f64)| {
                if *bounded { seconds / beyond } else { *seconds }
            };
            let truths: Vec<_> = blocks.iter().map(truth).collect();
            let truth = median(&truths).unwrap();
            match over_blocks(&blocks.iter().map(value).collect::<Vec<_>>()).unwrap().value {
                Value::At { .. } => {}
                Value::Below { seconds } => prop_assert!(truth <= seconds),
            }
        }
    }
}
