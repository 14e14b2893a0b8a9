//! The workers of a run: this module starts them and waits for them.

use std::sync::Arc;

use plugin_api::{RunContext, WorkloadError};
use thread_engine::Failure;
use timely::worker::Worker;

use crate::graph;
use crate::job::{Job, WorkerContext};
use crate::operators::SinkOutput;

/// Runs `job`, and gives what reached the sink of each worker.
///
/// # Errors
/// The first failure; it has stopped the other workers.
pub(crate) fn run(job: Job, context: &RunContext) -> Result<Vec<SinkOutput>, Failure> {
    start(&Arc::new(job), context, graph::run)
}

fn start<T: Send + 'static>(
    job: &Arc<Job>,
    context: &RunContext,
    body: impl Fn(&mut Worker, &WorkerContext) -> Result<Option<T>, WorkloadError> + Send + Sync + 'static,
) -> Result<Vec<T>, Failure> {
    let (monitor, shared, threads) = (&job.monitor, Arc::clone(job), job.workers());
    let workers = monitor.watch(context, |guard| {
        timely::execute(timely::Config::process(threads), move |worker| {
            // The workers share this closure, so the last of them drops the guard.
            let _guard = &guard;
            let context = WorkerContext::new(Arc::clone(&shared), worker.index());
            let done = shared.monitor.run_worker(|| body(worker, &context));
            graph::drop_unfinished(worker);
            done.flatten()
        })
    });
    let start = |error| Failure::Start(format!("timely could not start its workers: {error}"));
    let mut done = Vec::with_capacity(threads);
    for joined in workers.map_err(start)?.join() {
        match joined {
            Ok(one) => done.extend(one),
            Err(panic) => monitor.stop().fail(Failure::Panicked(panic)),
        }
    }
    monitor.stop().outcome()?;
    if done.len() < threads { Err(Failure::Lost) } else { Ok(done) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use timely::dataflow::operators::{Inspect, ToStream};
    use timely::logging::{TimelyEvent, TimelyEventBuilder};

    use super::*;
    use crate::tests::job;
    use crate::tests::support::{Host, context, spec, with};
    use crate::tests::workloads::Probe;

    #[test]
    fn a_panic_inside_an_operator_stops_the_others_and_is_reported() {
        let context = context(&spec("chain"), &Host::shared());
        let body = |worker: &mut Worker, context: &WorkerContext| {
            let panics = context.worker == 1;
            worker.dataflow::<u64, _, _>(|scope| {
                (0..10)
                    .to_stream(scope)
                    .container::<Vec<_>>()
                    .inspect(move |_| assert!(!panics, "on purpose"));
            });
            while worker.has_dataflows() && !context.is_stopped() {
                worker.step_or_park(Some(Duration::from_millis(10)));
            }
            Ok(Some(()))
        };
        let failure = start(&Arc::new(job(&spec("chain"), &context)), &context, body).unwrap_err();
        assert_eq!(failure.to_string(), "a worker thread panicked: on purpose");
    }

    #[test]
    fn a_worker_without_its_sink_is_an_error_and_not_a_short_result() {
        let context = context(&spec("chain"), &Host::shared());
        let body = |_: &mut Worker, context: &WorkerContext| Ok((context.worker == 0).then_some(()));
        let failure = start(&Arc::new(job(&spec("chain"), &context)), &context, body).unwrap_err();
        assert!(matches!(failure, Failure::Lost), "{failure}");
    }

    /// How many messages timely itself says were sent in a run of `batches` batches through two maps.
    fn messages(fusion: &str, batches: u64) -> u64 {
        let (probe, _) = Probe::register();
        let mut spec = with(with(with(spec("observed"), "probe", probe), "batch_size", 4), "fusion", fusion);
        spec.total_items = 4 * batches;
        let (context, sent) = (context(&spec, &Host::shared()), Arc::new(AtomicU64::new(0)));
        let counter = Arc::clone(&sent);
        let body = move |worker: &mut Worker, context: &WorkerContext| {
            let counter = Arc::clone(&counter);
            let count = move |events: &[(Duration, TimelyEvent)]| {
                let is_sent = |event: &TimelyEvent| matches!(event, TimelyEvent::Messages(it) if it.is_send);
                let sent = events.iter().filter(|(_, event)| is_sent(event)).count();
                counter.fetch_add(sent as u64, Ordering::SeqCst);
            };
            worker.log_register().unwrap().insert::<TimelyEventBuilder, _>("timely", move |_, events| {
                count(events.as_deref().unwrap_or_default());
            });
            graph::run(worker, context)
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
