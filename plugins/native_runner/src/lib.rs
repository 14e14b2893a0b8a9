//! The native backend: threads in the worker process. It is the default and needs nothing installed.
//!
//! A run is a sequence of *phases*, cut at the plan's keyed reductions (`phase`). In each phase as many threads as
//! the spec's parallelism (`workers`) take work: whole chains of stages (`fused`, which gets its work from `units`), or
//! one stage at a time (`staged`, from `queue`). With the scheduler `fifo` they get it in order (`ordered`). Every
//! thread folds into states of its own, which are merged when the phase has ended (`keyed`); the end of the phase is
//! the barrier that a reduction needs. Where both sides have watermarks, what has ended is closed in the first phase (`closing`, by
//! `stretches` of the source), and the others take what is left. A graph of tasks has no phases: each task runs when its inputs
//! are there (`graph`). What this backend shares with others on threads is in `thread_engine`.
//!
//! The threads live for one phase. Starting one takes some 20 µs, so a pool that is kept between runs would not be worth
//! its code.

mod closing;
mod fused;
mod graph;
mod keyed;
mod ordered;
mod phase;
mod queue;
mod staged;
mod stretches;
#[cfg(test)]
mod tests;
mod units;
mod workers;

use std::time::Instant;

use plugin_api::workload::{GRAPH, WATERMARKS};
use plugin_api::{
    Availability, ErrorKind, Fusion, GraphShape, RunContext, RunResult, RunnerError, StageKind,
    WorkloadRunner, WorkloadSpec,
};
use thread_engine::{Failure, Settings, merged};

use closing::Reached;
use keyed::Partitions;
use phase::{Input, Phase};
use workers::Workers;

plugin_api::export_runner!(name = NAME, runner = Native);

const NAME: &str = "native";

/// The backend. It keeps nothing between runs.
struct Native;

impl WorkloadRunner for Native {
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
        let started = Instant::now();
        let plan = context.workload().plan();
        let graph = plan.graph.filter(|_| spec.is_granted(GRAPH));
        let closes = spec.is_granted(WATERMARKS) && settings.fusion == Fusion::Auto && plan.has_reduction();
        if plan.has_due_results() && !closes {
            let message = "the results of an open loop's reductions are due before the input ends, and with fusion=off this backend \
                           emits them at the end";
            return Err(RunnerError::new(ErrorKind::Unsupported, message).with_remedy("--extra fusion=auto"));
        }
        let SinkOutput { items, state } = match graph {
            Some(shape) => execute_graph(&settings, shape, context)?,
            None => execute(&settings, closes, context)?,
        };
        let elapsed = started.elapsed().as_secs_f64();
        let Settings { workers, slices, choice, .. } = settings;
        let result = RunResult::new(NAME, spec, elapsed, items, state).with_metric("threads", workers);
        let (choice, result) = if graph.is_some() {
            (choice.of_graph(), result.with_metric("form", GRAPH))
        } else {
            (choice, result.with_metric("batches", slices.count()).with_metric("closes", closes))
        };
        Ok(choice.report("in order, round-robin", result))
    }
}

/// What reached the sinks.
struct SinkOutput {
    items: u64,
    state: Vec<u8>,
}

/// Runs the tasks of a graph, of which each counts as an item of the source.
fn execute_graph(
    settings: &Settings,
    shape: GraphShape,
    context: &RunContext,
) -> Result<SinkOutput, Failure> {
    let workers = Workers::new(settings.workers, settings.slices.total, context);
    let finished = graph::run(context.workload(), shape, &workers)?;
    let items = finished.iter().map(|part| part.outputs).sum();
    let mut state = merged(finished.into_iter().map(|part| part.sink))?.ok_or(Failure::Lost)?;
    Ok(SinkOutput { items, state: state.encode()?.to_vec() })
}

/// Runs phase after phase, until one ends at the sink. If it `closes`, what has ended is there before the first phase has.
fn execute(settings: &Settings, closes: bool, context: &RunContext) -> Result<SinkOutput, Failure> {
    let Settings { workers: threads, slices, fusion, choice } = settings;
    let (workload, scheduler) = (context.workload(), choice.scheduler);
    let plan = workload.plan();
    let workers = Workers::new(*threads, slices.total, context);
    let (mut input, mut from) = (Input::Slices(*slices), 1);
    let mut reached = Reached::new();
    if closes {
        let first = plan.end_of_chain(from);
        reached = closing::run(workload, *slices, scheduler, &workers)?;
        (input, from) = (Input::Partitions(Partitions::of(closing::at(first, &mut reached))), first + 1);
    }
    loop {
        let end = plan.end_of_chain(from);
        let phase = Phase { workload, input, from, end, threads: *threads, batch_size: slices.size };
        let mut terminals = match fusion {
            Fusion::Auto => fused::run(&phase, scheduler, &workers)?,
            Fusion::Off => staged::run(&phase, scheduler, &workers)?,
        };
        terminals.extend(closing::at(end, &mut reached));
        let items = terminals.iter().map(|terminal| terminal.items()).sum();
        let partitions = Partitions::of(terminals);
        if plan.kind(end) != Some(StageKind::KeyedReduce) {
            return Ok(SinkOutput { items, state: partitions.merged(0)?.encode()?.to_vec() });
        }
        (input, from) = (Input::Partitions(partitions), end + 1);
    }
}
