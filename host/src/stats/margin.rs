//! The margin of equivalence.

/// Ratios up to this factor, in either direction, count as equivalent.
pub(crate) const MARGIN: f64 = 1.05;
