//! The ratio of two means that were measured in the same blocks.

use serde::{Deserialize, Serialize};

use super::lower_tail::CONFIDENCE;
use super::signed_rank::{Interval, MIN_BLOCKS};
use super::student::two_sided_quantile;

/// How many times larger one mean is than another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanRatio {
    /// The mean of the first values over that of the second.
    pub estimate: f64,
    /// Nothing for fewer than [`MIN_BLOCKS`], or if one of the means may as well be zero.
    pub interval: Option<Interval>,
}

impl MeanRatio {
    /// Of pairs of values, one from each block, with an interval that is `widening` times as wide as that of independent
    /// blocks. Nothing without pairs, or if a value is not positive and finite.
    pub(crate) fn new(pairs: &[(f64, f64)], widening: f64) -> Option<Self> {
        let usable = |value: f64| value.is_finite() && value > 0.0;
        if pairs.is_empty() || !pairs.iter().all(|(over, under)| usable(*over) && usable(*under)) {
            return None;
        }
        let moments = Moments::of(pairs);
        let estimate = moments.over / moments.under;
        let interval = (pairs.len() >= MIN_BLOCKS).then(|| moments.interval(pairs.len(), widening)).flatten();
        let interval = interval.filter(|it| it.low.is_finite() && it.high.is_finite());
        estimate.is_finite().then_some(Self { estimate, interval })
    }
}

/// The means, and the variances and the covariance of the means.
struct Moments {
    over: f64,
    under: f64,
    variance_over: f64,
    variance_under: f64,
    covariance: f64,
}

impl Moments {
    fn of(pairs: &[(f64, f64)]) -> Self {
        let n = pairs.len() as f64;
        let over = pairs.iter().map(|(over, _)| over).sum::<f64>() / n;
        let under = pairs.iter().map(|(_, under)| under).sum::<f64>() / n;
        let products = |product: fn(f64, f64) -> f64| {
            let sum: f64 = pairs.iter().map(|(a, b)| product(a - over, b - under)).sum();
            sum / (n - 1.0) / n
        };
        Self {
            over,
            under,
            variance_over: products(|a, _| a * a),
            variance_under: products(|_, b| b * b),
            covariance: products(|a, b| a * b),
        }
    }

    /// All ratios r for which the mean of `over - r · under` is not significantly different from zero by Student's test: the
    /// values between the roots of a quadratic (Fieller, "Some problems in interval estimation", J. R. Stat. Soc. B 16, 1954).
    /// Exact for normal values, however they vary together.
    fn interval(&self, n: usize, widening: f64) -> Option<Interval> {
        let square = (two_sided_quantile(CONFIDENCE, n - 1) * widening).powi(2);
        let a = self.under * self.under - square * self.variance_under;
        let b = self.over * self.under - square * self.covariance;
        let c = self.over * self.over - square * self.variance_over;
        let root = (b * b - a * c).sqrt();
        // Otherwise one of the means is not clearly more than zero, and no two numbers hold all such ratios.
        let bounded = a > 0.0 && c > 0.0 && b > 0.0 && root.is_finite();
        bounded.then(|| Interval { low: (b - root) / a, high: (b + root) / a, confidence: CONFIDENCE })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(pairs: &[(f64, f64)]) -> MeanRatio {
        MeanRatio::new(pairs, 1.0).unwrap()
    }

    #[test]
    fn few_runs_that_are_much_slower_show_in_the_mean() {
        let mut pairs = vec![(1.0, 1.0); 49];
        pairs.push((1.0, 10.0));
        assert!((of(&pairs).estimate - 1.0 / 1.18).abs() < 1e-12);
    }

    #[test]
    fn values_that_vary_together_have_a_narrow_interval() {
        let drift: Vec<_> = (1..=8).map(|at| (f64::from(at), 2.0 * f64::from(at))).collect();
        let Interval { low, high, .. } = of(&drift).interval.unwrap();
        assert!((low - 0.5).abs() < 1e-6 && (high - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_mean_that_is_mostly_one_value_has_no_interval() {
        let mut pairs = vec![(1.0, 1.0); 6];
        pairs.push((1.0, 1000.0));
        assert_eq!(of(&pairs).interval, None);
        assert_eq!(of(&pairs[..5]).interval, None);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(MeanRatio::new(&[(1.0, bad)], 1.0), None);
        }
        assert_eq!(MeanRatio::new(&[], 1.0), None);
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_estimate_and_turns_round_with_it(
            pairs in prop::collection::vec((1.0..2.0_f64, 1.0..2.0_f64), 6..20),
        ) {
            let turned: Vec<_> = pairs.iter().map(|(over, under)| (*under, *over)).collect();
            let (there, back) = (of(&pairs), of(&turned));
            prop_assert!((there.estimate * back.estimate - 1.0).abs() < 1e-9);
            let (Some(a), Some(b)) = (there.interval, back.interval) else { return Ok(()) };
            prop_assert!(a.low <= there.estimate && there.estimate <= a.high);
            prop_assert!((a.low * b.high - 1.0).abs() < 1e-6 && (a.high * b.low - 1.0).abs() < 1e-6);
        }
    }
}
