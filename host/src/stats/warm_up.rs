//! When an engine is warm.

use serde::{Deserialize, Serialize};

/// The rule by which runs are discarded until they have settled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WarmUp {
    /// At least so many runs.
    pub least: u32,
    /// At most so many, settled or not.
    pub most: u32,
    /// Two runs in a row are alike if the longer took less than this share more than the shorter.
    pub tolerance: f64,
}

impl Default for WarmUp {
    fn default() -> Self {
        Self { least: 1, most: 5, tolerance: 0.05 }
    }
}

impl WarmUp {
    /// Whether the runs so far, in seconds and in their order, are enough.
    pub fn is_over(&self, durations: &[f64]) -> bool {
        let done = durations.len();
        done >= self.most as usize || (done >= self.least as usize && self.settled(durations))
    }

    /// The fewest runs after which it can be over: two are needed to be alike.
    pub fn min_runs(&self) -> u32 {
        self.least.max(2).min(self.most)
    }

    fn settled(&self, durations: &[f64]) -> bool {
        let [.., before, last] = durations else { return false };
        before.max(*last) < before.min(*last) * (1.0 + self.tolerance)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_alike_in_a_row_are_enough() {
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
    fn a_figure_that_is_no_number_never_settles() {
        assert!(!WarmUp::default().is_over(&[f64::NAN, f64::NAN]));
    }

    proptest! {
        #[test]
        fn the_fewest_is_reached_by_equal_runs_and_no_sooner(least in 0..6_u32, most in 0..6_u32) {
            let rule = WarmUp { least, most, tolerance: 0.05 };
            let runs = [1.0; 6];
            let over = (0..=6).find(|n| rule.is_over(&runs[..*n])).unwrap();
            prop_assert_eq!(over as u32, rule.min_runs());
        }
    }
}
