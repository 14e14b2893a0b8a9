//! How a run ends early: the first failure stops every worker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use plugin_api::workload::capi::status;
use plugin_api::{ErrorKind, RunnerError, WorkloadError};

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A call into the workload failed.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// Threads could not be started; the text says which, and why.
    #[error("{0}")]
    Start(String),
    /// A worker panicked, with this message.
    #[error("a worker thread panicked: {0}")]
    Panicked(String),
    /// A worker ended without a failure, but also without its result.
    #[error("a worker thread ended without its part of the result")]
    Lost,
    /// The host asked the run to stop.
    #[error("the run was cancelled by the host")]
    Cancelled,
}

impl Failure {
    /// Whether it only follows from an earlier failure of another worker.
    fn is_consequence(&self) -> bool {
        matches!(self, Self::Workload(WorkloadError::Call { status: status::POISONED, .. }))
    }
}

impl From<Failure> for RunnerError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Workload(error) => error.into(),
            Failure::Start(_) => Self::engine(failure.to_string()).with_remedy("--parallelism 2"),
            Failure::Panicked(_) => Self::new(ErrorKind::Panic, failure.to_string()),
            Failure::Lost => Self::engine(failure.to_string()),
            Failure::Cancelled => Self::cancelled(),
        }
    }
}

/// Tells all workers of a run to stop, and keeps the reason.
#[derive(Default)]
pub struct Stop {
    stopped: AtomicBool,
    cause: Mutex<Option<Failure>>,
}

impl Stop {
    /// Whether every worker is to stop. It costs one load from memory: call it once a batch.
    #[inline]
    pub fn is_stopped(&self) -> bool {
        // The cause is behind a lock, so the flag itself needs no ordering.
        self.stopped.load(Ordering::Relaxed)
    }

    /// Stops every worker because of `failure`. The first failure is the one that is reported.
    pub fn fail(&self, failure: Failure) {
        let mut cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        // Another worker may find the workload poisoned before the worker that panicked reports its panic.
        if cause.as_ref().is_none_or(Failure::is_consequence) {
            *cause = Some(failure);
        }
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Takes the reason out, once no worker runs any more.
    ///
    /// # Errors
    /// The failure that stopped the run, if one did.
    pub fn outcome(&self) -> Result<(), Failure> {
        let cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner).take();
        cause.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(status: i32, message: &str) -> Failure {
        WorkloadError::Call { status, message: message.into() }.into()
    }

    #[test]
    fn the_first_failure_is_reported() {
        let stop = Stop::default();
        assert!(!stop.is_stopped());
        stop.fail(call(status::OPERATOR, "first"));
        stop.fail(Failure::Cancelled);
        assert!(stop.is_stopped());
        assert_eq!(stop.outcome().unwrap_err().to_string(), "first");
    }

    #[test]
    fn a_panic_is_reported_though_a_consequence_of_it_came_first() {
        let stop = Stop::default();
        stop.fail(call(status::POISONED, "not usable any more"));
        stop.fail(call(status::PANIC, "panicked: why"));
        stop.fail(call(status::POISONED, "not usable any more"));
        assert_eq!(stop.outcome().unwrap_err().to_string(), "panicked: why");
    }
}
