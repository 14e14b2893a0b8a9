//! What every function does with panics and errors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use super::buffer::{Memory, RawBuffer};
use super::status;
use crate::workload::error::WorkloadError;

/// The message of the panic that poisoned a handle: an engine that uses a workload in many threads may report the
/// failure of a later call before that of the call that panicked.
pub(super) type Panicked = OnceLock<String>;

pub(super) type Call = Result<(), WorkloadError>;

/// Runs `call` with the memory of `out`, inside a panic guard, and leaves the answer or the message in `out`.
///
/// # Safety
/// `out` is null or points to a buffer that keeps the contract of [`RawBuffer`].
pub(super) unsafe fn guarded(
    out: *mut RawBuffer,
    panicked: &Panicked,
    call: impl FnOnce(&mut Memory) -> Call,
) -> i32 {
    // SAFETY: by this function's contract the pointer is null or valid for this call.
    let Some(out) = (unsafe { out.as_mut() }) else { return status::ARGUMENT };
    // SAFETY: the same contract; `take` leaves an empty buffer, so nothing is freed twice.
    let mut memory = Memory { bytes: unsafe { out.take() }, start: 0 };
    let code = if let Some(reason) = panicked.get() {
        write_message(&mut memory, &format!("the workload panicked in an earlier call: {reason}"));
        status::POISONED
    } else {
        match catch_unwind(AssertUnwindSafe(|| call(&mut memory))) {
            Ok(Ok(())) => status::OK,
            Ok(Err(error)) => {
                write_message(&mut memory, &error.to_string());
                status_of(&error)
            }
            Err(payload) => {
                let reason = panic_message(&*payload);
                let _ = panicked.set(reason.to_owned());
                write_message(&mut memory, &format!("the workload panicked: {reason}"));
                status::PANIC
            }
        }
    };
    out.put(memory);
    code
}

fn write_message(memory: &mut Memory, message: &str) {
    memory.start = 0;
    memory.bytes.clear();
    memory.bytes.extend_from_slice(message.as_bytes());
}

fn status_of(error: &WorkloadError) -> i32 {
    match error {
        WorkloadError::Argument(_) => status::ARGUMENT,
        WorkloadError::Malformed(_) => status::MALFORMED,
        WorkloadError::TooLarge { .. } | WorkloadError::StateTooLarge { .. } => status::TOO_LARGE,
        WorkloadError::Operator(_) => status::OPERATOR,
        WorkloadError::Call { status, .. } => *status,
        WorkloadError::Unknown { .. } | WorkloadError::Spec(_) | WorkloadError::Parameter { .. } => {
            status::SPEC
        }
    }
}

/// The message of a panic, if it is text.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
