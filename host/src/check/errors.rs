//! Calls that must fail with an error of a certain kind.

use plugin_api::ErrorKind;

use super::finding::{CheckResult, NotPassed};
use crate::run::session::{CallError, Fault};
use crate::text::word;

/// Requires that a call failed with an error of one of these kinds. Returns the error's message.
pub(super) fn expected_error<T>(ended: Result<T, CallError>, kinds: &[ErrorKind]) -> CheckResult {
    let names = kinds.iter().map(word).collect::<Vec<_>>().join(" or ");
    Err(NotPassed::Failed(match ended {
        Err(CallError { fault: Fault::Reported(kind), message, .. }) if kinds.contains(&kind) => {
            return Ok(message);
        }
        Err(CallError { fault: Fault::Reported(kind), message, .. }) => {
            format!("an error of kind {}, but must be of kind {names}: {message}", word(kind))
        }
        Err(error) => return Err(error.into()),
        Ok(_) => format!("it was accepted, but must be an error of kind {names}"),
    }))
}
