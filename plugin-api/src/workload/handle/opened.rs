//! An opened workload.

use std::ffi::c_void;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::buffer::{Buffer, Parts};
use super::state::{State, no_watermarks};
use super::table::WorkloadFunctions;
use crate::spec::WorkloadSpec;
use crate::workload::capi::RawWorkload;
use crate::workload::closing::WATERMARKS;
use crate::workload::error::WorkloadError;
use crate::workload::graph::{GRAPH, GraphRow};
use crate::workload::outcome::Outcome;
use crate::workload::plan::Plan;

/// A reference to an opened workload, given back on drop.
pub(super) struct Reference {
    pub(super) functions: &'static WorkloadFunctions,
    /// What a backend of another library gets.
    pub(super) lent: &'static WorkloadFunctions,
    pub(super) raw: *const RawWorkload,
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
    /// The workload of a reference, whose plan it reads.
    pub(super) fn of(
        reference: Reference,
        path: Arc<Path>,
        sha256: Arc<str>,
        spec: WorkloadSpec,
    ) -> Result<Self, WorkloadError> {
        let mut out = Buffer::new(reference.functions);
        // SAFETY: the reference is alive, and `out` is a buffer of this library.
        let code = unsafe { (reference.functions.plan)(reference.raw, out.raw_mut()) };
        let plan: Plan = out.json(code)?;
        // Backends take the first stage for the source and the last for the sink, those in C without looking.
        if !plan.is_well_formed() {
            return Err(WorkloadError::Malformed(
                "the plan that the workload has when it is open is not a source, stages and a sink",
            ));
        }
        if let Some((word, function)) = lacking(reference.functions, &plan, &spec) {
            let why = format!("the library lacks {function}, which a backend that supports {word} calls");
            return Err(WorkloadError::Argument(why));
        }
        Ok(Self(Arc::new(Inner { reference, plan, path, sha256, spec })))
    }

    /// Takes a reference to a workload that another library of this process opened.
    ///
    /// # Errors
    /// When its plan cannot be read, or is not well formed.
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
        Ok(parts.into_buffers())
    }

    /// Empty parts for [`split_into`](Self::split_into), to pass to calls again and again: they keep their memory.
    pub fn parts(&self, partitions: u32) -> Parts {
        Parts::new(self.functions(), partitions)
    }

    /// As [`split`](Self::split), into as many partitions as there are parts, which are overwritten.
    ///
    /// # Errors
    /// As [`split`](Self::split). Some of the parts may be overwritten then.
    pub fn split_into(&self, stage: usize, batch: &[u8], parts: &mut Parts) -> Result<(), WorkloadError> {
        let (partitions, mut error) = (parts.len(), self.buffer());
        // SAFETY: the handle is alive, `batch` is borrowed for the call, `parts` has that many buffers of this library.
        let code = unsafe {
            (self.functions().split)(
                self.raw(),
                number(stage),
                batch.as_ptr(),
                batch.len(),
                number(partitions),
                parts.raw_for(self.functions()),
                error.raw_mut(),
            )
        };
        error.check(code)
    }

    /// The key of each item of a batch for the keyed reduction `stage`, as a batch in the order of the items: for an engine with a
    /// join or keyed state of its own.
    ///
    /// # Errors
    /// When the stage is no keyed reduction, the batch is malformed, or the library gives no keys.
    pub fn keys(&self, stage: usize, batch: &[u8], out: &mut Buffer) -> Result<(), WorkloadError> {
        let no_keys = || WorkloadError::Argument("this library of workloads gives no keys".into());
        let keys = self.functions().keys.ok_or_else(no_keys)?;
        let out_raw = out.raw_for(self.functions());
        // SAFETY: the handle is alive, `batch` is borrowed for the call, and `out` is a buffer of this library.
        let code = unsafe { keys(self.raw(), number(stage), batch.as_ptr(), batch.len(), out_raw) };
        out.check(code)
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
        error.check(code).map(|()| State::new(raw, self.functions(), error))
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
    /// `start_nanos`. `false` if the library cannot: then the workload must be opened with that spec. A backend may only pass the
    /// `start_nanos` of the run's spec, at which the host has already started the workload of the run.
    ///
    /// # Errors
    /// When the workload is no open loop, or a backend passes another time.
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
        if length <= output.len() {
            return Ok(length);
        }
        Err(WorkloadError::Malformed("the workload library says that an output has more bytes than its room"))
    }

    /// What no item from `number` on is earlier than, in a time that is in the items; `u64::MAX` where no item comes any more.
    ///
    /// # Errors
    /// When the workload was opened without the word [`WATERMARKS`](crate::workload::WATERMARKS), or its library has no watermarks.
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

/// A word that was granted, and a function that a backend calls because of it and the library lacks: a backend in C would call
/// what is not there.
fn lacking(
    functions: &WorkloadFunctions,
    plan: &Plan,
    spec: &WorkloadSpec,
) -> Option<(&'static str, &'static str)> {
    let WorkloadFunctions { graph_edges, graph_task, watermark, state_close, .. } = functions;
    let absent = [
        (GRAPH, "crossrun_workload_graph_edges", graph_edges.is_none()),
        (GRAPH, "crossrun_workload_graph_task", graph_task.is_none()),
        (WATERMARKS, "crossrun_workload_watermark", watermark.is_none()),
        (WATERMARKS, "crossrun_workload_state_close", state_close.is_none()),
    ];
    let lacking = absent.into_iter().find(|(word, _, is_absent)| {
        let is_used = if *word == GRAPH { plan.graph.is_some() } else { plan.has_reduction() };
        *is_absent && is_used && spec.is_granted(word)
    });
    lacking.map(|(word, name, _)| (word, name))
}

fn number(stage: usize) -> u32 {
    u32::try_from(stage).unwrap_or(u32::MAX)
}

fn no_graph() -> WorkloadError {
    WorkloadError::Argument("this library of workloads has no graphs of tasks".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::capi::{RawBuffer, status};
    use crate::workload::handle::table::tests::table;

    static PLANS: [&str; 4] = [
        r#"{"stages":[{"kind":"source","name":"a"},{"kind":"sink","name":"b"}]}"#,
        r#"{"stages":[]}"#,
        r#"{"stages":[{"kind":"source","name":"a"}]}"#,
        r#"{"stages":[{"kind":"source","name":"a"},{"kind":"sink","name":"b"},{"kind":"sink","name":"c"}]}"#,
    ];

    /// Gives the one of [`PLANS`] to which the workload points.
    unsafe extern "C-unwind" fn plan(workload: *const RawWorkload, out: *mut RawBuffer) -> i32 {
        // SAFETY: the test passes the address of a text of `PLANS`, and a buffer.
        let (text, out) = unsafe { (*workload.cast::<&str>(), &mut *out) };
        // Nobody writes to the text, nor frees it.
        *out = RawBuffer { data: text.as_ptr().cast_mut(), length: text.len(), capacity: 0 };
        status::OK
    }

    unsafe extern "C-unwind" fn close(_workload: *const RawWorkload) {}

    unsafe extern "C-unwind" fn buffer_free(_buffer: *mut RawBuffer) {}

    #[test]
    fn a_workload_is_refused_whose_plan_is_malformed_when_it_is_open() {
        let size = size_of::<WorkloadFunctions>();
        let own = WorkloadFunctions { plan, close, buffer_free, ..table(size) };
        let functions: &'static _ = Box::leak(Box::new(own));
        let opened = PLANS.each_ref().map(|text| {
            let reference = Reference { functions, lent: functions, raw: std::ptr::from_ref(text).cast() };
            let spec = WorkloadSpec::new("mine");
            WorkloadHandle::of(reference, Path::new("linked").into(), "linked".into(), spec)
        });
        let [well_formed, malformed @ ..] = opened;
        assert!(well_formed.is_ok());
        for opened in malformed {
            assert!(
                matches!(opened, Err(WorkloadError::Malformed(why)) if why.contains("a source, stages and a sink"))
            );
        }
    }
}
