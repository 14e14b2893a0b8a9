//! Blocks that follow each other: a high value is likely to come after a high one.
//!
//! The signed-rank interval takes the blocks to be independent. If what disturbs one backend lasts for several blocks, they
//! are not, and it is too narrow: n blocks then tell as much as n (1 - φ) / (1 + φ) independent ones, where φ is the
//! correlation of neighbours (Bayley and Hammersley, "The 'effective' number of independent observations in an
//! autocorrelated time series", J. R. Stat. Soc. Suppl. 8, 1946).

use super::signed_rank::MIN_BLOCKS;

/// A correlation is clearly positive if it is so many standard deviations above that of independent blocks, as theirs is in about
/// one case of ten. With less, too many intervals of independent blocks would be widened.
const CLEAR: f64 = 1.282;

/// A correlation above this is taken for this one: of few blocks, none can be told from a steady drift. The interval is then
/// three times as wide.
const HIGHEST: f64 = 0.8;

/// The correlation of each value with the next. Nothing for fewer values than have an interval, or if all are equal.
pub(super) fn autocorrelation(values: &[f64]) -> Option<f64> {
    if values.len() < MIN_BLOCKS {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let products: f64 = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    Some(products / squares).filter(|correlation| correlation.is_finite())
}

/// By what factor an interval of so many values with this autocorrelation is too narrow: 1 unless the correlation is
/// clearly positive.
///
/// Of n independent values the autocorrelation is on average -1/n with a standard deviation of about 1/√n, and of values with
/// the correlation φ it is on average φ - (1 + 3φ)/n (Marriott and Pope, "Bias in the estimation of autocorrelations",
/// Biometrika 41, 1954), which is turned round here.
pub(super) fn widening(autocorrelation: f64, values: usize) -> f64 {
    let n = values as f64;
    if values < MIN_BLOCKS || (autocorrelation + 1.0 / n) * n.sqrt() <= CLEAR {
        return 1.0;
    }
    let correlation = ((n * autocorrelation + 1.0) / (n - 3.0)).clamp(0.0, HIGHEST);
    ((1.0 + correlation) / (1.0 - correlation)).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_that_are_alike_are_correlated_and_those_that_are_not_are_not() {
        let drift: Vec<_> = (0..12).map(f64::from).collect();
        let turns: Vec<_> = (0..12).map(|at| f64::from(at % 2)).collect();
        // The products about the mean 5.5, over the squares: 107.25 of 143.
        assert!((autocorrelation(&drift).unwrap() - 0.75).abs() < 1e-12);
        assert!((autocorrelation(&turns).unwrap() + 11.0 / 12.0).abs() < 1e-12);
        assert_eq!((autocorrelation(&[1.0; 12]), autocorrelation(&drift[..5])), (None, None));
    }

    #[test]
    fn only_a_clear_correlation_widens() {
        assert_eq!(
            (widening(-0.5, 12), widening(0.0, 12), widening(0.2, 12), widening(0.9, 5)),
            (1.0, 1.0, 1.0, 1.0)
        );
        // (12 · 0.5 + 1) / 9 = 7/9: √(16/2).
        assert!((widening(0.5, 12) - 8.0_f64.sqrt()).abs() < 1e-12);
        assert!((widening(0.9, 12) - 3.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn more_correlation_is_never_less_width(low in -1.0..1.0_f64, more in 0.0..1.0_f64, n in 6..60_usize) {
            let (narrow, wide) = (widening(low, n), widening(low + more, n));
            prop_assert!((1.0..=3.0 + 1e-9).contains(&narrow) && narrow <= wide);
        }

        #[test]
        fn neither_scale_nor_shift_counts(
            values in prop::collection::vec(-1.0..1.0_f64, 6..20), scale in 0.1..10.0_f64, shift in -5.0..5.0_f64,
        ) {
            let other: Vec<_> = values.iter().map(|value| value * scale + shift).collect();
            let (one, other) = (autocorrelation(&values).unwrap(), autocorrelation(&other).unwrap());
            prop_assert!((one - other).abs() < 1e-6 && one.abs() <= 1.0);
        }
    }
}
