//! The C ABI of a workload library: what `export_workloads!` exports, called from Rust, C and Python alike.
//!
//! `ABI.md` documents each function for callers in other languages. Every function catches panics. After a panic the
//! handle is *poisoned* and refuses all later calls. No function keeps a pointer after it has returned.

// The functions here take raw pointers from callers in any language.
#![allow(unsafe_code)]

pub mod status;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use super::batch::{Batch, BatchBuilder};
use super::error::WorkloadError;
use super::instance::{Definition, Instance, Made};
use super::outcome::Outcome;
use super::sink::SinkState;
use super::stage_state::StageState;
use crate::answer::Answer;
use crate::spec::WorkloadSpec;

/// The version of this ABI: the major in the upper 16 bits, the minor in the lower.
pub const ABI_VERSION: u32 = 1 << 16 | 1;

/// The most partitions of one `split`.
pub const MAX_PARTITIONS: u32 = 1 << 16;

/// Bytes that the library allocated. The caller sets all fields to zero first. A buffer that is passed again keeps its
/// memory, which only `buffer_free` frees. After a status other than [`status::OK`] it holds the message, in UTF-8.
#[repr(C)]
#[derive(Debug)]
pub struct RawBuffer {
    /// The bytes, or null.
    pub data: *mut u8,
    /// How many bytes there are.
    pub length: usize,
    /// How many bytes fit into the memory at `data`.
    pub capacity: usize,
}

impl RawBuffer {
    /// An empty buffer.
    pub const EMPTY: Self = Self { data: std::ptr::null_mut(), length: 0, capacity: 0 };

    /// # Safety
    /// The fields must be zero, or as [`RawBuffer::put`] of this library set them.
    unsafe fn take(&mut self) -> Vec<u8> {
        let Self { data, length, capacity } = std::mem::replace(self, Self::EMPTY);
        if data.is_null() {
            return Vec::new();
        }
        // SAFETY: by this function's contract the parts are those of a vector that `put` took apart.
        unsafe { Vec::from_raw_parts(data, length, capacity) }
    }

    fn put(&mut self, bytes: Vec<u8>) {
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        *self = Self { data: bytes.as_mut_ptr(), length: bytes.len(), capacity: bytes.capacity() };
    }
}

/// An opened workload. Shared between threads, and counted: `share` adds a reference, `close` takes one away.
pub struct RawWorkload {
    instance: Arc<dyn Instance>,
    panicked: Panicked,
}

/// The state of one keyed reduction or sink. One thread at a time.
pub struct RawState {
    state: Box<dyn StageState>,
    panicked: Panicked,
}

/// The message of the panic that poisoned a handle: an engine that uses a workload in many threads may report the
/// failure of a later call before that of the call that panicked.
type Panicked = OnceLock<String>;

type Call = Result<(), WorkloadError>;

/// Runs `call` with the vector in `out`, inside a panic guard, and leaves the answer or the message in `out`.
///
/// # Safety
/// `out` is null or points to a buffer that keeps the contract of [`RawBuffer`].
unsafe fn guarded(out: *mut RawBuffer, panicked: &Panicked, call: impl FnOnce(&mut Vec<u8>) -> Call) -> i32 {
    // SAFETY: by this function's contract the pointer is null or valid for this call.
    let Some(out) = (unsafe { out.as_mut() }) else { return status::ARGUMENT };
    // SAFETY: the same contract; `take` leaves an empty buffer, so nothing is freed twice.
    let mut bytes = unsafe { out.take() };
    let code = if let Some(reason) = panicked.get() {
        write_message(&mut bytes, &format!("the workload panicked in an earlier call: {reason}"));
        status::POISONED
    } else {
        match catch_unwind(AssertUnwindSafe(|| call(&mut bytes))) {
            Ok(Ok(())) => status::OK,
            Ok(Err(error)) => {
                write_message(&mut bytes, &error.to_string());
                status_of(&error)
            }
            Err(payload) => {
                let reason = panic_message(&*payload);
                let _ = panicked.set(reason.to_owned());
                write_message(&mut bytes, &format!("the workload panicked: {reason}"));
                status::PANIC
            }
        }
    };
    out.put(bytes);
    code
}

fn write_message(bytes: &mut Vec<u8>, message: &str) {
    bytes.clear();
    bytes.extend_from_slice(message.as_bytes());
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

/// # Safety
/// `data` is null, or valid for reading `length` bytes during `'a`.
unsafe fn bytes<'a>(data: *const u8, length: usize) -> Result<&'a [u8], WorkloadError> {
    if data.is_null() || isize::try_from(length).is_err() {
        return Err(WorkloadError::Argument(
            "a pointer to bytes is null, or their length is more than memory can hold".into(),
        ));
    }
    // SAFETY: not null and not too long; the rest is this function's contract.
    Ok(unsafe { std::slice::from_raw_parts(data, length) })
}

fn stage_number(stage: u32) -> usize {
    stage as usize
}

/// Leaves the batch that `make` gives in `out`. It may use the memory there.
fn fill(out: &mut Vec<u8>, make: impl FnOnce(BatchBuilder) -> Made) -> Call {
    *out = make(BatchBuilder::within(std::mem::take(out)))?.into_encoded()?;
    Ok(())
}

fn json(out: &mut Vec<u8>, value: &impl serde::Serialize) -> Call {
    out.clear();
    serde_json::to_writer(Answer(out), value).map_err(|error| WorkloadError::Operator(error.to_string()))
}

static NEVER_PANICKED: Panicked = Panicked::new();

/// A JSON array of the library's workloads.
///
/// # Safety
/// See [`RawBuffer`].
pub unsafe fn catalogue(definitions: &[Definition], out: *mut RawBuffer) -> i32 {
    let call = |out: &mut Vec<u8>| json(out, &Definition::catalogue(definitions)?);
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
    let call = |_: &mut Vec<u8>| {
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

/// The functions that are the same in every library, as `name(arguments)`: `$then!` is called with the list. A library that
/// was built against an earlier minor version lacks those after `@since`.
#[doc(hidden)]
#[macro_export]
macro_rules! __workload_functions {
    ($then:path) => {
        $then! {
            /// Adds a reference to an opened workload, which needs one more `close`.
            share(workload: *const RawWorkload) -> ();
            /// Gives a reference up. The last one frees the workload.
            close(workload: *const RawWorkload) -> ();
            /// The plan as JSON.
            plan(workload: *const RawWorkload, out: *mut RawBuffer) -> i32;
            /// Makes the items `first..first + count`, applies the stages `1..to`, and gives a batch.
            source(workload: *const RawWorkload, first: u64, count: u64, to: u32, out: *mut RawBuffer) -> i32;
            /// Applies the stages `from..to` to a batch, and gives a batch.
            run_stages(
                workload: *const RawWorkload, from: u32, to: u32, batch: *const u8, length: usize, out: *mut RawBuffer
            ) -> i32;
            /// Splits a batch by key for the keyed reduction `stage`: one batch for each of `partitions` buffers.
            split(
                workload: *const RawWorkload, stage: u32, batch: *const u8, length: usize, partitions: u32,
                outs: *mut RawBuffer, error: *mut RawBuffer
            ) -> i32;
            /// A new, empty state of the keyed reduction or sink `stage`.
            state_new(workload: *const RawWorkload, stage: u32, state: *mut *mut RawState, error: *mut RawBuffer) -> i32;
            /// Adds a batch to a state.
            state_fold(state: *mut RawState, batch: *const u8, length: usize, error: *mut RawBuffer) -> i32;
            /// Adds another, encoded state of the same stage to a state.
            state_merge(state: *mut RawState, encoded: *const u8, length: usize, error: *mut RawBuffer) -> i32;
            /// Encodes a state.
            state_encode(state: *mut RawState, out: *mut RawBuffer) -> i32;
            /// Removes up to `limit` keys from the state of a keyed reduction and gives their items as a batch. An
            /// empty batch means that no key is left.
            state_emit(state: *mut RawState, limit: u64, out: *mut RawBuffer) -> i32;
            /// Frees a state.
            state_free(state: *mut RawState) -> ();
            /// The outcome of an encoded state of the sink, as JSON: `count` and `checksum`.
            outcome(workload: *const RawWorkload, sink: *const u8, length: usize, out: *mut RawBuffer) -> i32;
            /// The expected outcome by the serial oracle, as JSON: `count` and `checksum`.
            expected(workload: *const RawWorkload, out: *mut RawBuffer) -> i32;
            /// Frees the memory of a buffer and empties the buffer.
            buffer_free(buffer: *mut RawBuffer) -> ();
            @since 1.1:
            /// An item as it leaves the stage `stage`, as a JSON object for people; empty if the workload does not describe
            /// its items.
            describe(
                workload: *const RawWorkload, stage: u32, item: *const u8, length: usize, out: *mut RawBuffer
            ) -> i32;
            /// Sets when an open loop starts, in nanoseconds of the machine's monotonic clock, instead of the spec's time.
            start(workload: *const RawWorkload, nanos: u64, error: *mut RawBuffer) -> i32;
            /// The inputs of up to `count` tasks of a row of the graph, from the one at place `first`: see
            /// [`GraphRow`](crate::workload::GraphRow).
            graph_edges(
                workload: *const RawWorkload, step: u32, first: u32, count: u32, out: *mut RawBuffer
            ) -> i32;
            /// Runs a task of the graph. `inputs` are as many outputs as its edges are, in their order. Its output is written to
            /// `output`, where `*output_length` bytes are, and its length to `*output_length`.
            graph_task(
                workload: *const RawWorkload, step: u32, point: u32, count: usize, inputs: *const *const u8,
                lengths: *const usize, output: *mut u8, output_length: *mut usize, error: *mut RawBuffer
            ) -> i32;
            /// Writes to `time` what no item from `number` on is earlier than; the largest number where no item comes any more.
            watermark(workload: *const RawWorkload, number: u64, time: *mut u64, error: *mut RawBuffer) -> i32;
            /// Gives the items of up to `limit` keys of a keyed reduction of which something ended at `time` or before, as a batch,
            /// and writes to `next` the time before which nothing that the state holds ends. An empty batch means that nothing
            /// more has ended.
            state_close(
                state: *mut RawState, time: u64, limit: u64, next: *mut u64, out: *mut RawBuffer
            ) -> i32;
        }
    };
}

/// # Safety
/// `workload` is null or was opened and not yet closed.
unsafe fn with_workload(
    workload: *const RawWorkload,
    out: *mut RawBuffer,
    call: impl FnOnce(&Arc<dyn Instance>, &mut Vec<u8>) -> Call,
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
unsafe fn with_state(
    state: *mut RawState,
    out: *mut RawBuffer,
    call: impl FnOnce(&mut dyn StageState, &mut Vec<u8>) -> Call,
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

fn null(what: &str) -> WorkloadError {
    WorkloadError::Argument(format!("the pointer to a {what} is null"))
}

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
    let call = |instance: &Arc<dyn Instance>, _: &mut Vec<u8>| {
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
            out.put(part.into_encoded()?);
        }
        Ok(())
    };
    // SAFETY: handed on from the caller.
    unsafe { with_workload(workload, error, call) }
}

/// # Safety
/// As the `state_new` of `ABI.md`.
pub unsafe fn state_new(
    workload: *const RawWorkload,
    stage: u32,
    state: *mut *mut RawState,
    error: *mut RawBuffer,
) -> i32 {
    let call = |instance: &Arc<dyn Instance>, _: &mut Vec<u8>| {
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
    unsafe { with_state(state, out, |state, out| state.encode(out)) }
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
/// As the `outcome` of `ABI.md`.
pub unsafe fn outcome(
    workload: *const RawWorkload,
    sink: *const u8,
    length: usize,
    out: *mut RawBuffer,
) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe {
        with_workload(workload, out, |_, out| {
            json(out, &Outcome::from(SinkState::decode(bytes(sink, length)?)?))
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
            out.clear();
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
/// As the `graph_edges` of `ABI.md`.
pub unsafe fn graph_edges(
    workload: *const RawWorkload,
    step: u32,
    first: u32,
    count: u32,
    out: *mut RawBuffer,
) -> i32 {
    // SAFETY: handed on from the caller.
    unsafe { with_workload(workload, out, |instance, out| instance.graph_edges(step, first, count, out)) }
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
    let call = |instance: &Arc<dyn Instance>, _: &mut Vec<u8>| {
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

/// # Safety
/// As the `watermark` of `ABI.md`.
pub unsafe fn watermark(
    workload: *const RawWorkload,
    number: u64,
    time: *mut u64,
    error: *mut RawBuffer,
) -> i32 {
    let call = |instance: &Arc<dyn Instance>, _: &mut Vec<u8>| {
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

/// # Safety
/// As the `state_close` of `ABI.md`.
pub unsafe fn state_close(
    state: *mut RawState,
    time: u64,
    limit: u64,
    next: *mut u64,
    out: *mut RawBuffer,
) -> i32 {
    let call = |state: &mut dyn StageState, out: &mut Vec<u8>| {
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

/// # Safety
/// As the `buffer_free` of `ABI.md`.
pub unsafe fn buffer_free(buffer: *mut RawBuffer) {
    // SAFETY: by the caller's contract null, or a buffer that keeps the contract of `RawBuffer`.
    if let Some(buffer) = unsafe { buffer.as_mut() } {
        // SAFETY: the same; `take` leaves it empty, so a second call frees nothing.
        drop(unsafe { buffer.take() });
    }
}
