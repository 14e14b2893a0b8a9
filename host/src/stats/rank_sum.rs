//! The shift between two independent samples, such as runs without common blocks.
//!
//! U is the number of pairs, one value from each sample, in which the second value is below the first. If both samples have
//! the same distribution, every order of all values is equally probable (Mann and Whitney, "On a test of whether one of two
//! random variables is stochastically larger than the other", Ann. Math. Statist. 18, 1947).

use super::lower_tail::{self, Normal};
use super::means::mean_of_two;
use super::selection::{self, sorted};
use super::signed_rank::Interval;

/// Up to this many pairs probabilities are exact.
const MAX_EXACT: usize = 4096;

/// The difference in location between two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shift {
    /// The median of all differences of a value of the second and one of the first (Hodges and Lehmann, 1963).
    pub estimate: f64,
    /// The exact interval. None with too few values, such as three and three.
    pub interval: Option<Interval>,
}

impl Shift {
    /// From `old` to `new`. None if one is empty or has a value that is not finite.
    pub(crate) fn new(old: &[f64], new: &[f64]) -> Option<Self> {
        if old.is_empty() || new.is_empty() || !old.iter().chain(new).all(|value| value.is_finite()) {
            return None;
        }
        let differences = Differences { old: sorted(old), new: sorted(new) };
        Some(Self { estimate: differences.middle(), interval: interval(&differences, old.len(), new.len()) })
    }
}

/// The differences of all pairs of these sorted values, which are not empty. Many values have too many differences to list.
struct Differences {
    old: Vec<f64>,
    new: Vec<f64>,
}

impl Differences {
    fn len(&self) -> usize {
        self.old.len() * self.new.len()
    }

    /// The difference at this index of the sorted differences.
    fn ranked(&self, place: usize) -> f64 {
        let Self { old, new } = self;
        let ends = [new[0] - old[old.len() - 1], new[new.len() - 1] - old[0]];
        selection::ranked(ends, place, |limit| self.up_to(limit))
    }

    /// The number of differences up to a limit. The greater a new value, the fewer old values are near enough.
    fn up_to(&self, limit: f64) -> usize {
        let (mut first, mut count) = (0, 0);
        for new in &self.new {
            while self.old.get(first).is_some_and(|old| new - old > limit) {
                first += 1;
            }
            count += self.old.len() - first;
        }
        count
    }

    fn middle(&self) -> f64 {
        let (lower, upper) = ((self.len() - 1) / 2, self.len() / 2);
        mean_of_two(self.ranked(lower), self.ranked(upper))
    }
}

/// From the difference with `c` below it to that with `c` above it, where c is the largest with P(U < c + 1) <= 2.5 %
/// (Moses's interval: Hollander, Wolfe and Chicken, "Nonparametric statistical methods", section 4.3).
fn interval(differences: &Differences, m: usize, n: usize) -> Option<Interval> {
    let (cut, tail) = lower_tail(m, n)?;
    let (low, high) = (differences.ranked(cut), differences.ranked(differences.len() - 1 - cut));
    Some(Interval { low, high, confidence: 1.0 - 2.0 * tail })
}

/// The largest c with P(U <= c) <= 2.5 %, and that probability. None if even U = 0 is more probable.
fn lower_tail(m: usize, n: usize) -> Option<(usize, f64)> {
    if m * n <= MAX_EXACT {
        return lower_tail::exact(distribution(m, n));
    }
    let (pairs, both) = ((m * n) as f64, (m + n) as f64);
    Some(Normal { mean: pairs / 2.0, deviation: (pairs * (both + 1.0) / 12.0).sqrt() }.lower_tail())
}

/// The probability of each U: the largest value is in the first sample with probability m / (m + n), and then it is above
/// all n values of the second.
fn distribution(m: usize, n: usize) -> Vec<f64> {
    // Row by row over m; each row has the distributions for all sizes up to n.
    let mut rows: Vec<Vec<f64>> = vec![vec![1.0]; n + 1];
    for first in 1..=m {
        let mut next: Vec<Vec<f64>> = Vec::with_capacity(n + 1);
        next.push(vec![1.0]);
        for second in 1..=n {
            let in_first = first as f64 / (first + second) as f64;
            let mut probabilities = vec![0.0; first * second + 1];
            for (u, probability) in rows[second].iter().enumerate() {
                probabilities[u + second] += probability * in_first;
            }
            for (u, probability) in next[second - 1].iter().enumerate() {
                probabilities[u] += probability * (1.0 - in_first);
            }
            next.push(probabilities);
        }
        rows = next;
    }
    rows.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_attained_confidence_is_the_tabled_one() {
        // The critical values of every textbook's table for 5 % and two sides, which are c of P(U <= c).
        let tabled = [(4, 4, 0), (5, 5, 2), (7, 7, 8), (8, 8, 13), (10, 10, 23), (5, 8, 6), (12, 12, 37)];
        // Of one and n, each U has the probability 1 / (n + 1): 1 / 40 and 3 / 120 are exactly the limit.
        for (m, n, cut) in tabled.into_iter().chain([(1, 39, 0), (1, 119, 2)]) {
            assert_eq!(lower_tail(m, n).map(|(cut, _)| cut), Some(cut), "{m} and {n}");
            assert_eq!(lower_tail(n, m).map(|(cut, _)| cut), Some(cut), "{n} and {m}");
        }
        // One of the 70 orders of four and four.
        assert!((lower_tail(4, 4).unwrap().1 - 1.0 / 70.0).abs() < 1e-12);
        assert_eq!(lower_tail(3, 3), None);
    }

    #[test]
    fn the_approximation_is_close_to_the_exact_probabilities() {
        let [exact, near] = [(64, 64), (64, 65)].map(|(m, n)| lower_tail(m, n).unwrap());
        assert!((near.0 as f64 / exact.0 as f64 - 65.0 / 64.0).abs() < 0.01, "{exact:?} {near:?}");
        assert!((0.0235..=0.0252).contains(&near.1), "{near:?}");
    }

    #[test]
    fn many_values_need_no_list_of_their_pairs() {
        // A list of 90 thousand millions of differences would not fit into memory.
        let old: Vec<_> = (0..300_000).map(|value| f64::from(value) / 1e6).collect();
        let new: Vec<_> = old.iter().map(|value| value + 1.0).collect();
        let shift = Shift::new(&old, &new).unwrap();
        assert!((shift.estimate - 1.0).abs() < 1e-9);
        assert!(shift.interval.is_some_and(|interval| interval.low < 1.0 && interval.high > 1.0));
    }

    #[test]
    fn an_empty_sample_or_an_infinite_value_has_no_shift() {
        assert_eq!(Shift::new(&[1.0], &[f64::NAN]), None);
        assert_eq!(Shift::new(&[], &[1.0]), None);
    }

    proptest! {
        #[test]
        fn a_shift_of_all_values_is_found(
            old in prop::collection::vec(-1.0..1.0_f64, 4..12), by in -3.0..3.0_f64,
        ) {
            let new: Vec<_> = old.iter().map(|value| value + by).collect();
            let shift = Shift::new(&old, &new).unwrap();
            prop_assert!((shift.estimate - by).abs() < 1e-9);
            let interval = shift.interval.unwrap();
            prop_assert!(interval.low - 1e-9 <= by && by <= interval.high + 1e-9);
        }

        #[test]
        fn ranks_are_those_of_the_sorted_list(
            old in prop::collection::vec(-2.0..2.0_f64, 1..12), new in prop::collection::vec(-2.0..2.0_f64, 1..12),
            coarse in any::<bool>(),
        ) {
            let [old, new] = [old, new].map(|values| {
                values.into_iter().map(|value| if coarse { value.round() } else { value }).collect::<Vec<_>>()
            });
            let mut list: Vec<f64> = new.iter().flat_map(|new| old.iter().map(move |old| new - old)).collect();
            list.sort_by(f64::total_cmp);
            let differences = Differences { old: sorted(&old), new: sorted(&new) };
            let ranked: Vec<_> = (0..differences.len()).map(|place| differences.ranked(place)).collect();
            prop_assert_eq!(&ranked, &list);
            prop_assert_eq!(Some(differences.middle()), crate::stats::median(&list));
        }

        #[test]
        fn exchanging_the_samples_negates_the_shift(
            old in prop::collection::vec(-1.0..1.0_f64, 4..9), new in prop::collection::vec(-1.0..1.0_f64, 4..9),
        ) {
            let (there, back) = (Shift::new(&old, &new).unwrap(), Shift::new(&new, &old).unwrap());
            prop_assert!((there.estimate + back.estimate).abs() < 1e-12);
            let (a, b) = (there.interval.unwrap(), back.interval.unwrap());
            prop_assert!((a.low + b.high).abs() < 1e-12 && (a.high + b.low).abs() < 1e-12);
        }
    }
}
