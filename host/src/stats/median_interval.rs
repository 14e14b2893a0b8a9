//! The interval of a median, between two of the values.

use super::lower_tail::{self, Normal};
use super::selection::sorted;
use super::signed_rank::Interval;

/// Up to this many values probabilities are exact.
const MAX_EXACT: usize = 1000;

/// The interval of the median of the distribution that the values are from, whatever its form: from the value with `c` values
/// below it to that with `c` above it, where c is the largest with P(B <= c) <= 2.5 % and B is how many of n values lie below the
/// median (Thompson, "On confidence ranges for the median", Ann. Math. Statist. 7, 1936). None with fewer than six values, or if
/// one is not finite.
pub(crate) fn median_interval(values: &[f64]) -> Option<Interval> {
    if !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let sorted = sorted(values);
    let (cut, tail) = lower_tail(sorted.len())?;
    let (low, high) = (*sorted.get(cut)?, *sorted.get(sorted.len().checked_sub(cut + 1)?)?);
    Some(Interval { low, high, confidence: 1.0 - 2.0 * tail })
}

/// The largest c with P(B <= c) <= 2.5 %, and that probability, where B is binomial with n tries of probability one half.
fn lower_tail(n: usize) -> Option<(usize, f64)> {
    if n > MAX_EXACT {
        let n = n as f64;
        return Some(Normal { mean: n / 2.0, deviation: n.sqrt() / 2.0 }.lower_tail());
    }
    let next = |probability: &f64, k: usize| probability * (n - k) as f64 / (k + 1) as f64;
    let mut probabilities = vec![0.5_f64.powi(n as i32)];
    for k in 0..n {
        probabilities.push(next(&probabilities[k], k));
    }
    lower_tail::exact(probabilities)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::random::Random;

    #[test]
    fn the_values_are_those_of_the_tables() {
        // The critical values of the sign test for 5 % and two sides.
        for (n, cut) in [(6, 0), (8, 0), (9, 1), (12, 2), (15, 3), (20, 5), (25, 7), (50, 17)] {
            assert_eq!(lower_tail(n).map(|(cut, _)| cut), Some(cut), "{n}");
        }
        assert_eq!((lower_tail(5), lower_tail(0)), (None, None));
        let [exact, near] = [1000, 1001].map(|n| lower_tail(n).unwrap());
        assert!(exact.0.abs_diff(near.0) <= 1 && (0.021..=0.025).contains(&near.1), "{exact:?} {near:?}");
    }

    #[test]
    fn few_values_or_one_that_is_not_finite_have_no_interval() {
        assert_eq!(median_interval(&[1.0; 5]), None);
        assert_eq!(median_interval(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, f64::NAN]), None);
        let seven = median_interval(&[5.0, 1.0, 4.0, 7.0, 2.0, 6.0, 3.0]).unwrap();
        assert_eq!((seven.low, seven.high, seven.confidence), (1.0, 7.0, 1.0 - 2.0 / 128.0));
    }

    #[test]
    fn it_contains_the_median_as_often_as_it_says() {
        let mut random = Random::new(1);
        // One-sided noise, whose median is known: exp(1) has ln 2, and this is shifted by -1.
        let truth = std::f64::consts::LN_2 - 1.0;
        for n in [7, 12] {
            let within = (0..4000).filter(|_| {
                let values: Vec<_> = (0..n).map(|_| random.exponential()).collect();
                median_interval(&values).is_some_and(|it| it.low <= truth && truth <= it.high)
            });
            assert!(within.count() as f64 / 4000.0 > 0.94, "{n}");
        }
    }
}
