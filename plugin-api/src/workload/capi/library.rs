//! The functions of a library that are called before a workload is open.

use std::sync::Arc;

use super::arguments::{bytes, json};
use super::buffer::{Memory, RawBuffer};
use super::guard::{Panicked, guarded};
use super::handles::RawWorkload;
use crate::spec::WorkloadSpec;
use crate::workload::error::WorkloadError;
use crate::workload::instance::Definition;

/// The version of this ABI: the major in the upper 16 bits, the minor in the lower.
pub const ABI_VERSION: u32 = 1 << 16 | 1;

/// A JSON array of the library's workloads.
///
/// # Safety
/// See [`RawBuffer`].
pub unsafe fn catalogue(definitions: &[Definition], out: *mut RawBuffer) -> i32 {
    let call = |out: &mut Memory| json(out, &Definition::catalogue(definitions)?);
    // SAFETY: handed on from the caller. A panic here concerns no handle, so there is nothing to poison.
    unsafe { guarded(out, &Panicked::new(), call) }
}

/// Opens the workload that the JSON at `spec` names.
///
/// # Safety
/// `spec` is valid for reading `length` bytes, `opened` for one write; see [`RawBuffer`] for `error`.
pub unsafe fn open(
    definitions: &[Definition],
    spec: *const u8,
    length: usize,
    opened: *mut *const RawWorkload,
    error: *mut RawBuffer,
) -> i32 {
    let call = |_: &mut Memory| {
        // SAFETY: handed on from the caller.
        let spec = unsafe { bytes(spec, length) }?;
        let spec = WorkloadSpec::from_json(spec).map_err(|error| WorkloadError::Spec(error.message))?;
        if opened.is_null() {
            return Err(WorkloadError::Argument(
                "the pointer to which the workload is to be written is null".into(),
            ));
        }
        let instance = Definition::open(definitions, &spec)?;
        let workload = Arc::new(RawWorkload { instance, panicked: Panicked::new() });
        // SAFETY: not null, and valid for one write by the caller's contract.
        unsafe { opened.write(Arc::into_raw(workload)) };
        Ok(())
    };
    // SAFETY: handed on from the caller. A panic here leaves no handle behind, so there is nothing to poison.
    unsafe { guarded(error, &Panicked::new(), call) }
}
