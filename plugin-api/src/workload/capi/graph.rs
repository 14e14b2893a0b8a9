//! The functions of a graph of tasks.

use std::sync::Arc;

use super::arguments::bytes;
use super::buffer::{Memory, RawBuffer};
use super::handles::{RawWorkload, with_workload};
use crate::workload::error::WorkloadError;
use crate::workload::instance::Instance;

/// # Safety
/// As the `graph_edges` of `ABI.md`.
pub unsafe fn graph_edges(
    workload: *const RawWorkload,
    step: u32,
    first: u32,
    count: u32,
    out: *mut RawBuffer,
) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe {
        with_workload(workload, out, |instance, out| instance.graph_edges(step, first, count, &mut out.bytes))
    }
}

/// # Safety
/// As the `graph_task` of `ABI.md`.
#[expect(clippy::too_many_arguments, reason = "a function of the C ABI")]
pub unsafe fn graph_task(
    workload: *const RawWorkload,
    step: u32,
    point: u32,
    count: usize,
    inputs: *const *const u8,
    lengths: *const usize,
    output: *mut u8,
    output_length: *mut usize,
    error: *mut RawBuffer,
) -> i32 {
    let call = |instance: &Arc<dyn Instance>, _: &mut Memory| {
        if output.is_null()
            || output_length.is_null()
            || (count > 0 && (inputs.is_null() || lengths.is_null()))
        {
            return Err(WorkloadError::Argument(
                "a pointer to inputs or to the output of a task is null".into(),
            ));
        }
        // SAFETY: by the caller's contract `count` pointers and lengths, of bytes that live during this call.
        let input = |number: usize| unsafe { bytes(*inputs.add(number), *lengths.add(number)) };
        let inputs = (0..count).map(input).collect::<Result<Vec<_>, _>>()?;
        // SAFETY: not null, and by the caller's contract valid for reading and writing.
        let room = unsafe { *output_length };
        if isize::try_from(room).is_err() {
            return Err(WorkloadError::Argument("the output of a task is larger than memory can be".into()));
        }
        // SAFETY: not null, and by the caller's contract so many bytes that nobody else uses during this call.
        let output = unsafe { std::slice::from_raw_parts_mut(output, room) };
        let length = instance.graph_task(step, point, &inputs, output)?;
        // SAFETY: as for reading it.
        unsafe { *output_length = length };
        Ok(())
    };
    // SAFETY: handed on from the caller.
    unsafe { with_workload(workload, error, call) }
}
