//! How many samples a percentile needs.

/// The most probable that a percentile may be stated which is not reached.
const ERROR: f64 = 0.01;

/// From how many samples on `quantile` (0.99 for the 99th percentile) may be printed: with fewer it is more probable
/// than 1 % that at most one sample lies beyond the true one, so that what is printed is an extreme and no percentile.
/// Nothing if the quantile does not lie between 0 and 1.
///
/// The bound is the floor of MLPerf Inference's early stopping (`loadgen/early_stopping.cc`): the least n with
/// P(X <= 1) <= 1 % for X binomial with n draws of probability 1 - q. It is 64 for 0.9, 130 for 0.95, 662 for 0.99 and
/// 6636 for 0.999.
pub(crate) fn samples_needed(quantile: f64) -> Option<u64> {
    if !(quantile > 0.0 && quantile < 1.0) {
        return None;
    }
    let beyond = 1.0 - quantile;
    let at_most_one = |n: u64| (n as f64 * quantile.ln()).exp() * (1.0 + n as f64 * beyond / quantile);
    let enough = |n: u64| at_most_one(n) <= ERROR;
    let mut most = 2_u64;
    while !enough(most) {
        most = most.checked_mul(2)?;
    }
    let mut least = most / 2;
    while most - least > 1 {
        let middle = least.midpoint(most);
        if enough(middle) { most = middle } else { least = middle }
    }
    Some(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_the_published_ones() {
        let bounds = [0.9, 0.95, 0.99, 0.999].map(|quantile| samples_needed(quantile).unwrap());
        assert_eq!(bounds, [64, 130, 662, 6636]);
    }

    #[test]
    fn a_median_needs_few_and_a_far_tail_many() {
        assert_eq!(samples_needed(0.5), Some(11));
        assert!(samples_needed(0.999_999).unwrap() > 6_000_000);
    }

    #[test]
    fn what_is_no_quantile_has_no_bound() {
        for none in [0.0, 1.0, -0.5, 2.0, f64::NAN] {
            assert_eq!(samples_needed(none), None);
        }
    }
}
