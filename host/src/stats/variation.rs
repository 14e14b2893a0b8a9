//! How much runs of one kind differ from each other.

use serde::{Deserialize, Serialize};

/// How much the runs of a row differ from each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    /// The standard deviation over the mean: the coefficient of variation.
    pub coefficient: f64,
    /// The longest over the shortest.
    pub slowest_to_fastest: f64,
}

impl Variation {
    /// Of at least two durations. Nothing of fewer, or if one is not positive and finite.
    pub(crate) fn of(seconds: &[f64]) -> Option<Self> {
        let n = seconds.len() as f64;
        if seconds.len() < 2 || !seconds.iter().all(|it| it.is_finite() && *it > 0.0) {
            return None;
        }
        let mean = seconds.iter().sum::<f64>() / n;
        let squares: f64 = seconds.iter().map(|it| (it - mean).powi(2)).sum();
        let longest = seconds.iter().copied().fold(f64::MIN, f64::max);
        let shortest = seconds.iter().copied().fold(f64::MAX, f64::min);
        let variation =
            Self { coefficient: (squares / (n - 1.0)).sqrt() / mean, slowest_to_fastest: longest / shortest };
        (variation.coefficient.is_finite() && variation.slowest_to_fastest.is_finite()).then_some(variation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_relative_to_the_mean_and_to_the_fastest() {
        let Variation { coefficient, slowest_to_fastest } = Variation::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((coefficient, slowest_to_fastest), (0.5, 3.0));
        let equal = Variation::of(&[2.0, 2.0]).unwrap();
        assert_eq!((equal.coefficient, equal.slowest_to_fastest), (0.0, 1.0));
        for bad in [&[][..], &[1.0], &[1.0, 0.0], &[1.0, f64::NAN], &[f64::MIN_POSITIVE, f64::MAX]] {
            assert_eq!(Variation::of(bad), None);
        }
    }
}
