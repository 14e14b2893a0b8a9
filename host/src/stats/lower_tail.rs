//! The lower tail of the distribution of a rank statistic, which determines an interval.

/// The minimum confidence of an interval.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// A standard normal variable exceeds this with probability (1 - [`CONFIDENCE`]) / 2.
const NORMAL_QUANTILE: f64 = 1.959_963_984_540_054;

/// The largest c with P(X <= c) <= 2.5 %, and that probability, from the probability of each value. None if even X = 0 is
/// more probable.
pub(super) fn exact(probabilities: Vec<f64>) -> Option<(usize, f64)> {
    let cumulative = probabilities.into_iter().scan(0.0, |sum, probability| {
        *sum += probability;
        Some(*sum)
    });
    // A tail that is exactly the limit must not depend on how the sum was rounded.
    let limit = (1.0 - CONFIDENCE) / 2.0 * (1.0 + 1e-12);
    cumulative.enumerate().take_while(|(_, tail)| *tail <= limit).last()
}

/// The normal approximation of a rank statistic.
pub(super) struct Normal {
    pub(super) mean: f64,
    pub(super) deviation: f64,
}

impl Normal {
    /// As [`exact`], with a correction for continuity.
    pub(super) fn lower_tail(&self) -> (usize, f64) {
        let cut = (self.mean - 0.5 - NORMAL_QUANTILE * self.deviation).floor();
        (cut as usize, self.at_most(cut + 0.5))
    }

    pub(super) fn at_most(&self, value: f64) -> f64 {
        if self.deviation == 0.0 {
            return 1.0;
        }
        libm::erfc((self.mean - value) / self.deviation / std::f64::consts::SQRT_2) / 2.0
    }
}
