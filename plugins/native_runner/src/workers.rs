//! The worker threads of a phase: this module starts them and waits for them.

use std::thread::{Builder, Scope, ScopedJoinHandle};

use plugin_api::{RunContext, WorkloadError};
use thread_engine::{Failure, Monitor, Stop, Tally};

/// What a worker shares with the thread that waits for it.
#[derive(Clone, Copy)]
pub(crate) struct WorkerContext<'a> {
    pub(crate) stop: &'a Stop,
    pub(crate) tally: &'a Tally,
}

/// The workers of a run.
pub(crate) struct Workers<'a> {
    context: &'a RunContext,
    monitor: Monitor,
}

impl<'a> Workers<'a> {
    /// So many `threads` for a run of `total_items`.
    pub(crate) fn new(threads: u32, total_items: u64, context: &'a RunContext) -> Self {
        Self { context, monitor: Monitor::new(threads, total_items) }
    }

    /// How many workers there are.
    pub(crate) fn count(&self) -> usize {
        self.monitor.tallies().len()
    }

    /// Starts one thread for each of `inputs`, waits for all, and gives what each `work` returned.
    ///
    /// A thread drops its input when it ends, also when it fails: what waits for that thread must take this for the
    /// end.
    ///
    /// # Errors
    /// The first failure; it has stopped the other threads.
    pub(crate) fn run<I: Send, T: Send>(
        &self,
        inputs: Vec<I>,
        work: impl Fn(WorkerContext<'_>, I) -> Result<T, WorkloadError> + Sync,
    ) -> Result<Vec<T>, Failure> {
        let (work, monitor) = (&work, &self.monitor);
        let stop = monitor.stop();
        let done = std::thread::scope(|scope| {
            let threads = monitor.watch(self.context, |guard| {
                let mut threads = Vec::with_capacity(inputs.len());
                for (number, (input, tally)) in inputs.into_iter().zip(monitor.tallies()).enumerate() {
                    let guard = guard.clone();
                    let body = move || {
                        let _guard = guard;
                        monitor.run_worker(|| work(WorkerContext { stop, tally }, input))
                    };
                    let Some(thread) = spawn(scope, stop, format!("native-{number}"), body) else { break };
                    threads.push(thread);
                }
                threads
            });
            threads.into_iter().filter_map(|thread| thread.join().ok().flatten()).collect()
        });
        stop.outcome().map(|()| done)
    }
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    stop: &Stop,
    name: String,
    body: impl FnOnce() -> T + Send + 'scope,
) -> Option<ScopedJoinHandle<'scope, T>> {
    match Builder::new().name(name.clone()).spawn_scoped(scope, body) {
        Ok(thread) => Some(thread),
        Err(error) => {
            stop.fail(Failure::Start(format!("thread {name} could not be started: {error}")));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::support::{Host, context, spec};

    #[test]
    fn a_panic_in_a_worker_stops_the_others_and_is_reported() {
        let context = context(&spec("chain"), &Host::shared());
        let workers = Workers::new(2, 0, &context);
        let work = |worker: WorkerContext<'_>, panics: bool| {
            assert!(!panics, "on purpose");
            while !worker.stop.is_stopped() {
                std::thread::yield_now();
            }
            Ok(())
        };
        let failure = workers.run(vec![true, false], work).unwrap_err();
        assert_eq!(failure.to_string(), "a worker thread panicked: on purpose");
    }
}
