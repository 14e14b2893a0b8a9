//! Combines the values of blocks into one with an interval.

use serde::{Deserialize, Serialize};

use crate::stats::{Interval, PairedDifference, median};

/// A value of METG, or a bound of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(crate) enum Value {
    /// The curve crosses the target between two kernels.
    At {
        /// Seconds of a kernel.
        seconds: f64,
    },
    /// The longest kernel was not long enough.
    Above {
        /// Seconds of that kernel.
        seconds: f64,
    },
    /// The shortest kernel was already long enough.
    Below {
        /// Seconds of that kernel.
        seconds: f64,
    },
}

/// The combined value of all blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub value: Value,
    /// In seconds. None with fewer than six blocks, or if a block has only a bound.
    pub interval: Option<Interval>,
}

/// The estimate of Hodges and Lehmann over the logarithms of the blocks' values, with their exact signed-rank interval.
///
/// If some blocks have a bound, the result is a bound: the median with each bound in place of its value is a bound of the
/// median. None without blocks, or with bounds on both sides.
pub(crate) fn over_blocks(values: &[Value]) -> Option<Estimate> {
    let (mut seconds, mut above, mut below) = (Vec::new(), false, false);
    for value in values {
        let (Value::At { seconds: it } | Value::Above { seconds: it } | Value::Below { seconds: it }) = value;
        seconds.push(*it);
        above |= matches!(value, Value::Above { .. });
        below |= matches!(value, Value::Below { .. });
    }
    let bound = |value| Some(Estimate { value, interval: None });
    match (above, below) {
        (false, false) => exact(&seconds),
        (true, false) => bound(Value::Above { seconds: median(&seconds)? }),
        (false, true) => bound(Value::Below { seconds: median(&seconds)? }),
        (true, true) => None,
    }
}

fn exact(seconds: &[f64]) -> Option<Estimate> {
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
    fn with_a_bound_in_one_block_the_result_is_a_bound() {
        let (above, below) = (Value::Above { seconds: 4.0 }, Value::Below { seconds: 4.0 });
        let combined = |values: &[Value]| over_blocks(values).map(|estimate| estimate.value);
        assert_eq!(combined(&[above; 7]), Some(above));
        assert_eq!(combined(&[at(1.0), above, at(3.0)]), Some(Value::Above { seconds: 3.0 }));
        assert_eq!(combined(&[at(1.0), below, at(9.0)]), Some(Value::Below { seconds: 4.0 }));
        assert_eq!((combined(&[above, below]), combined(&[])), (None, None));
    }

    proptest! {
        #[test]
        fn a_bound_holds_for_all_bounded_values(
            blocks in prop::collection::vec((1.0..10.0_f64, any::<bool>(), 1.0..10.0_f64), 1..12), above: bool,
        ) {
            let value = |(seconds, bounded, _): &(f64, bool, f64)| match (bounded, above) {
                (false, _) => at(*seconds),
                (true, true) => Value::Above { seconds: *seconds },
                (true, false) => Value::Below { seconds: *seconds },
            };
            let truth = |(seconds, bounded, beyond): &(f64, bool, f64)| match (bounded, above) {
                (false, _) => *seconds,
                (true, true) => seconds * beyond,
                (true, false) => seconds / beyond,
            };
            let truths: Vec<_> = blocks.iter().map(truth).collect();
            let truth = median(&truths).unwrap();
            match over_blocks(&blocks.iter().map(value).collect::<Vec<_>>()).unwrap().value {
                Value::At { .. } => {}
                Value::Above { seconds } => prop_assert!(truth >= seconds),
                Value::Below { seconds } => prop_assert!(truth <= seconds),
            }
        }
    }
}
