//! The correction for multiple comparisons.

/// Adjusted p-values: at most 5 % of families have a false positive below 5 %, for any dependence between the tests (Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 1979). In
/// the order of the arguments.
pub(crate) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (step, at) in order.into_iter().enumerate() {
        largest = largest.max(p_values[at] * (p_values.len() - step) as f64).min(1.0);
        adjusted[at] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_smallest_is_multiplied_by_how_many_there_are() {
        assert_eq!(holm(&[]), Vec::<f64>::new());
        assert_eq!(holm(&[0.25]), [0.25]);
        assert_eq!(holm(&[0.5, 0.125]), [0.5, 0.25]);
        assert_eq!(holm(&[0.75, 0.75]), [1.0, 1.0]);
    }

    proptest! {
        #[test]
        fn order_is_kept_and_nothing_becomes_smaller(p_values in prop::collection::vec(0.0..=1.0_f64, 1..20)) {
            let adjusted = holm(&p_values);
            for (p, a) in p_values.iter().zip(&adjusted) {
                prop_assert!(a >= p && *a <= 1.0);
                for (q, b) in p_values.iter().zip(&adjusted) {
                    prop_assert!(p > q || a <= b);
                }
            }
        }
    }
}
