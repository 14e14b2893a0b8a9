//! A phase: the stages between two keyed reductions, or between one and an end of the plan.

use plugin_api::{WorkloadError, WorkloadHandle};
use thread_engine::Slices;

use crate::keyed::{Partitions, Terminal};

/// Where a phase gets its items from, in numbered units that are handed out to the workers.
pub(crate) enum Input {
    /// The source: a unit is a slice.
    Slices(Slices),
    /// The reduction that ended the phase before: a unit is a partition.
    Partitions(Partitions),
}

impl Input {
    /// How many units there are.
    pub(crate) fn units(&self) -> u64 {
        match self {
            Self::Slices(slices) => slices.count(),
            Self::Partitions(partitions) => partitions.count(),
        }
    }
}

/// One phase of a run: an input, a chain of stages, and the reduction or sink that takes what comes out.
pub(crate) struct Phase<'a> {
    pub(crate) workload: &'a WorkloadHandle,
    pub(crate) input: Input,
    /// The first stage after the input.
    pub(crate) from: usize,
    /// The reduction or sink.
    pub(crate) end: usize,
    pub(crate) threads: u32,
    /// How many items a batch has at most.
    pub(crate) batch_size: u64,
}

impl<'a> Phase<'a> {
    /// A worker's own place to fold what reaches the end.
    ///
    /// # Errors
    /// When the workload cannot make a state.
    pub(crate) fn terminal(&self) -> Result<Terminal<'a>, WorkloadError> {
        Terminal::new(self.workload, self.end, self.threads)
    }
}
