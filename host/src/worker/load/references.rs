//! Counts the references to workloads that a backend takes and gives back. One that is given back too often would free a workload
//! that is in use; such a call is left out, and counted. An open loop starts only when the host says: a backend that starts it later
//! has the time before in no latency.
//!
//! The host calls the library itself. A backend calls it by these functions.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use plugin_api::workload::WorkloadFunctions;
use plugin_api::workload::capi::{RawBuffer, RawWorkload, status};

/// For so many libraries in one process references are counted: for more than a session is likely to have, of several authors and builds.
const SLOTS: usize = 16;

/// The functions of the libraries, without counting.
static LIBRARIES: [OnceLock<WorkloadFunctions>; SLOTS] = [const { OnceLock::new() }; SLOTS];

static COUNTS: Mutex<Counts> = Mutex::new(Counts { workloads: BTreeMap::new(), too_often: 0 });

/// When the open loop of the run starts; the largest number before the first such run.
static START: AtomicU64 = AtomicU64::new(u64::MAX);

type Start = unsafe extern "C-unwind" fn(*const RawWorkload, u64, *mut RawBuffer) -> i32;

struct Counts {
    /// How many references the backend has to each workload.
    workloads: BTreeMap<usize, u64>,
    /// How often a backend gave back what it had not.
    too_often: u64,
}

fn counts() -> MutexGuard<'static, Counts> {
    COUNTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many references the backend has not given back.
pub(in crate::worker) fn left() -> u64 {
    counts().workloads.values().sum()
}

/// How often the backend has given back what it had not, since this was last asked.
pub(in crate::worker) fn take_too_often() -> u64 {
    std::mem::take(&mut counts().too_often)
}

/// From now on an open loop may start at this time, and at no other.
pub(in crate::worker) fn allow_start(nanos: u64) {
    START.store(nanos, Ordering::Relaxed);
}

/// The functions of a library for a backend: they count its references, and start an open loop only when the host says. Those functions
/// themselves for more libraries than are counted.
pub(super) fn counted(functions: WorkloadFunctions) -> WorkloadFunctions {
    let is_known = |known: &WorkloadFunctions| std::ptr::fn_addr_eq(known.open, functions.open);
    let fits = |library: &OnceLock<WorkloadFunctions>| library.get().is_none_or(is_known);
    let Some(slot) = LIBRARIES.iter().position(fits) else { return functions };
    let counting = COUNTING[slot](&functions);
    // It has them already if the library was loaded before.
    let _ = LIBRARIES[slot].set(functions);
    counting
}

/// Makes the counting functions of each slot.
const COUNTING: [fn(&WorkloadFunctions) -> WorkloadFunctions; SLOTS] = [
    with::<0>, with::<1>, with::<2>, with::<3>, with::<4>, with::<5>, with::<6>, with::<7>, with::<8>,
    with::<9>, with::<10>, with::<11>, with::<12>, with::<13>, with::<14>, with::<15>,
];

fn with<const SLOT: usize>(functions: &WorkloadFunctions) -> WorkloadFunctions {
    // A library may lack the function.
    let start = functions.start.map(|_| start::<SLOT> as Start);
    WorkloadFunctions { open: open::<SLOT>, share: share::<SLOT>, close: close::<SLOT>, start, ..*functions }
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
        take(workload);
    }
    code
}

unsafe extern "C-unwind" fn share<const SLOT: usize>(workload: *const RawWorkload) {
    let Some(functions) = LIBRARIES[SLOT].get() else { return };
    if !workload.is_null() {
        take(workload);
    }
    // SAFETY: handed on from the caller.
    unsafe { (functions.share)(workload) };
}

unsafe extern "C-unwind" fn close<const SLOT: usize>(workload: *const RawWorkload) {
    let Some(functions) = LIBRARIES[SLOT].get() else { return };
    if !workload.is_null() && give_back(workload) {
        // SAFETY: handed on from the caller, who had a reference.
        unsafe { (functions.close)(workload) };
    }
}

unsafe extern "C-unwind" fn start<const SLOT: usize>(
    workload: *const RawWorkload,
    nanos: u64,
    error: *mut RawBuffer,
) -> i32 {
    let own = LIBRARIES[SLOT].get().and_then(|functions| functions.start);
    let Some(own) = own.filter(|_| nanos == START.load(Ordering::Relaxed)) else {
        // SAFETY: the caller's pointer is null, or valid for this call, as the contract of the table says.
        if let Some(error) = unsafe { error.as_mut() } {
            // Its memory is that of the library, which alone could write a message.
            error.length = 0;
        }
        return status::ARGUMENT;
    };
    // SAFETY: handed on from the caller.
    unsafe { own(workload, nanos, error) }
}

fn take(workload: *const RawWorkload) {
    *counts().workloads.entry(workload.addr()).or_default() += 1;
}

/// Whether the backend had a reference, which is counted as given back.
fn give_back(workload: *const RawWorkload) -> bool {
    let mut counts = counts();
    let Entry::Occupied(mut references) = counts.workloads.entry(workload.addr()) else {
        counts.too_often += 1;
        return false;
    };
    *references.get_mut() -= 1;
    if *references.get() == 0 {
        references.remove();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_to_a_fifth_library_are_counted_too() {
        static FUNCTIONS: [u8; 5] = [0; 5];
        for place in &FUNCTIONS {
            // SAFETY: these addresses are only compared, and nothing is called.
            let functions = unsafe { WorkloadFunctions::resolve(|_| Some(std::ptr::from_ref(place).cast())) };
            let functions = functions.unwrap();
            assert!(!std::ptr::fn_addr_eq(counted(functions).open, functions.open));
        }
    }
}
