//! The timely backend: a dataflow graph of timely dataflow, in threads of the worker process.
//!
//! Each of timely's workers, as many as the spec's parallelism, holds the same graph (`layout`, `graph`): a source
//! that makes slices of the items, chains of stages, an exchange by key in front of each reduction (`exchange`), and a
//! sink with a state of its own (`operators`). A message is one batch (`container`). Timely does not say which worker
//! makes which items: workers pull slices from a counter, or take those of their index (`batch_numbers`). A reduction
//! emits when its frontier says that the input has ended on all workers. The same frontier keeps what makes batches
//! (`producer`) from running ahead of the exchange (`flow_control`), and says what a reduction may close while the input goes on
//! (`closing`, by `epochs`). The tasks of a graph are one operator with a loop
//! (`tasks`). What this backend shares with others on threads is in `thread_engine`.
//!
//! The workers live for one run, as the native backend's threads do. With two workers a whole run of ten items takes half
//! a millisecond, so a pool that is kept between runs would not be worth its code, and a failed run leaves nothing behind.

mod batch_numbers;
mod closing;
mod container;
mod epochs;
mod exchange;
mod flow_control;
mod graph;
mod job;
mod layout;
mod operators;
mod producer;
mod tasks;
#[cfg(test)]
mod tests;
mod workers;

use std::sync::Arc;
use std::time::Instant;

use plugin_api::workload::{GRAPH, WATERMARKS};
use plugin_api::{Availability, ErrorKind, RunContext, RunResult, RunnerError, WorkloadRunner, WorkloadSpec};
use serde_json::json;
use thread_engine::{Counter, Failure, Monitor, Settings, merged};

use epochs::Epochs;
use job::Job;
use layout::Layout;
use tasks::shared_rows::SharedRows;

plugin_api::export_runner!(name = NAME, runner = Timely);

const NAME: &str = "timely";
/// The version of the crate, which this crate's manifest pins.
const ENGINE_VERSION: &str = "0.32.0";
/// Each worker has a channel to each other one, so their cost grows with the square.
const MOST_WORKERS: u32 = 1024;
/// Of an open loop with results that are due, where there is more than one worker: each has a part of the keys, and waits in its source.
const DUE_WARNING: &str = "results wait behind batches that are not due, as this backend's workers close nothing while they wait for one: \
                           small batches and a high rate have less of it, and latencies at low rates say little about the engine";

/// The backend. It keeps nothing between runs.
struct Timely;

impl WorkloadRunner for Timely {
    fn backend_name(&self) -> &str {
        NAME
    }

    fn is_available(&self) -> Availability {
        Availability::Available
    }

    fn supports(&self) -> Vec<String> {
        vec![GRAPH.into(), WATERMARKS.into()]
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        let settings = Settings::of(NAME, spec)?;
        let job = prepare(&settings, context)?;
        let (is_graph, closes) = (job.task_graph.is_some(), job.epochs.is_some());
        let waits = job.workload.plan().has_due_results() && settings.workers > 1;
        let operators =
            if is_graph { vec![tasks::NAME.into()] } else { job.layout.names(job.workload.plan()) };
        let started = Instant::now();
        let (items, state) = execute(job, context)?;
        let elapsed = started.elapsed().as_secs_f64();
        let result = RunResult::new(NAME, spec, elapsed, items, state)
            .with_metric("workers", settings.workers)
            .with_metric("operators", operators)
            .with_metric("versions", json!({ "timely": ENGINE_VERSION }));
        let batches = settings.slices.count();
        let choice = if is_graph { settings.choice.of_graph() } else { settings.choice };
        let result = choice.report("in order, by worker index", result);
        let result = if waits { result.with_warning(DUE_WARNING) } else { result };
        Ok(if is_graph {
            result
                .with_metric("form", GRAPH)
                .with_metric("idiom", "one dataflow graph a run, one message an output and worker")
                .with_metric("hand_out", "by point")
        } else {
            result
                .with_metric("batches", batches)
                .with_metric("closes", closes)
                .with_metric("idiom", "one dataflow graph a run, one message a batch")
        })
    }
}

/// The run that `settings` describe, before it starts.
fn prepare(settings: &Settings, context: &RunContext) -> Result<Job, RunnerError> {
    let Settings { workers, slices, fusion, ref choice } = *settings;
    if workers > MOST_WORKERS {
        let message = format!("timely connects each worker with each, so it takes at most {MOST_WORKERS}");
        return Err(RunnerError::new(ErrorKind::Unsupported, message).with_remedy("--parallelism 2"));
    }
    let workload = context.workload().clone();
    let shape = workload.plan().graph.filter(|_| workload.spec().is_granted(GRAPH));
    let layout = Layout::of(workload.plan(), fusion);
    let closes = workload.spec().is_granted(WATERMARKS) && graph::has_reduction(&layout.nodes);
    Ok(Job {
        task_graph: shape.map(|shape| Arc::new(SharedRows::new(shape, workers as usize))),
        slices,
        fusion,
        layout,
        epochs: closes.then(|| {
            let is_open_loop = workload.plan().open_loop;
            let epochs = if is_open_loop { Epochs::of_one_slice } else { Epochs::new };
            epochs(slices, workers as usize)
        }),
        scheduler: choice.scheduler,
        monitor: Monitor::new(workers, slices.total),
        counters: workload.plan().stages.iter().map(|_| Counter::default()).collect(),
        workload,
    })
}

/// Runs `job`, and gives how many items reached the sinks and the sinks' merged state.
fn execute(job: Job, context: &RunContext) -> Result<(u64, Vec<u8>), Failure> {
    let outputs = workers::run(job, context)?;
    let items = outputs.iter().map(|output| output.items).sum();
    let state = merged(outputs.into_iter().map(|output| output.state))?;
    Ok((items, state.ok_or(Failure::Lost)?.encode()?.to_vec()))
}
