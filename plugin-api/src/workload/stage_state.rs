//! What a keyed reduction and a sink have in common.

use super::batch::{Batch, BatchBuilder};
use super::error::WorkloadError;

/// The state of one keyed reduction or one sink.
pub(super) trait StageState: Send {
    fn fold(&mut self, batch: Batch<'_>) -> Result<(), WorkloadError>;
    fn merge(&mut self, encoded: &[u8]) -> Result<(), WorkloadError>;
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), WorkloadError>;
    /// The items of up to so many keys, in the memory of `out`, which is empty.
    fn emit(&mut self, limit: u64, out: BatchBuilder) -> Result<BatchBuilder, WorkloadError>;
    /// The items of up to so many keys of which something ended at `time` or before, in the memory of `out`, which is empty; and
    /// the time before which nothing that is left ends.
    fn close(
        &mut self,
        time: u64,
        limit: u64,
        out: BatchBuilder,
    ) -> Result<(BatchBuilder, u64), WorkloadError>;
}
