//! The timely backend: a dataflow graph of timely dataflow, in threads of the worker process.
//!
//! Each of timely's workers, as many as the spec's parallelism, holds the same graph (`layout`, `graph`): a source
//! that makes slices of the items, chains of stages, an exchange by key in front of each reduction (`exchange`), and a
//! sink with a state of its own (`operators`). A message is one batch (`parcel`). Timely does not say who makes which
//! items: workers pull slices from a counter, or take those of their index (`feed`). A reduction emits when its
//! frontier says that the input has ended everywhere; the same frontier keeps the source from running ahead of the
//! exchange (`pace`).
//!
//! The workers live for one run, as the native backend's threads do: with two of them a whole run of ten items takes
//! half a millisecond, which is less than a pool kept between runs would cost in code, and a failed run leaves nothing
//! behind.

mod exchange;
mod feed;
mod graph;
mod halt;
mod job;
mod layout;
mod maker;
mod operators;
mod pace;
mod parcel;
#[cfg(test)]
mod tests;
mod workers;

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use plugin_api::{
    Availability, ErrorKind, RunContext, RunResult, RunnerError, WorkloadError, WorkloadRunner, WorkloadSpec,
};
use serde_json::json;

use feed::{Choice, Slices};
use halt::{Failure, Halt};
use job::{Job, Tally};
use layout::Layout;
use operators::Sunk;

plugin_api::export_runner!(name = NAME, runner = Timely);

const NAME: &str = "timely";
/// The version of the crate, which this crate's manifest pins.
const ENGINE_VERSION: &str = "0.32.0";
/// Each worker has a channel to each other one, so their cost grows with the square.
const MOST_WORKERS: u32 = 1024;

/// The backend. It keeps nothing between runs.
struct Timely;

impl WorkloadRunner for Timely {
    fn backend_name(&self) -> &str {
        NAME
    }

    fn is_available(&self) -> Availability {
        Availability::Available
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        let choice = feed::choose(&spec.scheduler_name);
        let job = prepare(spec, &choice, context)?;
        let metrics = Metrics::of(&job);
        let started = Instant::now();
        let sunk = workers::run(job, context)?;
        let items = sunk.iter().map(|sunk| sunk.items).sum();
        let state = merged(sunk).map_err(Failure::from)?;
        let elapsed = started.elapsed().as_secs_f64();
        Ok(metrics.report(choice, RunResult::new(NAME, spec, elapsed, items, state)))
    }
}

/// What a spec asks of this backend.
fn prepare(spec: &WorkloadSpec, choice: &Choice, context: &RunContext) -> Result<Job, RunnerError> {
    if spec.parallelism == 0 {
        return Err(RunnerError::new(ErrorKind::InvalidSpec, "parallelism is 0, but must be at least 1"));
    }
    if spec.parallelism > MOST_WORKERS {
        let message = format!("timely connects each worker with each, so it takes at most {MOST_WORKERS}");
        return Err(RunnerError::new(ErrorKind::Unsupported, message).with_remedy("--parallelism 2"));
    }
    let (workload, fusion) = (context.workload().clone(), spec.fusion()?);
    let layout = Layout::of(workload.plan(), fusion);
    Ok(Job {
        slices: Slices { total: spec.total_items, size: spec.batch_size()? },
        fusion,
        hand_out: choice.hand_out,
        halt: Halt::default(),
        tallies: (0..spec.parallelism).map(|_| Tally::default()).collect(),
        numbers: workload.plan().stages.iter().map(|_| AtomicU64::new(0)).collect(),
        layout,
        workload,
    })
}

/// The states of all sinks in one, encoded.
fn merged(sunk: Vec<Sunk>) -> Result<Vec<u8>, WorkloadError> {
    let mut states = sunk.into_iter().map(|sunk| sunk.state);
    let Some(mut merged) = states.next() else { return Ok(Vec::new()) };
    for mut state in states {
        merged.merge(&state.encode()?)?;
    }
    Ok(merged.encode()?.to_vec())
}

/// What is known of a run before it starts.
struct Metrics {
    workers: usize,
    batches: u64,
    operators: Vec<String>,
}

impl Metrics {
    fn of(job: &Job) -> Self {
        let operators = job.layout.names(job.workload.plan());
        Self { workers: job.tallies.len(), batches: job.slices.count(), operators }
    }

    fn report(self, choice: Choice, mut result: RunResult) -> RunResult {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        result.scheduler_name = choice.name.into();
        let result = result
            .with_metric("workers", self.workers)
            .with_metric("batches", self.batches)
            .with_metric("idiom", "one dataflow graph a run, one message a batch")
            .with_metric("operators", self.operators)
            .with_metric("hand_out", choice.hand_out.describe())
            .with_metric("versions", json!({ "timely": ENGINE_VERSION }))
            .with_metric("cores", cores)
            .with_metric("nodes", 1);
        match choice.warning {
            Some(warning) => result.with_metric("warnings", vec![warning]),
            None => result,
        }
    }
}
