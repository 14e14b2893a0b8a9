//! Isotonic regression.

/// The non-decreasing sequence with the least sum of squared differences from the values. Decreasing neighbours are pooled
/// into their mean until there are none (Ayer, Brunk, Ewing, Reid and
/// Silverman, "An empirical distribution function for sampling with incomplete information", Ann. Math. Statist. 26,
/// 1955).
pub(crate) fn isotonic(values: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::with_capacity(values.len());
    for value in values {
        let mut pool = (*value, 1);
        while let Some((mean, size)) = pools.pop_if(|(mean, _)| *mean > pool.0) {
            let whole = size + pool.1;
            pool = ((mean * size as f64 + pool.0 * pool.1 as f64) / whole as f64, whole);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(mean, size)| std::iter::repeat_n(mean, size)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decreasing_values_are_pooled_and_increasing_ones_stay() {
        assert!(isotonic(&[]).is_empty());
        assert_eq!(isotonic(&[1.0, 2.0, 2.0, 3.0]), [1.0, 2.0, 2.0, 3.0]);
        assert_eq!(isotonic(&[1.0, 3.0, 2.0, 4.0]), [1.0, 2.5, 2.5, 4.0]);
        // The last is so low that it pulls all before it down.
        assert_eq!(isotonic(&[4.0, 5.0, 6.0, 1.0]), [4.0; 4]);
    }

    fn squares(one: &[f64], other: &[f64]) -> f64 {
        one.iter().zip(other).map(|(one, other)| (one - other).powi(2)).sum()
    }

    proptest! {
        #[test]
        fn the_fit_is_monotone_and_no_other_monotone_sequence_is_nearer(
            values in prop::collection::vec(-1.0..1.0_f64, 1..12), mut other in prop::collection::vec(-1.0..1.0_f64, 12),
        ) {
            let fit = isotonic(&values);
            prop_assert_eq!(fit.len(), values.len());
            prop_assert!(fit.is_sorted());
            prop_assert!((fit.iter().sum::<f64>() - values.iter().sum::<f64>()).abs() < 1e-9);
            other.truncate(values.len());
            other.sort_by(f64::total_cmp);
            prop_assert!(squares(&values, &fit) <= squares(&values, &other) + 1e-9);
        }

        #[test]
        fn a_fit_is_its_own_fit(values in prop::collection::vec(-1.0..1.0_f64, 0..12)) {
            let fit = isotonic(&values);
            prop_assert_eq!(isotonic(&fit), fit);
        }
    }
}
