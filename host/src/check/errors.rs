//! Calls that must fail, and as what.

use plugin_api::ErrorKind;

use super::finding::{CheckResult, NotPassed};
use crate::run::session::{CallError, Fault};

/// A kind of error, as `ABI.md` has it.
fn word(kind: ErrorKind) -> String {
    let json = serde_json::to_value(kind).unwrap_or_default();
    json.as_str().unwrap_or_default().to_owned()
}

/// A call must have failed with an error of one of these kinds. Gives the error's message.
pub(super) fn expected_error<T>(ended: Result<T, CallError>, kinds: &[ErrorKind]) -> CheckResult {
    let names: Vec<_> = kinds.iter().map(|kind| word(*kind)).collect();
    let names = names.join(" or ");
    match ended {
        Ok(_) => Err(NotPassed::Failed(format!("it was accepted, but must be an error of kind {names}"))),
        Err(CallError { fault: Fault::Reported(kind), message, .. }) if kinds.contains(&kind) => Ok(message),
        Err(CallError { fault: Fault::Reported(kind), message, .. }) => {
            let kind = word(kind);
            Err(NotPassed::Failed(format!("an error of kind {kind}, but must be of kind {names}: {message}")))
        }
        Err(error) => Err(error.into()),
    }
}
