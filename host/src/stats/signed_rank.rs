//! Wilcoxon's signed-rank statistic, its estimate and its interval.
//!
//! T is the sum of the ranks, by size, of the positive differences. If the differences are symmetric about zero, each rank is
//! in the sum with probability one half. Hence the probabilities are exact without an assumption about the distribution (Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945).

use serde::{Deserialize, Serialize};

use super::lower_tail::{self, Normal};
use super::means::mean_of_two;
use super::selection::{self, sorted};

/// The fewest differences with an interval: the widest interval of 5 has a confidence of only 93.75 %.
pub(crate) const MIN_BLOCKS: usize = 6;

/// Up to this many differences probabilities are exact. The work grows with the cube of their number.
const MAX_EXACT: usize = 200;

/// The confidence interval of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    /// The attained confidence: ranks are integers, so it is the least possible one of at least
    /// [`CONFIDENCE`](super::CONFIDENCE).
    pub confidence: f64,
}

impl Interval {
    /// The interval of a ratio, from that of a difference of logarithms.
    pub(crate) fn exp(self) -> Self {
        Self { low: ratio_of(self.low), high: ratio_of(self.high), ..self }
    }
}

/// The ratio with this logarithm. It is a number above zero: a widened interval, and the quotient of the least and the greatest time, may
/// lie beyond all that there are.
pub(crate) fn ratio_of(logarithm: f64) -> f64 {
    logarithm.exp().clamp(f64::MIN_POSITIVE, f64::MAX)
}

/// The estimate and the interval from independent differences, in any order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SignedRank {
    /// The median of the means of all pairs, each value with itself included (Hodges and Lehmann, "Estimates of
    /// location based on rank tests", Ann. Math. Statist. 34, 1963).
    pub estimate: f64,
    pub blocks: usize,
    /// The exact interval. None with fewer than [`MIN_BLOCKS`] blocks.
    pub interval: Option<Interval>,
}

impl SignedRank {
    /// From one difference for each block. None without differences, or if one is not finite.
    pub(super) fn new(differences: &[f64]) -> Option<Self> {
        if differences.is_empty() || !differences.iter().all(|difference| difference.is_finite()) {
            return None;
        }
        let averages = Averages(sorted(differences));
        Some(Self {
            estimate: averages.middle(),
            blocks: differences.len(),
            interval: interval(&averages, differences.len()),
        })
    }
}

/// The means of all pairs of these sorted values, each value with itself included. Many values have too many means to list.
struct Averages(Vec<f64>);

impl Averages {
    fn len(&self) -> usize {
        self.0.len() * (self.0.len() + 1) / 2
    }

    /// The mean at this index of the sorted means.
    fn ranked(&self, place: usize) -> f64 {
        selection::ranked([self.0[0], self.0[self.0.len() - 1]], place, |limit| self.up_to(limit))
    }

    /// The number of means up to a limit. The greater a value, the fewer other values have a mean with it below the limit.
    fn up_to(&self, limit: f64) -> usize {
        let (values, mut others, mut count) = (&self.0, self.0.len(), 0);
        for (at, value) in values.iter().enumerate() {
            while others > at && mean_of_two(*value, values[others - 1]) > limit {
                others -= 1;
            }
            count += others.saturating_sub(at);
        }
        count
    }

    fn middle(&self) -> f64 {
        let (lower, upper) = ((self.len() - 1) / 2, self.len() / 2);
        mean_of_two(self.ranked(lower), self.ranked(upper))
    }
}

/// From the average with `c` below it to that with `c` above it, where c is the largest with P(T <= c) <= 2.5 %
/// (Tukey's interval: Hollander, Wolfe and Chicken, "Nonparametric statistical methods", section 3.3). With equal
/// averages the true confidence is, if anything, higher.
fn interval(averages: &Averages, n: usize) -> Option<Interval> {
    let (cut, tail) = lower_tail(n)?;
    let last = averages.len() - 1;
    let (low, high) = (averages.ranked(cut), averages.ranked(last - cut));
    Some(Interval { low, high, confidence: 1.0 - 2.0 * tail })
}

/// The largest c with P(T <= c) <= 2.5 %, and that probability. None if even T = 0 is more probable.
fn lower_tail(n: usize) -> Option<(usize, f64)> {
    if n > MAX_EXACT {
        return Some(normal((1..=n).map(|rank| rank as f64)).lower_tail());
    }
    lower_tail::exact(distribution(&(1..=n).collect::<Vec<_>>()))
}

/// The probability of each sum of ranks if each rank is in it with probability one half, one rank after the other.
fn distribution(ranks: &[usize]) -> Vec<f64> {
    let mut probabilities = vec![0.0; ranks.iter().sum::<usize>() + 1];
    probabilities[0] = 1.0;
    let mut highest = 0;
    for rank in ranks {
        highest += rank;
        for sum in (0..=highest).rev() {
            let with = if sum >= *rank { probabilities[sum - rank] } else { 0.0 };
            probabilities[sum] = (probabilities[sum] + with) / 2.0;
        }
    }
    probabilities
}

/// Twice the smaller of two one-sided p-values, of the hypotheses that the true difference is at most `high` and that it is
/// at least `low`. One of the two is true of any difference between them, so that this is a valid p-value of the hypothesis
/// that the difference lies there. With both bounds zero it is the usual two-sided p-value. Without ties it is at most 5 %
/// exactly if the interval lies above `high` or below `low`.
pub(super) fn p_value_outside(differences: &[f64], [low, high]: [f64; 2]) -> f64 {
    let above = SignedRanks::of(differences.iter().map(|difference| difference - high));
    let below = SignedRanks::of(differences.iter().map(|difference| difference - low));
    let tail = above.at_most(above.negative()).min(below.at_most(below.positive));
    // Without signs, or with T at its mean, both tails have all of the probability.
    (2.0 * tail).min(1.0)
}

/// The ranks that have a sign. Equal sizes share the mean of their ranks, and the probabilities are those of the shared
/// ranks; zeros take part in ranking but have no sign (Pratt, "Remarks on zeros and ties in the Wilcoxon signed rank
/// procedures", JASA 54, 1959).
struct SignedRanks {
    /// Twice the ranks: a shared rank may end in a half.
    doubled: Vec<usize>,
    /// The sum of those whose value is positive.
    positive: usize,
}

impl SignedRanks {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let ranked = doubled_ranks(&values.collect::<Vec<_>>());
        let signed = || ranked.iter().filter(|(value, _)| *value != 0.0);
        Self {
            doubled: signed().map(|(_, rank)| *rank).collect(),
            positive: signed().filter(|(value, _)| *value > 0.0).map(|(_, rank)| *rank).sum(),
        }
    }

    /// The sum of those whose value is negative.
    fn negative(&self) -> usize {
        self.doubled.iter().sum::<usize>() - self.positive
    }

    /// The probability of a sum of at most this, if both signs are equally probable.
    fn at_most(&self, doubled_sum: usize) -> f64 {
        if self.doubled.len() > MAX_EXACT {
            let normal = normal(self.doubled.iter().map(|rank| *rank as f64 / 2.0));
            return normal.at_most(doubled_sum as f64 / 2.0 + 0.5);
        }
        distribution(&self.doubled)[..=doubled_sum].iter().sum()
    }
}

/// Each value with twice its rank by size: a shared rank may end in a half.
fn doubled_ranks(values: &[f64]) -> Vec<(f64, usize)> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
    let mut ranked = Vec::with_capacity(sorted.len());
    for alike in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
        let (first, last) = (ranked.len() + 1, ranked.len() + alike.len());
        ranked.extend(alike.iter().map(|value| (*value, first + last)));
    }
    ranked
}

/// The normal approximation of T for many ranks.
fn normal(ranks: impl Iterator<Item = f64>) -> Normal {
    let (sum, squares) = ranks.fold((0.0, 0.0), |(sum, squares), rank| (sum + rank, squares + rank * rank));
    Normal { mean: sum / 2.0, deviation: (squares / 4.0_f64).sqrt() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::CONFIDENCE;

    #[test]
    fn a_ratio_beyond_all_numbers_is_one_of_them() {
        let Interval { low, high, .. } = Interval { low: -1e3, high: 1e3, confidence: 0.95 }.exp();
        assert_eq!((low, high), (f64::MIN_POSITIVE, f64::MAX));
        let above = Interval { low: 1e3, high: 1e4, confidence: 0.95 }.exp();
        assert_eq!((above.low, above.high), (f64::MAX, f64::MAX));
        assert_eq!(ratio_of(0.0), 1.0);
    }

    fn of(differences: &[f64]) -> SignedRank {
        SignedRank::new(differences).unwrap()
    }

    fn p_value(differences: &[f64]) -> f64 {
        p_value_outside(differences, [0.0, 0.0])
    }

    /// P(T <= observed) or P(T >= observed), by going through all signs.
    fn enumerated_p_value(differences: &[f64]) -> f64 {
        let ranks: Vec<_> =
            doubled_ranks(differences).into_iter().filter(|(value, _)| *value != 0.0).collect();
        let observed: usize = ranks.iter().filter(|(value, _)| *value > 0.0).map(|(_, rank)| rank).sum();
        let sums: Vec<usize> = (0..1_u32 << ranks.len())
            .map(|signs| (0..ranks.len()).filter(|at| signs >> at & 1 == 1).map(|at| ranks[at].1).sum())
            .collect();
        let share = |count: usize| count as f64 / sums.len() as f64;
        let below = share(sums.iter().filter(|sum| **sum <= observed).count());
        let above = share(sums.iter().filter(|sum| **sum >= observed).count());
        (2.0 * below.min(above)).min(1.0)
    }

    #[test]
    fn six_blocks_are_the_fewest_with_an_interval() {
        let values = [0.1, -0.2, 0.3, 0.4, 0.5, 0.6];
        assert_eq!(of(&values[..5]).interval, None);
        let six = of(&values).interval.unwrap();
        assert_eq!((six.low, six.high, six.confidence), (-0.2, 0.6, 1.0 - 2.0 / 64.0));
    }

    #[test]
    fn the_attained_confidence_is_the_tabled_one() {
        // The critical values of every textbook's table, with the number of ways to get at most so much.
        for (n, cut, ways) in
            [(6, 0, 1.0), (7, 2, 3.0), (8, 3, 5.0), (9, 5, 10.0), (10, 8, 25.0), (12, 13, 87.0)]
        {
            assert_eq!(lower_tail(n), Some((cut, ways / 2_f64.powi(n as i32))), "{n}");
        }
    }

    #[test]
    fn seven_all_of_one_sign_have_the_smallest_p_value_of_seven() {
        assert_eq!(p_value(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]), 2.0 / 128.0);
    }

    #[test]
    fn evidence_for_more_than_a_bound_is_weaker_than_for_a_difference() {
        // All six are above zero, and half of them are within the bounds.
        let [inside, above] = [[0.01, 0.02, 0.03, 0.06, 0.07, 0.08], [0.06, 0.07, 0.08, 0.09, 0.1, 0.11]];
        let outside = |values: &[f64]| p_value_outside(values, [-0.05, 0.05]);
        let smallest = 2.0 / 64.0;
        assert_eq!([p_value(&inside), outside(&above), outside(&above.map(|it| -it))], [smallest; 3]);
        assert!(outside(&inside) > 0.5);
    }

    #[test]
    fn without_differences_the_p_value_is_one() {
        assert_eq!((of(&[0.0; 8]).estimate, p_value(&[0.0; 8]), p_value(&[0.0; 300])), (0.0, 1.0, 1.0));
        assert_eq!(p_value_outside(&[0.0; 8], [-0.05, 0.05]), 1.0);
    }

    #[test]
    fn an_infinite_difference_has_no_estimate() {
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(SignedRank::new(&[1.0, bad]), None);
        }
        assert_eq!(SignedRank::new(&[]), None);
    }

    #[test]
    fn the_approximation_is_close_to_the_exact_probabilities() {
        let values = |n: usize| (0..n).map(|at| (at as f64 * 0.7).sin() + 0.12).collect::<Vec<_>>();
        let (exact, near) = (p_value(&values(MAX_EXACT)), p_value(&values(MAX_EXACT + 1)));
        assert!((exact - near).abs() < 0.01, "{exact} {near}");
        let (exact, near) = (of(&values(MAX_EXACT)), of(&values(MAX_EXACT + 1)));
        let [exact, near] = [exact, near].map(|difference| difference.interval.unwrap());
        assert!((exact.low - near.low).abs() < 0.02 && (exact.high - near.high).abs() < 0.02);
        assert!((0.95..0.951).contains(&exact.confidence) && (0.95..0.951).contains(&near.confidence));
    }

    #[test]
    fn many_blocks_take_memory_in_proportion_to_their_number() {
        // All pairs of these would be 80 GB.
        let differences: Vec<_> = (0..100_000).map(|at| f64::from(at % 1000) / 1000.0).collect();
        let found = of(&differences);
        assert!((found.estimate - 0.4995).abs() < 1e-6, "{found:?}");
        assert!(found.interval.is_some_and(|interval| interval.low < 0.4995 && interval.high > 0.4995));
    }

    proptest! {
        #[test]
        fn bisection_finds_each_mean(
            values in prop::collection::vec(prop_oneof![-1e300..1e300_f64, -1.0..1.0_f64, Just(0.0)], 1..40),
            place: prop::sample::Index,
        ) {
            let values = &values;
            let pairs = |at: usize| values[at..].iter().map(move |other| mean_of_two(values[at], *other));
            let mut listed: Vec<_> = (0..values.len()).flat_map(pairs).collect();
            listed.sort_by(f64::total_cmp);
            let averages = Averages(sorted(values));
            prop_assert_eq!(listed.len(), averages.len());
            let place = place.index(listed.len());
            prop_assert_eq!(listed[place], averages.ranked(place));
        }

        #[test]
        fn the_p_value_is_that_of_an_enumeration_of_all_signs(
            // Few distinct sizes, so that there are ties and zeros.
            values in prop::collection::vec((-6..=6_i32).prop_map(f64::from), 1..12),
        ) {
            prop_assert!((p_value(&values) - enumerated_p_value(&values)).abs() < 1e-12);
        }

        #[test]
        fn the_estimate_is_the_median_of_all_means(values in prop::collection::vec(-1.0..1.0_f64, 1..15)) {
            let mut means = Vec::new();
            for (at, a) in values.iter().enumerate() {
                means.extend(values[at..].iter().map(|b| (a + b) / 2.0));
            }
            let expected = crate::stats::median(&means).unwrap();
            prop_assert!((of(&values).estimate - expected).abs() < 1e-12);
        }

        #[test]
        fn the_interval_contains_the_estimate_and_is_no_wider_than_needed(values in prop::collection::vec(-1.0..1.0_f64, 6..30)) {
            let SignedRank { estimate, interval, .. } = of(&values);
            let Interval { low, high, confidence } = interval.unwrap();
            prop_assert!(low <= estimate && estimate <= high);
            prop_assert!((CONFIDENCE..0.97).contains(&confidence));
        }

        #[test]
        fn the_opposite_signs_negate_the_estimate(values in prop::collection::vec(-1.0..1.0_f64, 6..20)) {
            let negated: Vec<_> = values.iter().map(|value| -value).collect();
            let (there, back) = (of(&values), of(&negated));
            prop_assert!((there.estimate + back.estimate).abs() < 1e-12);
            prop_assert!((p_value(&values) - p_value(&negated)).abs() < 1e-12);
            let (a, b) = (there.interval.unwrap(), back.interval.unwrap());
            prop_assert!((a.low + b.high).abs() < 1e-12 && (a.high + b.low).abs() < 1e-12);
        }

        #[test]
        fn scale_and_order_do_not_matter(
            values in prop::collection::vec(-1.0..1.0_f64, 6..20),
            power in -4..5_i32,
            turn in any::<prop::sample::Index>(),
        ) {
            // A power of two scales without rounding.
            let scale = 2_f64.powi(power);
            let mut scaled: Vec<_> = values.iter().map(|value| value * scale).collect();
            scaled.rotate_left(turn.index(values.len()));
            prop_assert!((p_value(&values) - p_value(&scaled)).abs() < 1e-12);
            let (plain, scaled) = (of(&values), of(&scaled));
            prop_assert_eq!(plain.estimate * scale, scaled.estimate);
            let (plain, scaled) = (plain.interval.unwrap(), scaled.interval.unwrap());
            prop_assert_eq!((plain.low * scale, plain.high * scale), (scaled.low, scaled.high));
        }

        #[test]
        fn the_interval_is_outside_the_bounds_exactly_if_the_p_value_is_small(
            values in prop::collection::vec(-1.0..2.0_f64, 6..20), low in -0.5..0.0_f64, high in 0.0..0.5_f64,
        ) {
            let interval = of(&values).interval.unwrap();
            for [low, high] in [[low, high], [0.0, 0.0]] {
                let outside = interval.low > high || interval.high < low;
                prop_assert_eq!(outside, p_value_outside(&values, [low, high]) <= 1.0 - CONFIDENCE);
            }
        }
    }
}
