//! The functions of a state.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::arguments::{bytes, fill, null, stage_number};
use super::buffer::{Memory, RawBuffer};
use super::guard::Panicked;
use super::handles::{RawState, RawWorkload, with_state, with_workload};
use crate::workload::batch::Batch;
use crate::workload::error::WorkloadError;
use crate::workload::instance::Instance;
use crate::workload::stage_state::StageState;

/// # Safety
/// As the `state_new` of `ABI.md`.
pub unsafe fn state_new(
    workload: *const RawWorkload,
    stage: u32,
    state: *mut *mut RawState,
    error: *mut RawBuffer,
) -> i32 {
    let call = |instance: &Arc<dyn Instance>, _: &mut Memory| {
        if state.is_null() {
            return Err(WorkloadError::Argument(
                "the pointer to which the state is to be written is null".into(),
            ));
        }
        let made = Arc::clone(instance).new_state(stage_number(stage))?;
        let made = Box::new(RawState { state: made, panicked: Panicked::new() });
        // SAFETY: not null, and valid for one write by the caller's contract.
        unsafe { state.write(Box::into_raw(made)) };
        Ok(())
    };
    // SAFETY: handed on from the caller.
    unsafe { with_workload(workload, error, call) }
}

/// # Safety
/// As the `state_fold` of `ABI.md`.
pub unsafe fn state_fold(
    state: *mut RawState,
    batch: *const u8,
    length: usize,
    error: *mut RawBuffer,
) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe { with_state(state, error, |state, _| state.fold(Batch::parse(bytes(batch, length)?)?)) }
}

/// # Safety
/// As the `state_merge` of `ABI.md`.
pub unsafe fn state_merge(
    state: *mut RawState,
    encoded: *const u8,
    length: usize,
    error: *mut RawBuffer,
) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe { with_state(state, error, |state, _| state.merge(bytes(encoded, length)?)) }
}

/// # Safety
/// As the `state_encode` of `ABI.md`.
pub unsafe fn state_encode(state: *mut RawState, out: *mut RawBuffer) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe { with_state(state, out, |state, out| state.encode(&mut out.bytes)) }
}

/// # Safety
/// As the `state_emit` of `ABI.md`.
pub unsafe fn state_emit(state: *mut RawState, limit: u64, out: *mut RawBuffer) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe { with_state(state, out, |state, out| fill(out, |empty| state.emit(limit, empty))) }
}

/// # Safety
/// As the `state_free` of `ABI.md`.
pub unsafe fn state_free(state: *mut RawState) {
    if !state.is_null() {
        // SAFETY: it came from `Box::into_raw` in `state_new`, and the caller gives it up.
        let state = unsafe { Box::from_raw(state) };
        // As in `close`.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(state)));
    }
}

/// # Safety
/// As the `state_close` of `ABI.md`.
pub unsafe fn state_close(
    state: *mut RawState,
    time: u64,
    limit: u64,
    next: *mut u64,
    out: *mut RawBuffer,
) -> i32 {
    let call = |state: &mut dyn StageState, out: &mut Memory| {
        if next.is_null() {
            return Err(null("time"));
        }
        let mut least = 0;
        fill(out, |empty| {
            let (made, end) = state.close(time, limit, empty)?;
            least = end;
            Ok(made)
        })?;
        // SAFETY: not null, and valid for one write by the caller's contract.
        unsafe { next.write(least) };
        Ok(())
    };
    // SAFETY: handed on from the caller.
    unsafe { with_state(state, out, call) }
}
