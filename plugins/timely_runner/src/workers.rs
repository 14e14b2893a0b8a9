//! The workers of a run: they are started, watched and waited for here.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use plugin_api::{RunContext, WorkloadError};
use timely::worker::Worker;

use crate::graph;
use crate::halt::{Failure, Halt};
use crate::job::{Job, Post};
use crate::operators::Sunk;

/// How often the host is asked whether to stop.
const POLL: Duration = Duration::from_millis(10);
/// Every how many polls the host is told how far the run is.
const POLLS_A_PROGRESS: u32 = 10;

/// Runs `job`, and gives what reached the sink of each worker.
///
/// # Errors
/// The first failure; it has stopped the other workers.
pub(crate) fn run(job: Job, context: &RunContext) -> Result<Vec<Sunk>, Failure> {
    let job = Arc::new(job);
    start(&job, context, graph::run)
}

fn start<T: Send + 'static>(
    job: &Arc<Job>,
    context: &RunContext,
    body: impl Fn(&mut Worker, &Post) -> Result<Option<T>, WorkloadError> + Send + Sync + 'static,
) -> Result<Vec<T>, Failure> {
    let (alive, ended) = mpsc::channel::<Infallible>();
    let (shared, threads) = (Arc::clone(job), job.tallies.len());
    let workers = timely::execute(timely::Config::process(threads), move |worker| {
        // It ends with the last worker that has this closure.
        let _alive = &alive;
        let post = Post::new(Arc::clone(&shared), worker.index());
        let done = guarded(&shared.halt, || body(worker, &post));
        graph::abandon(worker);
        done
    });
    let workers = workers.map_err(Failure::Start)?;
    watch(job, context, &ended);
    let mut done = Vec::with_capacity(threads);
    for joined in workers.join() {
        match joined {
            Ok(one) => done.extend(one),
            Err(panic) => job.halt.fail(Failure::Panicked(panic)),
        }
    }
    job.halt.cause()?;
    if done.len() < threads { Err(Failure::Lost) } else { Ok(done) }
}

/// Tells the host how far the run is, and asks it whether to stop, until the last worker has left.
fn watch(job: &Job, context: &RunContext, ended: &Receiver<Infallible>) {
    for poll in 1_u32.. {
        match ended.recv_timeout(POLL) {
            Ok(never) => match never {},
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if context.cancelled() {
            job.halt.fail(Failure::Cancelled);
        }
        if poll.is_multiple_of(POLLS_A_PROGRESS) {
            context.progress(job.done(), job.slices.total);
        }
    }
}

/// Runs what a worker is for; a failure or a panic stops the other workers.
fn guarded<T>(halt: &Halt, body: impl FnOnce() -> Result<Option<T>, WorkloadError>) -> Option<T> {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(done)) => return done,
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
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    use timely::dataflow::operators::{Inspect, ToStream};
    use timely::logging::{TimelyEvent, TimelyEventBuilder};

    use super::*;
    use crate::tests::workloads::Probe;
    use crate::tests::{Host, context, job, spec, with};

    #[test]
    fn a_panic_inside_an_operator_stops_the_others_and_is_told() {
        let context = context(&spec("chain"), &Host::shared());
        let body = |worker: &mut Worker, post: &Post| {
            let panics = post.worker == 1;
            worker.dataflow::<u64, _, _>(|scope| {
                (0..10)
                    .to_stream(scope)
                    .container::<Vec<_>>()
                    .inspect(move |_| assert!(!panics, "on purpose"));
            });
            while worker.has_dataflows() && !post.is_stopped() {
                worker.step_or_park(Some(POLL));
            }
            Ok(Some(()))
        };
        let failure = start(&Arc::new(job(&spec("chain"), &context)), &context, body).unwrap_err();
        assert_eq!(failure.to_string(), "a worker of timely panicked: on purpose");
    }

    #[test]
    fn a_worker_without_its_sink_is_an_error_and_not_a_short_result() {
        let context = context(&spec("chain"), &Host::shared());
        let body = |_: &mut Worker, post: &Post| Ok((post.worker == 0).then_some(()));
        let failure = start(&Arc::new(job(&spec("chain"), &context)), &context, body).unwrap_err();
        assert!(matches!(failure, Failure::Lost), "{failure}");
    }

    #[test]
    fn a_run_ends_when_its_last_worker_does_and_not_a_poll_later() {
        let context = context(&spec("chain"), &Host::shared());
        // The fastest of some: on a machine that is busy with other things any one may take long.
        let fastest = |work: &dyn Fn()| {
            let took = |_| {
                let started = Instant::now();
                work();
                started.elapsed()
            };
            (0..50).map(took).min().unwrap()
        };
        // And threads alone may, too.
        let threads = fastest(&|| {
            std::thread::scope(|scope| {
                scope.spawn(|| ());
                scope.spawn(|| ());
            });
        });
        let run = fastest(&|| {
            start(&Arc::new(job(&spec("chain"), &context)), &context, |_, _| Ok(Some(()))).unwrap();
        });
        assert!(run < threads + POLL, "{run:?}, and threads alone {threads:?}");
    }

    /// How many messages timely itself says were sent in a run of `batches` batches through two maps.
    fn messages(fusion: &str, batches: u64) -> u64 {
        let (probe, _) = Probe::register();
        let mut spec = with(with(with(spec("observed"), "probe", probe), "batch_size", 4), "fusion", fusion);
        spec.total_items = 4 * batches;
        let (context, sent) = (context(&spec, &Host::shared()), Arc::new(AtomicU64::new(0)));
        let counter = Arc::clone(&sent);
        let body = move |worker: &mut Worker, post: &Post| {
            let counter = Arc::clone(&counter);
            let count = move |events: &[(Duration, TimelyEvent)]| {
                let is_sent = |event: &TimelyEvent| matches!(event, TimelyEvent::Messages(it) if it.is_send);
                let sent = events.iter().filter(|(_, event)| is_sent(event)).count();
                counter.fetch_add(sent as u64, Ordering::SeqCst);
            };
            worker.log_register().unwrap().insert::<TimelyEventBuilder, _>("timely", move |_, events| {
                count(events.as_deref().unwrap_or_default());
            });
            graph::run(worker, post)
        };
        start(&Arc::new(job(&spec, &context)), &context, body).unwrap();
        sent.load(Ordering::SeqCst)
    }

    #[test]
    fn without_fusion_each_batch_is_a_message_from_each_stage_to_the_next() {
        assert_eq!(messages("auto", 25), 25);
        assert_eq!(messages("off", 25), 3 * 25);
    }
}
