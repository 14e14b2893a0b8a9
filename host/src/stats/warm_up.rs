//! When the warm-up of an engine is over.

use serde::{Deserialize, Serialize};

/// How many runs are discarded until their durations are stable.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WarmUp {
    /// The minimum number of runs.
    pub least: u32,
    /// The maximum number of runs, stable or not.
    pub most: u32,
    /// Durations are stable if the longer of the last two exceeds the shorter by less than this share.
    pub tolerance: f64,
}

impl Default for WarmUp {
    fn default() -> Self {
        Self { least: 1, most: 5, tolerance: 0.05 }
    }
}

impl WarmUp {
    /// Whether the runs so far, with these durations in seconds, are enough.
    pub fn is_over(&self, durations: &[f64]) -> bool {
        let done = durations.len();
        done >= self.most as usize || (done >= self.least as usize && self.is_stable(durations))
    }

    /// The fewest runs after which the warm-up can be over: two are needed for a comparison.
    pub fn min_runs(&self) -> u32 {
        self.least.max(2).min(self.most)
    }

    fn is_stable(&self, durations: &[f64]) -> bool {
        let [.., before, last] = durations else { return false };
        before.max(*last) < before.min(*last) * (1.0 + self.tolerance)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_similar_runs_in_a_row_are_enough() {
        let rule = WarmUp::default();
        assert!(!rule.is_over(&[]));
        assert!(!rule.is_over(&[1.0]));
        assert!(rule.is_over(&[1.0, 1.04]) && rule.is_over(&[1.04, 1.0]));
        assert!(!rule.is_over(&[1.0, 1.06]) && !rule.is_over(&[1.0, 2.0, 1.0]));
        assert!(rule.is_over(&[9.0, 2.0, 1.0, 1.01]));
    }

    #[test]
    fn there_are_never_more_than_the_most_and_never_fewer_than_the_least() {
        let rule = WarmUp::default();
        assert!(!rule.is_over(&[16.0, 8.0, 4.0, 2.0]));
        assert!(rule.is_over(&[16.0, 8.0, 4.0, 2.0, 1.0]));
        let patient = WarmUp { least: 3, ..rule };
        assert!(!patient.is_over(&[1.0, 1.0]) && patient.is_over(&[1.0, 1.0, 1.0]));
        assert!(WarmUp { least: 0, most: 0, ..rule }.is_over(&[]));
    }

    #[test]
    fn a_duration_that_is_not_a_number_is_never_stable() {
        assert!(!WarmUp::default().is_over(&[f64::NAN, f64::NAN]));
    }

    proptest! {
        #[test]
        fn equal_runs_are_enough_after_the_minimum(least in 0..6_u32, most in 0..6_u32) {
            let rule = WarmUp { least, most, tolerance: 0.05 };
            let runs = [1.0; 6];
            let over = (0..=6).find(|n| rule.is_over(&runs[..*n])).unwrap();
            prop_assert_eq!(over as u32, rule.min_runs());
        }
    }
}
