//! The median, and the geometric mean of ratios.

use super::selection::sorted;

/// The middle value, or the mean of the middle two. None without values, or if one is not a number.
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.iter().any(|value| value.is_nan()) {
        return None;
    }
    if sorted.len() % 2 == 1 { Some(upper) } else { Some(mean_of_two(sorted[middle - 1], upper)) }
}

/// Halved before they are added: the sum of two large values is not finite.
pub(super) fn mean_of_two(a: f64, b: f64) -> f64 {
    if a == b { a } else { a / 2.0 + b / 2.0 }
}

/// The geometric mean: the only mean of ratios that does not depend on the choice of the baseline (Fleming and
/// Wallace, "How not to lie with statistics", CACM 29(3), 1986). None without values, or if one is not positive and
/// finite.
pub(crate) fn geometric_mean(ratios: &[f64]) -> Option<f64> {
    let usable = ratios.iter().all(|ratio| ratio.is_finite() && *ratio > 0.0);
    let mean = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64;
    (usable && !ratios.is_empty()).then(|| mean.exp())
}

/// The geometric mean of each of `columns` columns, over the rows without a gap. A mean over different rows would reward a backend
/// that failed at the difficult ones.
pub(crate) fn common_geometric_means(table: &[Vec<Option<f64>>], columns: usize) -> Vec<Option<f64>> {
    let whole = |row: &&Vec<Option<f64>>| row.len() == columns && row.iter().all(Option::is_some);
    let covered: Vec<_> = table.iter().filter(whole).collect();
    let column = |at: usize| covered.iter().filter_map(|row| row[at]).collect::<Vec<_>>();
    (0..columns).map(|at| geometric_mean(&column(at))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_middle_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[3.0, -1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[1.0, f64::NAN, 2.0]), None);
        assert_eq!(median(&[f64::MAX, f64::MAX]), Some(f64::MAX));
    }

    #[test]
    fn a_geometric_mean_needs_positive_numbers() {
        assert_eq!(geometric_mean(&[]), None);
        assert!((geometric_mean(&[2.0, 0.5, 8.0]).unwrap() - 2.0).abs() < 1e-12);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(geometric_mean(&[1.0, bad]), None);
        }
    }

    #[test]
    fn a_gap_in_one_column_excludes_the_row_from_all() {
        let table = vec![vec![Some(2.0), Some(4.0)], vec![Some(100.0), None], vec![Some(8.0), Some(1.0)]];
        let means = common_geometric_means(&table, 2);
        assert!((means[0].unwrap() - 4.0).abs() < 1e-12 && (means[1].unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(common_geometric_means(&table[1..2], 2), [None, None]);
    }

    proptest! {
        #[test]
        fn the_other_side_as_baseline_gives_the_inverse(ratios in prop::collection::vec(0.01..100.0_f64, 1..20)) {
            let inverse: Vec<_> = ratios.iter().map(|ratio| 1.0 / ratio).collect();
            let product = geometric_mean(&ratios).unwrap() * geometric_mean(&inverse).unwrap();
            prop_assert!((product - 1.0).abs() < 1e-12);
        }

        #[test]
        fn half_of_the_values_lie_on_either_side_of_the_median(values in prop::collection::vec(-1e9..1e9_f64, 1..30)) {
            let middle = median(&values).unwrap();
            let below = values.iter().filter(|value| **value < middle).count();
            let above = values.iter().filter(|value| **value > middle).count();
            prop_assert!(below * 2 <= values.len() && above * 2 <= values.len());
        }
    }
}
