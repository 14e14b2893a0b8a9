//! What a run's workers share with the thread that waits for them.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use plugin_api::{RunContext, WorkloadError};

use crate::stop::{Failure, Stop};

/// How often the host is asked whether to stop.
const POLL: Duration = Duration::from_millis(10);
/// Once in so many polls the progress is reported to the host.
const POLLS_PER_PROGRESS: u32 = 10;

/// How many items of the source a worker has made. It has cache lines of its own, so that workers do not slow each
/// other down.
#[derive(Default)]
#[repr(align(128))]
pub struct Tally(AtomicU64);

impl Tally {
    /// Counts `items` more. Only the worker that owns the tally may call this.
    #[inline]
    pub fn add(&self, items: u64) {
        // With one writer a load and a store suffice; they cost less than an atomic addition.
        self.0.store(self.0.load(Ordering::Relaxed) + items, Ordering::Relaxed);
    }
}

/// A worker holds one while it runs. [`Monitor::watch`] returns when the last clone has been dropped.
#[derive(Clone)]
pub struct WorkerGuard {
    _running: Sender<Infallible>,
}

/// The workers of one run: how far each is, and whether all must stop.
pub struct Monitor {
    stop: Stop,
    total_items: u64,
    /// One for each worker.
    tallies: Vec<Tally>,
}

impl Monitor {
    /// For a run of `total_items` items of the source on so many `workers`.
    pub fn new(workers: u32, total_items: u64) -> Self {
        let tallies = (0..workers).map(|_| Tally::default()).collect();
        Self { stop: Stop::default(), total_items, tallies }
    }

    /// What stops the workers.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// One tally for each worker.
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// Calls `start`, which gives each worker that it starts a clone of the guard. Then, until the last worker has
    /// dropped its guard, reports the progress to the host and stops the workers if the host asks for that. Returns
    /// what `start` returned.
    pub fn watch<T>(&self, context: &RunContext, start: impl FnOnce(WorkerGuard) -> T) -> T {
        self.watch_every(POLL, context, start)
    }

    fn watch_every<T>(
        &self,
        poll: Duration,
        context: &RunContext,
        start: impl FnOnce(WorkerGuard) -> T,
    ) -> T {
        let (running, ended) = mpsc::channel();
        let started = start(WorkerGuard { _running: running });
        self.wait(poll, context, &ended);
        started
    }

    fn wait(&self, poll: Duration, context: &RunContext, ended: &Receiver<Infallible>) {
        for polls in 1_u32.. {
            match ended.recv_timeout(poll) {
                Ok(never) => match never {},
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if context.cancelled() {
                self.stop.fail(Failure::Cancelled);
            }
            if polls.is_multiple_of(POLLS_PER_PROGRESS) {
                context.progress(self.done(), self.total_items);
            }
        }
    }

    /// How many items the source has made.
    fn done(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.0.load(Ordering::Relaxed)).sum()
    }

    /// Runs the body of one worker. If it fails or panics, all workers stop and there is no result.
    pub fn run_worker<T>(&self, body: impl FnOnce() -> Result<T, WorkloadError>) -> Option<T> {
        let failure = match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(error)) => error.into(),
            Err(payload) => Failure::Panicked(panic_message(&*payload)),
        };
        self.stop.fail(failure);
        None
    }
}

/// The message of a panic, if it is text.
fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::support::{Host, context, spec};

    /// It ends a wait for what would never come.
    const PATIENCE: Duration = Duration::from_secs(300);

    #[test]
    fn the_wait_ends_with_the_last_worker_and_does_not_last_until_the_next_poll() {
        let context = context(&spec("chain"), &Host::shared());
        let (to_test, guards) = mpsc::channel();
        let (returned, has_returned) = mpsc::channel();
        std::thread::spawn(move || {
            // A wait for this poll never ends.
            Monitor::new(2, 0).watch_every(Duration::MAX, &context, |guard| {
                to_test.send([guard.clone(), guard]).unwrap();
            });
            returned.send(()).unwrap();
        });
        let [first, last] = guards.recv().unwrap();
        drop(first);
        assert!(has_returned.try_recv().is_err(), "a worker still runs");
        drop(last);
        has_returned.recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn a_worker_that_panics_stops_the_others_with_its_message() {
        let monitor = Monitor::new(2, 0);
        assert_eq!(monitor.run_worker(|| Ok(1)), Some(1));
        assert!(!monitor.stop.is_stopped());
        assert_eq!(monitor.run_worker::<()>(|| panic!("on purpose")), None);
        assert!(monitor.stop.is_stopped());
        let failure = monitor.stop.outcome().unwrap_err();
        assert_eq!(failure.to_string(), "a worker thread panicked: on purpose");
    }
}
