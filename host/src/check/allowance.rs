//! Formats durations and time limits.

use std::time::Duration;

pub(super) fn seconds(took: Duration) -> String {
    format!("{:.3} s", took.as_secs_f64())
}

/// A time limit of the contract, extended by the slowdown of this machine.
pub(super) fn allowance(contract: Duration, slowdown: f64) -> String {
    let limit = contract.as_secs();
    if slowdown > 1.0 {
        return format!("{limit} s × {slowdown:.1} because this machine is busy");
    }
    format!("{limit} s")
}
