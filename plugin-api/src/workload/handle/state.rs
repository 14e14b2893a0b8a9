//! The state of a keyed reduction or a sink.

use super::buffer::Buffer;
use super::table::WorkloadFunctions;
use crate::workload::capi::RawState;
use crate::workload::error::WorkloadError;

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
    /// A state of the library with these functions, which belongs to this value from now on. Errors are left in `error`.
    pub(super) fn new(raw: *mut RawState, functions: &'static WorkloadFunctions, error: Buffer) -> Self {
        Self { raw, functions, error }
    }

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

    /// Gives the items of up to `limit` keys of a keyed reduction of which something ended at `time` or before, as a batch, and
    /// returns the time before which nothing that the state holds ends. An empty batch means that nothing more has ended. From
    /// now on the state refuses what ended at `time` or before: the caller must have folded all of it.
    ///
    /// # Errors
    /// As for [`emit`](Self::emit); when the workload was opened without the word [`WATERMARKS`](crate::workload::WATERMARKS), or its library
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

pub(super) fn no_watermarks() -> WorkloadError {
    WorkloadError::Argument("this library of workloads has no watermarks".into())
}
