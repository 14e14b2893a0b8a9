//! The native backend: threads in the worker process, the default that needs nothing installed.
//!
//! A run is a sequence of *phases*, cut at the plan's keyed reductions (`phase`). In each phase as many threads as
//! the spec's parallelism (`crew`) take work as the scheduler hands it out (`schedule`): in whole chains
//! (`fused`), or stage by stage (`staged`). Every thread folds into states of its own, which are merged when the
//! phase has ended (`keyed`); the end of the phase is the barrier that a reduction needs.
//!
//! The threads live for one phase. Starting one costs some 20 µs, which is less than a pool kept between runs would
//! cost in code.

mod backlog;
mod crew;
mod fused;
mod halt;
mod keyed;
mod phase;
mod schedule;
mod staged;
#[cfg(test)]
mod tests;
mod turns;

use std::time::Instant;

use plugin_api::{
    Availability, ErrorKind, Fusion, RunContext, RunResult, RunnerError, StageKind, WorkloadRunner,
    WorkloadSpec,
};

use crew::Crew;
use halt::Failure;
use keyed::Partitions;
use phase::{Input, Phase, Slices};
use schedule::{Choice, Scheduler};

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

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        let run = Run::prepare(spec)?;
        let started = Instant::now();
        let outcome = run.execute(context)?;
        let elapsed = started.elapsed().as_secs_f64();
        Ok(run.report(spec, elapsed, outcome))
    }
}

/// What a spec asks of this backend.
struct Run {
    threads: u32,
    slices: Slices,
    fusion: Fusion,
    choice: Choice,
}

/// What reached the sinks.
struct Sunk {
    items: u64,
    state: Vec<u8>,
}

impl Run {
    fn prepare(spec: &WorkloadSpec) -> Result<Self, RunnerError> {
        if spec.parallelism == 0 {
            return Err(RunnerError::new(ErrorKind::InvalidSpec, "parallelism is 0, but must be at least 1"));
        }
        Ok(Self {
            threads: spec.parallelism,
            slices: Slices { total: spec.total_items, size: spec.batch_size()? },
            fusion: spec.fusion()?,
            choice: schedule::choose(&spec.scheduler_name),
        })
    }

    /// Runs phase after phase, until one ends at the sink.
    fn execute(&self, context: &RunContext) -> Result<Sunk, Failure> {
        let workload = context.workload();
        let plan = workload.plan();
        let crew = Crew::new(self.threads, self.slices.total, context);
        let (mut input, mut from) = (Input::Slices(self.slices), 1);
        loop {
            let end = plan.end_of_chain(from);
            let (threads, batch_size) = (self.threads, self.slices.size);
            let phase = Phase { workload, input, from, end, threads, batch_size };
            let terminals = match self.fusion {
                Fusion::Auto => fused::run(&phase, self.scheduler(), &crew)?,
                Fusion::Off => staged::run(&phase, self.scheduler(), &crew)?,
            };
            let items = terminals.iter().map(|terminal| terminal.items()).sum();
            let partitions = Partitions::of(terminals);
            if plan.kind(end) != Some(StageKind::KeyedReduce) {
                return Ok(Sunk { items, state: partitions.merged(0)?.encode()?.to_vec() });
            }
            (input, from) = (Input::Partitions(partitions), end + 1);
        }
    }

    fn scheduler(&self) -> Scheduler {
        self.choice.scheduler
    }

    fn report(&self, spec: &WorkloadSpec, elapsed: f64, sunk: Sunk) -> RunResult {
        let Choice { name, scheduler, warning } = &self.choice;
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let mut result = RunResult::new(NAME, spec, elapsed, sunk.items, sunk.state)
            .with_metric("threads", self.threads)
            .with_metric("batches", self.slices.count())
            .with_metric("hand_out", scheduler.describe())
            .with_metric("cores", cores)
            .with_metric("nodes", 1);
        result.scheduler_name = (*name).into();
        match warning {
            Some(warning) => result.with_metric("warnings", vec![warning.clone()]),
            None => result,
        }
    }
}
