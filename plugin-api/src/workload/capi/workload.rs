//! The functions of an opened workload.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::arguments::{bytes, fill, json, null, stage_number};
use super::buffer::{Memory, RawBuffer};
use super::handles::{RawWorkload, with_workload};
use crate::workload::batch::{Batch, BatchBuilder};
use crate::workload::error::WorkloadError;
use crate::workload::instance::Instance;
use crate::workload::outcome::Outcome;
use crate::workload::sink::{SinkState, Times};

/// The most partitions of one `split`.
pub const MAX_PARTITIONS: u32 = 1 << 16;

/// # Safety
/// As the `share` of `ABI.md`.
pub unsafe fn share(workload: *const RawWorkload) {
    if !workload.is_null() {
        // SAFETY: it came from `Arc::into_raw` in `open`, and the caller holds a reference.
        unsafe { Arc::increment_strong_count(workload) };
    }
}

/// # Safety
/// As the `close` of `ABI.md`.
pub unsafe fn close(workload: *const RawWorkload) {
    if !workload.is_null() {
        // SAFETY: it came from `Arc::into_raw` in `open`; the caller gives up the reference that it holds.
        let reference = unsafe { Arc::from_raw(workload) };
        // A panic in a destructor must not cross the border, and this function has no way to report it.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(reference)));
    }
}

/// # Safety
/// As the `plan` of `ABI.md`.
pub unsafe fn plan(workload: *const RawWorkload, out: *mut RawBuffer) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe { with_workload(workload, out, |instance, out| json(out, instance.plan())) }
}

/// # Safety
/// As the `source` of `ABI.md`.
pub unsafe fn source(
    workload: *const RawWorkload,
    first: u64,
    count: u64,
    to: u32,
    out: *mut RawBuffer,
) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe {
        with_workload(workload, out, |instance, out| {
            fill(out, |empty| instance.source(first, count, stage_number(to), empty))
        })
    }
}

/// # Safety
/// As the `run_stages` of `ABI.md`.
pub unsafe fn run_stages(
    workload: *const RawWorkload,
    from: u32,
    to: u32,
    batch: *const u8,
    length: usize,
    out: *mut RawBuffer,
) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe {
        with_workload(workload, out, |instance, out| {
            let batch = Batch::parse(bytes(batch, length)?)?;
            fill(out, |empty| instance.run_stages(stage_number(from), stage_number(to), batch, empty))
        })
    }
}

/// # Safety
/// As the `split` of `ABI.md`.
pub unsafe fn split(
    workload: *const RawWorkload,
    stage: u32,
    batch: *const u8,
    length: usize,
    partitions: u32,
    outs: *mut RawBuffer,
    error: *mut RawBuffer,
) -> i32 {
    let call = |instance: &Arc<dyn Instance>, _: &mut Memory| {
        if outs.is_null() || !(1..=MAX_PARTITIONS).contains(&partitions) {
            let why = format!("split needs buffers for 1 to {MAX_PARTITIONS} partitions");
            return Err(WorkloadError::Argument(why));
        }
        // SAFETY: handed on from the caller.
        let batch = Batch::parse(unsafe { bytes(batch, length) }?)?;
        // SAFETY: not null, and by the caller's contract an array of `partitions` buffers.
        let outs = unsafe { std::slice::from_raw_parts_mut(outs, partitions as usize) };
        // SAFETY: each buffer keeps the contract of `RawBuffer`.
        let empty = |out: &mut RawBuffer| BatchBuilder::within(unsafe { out.take() });
        let mut parts: Vec<_> = outs.iter_mut().map(empty).collect();
        instance.split(stage_number(stage), batch, &mut parts)?;
        for (part, out) in parts.into_iter().zip(outs) {
            let (bytes, start) = part.into_encoded()?;
            out.put(Memory { bytes, start });
        }
        Ok(())
    };
    // SAFETY: handed on from the caller.
    unsafe { with_workload(workload, error, call) }
}

/// # Safety
/// As the `keys` of `ABI.md`.
pub unsafe fn keys(
    workload: *const RawWorkload,
    stage: u32,
    batch: *const u8,
    length: usize,
    out: *mut RawBuffer,
) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe {
        with_workload(workload, out, |instance, out| {
            let batch = Batch::parse(bytes(batch, length)?)?;
            fill(out, |empty| instance.keys(stage_number(stage), batch, empty))
        })
    }
}

/// # Safety
/// As the `outcome` of `ABI.md`.
pub unsafe fn outcome(
    workload: *const RawWorkload,
    sink: *const u8,
    length: usize,
    out: *mut RawBuffer,
) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe {
        with_workload(workload, out, |instance, out| {
            let state = SinkState::decode(bytes(sink, length)?, Times::of(instance.plan()))?;
            json(out, &Outcome::from(state))
        })
    }
}

/// # Safety
/// As the `expected` of `ABI.md`.
pub unsafe fn expected(workload: *const RawWorkload, out: *mut RawBuffer) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe { with_workload(workload, out, |instance, out| json(out, &instance.expected())) }
}

/// # Safety
/// As the `describe` of `ABI.md`.
pub unsafe fn describe(
    workload: *const RawWorkload,
    stage: u32,
    item: *const u8,
    length: usize,
    out: *mut RawBuffer,
) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe {
        with_workload(workload, out, |instance, out| {
            out.bytes.clear();
            let described = instance.describe(stage_number(stage), bytes(item, length)?)?;
            described.map_or(Ok(()), |item| json(out, &item))
        })
    }
}

/// # Safety
/// As the `start` of `ABI.md`.
pub unsafe fn start(workload: *const RawWorkload, nanos: u64, error: *mut RawBuffer) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe { with_workload(workload, error, |instance, _| instance.start(nanos)) }
}

/// # Safety
/// As the `watermark` of `ABI.md`.
pub unsafe fn watermark(
    workload: *const RawWorkload,
    number: u64,
    time: *mut u64,
    error: *mut RawBuffer,
) -> i32 {
    let call = |instance: &Arc<dyn Instance>, _: &mut Memory| {
        if time.is_null() {
            return Err(null("time"));
        }
        let watermark = instance.watermark(number)?;
        // SAFETY: not null, and valid for one write by the caller's contract.
        unsafe { time.write(watermark) };
        Ok(())
    };
    // SAFETY: handed on from the caller.
    unsafe { with_workload(workload, error, call) }
}
