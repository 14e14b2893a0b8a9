//! A difference that was seen once in each block, with all that stands in the way of an interval.

use super::dependence::{autocorrelation, widening};
use super::groups::{ValueGroup, two_groups};
use super::signed_rank::{self, Interval, SignedRank};
use super::ties::are_tied;

/// Ratios up to this factor, in either direction, count as equivalent.
pub(crate) const MARGIN: f64 = 1.05;

/// What can be said of a difference that was seen once in each block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedDifference {
    /// The median of the means of all pairs, each value with itself included (Hodges and Lehmann, "Estimates of
    /// location based on rank tests", Ann. Math. Statist. 34, 1963).
    pub estimate: f64,
    /// How many blocks there are.
    pub blocks: usize,
    /// The exact interval, wider by [`PairedDifference::widening`]. Nothing for too few blocks, or if they are tied.
    pub interval: Option<Interval>,
    /// How probable differences at least this far from none would be without any; two-sided.
    pub p_value: f64,
    /// How probable differences at least this far beyond the [`MARGIN`] would be if the true one lay within it.
    pub margin_p_value: f64,
    /// The correlation of each block with the next, if there are enough blocks for an interval.
    pub autocorrelation: Option<f64>,
    /// By what factor the interval is wider, and the p-values are those of a shorter way, than if the blocks were
    /// independent: 1 unless they are clearly not.
    pub widening: f64,
    /// The groups of the blocks, the lower first, if they are two with more than the [`MARGIN`] between them.
    pub groups: Option<[ValueGroup; 2]>,
}

impl PairedDifference {
    /// Of the differences, one from each block, in the order of the blocks. Nothing for no differences, or if one is not
    /// finite.
    pub fn new(differences: &[f64]) -> Option<Self> {
        let Widened { ranks: SignedRank { estimate, blocks, interval }, autocorrelation, widening } =
            Widened::new(differences)?;
        // A bound lies outside the wider interval exactly if this one lies outside the other.
        let nearer = |bound: f64| {
            if widening > 1.0 { estimate - (estimate - bound) / widening } else { bound }
        };
        let p_value = |bounds: [f64; 2]| signed_rank::p_value_outside(differences, bounds.map(nearer));
        Some(Self {
            estimate,
            blocks,
            interval: interval.filter(|_| !are_tied(differences)),
            p_value: p_value([0.0, 0.0]),
            margin_p_value: p_value([-MARGIN.ln(), MARGIN.ln()]),
            autocorrelation,
            widening,
            groups: two_groups(differences, MARGIN.ln()),
        })
    }
}

/// The [`PairedDifference::interval`] alone, for whoever has many differences.
pub(crate) fn interval_of(differences: &[f64]) -> Option<Interval> {
    Widened::new(differences)?.ranks.interval.filter(|_| !are_tied(differences))
}

/// The signed-rank interval, wider where blocks follow each other.
struct Widened {
    ranks: SignedRank,
    autocorrelation: Option<f64>,
    widening: f64,
}

impl Widened {
    fn new(differences: &[f64]) -> Option<Self> {
        let ranks = SignedRank::new(differences)?;
        let autocorrelation = autocorrelation(differences);
        let widening = autocorrelation.map_or(1.0, |it| widening(it, ranks.blocks));
        let interval = ranks.interval.map(|interval| wider(interval, ranks.estimate, widening));
        Some(Self { ranks: SignedRank { interval, ..ranks }, autocorrelation, widening })
    }
}

fn wider(interval: Interval, estimate: f64, factor: f64) -> Interval {
    if factor == 1.0 {
        return interval;
    }
    let Interval { low, high, .. } = interval;
    Interval {
        low: estimate - factor * (estimate - low),
        high: estimate + factor * (high - estimate),
        ..interval
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lower_tail::CONFIDENCE;
    use super::*;

    fn of(differences: &[f64]) -> PairedDifference {
        PairedDifference::new(differences).unwrap()
    }

    #[test]
    fn blocks_that_drift_have_a_wider_interval_and_less_evidence() {
        let drift: Vec<_> = (1..=12).map(|at| f64::from(at) / 100.0).collect();
        let mixed: Vec<_> = [6, 12, 1, 9, 3, 11, 5, 8, 2, 10, 4, 7].map(|at| f64::from(at) / 100.0).into();
        let (drift, mixed) = (of(&drift), of(&mixed));
        assert_eq!((mixed.widening, mixed.estimate), (1.0, drift.estimate));
        assert!(drift.widening > 2.0 && drift.p_value > mixed.p_value, "{drift:?}");
        let width = |it: PairedDifference| it.interval.unwrap().high - it.interval.unwrap().low;
        assert!((width(drift) - drift.widening * width(mixed)).abs() < 1e-12);
    }

    #[test]
    fn tied_blocks_have_an_estimate_and_no_interval() {
        let tied = of(&[0.1, 0.1, 0.1, 0.2, 0.1, 0.2, 0.1]);
        assert_eq!((tied.interval, tied.estimate), (None, 0.1));
    }

    #[test]
    fn what_is_gained_in_three_of_seven_blocks_gives_no_verdict_and_is_seen() {
        let gained = of(&[0.0, 0.26, 0.01, 0.27, -0.01, 0.25, 0.005]);
        let Interval { low, high, .. } = gained.interval.unwrap();
        assert!((0.12..0.14).contains(&gained.estimate) && low < 0.01 && high > 0.24, "{gained:?}");
        assert_eq!(gained.groups.unwrap().map(|group| group.count), [4, 3]);
    }

    proptest! {
        #[test]
        fn the_interval_and_the_p_values_agree_however_blocks_follow_each_other(
            mut values in prop::collection::vec(-0.1..0.2_f64, 6..20), sorted: bool, sign in prop::sample::select(vec![1.0, -1.0]),
        ) {
            if sorted {
                values.sort_by(f64::total_cmp);
            }
            let values: Vec<_> = values.iter().map(|value| value * sign).collect();
            let PairedDifference { interval, margin_p_value, p_value, estimate, .. } = of(&values);
            let Interval { low, high, .. } = interval.unwrap();
            let margin = MARGIN.ln();
            prop_assert!(low <= estimate && estimate <= high);
            prop_assert_eq!(low > margin || high < -margin, margin_p_value <= 1.0 - CONFIDENCE);
            prop_assert_eq!(low > 0.0 || high < 0.0, p_value <= 1.0 - CONFIDENCE);
            prop_assert!(margin_p_value >= p_value);
        }
    }
}
