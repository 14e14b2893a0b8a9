//! How numbered units of work reach the workers.

use std::ops::Range;

use plugin_api::WorkloadError;
use thread_engine::{Counter, Failure, Scheduler};

use crate::ordered::{OrderedHandOut, OrderedReceiver};
use crate::workers::{WorkerContext, Workers};

/// Hands the units below `end` out to the workers, and gives what each `work` returned.
///
/// # Errors
/// The first failure of any worker.
pub(crate) fn hand_out<T: Send>(
    scheduler: Scheduler,
    workers: &Workers<'_>,
    end: u64,
    work: impl Fn(WorkerContext<'_>, Units<'_>) -> Result<T, WorkloadError> + Sync,
) -> Result<Vec<T>, Failure> {
    match scheduler {
        Scheduler::Pull => {
            let counter = Counter::default();
            let units = || Units::Shared { counter: &counter, end };
            workers.run((0..workers.count()).map(|_| units()).collect(), work)
        }
        Scheduler::InOrder => {
            let hand_out = OrderedHandOut::new(workers.count(), 0..end);
            workers.run(hand_out.receivers().into_iter().map(Units::Ordered).collect(), work)
        }
    }
}

/// The numbers of the units that one worker is to do.
pub(crate) enum Units<'a> {
    /// One counter for all workers: the worker that is idle takes the next number below `end`.
    Shared { counter: &'a Counter, end: u64 },
    /// Each worker in turn is handed the next number.
    Ordered(OrderedReceiver<'a, Range<u64>>),
}

impl Iterator for Units<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        match self {
            Self::Shared { counter, end } => counter.next_below(*end),
            Self::Ordered(receiver) => receiver.next(|_| {}),
        }
    }
}
