//! Which differences count.

/// Differences of speed up to this factor, either way, count for nothing.
pub(crate) const MARGIN: f64 = 1.05;
