//! Wilcoxon's signed-rank statistic, its estimate and its interval.
//!
//! T is the sum of the ranks, by size, of the differences that are positive. Were the differences symmetric about zero,
//! each rank would be in the sum with probability one half, whatever else is true of them: hence exact probabilities
//! without assuming a shape (Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945).

use serde::{Deserialize, Serialize};

use super::means::mean_of_two;

/// The confidence that an interval has at least.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// The fewest differences of which there is an interval: of 5, even the widest has a confidence of 93.75 % only.
pub(crate) const MIN_BLOCKS: usize = 6;

/// Up to so many differences probabilities are exact; the work grows with the cube of their number.
const EXACT: usize = 200;

/// The point that a normal variable exceeds with probability (1 - [`CONFIDENCE`]) / 2.
const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;

/// Where a difference lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    /// The confidence that it attains: ranks are whole, so it is the least possible one of at least [`CONFIDENCE`].
    pub confidence: f64,
}

impl Interval {
    /// Of a difference of logarithms: where the ratio lies.
    pub(crate) fn exp(self) -> Self {
        Self { low: self.low.exp(), high: self.high.exp(), ..self }
    }
}

/// The estimate and the interval of differences that are independent, in whatever order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SignedRank {
    /// The median of the means of all pairs, each value with itself included (Hodges and Lehmann, "Estimates of
    /// location based on rank tests", Ann. Math. Statist. 34, 1963).
    pub estimate: f64,
    /// How many there are.
    pub blocks: usize,
    /// The exact interval, from [`MIN_BLOCKS`] on.
    pub interval: Option<Interval>,
}

impl SignedRank {
    /// Of the differences, one from each block. Nothing for no differences, or if one is not finite.
    pub(super) fn new(differences: &[f64]) -> Option<Self> {
        if differences.is_empty() || !differences.iter().all(|difference| difference.is_finite()) {
            return None;
        }
        let mut averages = Averages::of(differences);
        Some(Self {
            estimate: averages.middle(),
            blocks: differences.len(),
            interval: interval(&mut averages, differences.len()),
        })
    }
}

/// The means of all pairs, each value with itself included.
enum Averages {
    /// All of them.
    Listed(Vec<f64>),
    /// The values, sorted: of many values there are too many means to have them all.
    Sorted(Vec<f64>),
}

impl Averages {
    fn of(values: &[f64]) -> Self {
        if values.len() <= EXACT { Self::listed(values) } else { Self::sorted(values) }
    }

    fn listed(values: &[f64]) -> Self {
        let pairs = |at: usize| values[at..].iter().map(move |other| mean_of_two(values[at], *other));
        Self::Listed((0..values.len()).flat_map(pairs).collect())
    }

    fn sorted(values: &[f64]) -> Self {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        Self::Sorted(values)
    }

    fn len(&self) -> usize {
        match self {
            Self::Listed(averages) => averages.len(),
            Self::Sorted(values) => values.len() * (values.len() + 1) / 2,
        }
    }

    /// The mean that would stand at this place, counted from 0, were they sorted.
    fn ranked(&mut self, place: usize) -> f64 {
        match self {
            Self::Listed(averages) => *averages.select_nth_unstable_by(place, f64::total_cmp).1,
            Self::Sorted(values) => ranked_of_sorted(values, place),
        }
    }

    fn middle(&mut self) -> f64 {
        let (lower, upper) = ((self.len() - 1) / 2, self.len() / 2);
        mean_of_two(self.ranked(lower), self.ranked(upper))
    }
}

/// The least number that has more than `place` means up to it, found by halving what is left of all numbers.
fn ranked_of_sorted(values: &[f64], place: usize) -> f64 {
    let (mut low, mut high) = (place_of(values[0]), place_of(values[values.len() - 1]));
    while low < high {
        let middle = low + (high - low) / 2;
        if averages_up_to(values, number_at(middle)) > place { high = middle } else { low = middle + 1 }
    }
    number_at(low)
}

/// How many of the means are no greater: with a greater value, fewer of the others go with it.
fn averages_up_to(values: &[f64], limit: f64) -> usize {
    let mut others = values.len();
    let mut count = 0;
    for (at, value) in values.iter().enumerate() {
        while others > at && mean_of_two(*value, values[others - 1]) > limit {
            others -= 1;
        }
        count += others.saturating_sub(at);
    }
    count
}

/// Where a number stands among all numbers, in their order.
fn place_of(number: f64) -> u64 {
    let bits = number.to_bits();
    if number.is_sign_negative() { !bits } else { bits | 1 << 63 }
}

fn number_at(place: u64) -> f64 {
    f64::from_bits(if place >> 63 == 0 { !place } else { place ^ 1 << 63 })
}

/// From the average with `c` below it to that with `c` above it, where c is the largest with P(T <= c) <= 2.5 %
/// (Tukey's interval: Hollander, Wolfe and Chicken, "Nonparametric statistical methods", section 3.3). With equal
/// averages the true confidence is, if anything, higher.
fn interval(averages: &mut Averages, n: usize) -> Option<Interval> {
    let (cut, tail) = lower_tail(n)?;
    let last = averages.len() - 1;
    let (low, high) = (averages.ranked(cut), averages.ranked(last - cut));
    Some(Interval { low, high, confidence: 1.0 - 2.0 * tail })
}

/// The largest c with P(T <= c) <= 2.5 %, and that probability. Nothing if even T = 0 is more probable.
fn lower_tail(n: usize) -> Option<(usize, f64)> {
    let allowed = (1.0 - CONFIDENCE) / 2.0;
    if n > EXACT {
        let normal = Normal::of_ranks((1..=n).map(|rank| rank as f64));
        let cut = (normal.mean - 0.5 - NORMAL_QUANTILE * normal.deviation).floor();
        return Some((cut as usize, normal.at_most(cut + 0.5)));
    }
    let mut tail = 0.0;
    let mut last = None;
    for (sum, probability) in distribution(&(1..=n).collect::<Vec<_>>()).into_iter().enumerate() {
        tail += probability;
        if tail > allowed {
            break;
        }
        last = Some((sum, tail));
    }
    last
}

/// The probability of each sum of ranks when each counts with probability one half: one rank after the other, as
/// Wilcoxon counted.
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

/// Twice the smaller of two one-sided p-values: that the true difference is at most `high`, and that it is at least `low`.
/// One of the two is true of any difference between them, so that this p-value is small by chance as rarely as it says,
/// wherever in between the truth lies. With both bounds zero it is the usual two-sided p-value. Without ties it is at most
/// 5 % exactly if the interval lies wholly above `high` or wholly below `low`.
pub(super) fn p_value_outside(differences: &[f64], [low, high]: [f64; 2]) -> f64 {
    let above = SignedRanks::of(differences.iter().map(|difference| difference - high));
    let below = SignedRanks::of(differences.iter().map(|difference| difference - low));
    let tail = above.at_most(above.negative()).min(below.at_most(below.positive));
    // Without any sign left, or with T in its very middle, both tails hold everything.
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

    /// How probable a sum of at most so much is when each sign is as probable as the other; that of at least so much less
    /// than all of it is the same.
    fn at_most(&self, doubled_sum: usize) -> f64 {
        if self.doubled.len() > EXACT {
            let normal = Normal::of_ranks(self.doubled.iter().map(|rank| *rank as f64 / 2.0));
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

/// What T is near to when there are many ranks.
struct Normal {
    mean: f64,
    deviation: f64,
}

impl Normal {
    fn of_ranks(ranks: impl Iterator<Item = f64>) -> Self {
        let (sum, squares) =
            ranks.fold((0.0, 0.0), |(sum, squares), rank| (sum + rank, squares + rank * rank));
        Self { mean: sum / 2.0, deviation: (squares / 4.0).sqrt() }
    }

    fn at_most(&self, value: f64) -> f64 {
        if self.deviation == 0.0 {
            return 1.0;
        }
        libm::erfc((self.mean - value) / self.deviation / std::f64::consts::SQRT_2) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        // All six lie beyond no difference, and half of them within the bounds.
        let [inside, above] = [[0.01, 0.02, 0.03, 0.06, 0.07, 0.08], [0.06, 0.07, 0.08, 0.09, 0.1, 0.11]];
        let outside = |values: &[f64]| p_value_outside(values, [-0.05, 0.05]);
        assert_eq!(
            (p_value(&inside), outside(&above), outside(&above.map(|it| -it))),
            (0.03125, 0.03125, 0.03125)
        );
        assert!(outside(&inside) > 0.5);
    }

    #[test]
    fn no_difference_at_all_is_no_evidence() {
        assert_eq!((of(&[0.0; 8]).estimate, p_value(&[0.0; 8]), p_value(&[0.0; 300])), (0.0, 1.0, 1.0));
        assert_eq!(p_value_outside(&[0.0; 8], [-0.05, 0.05]), 1.0);
    }

    #[test]
    fn what_is_not_finite_has_no_estimate() {
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(SignedRank::new(&[1.0, bad]), None);
        }
        assert_eq!(SignedRank::new(&[]), None);
    }

    #[test]
    fn the_approximation_takes_over_without_a_jump() {
        let values = |n: usize| (0..n).map(|at| (at as f64 * 0.7).sin() + 0.12).collect::<Vec<_>>();
        let (exact, near) = (p_value(&values(EXACT)), p_value(&values(EXACT + 1)));
        assert!((exact - near).abs() < 0.01, "{exact} {near}");
        let (exact, near) = (of(&values(EXACT)), of(&values(EXACT + 1)));
        let [exact, near] = [exact, near].map(|difference| difference.interval.unwrap());
        assert!((exact.low - near.low).abs() < 0.02 && (exact.high - near.high).abs() < 0.02);
        assert!((0.95..0.951).contains(&exact.confidence) && (0.95..0.951).contains(&near.confidence));
    }

    #[test]
    fn very_many_blocks_take_no_more_memory_than_they_are() {
        // All pairs of these would be 80 GB.
        let differences: Vec<_> = (0..100_000).map(|at| f64::from(at % 1000) / 1000.0).collect();
        let found = of(&differences);
        assert!((found.estimate - 0.4995).abs() < 1e-6, "{found:?}");
        assert!(found.interval.is_some_and(|interval| interval.low < 0.4995 && interval.high > 0.4995));
    }

    proptest! {
        #[test]
        fn a_mean_that_is_counted_to_is_the_one_that_is_listed(
            values in prop::collection::vec(prop_oneof![-1e300..1e300_f64, -1.0..1.0_f64, Just(0.0)], 1..40),
            place: prop::sample::Index,
        ) {
            let (mut listed, mut sorted) = (Averages::listed(&values), Averages::sorted(&values));
            prop_assert_eq!(listed.len(), sorted.len());
            let place = place.index(listed.len());
            prop_assert_eq!(listed.ranked(place), sorted.ranked(place));
        }

        #[test]
        fn the_p_value_is_that_of_all_signs(
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
        fn the_interval_holds_the_estimate_and_widens_with_nothing(values in prop::collection::vec(-1.0..1.0_f64, 6..30)) {
            let SignedRank { estimate, interval, .. } = of(&values);
            let Interval { low, high, confidence } = interval.unwrap();
            prop_assert!(low <= estimate && estimate <= high);
            prop_assert!((CONFIDENCE..0.97).contains(&confidence));
        }

        #[test]
        fn the_other_sign_mirrors_everything(values in prop::collection::vec(-1.0..1.0_f64, 6..20)) {
            let turned: Vec<_> = values.iter().map(|value| -value).collect();
            let (there, back) = (of(&values), of(&turned));
            prop_assert!((there.estimate + back.estimate).abs() < 1e-12);
            prop_assert!((p_value(&values) - p_value(&turned)).abs() < 1e-12);
            let (a, b) = (there.interval.unwrap(), back.interval.unwrap());
            prop_assert!((a.low + b.high).abs() < 1e-12 && (a.high + b.low).abs() < 1e-12);
        }

        #[test]
        fn scale_and_order_do_not_count(
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
        fn the_interval_lies_outside_the_bounds_exactly_when_that_is_improbable(
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
