//! The verdict on a ratio.

use serde::{Deserialize, Serialize};

use super::lower_tail::CONFIDENCE;
use super::paired::{MARGIN, PairedDifference};
use super::signed_rank::Interval;
use super::student::two_sided_quantile;

/// More blocks are not proposed: nobody would run them, and the estimate is too rough.
pub(crate) const MAX_MORE_BLOCKS: f64 = 100.0;

/// The verdict on a ratio of speeds, from its interval and the margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The interval is entirely above the margin.
    Faster,
    /// The interval is entirely below the margin.
    Slower,
    /// The interval is entirely within the margin.
    Equivalent,
    /// The interval includes several of these.
    Inconclusive {
        /// An estimate of how many more blocks are needed. Null if there is none, or if they are too many.
        more_blocks: Option<u32>,
    },
}

impl Verdict {
    /// From a difference of the logarithms of speeds. None without an interval.
    ///
    /// The margin is symmetric in the logarithm, from 1/1.05 to 1.05, so that the verdict does not depend on which of
    /// two backends is the baseline.
    pub fn new(difference: &PairedDifference) -> Option<Self> {
        let Interval { low, high, .. } = difference.interval?;
        let margin = MARGIN.ln();
        Some(if low > margin {
            Self::Faster
        } else if high < -margin {
            Self::Slower
        } else if low > -margin && high < margin {
            Self::Equivalent
        } else {
            Self::Inconclusive { more_blocks: more_blocks(difference.estimate, low, high, difference.blocks) }
        })
    }

    /// Whether one side is faster.
    pub fn is_difference(self) -> bool {
        matches!(self, Self::Faster | Self::Slower)
    }
}

/// An estimate of how many more blocks would move the interval to one side of the margin, if the estimate did not change.
///
/// The width of the interval is proportional to 1/sqrt(n), as for any mean of independent blocks. With few blocks it
/// shrinks faster, so this is rather too many than too few. An arm of the interval that has to shrink by a factor f needs
/// f² times the blocks. Because the estimate changes, that number of blocks gives a verdict about half of the time, and rarely if
/// the true difference is near the margin.
fn more_blocks(estimate: f64, low: f64, high: f64, blocks: usize) -> Option<u32> {
    let margin = MARGIN.ln();
    let factor = if estimate > margin {
        (estimate - low) / (estimate - margin)
    } else if estimate < -margin {
        (high - estimate) / (-margin - estimate)
    } else {
        ((high - estimate) / (margin - estimate)).max((estimate - low) / (estimate + margin))
    };
    let more = (blocks as f64 * (factor * factor - 1.0)).ceil().max(1.0);
    (more <= MAX_MORE_BLOCKS).then_some(more as u32)
}

/// The same for one of several tests whose verdicts hold together by Holm's method, from logarithms. Its p-value is multiplied by the
/// number of `tests` whose p-values are not smaller, itself included, so that its interval must be narrower by what such a confidence
/// takes. Equivalence is not corrected.
pub(crate) fn more_blocks_beside(
    estimate: f64,
    Interval { low, high, .. }: Interval,
    blocks: usize,
    tests: usize,
) -> Option<u32> {
    let wider = if estimate.abs() > MARGIN.ln() { wider_for(tests) } else { 1.0 };
    more_blocks(estimate, estimate - wider * (estimate - low), estimate + wider * (high - estimate), blocks)
}

/// By what factor an interval is wider that holds together with those of so many tests.
fn wider_for(tests: usize) -> f64 {
    // With so many degrees of freedom it is the normal distribution.
    let quantile = |error: f64| two_sided_quantile(1.0 - error, 1000);
    let error = 1.0 - CONFIDENCE;
    quantile(error / tests.max(1) as f64) / quantile(error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(interval: Interval, estimate: f64) -> PairedDifference {
        let interval = Some(interval);
        PairedDifference { estimate, interval, ..PairedDifference::new(&[estimate; 7]).unwrap() }
    }

    fn difference(low: f64, estimate: f64, high: f64) -> PairedDifference {
        let [low, estimate, high] = [low, estimate, high].map(f64::ln);
        of(Interval { low, high, confidence: 0.95 }, estimate)
    }

    fn verdict(low: f64, estimate: f64, high: f64) -> Verdict {
        Verdict::new(&difference(low, estimate, high)).unwrap()
    }

    #[test]
    fn the_interval_determines_the_verdict() {
        assert_eq!(verdict(1.06, 1.1, 1.2), Verdict::Faster);
        assert_eq!(verdict(0.8, 0.9, 0.95), Verdict::Slower);
        assert_eq!(verdict(0.96, 1.0, 1.04), Verdict::Equivalent);
        for (low, estimate, high) in [(1.04, 1.1, 1.2), (0.8, 0.9, 0.96), (0.9, 1.0, 1.1), (0.96, 1.0, 1.06)]
        {
            assert!(matches!(verdict(low, estimate, high), Verdict::Inconclusive { .. }), "{low} {high}");
        }
    }

    #[test]
    fn without_an_interval_there_is_no_verdict() {
        assert_eq!(Verdict::new(&PairedDifference { interval: None, ..difference(1.0, 1.0, 1.0) }), None);
    }

    #[test]
    fn an_arm_of_twice_the_room_needs_three_times_as_many_more() {
        let room = 0.02;
        let margin = MARGIN.ln();
        let estimate = margin + room;
        assert_eq!(more_blocks(estimate, estimate - 2.0 * room, 1.0, 7), Some(21));
        assert_eq!(more_blocks(-estimate, -1.0, 2.0 * room - estimate, 7), Some(21));
        // Within the margin both arms must shrink, and the worse of them counts.
        assert_eq!(more_blocks(0.0, -2.0 * margin, margin / 2.0, 7), Some(21));
    }

    #[test]
    fn an_estimate_on_the_margin_has_no_number_of_blocks() {
        assert_eq!(more_blocks(MARGIN.ln(), 0.0, 0.1, 7), None);
        assert_eq!(verdict(1.0, 1.0501, 1.2), Verdict::Inconclusive { more_blocks: None });
    }

    #[test]
    fn beside_others_a_difference_needs_more_blocks_and_equivalence_does_not() {
        let (room, margin) = (0.02, MARGIN.ln());
        let of = |estimate: f64, low: f64, high: f64, tests| {
            more_blocks_beside(estimate, Interval { low, high, confidence: 0.95 }, 7, tests)
        };
        let estimate = margin + room;
        // At 1 % a normal interval is 1.314 times as wide as at 5 %: 7 · ((2 · 1.314)² - 1) is 41.4.
        assert_eq!(of(estimate, estimate - 2.0 * room, 1.0, 5), Some(42));
        assert_eq!(of(-estimate, -1.0, 2.0 * room - estimate, 5), Some(42));
        assert_eq!(of(0.0, -2.0 * margin, margin / 2.0, 5), Some(21));
        assert_eq!(wider_for(1), 1.0);
    }

    #[test]
    fn a_verdict_reads_back_from_json() {
        let text = serde_json::to_string(&Verdict::Inconclusive { more_blocks: Some(3) }).unwrap();
        assert_eq!(text, r#"{"verdict":"inconclusive","more_blocks":3}"#);
        assert_eq!(serde_json::to_string(&Verdict::Faster).unwrap(), r#"{"verdict":"faster"}"#);
    }

    proptest! {
        #[test]
        fn exchanging_the_baseline_inverts_the_verdict(
            arms in (0.0..0.2_f64, 0.0..0.2_f64), estimate in -0.2..0.2_f64,
        ) {
            let at = |estimate: f64, below: f64, above: f64| {
                let interval = Interval { low: estimate - below, high: estimate + above, confidence: 0.95 };
                Verdict::new(&of(interval, estimate)).unwrap()
            };
            let inverted = match at(-estimate, arms.1, arms.0) {
                Verdict::Faster => Verdict::Slower,
                Verdict::Slower => Verdict::Faster,
                same => same,
            };
            prop_assert_eq!(at(estimate, arms.0, arms.1), inverted);
        }

        #[test]
        fn a_wider_interval_needs_no_fewer_blocks(estimate in -0.2..0.2_f64, arm in 0.001..0.2_f64) {
            let needed = |arm: f64| more_blocks(estimate, estimate - arm, estimate + arm, 7).unwrap_or(u32::MAX);
            prop_assert!(needed(arm) <= needed(arm * 1.5));
        }
    }
}
