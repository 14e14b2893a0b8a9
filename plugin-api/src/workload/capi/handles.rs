//! The handles that callers have of workloads and states.

use std::sync::Arc;

use super::arguments::null;
use super::buffer::{Memory, RawBuffer};
use super::guard::{Call, Panicked, guarded};
use crate::workload::instance::Instance;
use crate::workload::stage_state::StageState;

/// An opened workload. Shared between threads, and counted: `share` adds a reference, `close` takes one away.
pub struct RawWorkload {
    pub(super) instance: Arc<dyn Instance>,
    pub(super) panicked: Panicked,
}

/// The state of one keyed reduction or sink. One thread at a time.
pub struct RawState {
    pub(super) state: Box<dyn StageState>,
    pub(super) panicked: Panicked,
}

static NEVER_PANICKED: Panicked = Panicked::new();

/// # Safety
/// `workload` is null or was opened and not yet closed.
pub(super) unsafe fn with_workload(
    workload: *const RawWorkload,
    out: *mut RawBuffer,
    call: impl FnOnce(&Arc<dyn Instance>, &mut Memory) -> Call,
) -> i32 {
    // SAFETY: by this function's contract null, or alive for this call.
    match unsafe { workload.as_ref() } {
        // SAFETY: `out` is handed on from the caller.
        Some(workload) => unsafe { guarded(out, &workload.panicked, |out| call(&workload.instance, out)) },
        // SAFETY: the same.
        None => unsafe { guarded(out, &NEVER_PANICKED, |_| Err(null("workload"))) },
    }
}

/// # Safety
/// `state` is null or was made and not yet freed, and no other thread uses it.
pub(super) unsafe fn with_state(
    state: *mut RawState,
    out: *mut RawBuffer,
    call: impl FnOnce(&mut dyn StageState, &mut Memory) -> Call,
) -> i32 {
    // SAFETY: by this function's contract null, or alive and not used elsewhere during this call.
    match unsafe { state.as_mut() } {
        // SAFETY: `out` is handed on from the caller.
        Some(RawState { state, panicked }) => unsafe {
            guarded(out, panicked, |out| call(&mut **state, out))
        },
        // SAFETY: the same.
        None => unsafe { guarded(out, &NEVER_PANICKED, |_| Err(null("state"))) },
    }
}
