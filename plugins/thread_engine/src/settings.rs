//! What a spec asks of a backend.

use plugin_api::{ErrorKind, Fusion, RunnerError, WorkloadSpec};

use crate::scheduler::Choice;
use crate::slices::Slices;

/// What a backend reads from a spec.
#[derive(Debug)]
pub struct Settings {
    /// How many workers run, at least one.
    pub workers: u32,
    /// The items of the source, one slice a batch.
    pub slices: Slices,
    /// Whether a chain of stages is one task.
    pub fusion: Fusion,
    /// The scheduler.
    pub choice: Choice,
}

impl Settings {
    /// What `spec` asks of `backend`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSpec`] if the parallelism is 0, or the batch size or the fusion is not valid.
    pub fn of(backend: &str, spec: &WorkloadSpec) -> Result<Self, RunnerError> {
        if spec.parallelism == 0 {
            return Err(RunnerError::new(ErrorKind::InvalidSpec, "parallelism is 0, but must be at least 1"));
        }
        Ok(Self {
            workers: spec.parallelism,
            slices: Slices { total: spec.total_items, size: spec.batch_size()? },
            fusion: spec.fusion()?,
            choice: Choice::of(backend, &spec.scheduler_name),
        })
    }
}
