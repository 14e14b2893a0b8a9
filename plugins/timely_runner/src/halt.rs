//! How a run ends before its time: the first failure stops every worker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use plugin_api::workload::capi::status;
use plugin_api::{ErrorKind, RunnerError, WorkloadError};

/// Why a run ended before its time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    #[error("timely could not start its workers: {0}")]
    Start(String),
    #[error("a worker of timely panicked: {0}")]
    Panicked(String),
    #[error("a worker of timely ended without the state of its sink")]
    Lost,
    #[error("the run was cancelled by the host")]
    Cancelled,
}

impl Failure {
    /// Whether it only says that something else failed before.
    fn is_aftermath(&self) -> bool {
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

/// The stop sign that all workers of a run watch, and what raised it.
#[derive(Default)]
pub(crate) struct Halt {
    stopped: AtomicBool,
    cause: Mutex<Option<Failure>>,
}

impl Halt {
    /// Whether everyone is to stop. Costs a load: look at it once a batch.
    pub(crate) fn is_stopped(&self) -> bool {
        // The cause is behind a lock, so the flag itself needs no ordering.
        self.stopped.load(Ordering::Relaxed)
    }

    /// Stops everyone because of `failure`, unless an earlier one did.
    pub(crate) fn fail(&self, failure: Failure) {
        let mut cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may meet the poisoned workload before the one in which it panicked comes to tell.
        if cause.as_ref().is_none_or(Failure::is_aftermath) {
            *cause = Some(failure);
        }
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// What stopped everyone, if anything did.
    pub(crate) fn cause(&self) -> Result<(), Failure> {
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
    fn the_first_failure_is_the_one_that_is_told() {
        let halt = Halt::default();
        assert!(!halt.is_stopped());
        halt.fail(call(status::OPERATOR, "first"));
        halt.fail(Failure::Cancelled);
        assert!(halt.is_stopped());
        assert_eq!(halt.cause().unwrap_err().to_string(), "first");
    }

    #[test]
    fn a_panic_is_told_though_its_aftermath_came_first() {
        let halt = Halt::default();
        halt.fail(call(status::POISONED, "not usable any more"));
        halt.fail(call(status::PANIC, "panicked: why"));
        halt.fail(call(status::POISONED, "not usable any more"));
        assert_eq!(halt.cause().unwrap_err().to_string(), "panicked: why");
    }
}
