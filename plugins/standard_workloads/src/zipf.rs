//! Zipf's distribution over finitely many ranks, by a table of its cumulative probabilities.

/// Rank r (from 0) has a probability in proportion to (r + 1)^−skew.
pub(crate) struct Zipf {
    /// Number r is the probability of a rank up to r.
    cumulative: Vec<f64>,
}

impl Zipf {
    /// The distribution over `ranks` ranks, at least 1.
    pub(crate) fn new(ranks: u64, skew: f64) -> Self {
        let mut total = 0.0;
        let mut cumulative: Vec<f64> = (1..=ranks)
            .map(|place| {
                total += libm::pow(place as f64, -skew);
                total
            })
            .collect();
        cumulative.iter_mut().for_each(|sum| *sum /= total);
        Self { cumulative }
    }

    /// How many ranks there are.
    pub(crate) fn ranks(&self) -> usize {
        self.cumulative.len()
    }

    /// The rank for `u` in 0..1. The last entry is exactly 1, so there always is one.
    pub(crate) fn rank(&self, u: f64) -> usize {
        self.cumulative.partition_point(|probability| *probability <= u)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Stream, rnd, u01};

    const DRAWS: u64 = 100_000;

    fn counts(zipf: &Zipf) -> Vec<u64> {
        let mut counts = vec![0; zipf.ranks()];
        (0..DRAWS).for_each(|i| counts[zipf.rank(u01(rnd(42, Stream::KEY, i)))] += 1);
        counts
    }

    #[test]
    fn frequencies_are_those_of_the_formula() {
        for skew in [0.0, 0.8, 1.2, 2.0, 4.0] {
            let counts = counts(&Zipf::new(100, skew));
            let weights: Vec<f64> = (1..=100).map(|place| f64::from(place).powf(-skew)).collect();
            let total: f64 = weights.iter().sum();
            for (rank, (count, weight)) in counts.iter().zip(weights).enumerate() {
                let (n, p) = (DRAWS as f64, weight / total);
                // Five standard deviations, and one for the rare ranks that are far from a bell curve.
                let bound = 5.0 * (n * p * (1.0 - p)).sqrt() + 1.0;
                assert!((*count as f64 - n * p).abs() <= bound, "skew {skew}, rank {rank}: {count}");
            }
        }
    }

    #[test]
    fn the_first_rank_is_the_most_common() {
        let counts = counts(&Zipf::new(10_000, 1.2));
        assert_eq!(counts.iter().max(), counts.first());
        assert!(counts[0] > 2 * counts[1]);
    }

    #[test]
    fn every_u_has_a_rank() {
        for (ranks, skew) in [(1, 0.0), (1, 4.0), (3, 0.0), (1_000_000, 4.0), (1_000_000, 0.8)] {
            let zipf = Zipf::new(ranks, skew);
            assert_eq!(zipf.rank(0.0), 0);
            assert!(zipf.rank(u01(u64::MAX)) < zipf.ranks(), "{ranks} ranks, skew {skew}");
        }
    }
}
