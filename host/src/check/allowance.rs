//! How times that the contract gives are told.

use std::time::Duration;

pub(super) fn seconds(took: Duration) -> String {
    format!("{:.3} s", took.as_secs_f64())
}

/// What a time of the contract is where work takes `slowdown` times as long as on a quiet machine.
pub(super) fn allowance(contract: Duration, slowdown: f64) -> String {
    let given = contract.as_secs();
    if slowdown > 1.0 {
        return format!("{given} s × {slowdown:.1}, as this machine is busy");
    }
    format!("{given} s")
}
