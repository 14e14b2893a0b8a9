//! The loaded side: safe calls into a workload library.

// This module is the other side of the border: it calls functions that were found by name.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_void};
use std::fmt;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use super::capi::{self, RawBuffer, RawState, RawWorkload, status};
use super::catalogue::CatalogueEntry;
use super::error::WorkloadError;
use super::graph::GraphRow;
use super::outcome::Outcome;
use super::plan::Plan;
use crate::answer;
use crate::json_error::explain;
use crate::spec::WorkloadSpec;

macro_rules! function_table {
    (
        $($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty;)*
        @since 1.1:
        $($(#[$later_doc:meta])* $later:ident($($later_argument:ident: $later_type:ty),* $(,)?) -> $later_result:ty;)*
    ) => {
        /// The functions of one workload library, as its C ABI has them. The table is never freed, as no library is
        /// ever unloaded. A function that API 1.0 does not have is `None` if the library lacks it.
        ///
        /// The library may be written in C++. An exception that leaves one of its functions ends the process; this is
        /// not undefined behaviour.
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub struct WorkloadFunctions {
            /// The size of this table in bytes: a later minor version may have more functions at the end.
            pub size: usize,
            /// See [`capi::catalogue`].
            pub catalogue: unsafe extern "C-unwind" fn(out: *mut RawBuffer) -> i32,
            /// See [`capi::open`].
            pub open: unsafe extern "C-unwind" fn(
                spec: *const u8, length: usize, opened: *mut *const RawWorkload, error: *mut RawBuffer
            ) -> i32,
            $($(#[$doc])* pub $name: unsafe extern "C-unwind" fn($($argument: $type),*) -> $result,)*
            $(
                $(#[$later_doc])*
                pub $later: Option<unsafe extern "C-unwind" fn($($later_argument: $later_type),*) -> $later_result>,
            )*
        }

        impl WorkloadFunctions {
            /// The size of a table of API 1.0. Every table has at least these functions.
            const LEAST_SIZE: usize = std::mem::offset_of!(Self, buffer_free) + size_of::<usize>();

            /// Finds every function with `resolve`, which maps a symbol's name to its address.
            ///
            /// # Errors
            /// The name that was not found, of those that every library has.
            ///
            /// # Safety
            /// What `resolve` returns must be the functions of a library that keeps `ABI.md` and is never unloaded.
            pub unsafe fn resolve(
                resolve: impl Fn(&CStr) -> Option<*const c_void>,
            ) -> Result<Self, &'static str> {
                // SAFETY: the addresses are functions with these signatures, by this function's contract.
                unsafe {
                    Ok(Self {
                        size: size_of::<Self>(),
                        catalogue: find(&resolve, c"crossrun_workload_catalogue")?,
                        open: find(&resolve, c"crossrun_workload_open")?,
                        $($name: find(&resolve, nul_terminated(
                            concat!("crossrun_workload_", stringify!($name), "\0")
                        ))?,)*
                        $($later: find(&resolve, nul_terminated(
                            concat!("crossrun_workload_", stringify!($later), "\0")
                        )).ok(),)*
                    })
                }
            }
        }
    };
}

crate::__workload_functions!(function_table);

impl WorkloadFunctions {
    /// The table at `table`, which another library made: a version of this contract with fewer functions, or with more. Of a
    /// smaller table a copy is made, in which the functions that it lacks are absent.
    ///
    /// # Errors
    /// When the table is too small for the functions of API 1.0.
    ///
    /// # Safety
    /// `table` must be a table of `ABI.md`, which is never freed and does not change.
    unsafe fn of_other_library(table: *const c_void) -> Result<&'static Self, WorkloadError> {
        // SAFETY: every table begins with its size.
        let size = unsafe { table.cast::<usize>().read() };
        if size < Self::LEAST_SIZE {
            let (least, name) = (Self::LEAST_SIZE, "table of workload functions");
            return Err(WorkloadError::Argument(format!("the {name} has {size} bytes, but needs {least}")));
        }
        if size >= size_of::<Self>() {
            // SAFETY: the table has all functions that this version knows, and is never freed. A pointer that is null is
            // a function that is absent, and only later functions may be.
            return Ok(unsafe { &*table.cast() });
        }
        // One copy for each table, however often it is handed over.
        static COPIES: Mutex<BTreeMap<usize, &'static WorkloadFunctions>> = Mutex::new(BTreeMap::new());
        let mut copies = COPIES.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the table has `size` bytes, and keeps the contract.
        let copy = || -> &'static Self { Box::leak(Box::new(unsafe { Self::copied(table, size) })) };
        Ok(copies.entry(table.addr()).or_insert_with(copy))
    }

    /// A copy of the first `size` bytes of a table. A part of a pointer at the end is left out.
    ///
    /// # Safety
    /// `table` has `size` bytes, which are at least [`LEAST_SIZE`](Self::LEAST_SIZE) and less than the size of this type.
    unsafe fn copied(table: *const c_void, size: usize) -> Self {
        let mut copy = MaybeUninit::<Self>::zeroed();
        let whole = size - size % size_of::<usize>();
        // SAFETY: so many bytes are in the table, and fewer than in the copy. All functions that cannot be absent are
        // among them; the bytes of the others stay zero, which is `None`.
        let mut copy = unsafe {
            std::ptr::copy_nonoverlapping(table.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), whole);
            copy.assume_init()
        };
        copy.size = size_of::<Self>();
        copy
    }
}

/// Empties the buffer, whose memory stays that of the library.
unsafe extern "C-unwind" fn refuse_expected(_workload: *const RawWorkload, out: *mut RawBuffer) -> i32 {
    // SAFETY: the caller's pointer is null, or valid for this call, as the contract of the table says.
    if let Some(out) = unsafe { out.as_mut() } {
        out.length = 0;
    }
    status::JUDGE_ONLY
}

const fn nul_terminated(name: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => c"",
    }
}

/// # Safety
/// `F` must be a function pointer of the type of what `resolve` returns for `name`.
unsafe fn find<F>(
    resolve: impl Fn(&CStr) -> Option<*const c_void>,
    name: &'static CStr,
) -> Result<F, &'static str> {
    const { assert!(size_of::<F>() == size_of::<*const c_void>()) };
    let address = resolve(name).filter(|address| !address.is_null());
    let address = address.ok_or_else(|| name.to_str().unwrap_or_default())?;
    // SAFETY: of one size, and a function pointer of this type by this function's contract.
    Ok(unsafe { std::mem::transmute_copy(&address) })
}

/// A loaded workload library.
#[derive(Clone)]
pub struct WorkloadLibrary {
    functions: &'static WorkloadFunctions,
    /// What a backend of another library gets.
    lent: &'static WorkloadFunctions,
    path: Arc<Path>,
    sha256: Arc<str>,
}

impl WorkloadLibrary {
    /// A library whose functions were found in the file at `path` with the hash `sha256` (hex).
    ///
    /// # Safety
    /// All functions must be those of one library, which keeps `ABI.md` and is never unloaded.
    pub unsafe fn new(functions: &'static WorkloadFunctions, path: &Path, sha256: &str) -> Self {
        Self { functions, lent: functions, path: path.into(), sha256: sha256.into() }
    }

    /// The same library, whose workloads go to backends of other libraries with the functions `lent`, so that their calls can be
    /// told from the host's.
    ///
    /// # Safety
    /// As for [`new`](Self::new): each function does what the library's own does, or less.
    #[must_use]
    pub unsafe fn lending(self, lent: &'static WorkloadFunctions) -> Self {
        Self { lent, ..self }
    }

    /// The same library for a process in which a backend is loaded: `expected` gives no answer, only
    /// [`status::JUDGE_ONLY`]. `outcome` stays, as it tells a backend nothing but what its own state holds, and backends count
    /// their results with it. The tables are never freed.
    #[must_use]
    pub fn without_answers(&self) -> Self {
        let refusing = |functions: &WorkloadFunctions| -> &'static WorkloadFunctions {
            Box::leak(Box::new(WorkloadFunctions { expected: refuse_expected, ..*functions }))
        };
        Self { functions: refusing(self.functions), lent: refusing(self.lent), ..self.clone() }
    }

    /// What workloads it has.
    ///
    /// # Errors
    /// When the library cannot list its workloads.
    pub fn catalogue(&self) -> Result<Vec<CatalogueEntry>, WorkloadError> {
        let mut out = Buffer::new(self.functions);
        // SAFETY: `out` is a buffer of this library.
        let code = unsafe { (self.functions.catalogue)(&raw mut out.raw) };
        out.json(code)
    }

    /// Opens the workload that `spec` names.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot run this spec.
    pub fn open(&self, spec: &WorkloadSpec) -> Result<WorkloadHandle, WorkloadError> {
        let (json, mut raw, mut error) = (spec.to_json(), std::ptr::null(), Buffer::new(self.functions));
        // SAFETY: the pointers are to live values, and `error` is a buffer of this library.
        let code =
            unsafe { (self.functions.open)(json.as_ptr(), json.len(), &raw mut raw, &raw mut error.raw) };
        error.check(code)?;
        let reference = Reference { functions: self.functions, lent: self.lent, raw };
        WorkloadHandle::of(reference, self.path.clone(), self.sha256.clone(), spec.clone())
    }
}

/// A reference to an opened workload, given back on drop.
struct Reference {
    functions: &'static WorkloadFunctions,
    lent: &'static WorkloadFunctions,
    raw: *const RawWorkload,
}

// SAFETY: an opened workload is shared between threads by the contract of the C ABI.
unsafe impl Send for Reference {}
// SAFETY: the same.
unsafe impl Sync for Reference {}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: this value holds one reference, which it gives up here.
        unsafe { (self.functions.close)(self.raw) };
    }
}

struct Inner {
    reference: Reference,
    plan: Plan,
    path: Arc<Path>,
    sha256: Arc<str>,
    spec: WorkloadSpec,
}

/// An opened workload: the source, the operators and the states of one run. Clones are cheap, share the workload,
/// and may be used from any thread.
#[derive(Clone)]
pub struct WorkloadHandle(Arc<Inner>);

impl fmt::Debug for WorkloadHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WorkloadHandle").field("spec", &self.0.spec).finish_non_exhaustive()
    }
}

impl WorkloadHandle {
    fn of(
        reference: Reference,
        path: Arc<Path>,
        sha256: Arc<str>,
        spec: WorkloadSpec,
    ) -> Result<Self, WorkloadError> {
        let mut out = Buffer::new(reference.functions);
        // SAFETY: the reference is alive, and `out` is a buffer of this library.
        let code = unsafe { (reference.functions.plan)(reference.raw, &raw mut out.raw) };
        let plan: Plan = out.json(code)?;
        Ok(Self(Arc::new(Inner { reference, plan, path, sha256, spec })))
    }

    /// Takes a reference to a workload that another library of this process opened.
    ///
    /// # Errors
    /// When its plan cannot be read.
    ///
    /// # Safety
    /// `functions` and `raw` must be what [`WorkloadHandle::as_raw`] gave, of a handle that lives during this call.
    pub(crate) unsafe fn from_raw(
        functions: *const c_void,
        raw: *const c_void,
        path: &Path,
        sha256: &str,
        spec: &WorkloadSpec,
    ) -> Result<Self, WorkloadError> {
        // SAFETY: by this function's contract a table that is never freed.
        let functions = unsafe { WorkloadFunctions::of_other_library(functions) }?;
        let raw = raw.cast();
        // SAFETY: the other handle holds a reference during this call.
        unsafe { (functions.share)(raw) };
        Self::of(Reference { functions, lent: functions, raw }, path.into(), sha256.into(), spec.clone())
    }

    /// The function table and the opened workload, for [`WorkloadHandle::from_raw`].
    pub(crate) fn as_raw(&self) -> (*const c_void, *const c_void) {
        let Reference { lent, raw, .. } = &self.0.reference;
        (std::ptr::from_ref(*lent).cast(), raw.cast())
    }

    fn functions(&self) -> &'static WorkloadFunctions {
        self.0.reference.functions
    }

    fn raw(&self) -> *const RawWorkload {
        self.0.reference.raw
    }

    /// Its stages.
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// What it was opened with.
    pub fn spec(&self) -> &WorkloadSpec {
        &self.0.spec
    }

    /// The library's file, for processes that open it themselves.
    pub fn library_path(&self) -> &Path {
        &self.0.path
    }

    /// The SHA-256 of the library's file, in hex.
    pub fn library_sha256(&self) -> &str {
        &self.0.sha256
    }

    /// A buffer to pass to calls again and again: it keeps its memory.
    pub fn buffer(&self) -> Buffer {
        Buffer::new(self.functions())
    }

    /// Makes the items `first..first + count` and applies the stages `1..to`.
    ///
    /// # Errors
    /// When the slice or the stages do not exist, or an operator fails.
    pub fn source(&self, first: u64, count: u64, to: usize, out: &mut Buffer) -> Result<(), WorkloadError> {
        // SAFETY: the handle is alive, and `out` is a buffer.
        let code = unsafe {
            (self.functions().source)(self.raw(), first, count, number(to), out.raw_for(self.functions()))
        };
        out.check(code)
    }

    /// Applies the stages `from..to`, which are maps, filters or flat maps, to a batch.
    ///
    /// # Errors
    /// When the stages do not exist, the batch is malformed, or an operator fails.
    pub fn run_stages(
        &self,
        from: usize,
        to: usize,
        batch: &[u8],
        out: &mut Buffer,
    ) -> Result<(), WorkloadError> {
        let (from, to, out_raw) = (number(from), number(to), out.raw_for(self.functions()));
        // SAFETY: the handle is alive, `batch` is borrowed for the call, and `out` is a buffer of this library.
        let code = unsafe {
            (self.functions().run_stages)(self.raw(), from, to, batch.as_ptr(), batch.len(), out_raw)
        };
        out.check(code)
    }

    /// Splits a batch by key for the keyed reduction `stage` into one batch for each partition.
    ///
    /// # Errors
    /// When the stage is no keyed reduction, or the batch is malformed.
    pub fn split(&self, stage: usize, batch: &[u8], partitions: u32) -> Result<Vec<Buffer>, WorkloadError> {
        let mut parts = self.parts(partitions);
        self.split_into(stage, batch, &mut parts)?;
        let functions = self.functions();
        Ok(std::mem::take(&mut parts.raw).into_iter().map(|raw| Buffer { functions, raw }).collect())
    }

    /// Empty parts for [`split_into`](Self::split_into), to pass to calls again and again: they keep their memory.
    pub fn parts(&self, partitions: u32) -> Parts {
        let raw = (0..partitions).map(|_| RawBuffer::EMPTY).collect();
        Parts { functions: self.functions(), raw }
    }

    /// As [`split`](Self::split), into as many partitions as there are parts, which are overwritten.
    ///
    /// # Errors
    /// As [`split`](Self::split). Some of the parts may be overwritten then.
    pub fn split_into(&self, stage: usize, batch: &[u8], parts: &mut Parts) -> Result<(), WorkloadError> {
        if !std::ptr::fn_addr_eq(parts.functions.buffer_free, self.functions().buffer_free) {
            *parts = self.parts(number(parts.raw.len()));
        }
        let mut error = self.buffer();
        // SAFETY: the handle is alive, `batch` is borrowed for the call, `parts` has that many buffers of this library.
        let code = unsafe {
            (self.functions().split)(
                self.raw(),
                number(stage),
                batch.as_ptr(),
                batch.len(),
                number(parts.raw.len()),
                parts.raw.as_mut_ptr(),
                error.raw_mut(),
            )
        };
        error.check(code)
    }

    /// A new, empty state of the keyed reduction or sink `stage`.
    ///
    /// # Errors
    /// When the stage is neither.
    pub fn new_state(&self, stage: usize) -> Result<State, WorkloadError> {
        let (mut raw, mut error) = (std::ptr::null_mut(), self.buffer());
        // SAFETY: the handle is alive, `raw` takes one write, and `error` is a buffer.
        let code =
            unsafe { (self.functions().state_new)(self.raw(), number(stage), &raw mut raw, error.raw_mut()) };
        error.check(code).map(|()| State { raw, functions: self.functions(), error })
    }

    /// A new, empty state of the sink.
    ///
    /// # Errors
    /// As [`WorkloadHandle::new_state`].
    pub fn new_sink(&self) -> Result<State, WorkloadError> {
        self.new_state(self.plan().sink())
    }

    /// The outcome of an encoded state of the sink.
    ///
    /// # Errors
    /// When it is not a state of the sink.
    pub fn outcome(&self, sink: &[u8]) -> Result<Outcome, WorkloadError> {
        let mut out = self.buffer();
        // SAFETY: the handle is alive, `sink` is borrowed for the call, and `out` is a buffer.
        let code =
            unsafe { (self.functions().outcome)(self.raw(), sink.as_ptr(), sink.len(), out.raw_mut()) };
        out.json(code)
    }

    /// An item as it leaves the stage `stage`, as one JSON object for people. `None` if the library or the workload does not
    /// describe its items.
    ///
    /// # Errors
    /// When the stage does not exist, or the item cannot be read.
    pub fn describe(&self, stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        let Some(describe) = self.functions().describe else { return Ok(None) };
        let mut out = self.buffer();
        // SAFETY: the handle is alive, `item` is borrowed for the call, and `out` is a buffer.
        let code = unsafe { describe(self.raw(), number(stage), item.as_ptr(), item.len(), out.raw_mut()) };
        out.check(code)?;
        if out.is_empty() { Ok(None) } else { out.json(code) }
    }

    /// Sets when an open loop starts, in nanoseconds of [`monotonic_nanos`](crate::monotonic_nanos), instead of the spec's
    /// `start_nanos`. `false` if the library cannot: then the workload must be opened with that spec.
    ///
    /// # Errors
    /// When the workload is no open loop.
    pub fn start(&self, nanos: u64) -> Result<bool, WorkloadError> {
        let Some(start) = self.functions().start else { return Ok(false) };
        let mut error = self.buffer();
        // SAFETY: the handle is alive, and `error` is a buffer.
        let code = unsafe { start(self.raw(), nanos, error.raw_mut()) };
        error.check(code).map(|()| true)
    }

    /// A row of the graph of tasks, with the inputs of each.
    ///
    /// # Errors
    /// When the workload has no such row, or its library no graphs.
    pub fn graph_row(&self, step: u32) -> Result<GraphRow, WorkloadError> {
        let graph_edges = self.functions().graph_edges.ok_or_else(no_graph)?;
        let mut out = self.buffer();
        // SAFETY: the handle is alive, and `out` is a buffer.
        let code = unsafe { graph_edges(self.raw(), step, 0, u32::MAX, out.raw_mut()) };
        out.check(code)?;
        GraphRow::decode(&out)
    }

    /// How many points a row of the graph of tasks has: [`WorkloadHandle::graph_row`] without the inputs. `None` if the library has
    /// no graphs.
    ///
    /// # Errors
    /// When the workload has no such row.
    pub fn graph_width(&self, step: u32) -> Result<Option<u32>, WorkloadError> {
        let Some(graph_edges) = self.functions().graph_edges else { return Ok(None) };
        let mut out = self.buffer();
        // SAFETY: the handle is alive, and `out` is a buffer.
        let code = unsafe { graph_edges(self.raw(), step, 0, 0, out.raw_mut()) };
        out.check(code)?;
        Ok(out.get(4..8).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes))
    }

    /// Runs a task of the graph with its inputs in the order of its edges, and replaces what is in `output`, for which there
    /// must be room: at most `output_bytes`.
    ///
    /// # Errors
    /// When there is no such task, an input is not what its edge says, or the task fails.
    pub fn graph_task(
        &self,
        step: u32,
        point: u32,
        inputs: &[&[u8]],
        output_bytes: usize,
        output: &mut Vec<u8>,
    ) -> Result<(), WorkloadError> {
        output.resize(output_bytes, 0);
        let length = self.graph_task_into(step, point, inputs, output)?;
        output.truncate(length);
        Ok(())
    }

    /// As [`graph_task`](Self::graph_task), but writes into `output`, and gives how many bytes the task's output has.
    ///
    /// # Errors
    /// As for [`graph_task`](Self::graph_task).
    pub fn graph_task_into(
        &self,
        step: u32,
        point: u32,
        inputs: &[&[u8]],
        output: &mut [u8],
    ) -> Result<usize, WorkloadError> {
        let graph_task = self.functions().graph_task.ok_or_else(no_graph)?;
        let (pointers, lengths): (Vec<_>, Vec<_>) =
            inputs.iter().map(|input| (input.as_ptr(), input.len())).unzip();
        let mut error = self.buffer();
        let mut length = output.len();
        // SAFETY: the handle is alive; there are as many pointers as lengths, of inputs that are borrowed for the call; the
        // output is borrowed too, and has `length` bytes; `error` is a buffer.
        let code = unsafe {
            graph_task(
                self.raw(),
                step,
                point,
                inputs.len(),
                pointers.as_ptr(),
                lengths.as_ptr(),
                output.as_mut_ptr(),
                &raw mut length,
                error.raw_mut(),
            )
        };
        error.check(code)?;
        Ok(length.min(output.len()))
    }

    /// What no item from `number` on is earlier than, in a time that is in the items; `u64::MAX` where no item comes any more.
    ///
    /// # Errors
    /// When the workload was opened without the word [`WATERMARKS`](super::WATERMARKS), or its library has no watermarks.
    pub fn watermark(&self, number: u64) -> Result<u64, WorkloadError> {
        let watermark = self.functions().watermark.ok_or_else(no_watermarks)?;
        let (mut time, mut error) = (0, self.buffer());
        // SAFETY: the handle is alive, `time` takes one write, and `error` is a buffer.
        let code = unsafe { watermark(self.raw(), number, &raw mut time, error.raw_mut()) };
        error.check(code).map(|()| time)
    }

    /// The expected outcome, which the serial oracle computes. It may take as long as a run.
    ///
    /// # Errors
    /// When the oracle panics, or a backend asks in its run: only the judge may.
    pub fn expected(&self) -> Result<Outcome, WorkloadError> {
        let mut out = self.buffer();
        // SAFETY: the handle is alive, and `out` is a buffer.
        let code = unsafe { (self.functions().expected)(self.raw(), out.raw_mut()) };
        out.json(code)
    }
}

fn number(stage: usize) -> u32 {
    u32::try_from(stage).unwrap_or(u32::MAX)
}

impl RawBuffer {
    /// What a library left in a buffer that belongs to the caller of this function.
    fn bytes(&self) -> &[u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: the library left `length` initialised bytes there, and the buffer is not passed to it during the borrow.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }
}

/// How many items the batch in these bytes has, without checking the rest of it.
pub fn item_count(batch: &[u8]) -> u64 {
    batch.first_chunk::<4>().map_or(0, |count| u64::from(u32::from_le_bytes(*count)))
}

/// The most bytes that are read of an error message: hosts show less.
const MAX_MESSAGE: usize = 64 << 10;

/// Bytes that a workload library allocated: most often an encoded batch.
pub struct Buffer {
    functions: &'static WorkloadFunctions,
    raw: RawBuffer,
}

// SAFETY: a buffer owns its memory, and the library's allocator is good for any thread.
unsafe impl Send for Buffer {}
// SAFETY: a shared buffer is only read.
unsafe impl Sync for Buffer {}

impl Buffer {
    fn new(functions: &'static WorkloadFunctions) -> Self {
        Self { functions, raw: RawBuffer::EMPTY }
    }

    fn raw_mut(&mut self) -> *mut RawBuffer {
        &raw mut self.raw
    }

    /// The buffer for a call of the library with these functions. Memory of another library is given back to that library
    /// first, as no other may grow or free it.
    fn raw_for(&mut self, functions: &'static WorkloadFunctions) -> *mut RawBuffer {
        if !std::ptr::fn_addr_eq(self.functions.buffer_free, functions.buffer_free) {
            *self = Self::new(functions);
        }
        self.raw_mut()
    }

    /// Turns a status into an error with the message that this buffer then holds.
    fn check(&self, code: i32) -> Result<(), WorkloadError> {
        if code == status::OK {
            return Ok(());
        }
        let message = &self[..self.len().min(MAX_MESSAGE)];
        Err(WorkloadError::of_call(code, &String::from_utf8_lossy(message)))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, code: i32) -> Result<T, WorkloadError> {
        self.check(code)?;
        let malformed = |message| WorkloadError::Call { status: status::MALFORMED, message };
        if let Some(excess) = answer::excess(self.len()) {
            return Err(malformed(format!("an answer of the workload library has {excess}")));
        }
        serde_json::from_slice(self).map_err(|error| {
            malformed(format!(
                "the workload library answered with JSON that this version cannot read: {}",
                explain(&error, self)
            ))
        })
    }

    /// How many items the batch in this buffer has, without checking the rest of it.
    pub fn item_count(&self) -> u64 {
        item_count(self)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.raw.bytes()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the buffer is of this library, and is not used afterwards.
        unsafe { (self.functions.buffer_free)(&raw mut self.raw) };
    }
}

/// The parts of a batch that was split: one encoded batch for each partition.
pub struct Parts {
    functions: &'static WorkloadFunctions,
    raw: Vec<RawBuffer>,
}

// SAFETY: as of a buffer.
unsafe impl Send for Parts {}

impl Parts {
    /// The batches, in the order of the partitions.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.raw.iter().map(RawBuffer::bytes)
    }

    /// How many items a partition has; 0 if there is no such partition.
    pub fn item_count(&self, partition: usize) -> u64 {
        self.raw.get(partition).map_or(0, |part| item_count(part.bytes()))
    }

    /// Puts the batch of a partition into `buffer`, whose memory is for the next split. It does nothing if there is no such
    /// partition.
    pub fn swap(&mut self, partition: usize, buffer: &mut Buffer) {
        let _ = buffer.raw_for(self.functions);
        if let Some(part) = self.raw.get_mut(partition) {
            std::mem::swap(part, &mut buffer.raw);
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for part in &mut self.raw {
            // SAFETY: the buffer is of this library, and is not used afterwards.
            unsafe { (self.functions.buffer_free)(part) };
        }
    }
}

/// The state of a keyed reduction or a sink. States of one stage merge, so that any number of workers can each own
/// one.
pub struct State {
    raw: *mut RawState,
    functions: &'static WorkloadFunctions,
    error: Buffer,
}

// SAFETY: a state may move between threads; only one uses it at a time, as every method takes `&mut self`.
unsafe impl Send for State {}

impl State {
    /// Adds a batch.
    ///
    /// # Errors
    /// When the batch is malformed or the fold fails.
    pub fn fold(&mut self, batch: &[u8]) -> Result<(), WorkloadError> {
        // SAFETY: the state is alive and borrowed alone, `batch` is borrowed for the call.
        let code = unsafe {
            (self.functions.state_fold)(self.raw, batch.as_ptr(), batch.len(), self.error.raw_mut())
        };
        self.error.check(code)
    }

    /// Adds another state of the same stage, given by its encoding.
    ///
    /// # Errors
    /// When the encoding is malformed or the merge fails.
    pub fn merge(&mut self, encoded: &[u8]) -> Result<(), WorkloadError> {
        // SAFETY: as in `fold`.
        let code = unsafe {
            (self.functions.state_merge)(self.raw, encoded.as_ptr(), encoded.len(), self.error.raw_mut())
        };
        self.error.check(code)
    }

    /// The encoding of this state.
    ///
    /// # Errors
    /// When it is too large for one batch.
    pub fn encode(&mut self) -> Result<Buffer, WorkloadError> {
        let mut out = Buffer::new(self.functions);
        // SAFETY: the state is alive and borrowed alone, and `out` is a buffer.
        let code = unsafe { (self.functions.state_encode)(self.raw, out.raw_mut()) };
        out.check(code).map(|()| out)
    }

    /// Removes up to `limit` keys from a keyed reduction and gives their items as a batch; an empty batch means that no
    /// key is left.
    ///
    /// # Errors
    /// When this is a sink, the limit is 0, or emitting fails.
    pub fn emit(&mut self, limit: u64, out: &mut Buffer) -> Result<(), WorkloadError> {
        // SAFETY: as in `encode`.
        let code = unsafe { (self.functions.state_emit)(self.raw, limit, out.raw_for(self.functions)) };
        out.check(code)
    }
}

impl State {
    /// Gives the items of up to `limit` keys of a keyed reduction of which something ended at `time` or before, as a batch, and
    /// returns the time before which nothing that the state holds ends. An empty batch means that nothing more has ended. From
    /// now on the state refuses what ended at `time` or before: the caller must have folded all of it.
    ///
    /// # Errors
    /// As for [`emit`](Self::emit); when the workload was opened without the word [`WATERMARKS`](super::WATERMARKS), or its library
    /// has no watermarks.
    pub fn close(&mut self, time: u64, limit: u64, out: &mut Buffer) -> Result<u64, WorkloadError> {
        let state_close = self.functions.state_close.ok_or_else(no_watermarks)?;
        let mut next = 0;
        // SAFETY: as in `encode`; `next` takes one write.
        let code = unsafe { state_close(self.raw, time, limit, &raw mut next, out.raw_for(self.functions)) };
        out.check(code).map(|()| next)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: the state is alive, and is not used afterwards.
        unsafe { (self.functions.state_free)(self.raw) };
    }
}

/// Whether this side can call a library of this ABI version.
pub fn abi_is_compatible(version: u32) -> bool {
    version >> 16 == capi::ABI_VERSION >> 16
}

fn no_graph() -> WorkloadError {
    WorkloadError::Argument("this library of workloads has no graphs of tasks".into())
}

fn no_watermarks() -> WorkloadError {
    WorkloadError::Argument("this library of workloads has no watermarks".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: usize = WorkloadFunctions::LEAST_SIZE;
    const WHOLE: usize = size_of::<WorkloadFunctions>();

    extern "C-unwind" fn never_called() {}

    /// A table whose functions are not called.
    fn table(size: usize) -> WorkloadFunctions {
        // SAFETY: no function of the table is called.
        let found = unsafe { WorkloadFunctions::resolve(|_| Some(never_called as *const c_void)) };
        WorkloadFunctions { size, ..found.unwrap() }
    }

    /// What is read of a table that says it has `size` bytes, in memory that is no larger than that.
    fn read(size: usize) -> Result<&'static WorkloadFunctions, WorkloadError> {
        let words = size.min(WHOLE).div_ceil(size_of::<usize>());
        let memory = vec![0_usize; words].leak().as_mut_ptr();
        let whole = table(size);
        // SAFETY: the table has at least as many words as are copied, and what is read of it is not called.
        unsafe {
            std::ptr::copy_nonoverlapping((&raw const whole).cast(), memory, words);
            WorkloadFunctions::of_other_library(memory.cast_const().cast())
        }
    }

    #[test]
    fn a_table_of_another_version_has_the_functions_that_its_size_reaches() {
        for size in [LEAST, LEAST + 1, LEAST + 7] {
            assert!(read(size).unwrap().describe.is_none(), "{size} bytes");
        }
        for size in [WHOLE, WHOLE + 1, WHOLE + 80] {
            assert!(read(size).unwrap().describe.is_some(), "{size} bytes");
        }
        assert!(read(LEAST - 1).is_err_and(|error| error.to_string().contains("needs")));
    }

    #[test]
    fn a_function_that_is_null_is_absent() {
        let table: &'static _ = Box::leak(Box::new(WorkloadFunctions { describe: None, ..table(WHOLE) }));
        // SAFETY: what is read of the table is not called.
        let read = unsafe { WorkloadFunctions::of_other_library(std::ptr::from_ref(table).cast()) };
        assert!(read.unwrap().describe.is_none());
    }

    #[test]
    fn a_smaller_table_is_copied_once() {
        let small: &'static _ = Box::leak(Box::new(table(LEAST)));
        // SAFETY: what is read of the table is not called.
        let copy = || unsafe { WorkloadFunctions::of_other_library(std::ptr::from_ref(small).cast()) };
        assert!(std::ptr::eq(copy().unwrap(), copy().unwrap()));
    }

    #[test]
    fn an_answer_that_is_too_large_is_refused_before_it_is_read_and_a_long_error_is_cut() {
        unsafe extern "C-unwind" fn keep(_buffer: *mut RawBuffer) {}
        let functions = Box::leak(Box::new(WorkloadFunctions { buffer_free: keep, ..table(WHOLE) }));
        let mut bytes = vec![b' '; answer::MAX_ANSWER + 1];
        let raw = RawBuffer { data: bytes.as_mut_ptr(), length: bytes.len(), capacity: bytes.len() };
        let buffer = Buffer { functions, raw };
        let refused = buffer.json::<serde_json::Value>(status::OK).unwrap_err().to_string();
        assert!(refused.ends_with("has 67108865 bytes of JSON, but may have 64 MiB"), "{refused}");
        assert_eq!(buffer.check(status::OPERATOR).unwrap_err().to_string().len(), MAX_MESSAGE);
    }

    #[test]
    fn a_library_without_a_later_function_is_resolved_and_one_without_an_earlier_is_not() {
        let without = |missing: &'static CStr| {
            // SAFETY: no function of the table is called.
            unsafe {
                WorkloadFunctions::resolve(|name| (name != missing).then_some(never_called as *const c_void))
            }
        };
        assert!(without(c"crossrun_workload_describe").unwrap().describe.is_none());
        assert_eq!(without(c"crossrun_workload_split").err(), Some("crossrun_workload_split"));
    }
}
