//! Whether a series rises or falls.

use super::means::median;

/// What the order of the values of a series says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trend {
    /// How probable at least as many rising pairs more than falling ones, or the reverse, would be if every order were as
    /// probable as any other.
    pub p_value: f64,
    /// How much of the median the series changes from its first value to its last: the median of the slopes of all pairs
    /// (Theil, "A rank-invariant method of linear and polynomial regression analysis", 1950; Sen, JASA 63, 1968) times the
    /// length of the series.
    pub change: f64,
}

impl Trend {
    /// Of positive values. Nothing for fewer than two, or if one is not finite and positive.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        if !values.iter().all(|value| value.is_finite() && *value > 0.0) {
            return None;
        }
        let pairs =
            (0..values.len()).flat_map(|first| (first + 1..values.len()).map(move |later| (first, later)));
        let (mut slopes, mut score) = (Vec::new(), 0_i64);
        for (first, later) in pairs {
            let rise = values[later] - values[first];
            slopes.push(rise / (later - first) as f64);
            score += if rise > 0.0 { 1 } else { -i64::from(rise < 0.0) };
        }
        let change = median(&slopes)? * (values.len() - 1) as f64 / median(values)?;
        Some(Self { p_value: p_value(values.len(), score.unsigned_abs() as usize), change })
    }
}

/// Two-sided and exact, from the numbers of permutations with so many pairs in reverse (Mann, "Nonparametric tests against
/// trend", Econometrica 13, 1945; Kendall, "A new measure of rank correlation", Biometrika 30, 1938). Equal values count for
/// neither side, so that with them the true probability is, if anything, smaller.
fn p_value(n: usize, score: usize) -> f64 {
    let pairs = n * (n - 1) / 2;
    // A score of s has (pairs - s) / 2 pairs in reverse, or as many in order.
    let fewest = pairs.saturating_sub(score) / 2;
    let tail: f64 = reversed_pairs(n).iter().take(fewest + 1).sum();
    (2.0 * tail).min(1.0)
}

/// The probability of each number of pairs in reverse: the k-th value has each number up to k - 1 of those before it above
/// it with the same probability.
fn reversed_pairs(n: usize) -> Vec<f64> {
    let mut probabilities = vec![1.0];
    for k in 2..=n {
        let mut next = vec![0.0; probabilities.len() + k - 1];
        for (reversed, probability) in probabilities.iter().enumerate() {
            for more in 0..k {
                next[reversed + more] += probability / k as f64;
            }
        }
        probabilities = next;
    }
    probabilities
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Trend {
        Trend::of(values).unwrap()
    }

    #[test]
    fn p_values_are_those_of_kendalls_table() {
        // Five in order: 1 of 120 permutations, and as many the other way.
        for (score, ways) in [(10, 1.0), (8, 5.0), (6, 14.0), (4, 29.0), (2, 49.0)] {
            assert!((p_value(5, score) - 2.0 * ways / 120.0).abs() < 1e-12, "{score}");
        }
        assert_eq!((p_value(5, 0), p_value(2, 1)), (1.0, 1.0));
    }

    #[test]
    fn a_line_is_a_trend_and_equal_values_are_none() {
        let falling = of(&[1.2, 1.1, 1.0, 0.9, 0.8]);
        assert!((falling.change + 0.4).abs() < 1e-12 && (falling.p_value - 2.0 / 120.0).abs() < 1e-12);
        assert_eq!(of(&[1.0; 5]), Trend { p_value: 1.0, change: 0.0 });
        for none in [&[][..], &[1.0], &[1.0, f64::NAN], &[1.0, 0.0]] {
            assert_eq!(Trend::of(none), None);
        }
    }

    proptest! {
        #[test]
        fn backwards_a_rise_is_a_fall(values in prop::collection::vec(0.5..2.0_f64, 2..15)) {
            let backwards: Vec<_> = values.iter().rev().copied().collect();
            let (there, back) = (of(&values), of(&backwards));
            prop_assert!((there.change + back.change).abs() < 1e-12);
            prop_assert!((there.p_value - back.p_value).abs() < 1e-12);
        }
    }
}
