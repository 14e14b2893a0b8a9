//! Counts the references to workloads that a backend takes and gives back. One that is given back too often would free a workload
//! that is in use; such a call is left out, and counted.
//!
//! The host's own references go through the same functions: a thread of the host says when it calls the backend.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use plugin_api::workload::WorkloadFunctions;
use plugin_api::workload::capi::{RawBuffer, RawWorkload, status};

/// For so many libraries in one process references are counted.
const SLOTS: usize = 4;

/// The functions of the libraries, without counting.
static LIBRARIES: [OnceLock<WorkloadFunctions>; SLOTS] = [const { OnceLock::new() }; SLOTS];

static COUNTS: Mutex<Counts> = Mutex::new(Counts { workloads: BTreeMap::new(), too_often: 0 });

struct Counts {
    workloads: BTreeMap<usize, References>,
    /// How often a backend gave back what it had not.
    too_often: u64,
}

/// The references to one workload.
#[derive(Clone, Copy, Default)]
struct References {
    host: u64,
    backend: u64,
}

impl References {
    /// Those of whoever calls.
    fn own(&mut self) -> &mut u64 {
        if IS_HOST.get() { &mut self.host } else { &mut self.backend }
    }
}

thread_local! {
    /// Whether this thread runs code of the host.
    static IS_HOST: Cell<bool> = const { Cell::new(false) };
}

fn counts() -> MutexGuard<'static, Counts> {
    COUNTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `call` gives. The references that it takes and gives back on this thread are the host's.
pub(in crate::worker) fn of_host<T>(call: impl FnOnce() -> T) -> T {
    of(true, call)
}

/// What `call` gives. The references that it takes and gives back on this thread are the backend's.
pub(in crate::worker) fn of_backend<T>(call: impl FnOnce() -> T) -> T {
    of(false, call)
}

fn of<T>(is_host: bool, call: impl FnOnce() -> T) -> T {
    let before = IS_HOST.replace(is_host);
    let given = call();
    IS_HOST.set(before);
    given
}

/// How many references the backend has not given back.
pub(in crate::worker) fn left() -> u64 {
    counts().workloads.values().map(|references| references.backend).sum()
}

/// How often the backend has given back what it had not, since this was last asked.
pub(in crate::worker) fn take_too_often() -> u64 {
    std::mem::take(&mut counts().too_often)
}

/// The functions of a library, by which references are counted; those functions themselves for more libraries than are counted.
pub(super) fn counted(functions: WorkloadFunctions) -> WorkloadFunctions {
    let is_known = |known: &WorkloadFunctions| std::ptr::fn_addr_eq(known.open, functions.open);
    let fits = |library: &OnceLock<WorkloadFunctions>| library.get().is_none_or(is_known);
    let Some(slot) = LIBRARIES.iter().position(fits) else { return functions };
    let counting = match slot {
        0 => with::<0>(&functions),
        1 => with::<1>(&functions),
        2 => with::<2>(&functions),
        _ => with::<3>(&functions),
    };
    // It has them already if the library was loaded before.
    let _ = LIBRARIES[slot].set(functions);
    counting
}

fn with<const SLOT: usize>(functions: &WorkloadFunctions) -> WorkloadFunctions {
    WorkloadFunctions { open: open::<SLOT>, share: share::<SLOT>, close: close::<SLOT>, ..*functions }
}

unsafe extern "C-unwind" fn open<const SLOT: usize>(
    spec: *const u8,
    length: usize,
    opened: *mut *const RawWorkload,
    error: *mut RawBuffer,
) -> i32 {
    let Some(functions) = LIBRARIES[SLOT].get() else { return status::ARGUMENT };
    // SAFETY: handed on from the caller.
    let code = unsafe { (functions.open)(spec, length, opened, error) };
    if code == status::OK {
        // SAFETY: after this status the library has written to the pointer, which is not null then.
        let workload = unsafe { opened.read() };
        *counts().workloads.entry(workload.addr()).or_default().own() += 1;
    }
    code
}

unsafe extern "C-unwind" fn share<const SLOT: usize>(workload: *const RawWorkload) {
    let Some(functions) = LIBRARIES[SLOT].get() else { return };
    if let Some(references) = counts().workloads.get_mut(&workload.addr()) {
        *references.own() += 1;
    }
    // SAFETY: handed on from the caller.
    unsafe { (functions.share)(workload) };
}

unsafe extern "C-unwind" fn close<const SLOT: usize>(workload: *const RawWorkload) {
    let Some(functions) = LIBRARIES[SLOT].get() else { return };
    if !workload.is_null() && give_back(workload.addr()) {
        // SAFETY: handed on from the caller, who had a reference.
        unsafe { (functions.close)(workload) };
    }
}

/// Whether the caller had a reference, which is counted as given back.
fn give_back(workload: usize) -> bool {
    let mut counts = counts();
    let references = counts.workloads.entry(workload).or_default();
    let own = references.own();
    let had = *own > 0;
    *own = own.saturating_sub(1);
    if references.host + references.backend == 0 {
        counts.workloads.remove(&workload);
    }
    counts.too_often += u64::from(!had);
    had
}
