//! The number of samples that a percentile needs.

/// The maximum probability that a stated percentile is not reached.
const ERROR: f64 = 0.01;

/// The minimum number of samples for `quantile` (0.99 for the 99th percentile). With fewer, the probability that at most
/// one sample lies beyond the true percentile exceeds 1 %, so the result would be an extreme and not a percentile. None if
/// the quantile is not between 0 and 1.
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

/// The quantiles of which comparisons use the highest that has enough samples.
const COMPARED: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

/// The quantile at which a latency with so many samples is compared; `None` if there are too few for each.
pub(crate) fn compared_quantile(samples: u64) -> Option<f64> {
    let has_enough = |quantile: f64| samples_needed(quantile).is_some_and(|needed| samples >= needed);
    COMPARED.into_iter().rfind(|quantile| has_enough(*quantile))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of others SciPy says how many.
    #[test]
    fn an_extreme_percentile_needs_many_samples() {
        assert_eq!(samples_needed(0.999), Some(6636));
        assert!(samples_needed(0.999_999).unwrap() > 6_000_000);
    }

    #[test]
    fn an_invalid_quantile_has_no_bound() {
        for none in [0.0, 1.0, -0.5, 2.0, f64::NAN] {
            assert_eq!(samples_needed(none), None);
        }
    }
}
