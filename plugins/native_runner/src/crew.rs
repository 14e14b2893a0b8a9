//! The threads of a phase: they are started, watched and waited for here.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use plugin_api::{RunContext, WorkloadError};

use crate::halt::{Failure, Halt};

/// How often the host is asked whether to stop.
const POLL: Duration = Duration::from_millis(10);
/// Every how many polls the host is told how far the run is.
const POLLS_A_PROGRESS: u32 = 10;

/// How many items of the source a worker has made. On cache lines of its own, so that workers do not disturb each
/// other.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    /// Counts `items` more. Only the worker whose tally it is may call this.
    pub(crate) fn add(&self, items: u64) {
        // With one writer a load and a store do, which are cheaper than an atomic addition.
        self.0.store(self.0.load(Ordering::Relaxed) + items, Ordering::Relaxed);
    }
}

/// What a worker shares with its coordinator.
#[derive(Clone, Copy)]
pub(crate) struct Post<'a> {
    pub(crate) halt: &'a Halt,
    pub(crate) tally: &'a Tally,
}

/// The workers of a run and what watches over them.
pub(crate) struct Crew<'a> {
    context: &'a RunContext,
    total_items: u64,
    halt: Halt,
    /// One a worker.
    tallies: Vec<Tally>,
}

impl<'a> Crew<'a> {
    /// A crew of `threads` for a run of `total_items`.
    pub(crate) fn new(threads: u32, total_items: u64, context: &'a RunContext) -> Self {
        let tallies = (0..threads).map(|_| Tally::default()).collect();
        Self { context, total_items, halt: Halt::default(), tallies }
    }

    /// How many workers there are.
    pub(crate) fn threads(&self) -> usize {
        self.tallies.len()
    }

    /// Starts one thread for each of `feeds`, waits for all, and gives what each `work` returned.
    ///
    /// A thread drops its feed when it leaves, in whatever way; what waits for a thread must take that for the end.
    ///
    /// # Errors
    /// The first failure; it has stopped the other threads.
    pub(crate) fn run<F: Send, T: Send>(
        &self,
        feeds: Vec<F>,
        work: impl Fn(Post<'_>, F) -> Result<T, WorkloadError> + Sync,
    ) -> Result<Vec<T>, Failure> {
        let (work, halt) = (&work, &self.halt);
        let (alive, ended) = mpsc::channel::<Infallible>();
        let done = std::thread::scope(|scope| {
            let mut workers = Vec::with_capacity(feeds.len());
            for (number, (feed, tally)) in feeds.into_iter().zip(&self.tallies).enumerate() {
                let alive = alive.clone();
                let body = move || {
                    let _alive = alive;
                    guarded(halt, || work(Post { halt, tally }, feed))
                };
                let Some(worker) = spawn(scope, halt, format!("native-{number}"), body) else { break };
                workers.push(worker);
            }
            drop(alive);
            self.watch(&ended);
            workers.into_iter().filter_map(|worker| worker.join().ok().flatten()).collect()
        });
        self.halt.cause().map(|()| done)
    }

    /// Tells the host how far the run is, and asks it whether to stop, until the last worker has left.
    fn watch(&self, ended: &Receiver<Infallible>) {
        for poll in 1_u32.. {
            match ended.recv_timeout(POLL) {
                Ok(never) => match never {},
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.context.cancelled() {
                self.halt.fail(Failure::Cancelled);
            }
            if poll.is_multiple_of(POLLS_A_PROGRESS) {
                self.context.progress(self.done(), self.total_items);
            }
        }
    }

    /// How many items the source has made.
    fn done(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.0.load(Ordering::Relaxed)).sum()
    }
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    halt: &Halt,
    name: String,
    body: impl FnOnce() -> T + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, T>> {
    match Builder::new().name(name.clone()).spawn_scoped(scope, body) {
        Ok(thread) => Some(thread),
        Err(error) => {
            halt.fail(Failure::Spawn { name, error });
            None
        }
    }
}

/// Runs what a thread is for; a failure or a panic stops the other threads.
fn guarded<T>(halt: &Halt, body: impl FnOnce() -> Result<T, WorkloadError>) -> Option<T> {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(done)) => return Some(done),
        Ok(Err(error)) => error.into(),
        Err(payload) => Failure::Panicked(text_of(&*payload)),
    };
    halt.fail(failure);
    None
}

/// What a panic said, as far as it is text.
fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Host, context, spec};

    #[test]
    fn a_panic_in_a_worker_stops_the_others_and_is_told() {
        let context = context(&spec("chain"), &Host::shared());
        let crew = Crew::new(2, 0, &context);
        let work = |post: Post<'_>, panics: bool| {
            assert!(!panics, "on purpose");
            while !post.halt.is_stopped() {
                std::thread::yield_now();
            }
            Ok(())
        };
        let failure = crew.run(vec![true, false], work).unwrap_err();
        assert_eq!(failure.to_string(), "a thread of the native backend panicked: on purpose");
    }

    #[test]
    fn a_run_ends_when_its_last_worker_does_and_not_a_poll_later() {
        let context = context(&spec("chain"), &Host::shared());
        let crew = Crew::new(2, 0, &context);
        let fastest = |work: &dyn Fn()| {
            let took = |_| {
                let started = std::time::Instant::now();
                work();
                started.elapsed()
            };
            (0..50).map(took).min().unwrap()
        };
        // On a machine that is busy with other things threads alone may take long, too.
        let threads = fastest(&|| {
            std::thread::scope(|scope| {
                scope.spawn(|| ());
                scope.spawn(|| ());
            });
        });
        let run = fastest(&|| {
            crew.run(vec![(), ()], |_, ()| Ok(())).unwrap();
        });
        assert!(run < threads + POLL, "{run:?}, and threads alone {threads:?}");
    }
}
