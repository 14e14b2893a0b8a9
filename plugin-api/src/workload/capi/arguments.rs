//! Arguments that are read, and answers that are written.

use super::buffer::Memory;
use super::guard::Call;
use crate::answer::Answer;
use crate::workload::batch::BatchBuilder;
use crate::workload::error::WorkloadError;
use crate::workload::instance::Made;

pub(super) fn null(what: &str) -> WorkloadError {
    WorkloadError::Argument(format!("the pointer to a {what} is null"))
}

/// # Safety
/// `data` is null, or valid for reading `length` bytes during `'a`.
pub(super) unsafe fn bytes<'a>(data: *const u8, length: usize) -> Result<&'a [u8], WorkloadError> {
    if data.is_null() || isize::try_from(length).is_err() {
        return Err(WorkloadError::Argument(
            "a pointer to bytes is null, or their length is more than memory can hold".into(),
        ));
    }
    // SAFETY: not null and not too long; the rest is this function's contract.
    Ok(unsafe { std::slice::from_raw_parts(data, length) })
}

pub(super) fn stage_number(stage: u32) -> usize {
    stage as usize
}

/// Leaves the batch that `make` gives in `out`. It may use the memory there.
pub(super) fn fill(out: &mut Memory, make: impl FnOnce(BatchBuilder) -> Made) -> Call {
    let (bytes, start) = make(BatchBuilder::within(std::mem::take(&mut out.bytes)))?.into_encoded()?;
    *out = Memory { bytes, start };
    Ok(())
}

pub(super) fn json(out: &mut Memory, value: &impl serde::Serialize) -> Call {
    out.bytes.clear();
    serde_json::to_writer(Answer(&mut out.bytes), value)
        .map_err(|error| WorkloadError::Operator(error.to_string()))
}
