//! A phase in which one worker takes each unit through the whole chain: one call and one fold for each slice.

use plugin_api::{Buffer, WorkloadError};
use thread_engine::{Failure, Scheduler};

use crate::keyed::{Partitions, Terminal};
use crate::phase::{Input, Phase};
use crate::units::{Units, hand_out};
use crate::workers::{WorkerContext, Workers};

/// Runs `phase` and gives what each worker folded.
///
/// # Errors
/// The first failure of any worker.
pub(crate) fn run<'a>(
    phase: &Phase<'a>,
    scheduler: Scheduler,
    workers: &Workers<'_>,
) -> Result<Vec<Terminal<'a>>, Failure> {
    let work = |context: WorkerContext<'_>, units: Units<'_>| Worker::new(phase, context)?.work(units);
    hand_out(scheduler, workers, phase.input.units(), work)
}

struct Worker<'p, 'a> {
    phase: &'p Phase<'a>,
    context: WorkerContext<'p>,
    terminal: Terminal<'a>,
    // Each call gets the same two buffers: they keep their memory.
    batch: Buffer,
    output: Buffer,
}

impl<'p, 'a> Worker<'p, 'a> {
    fn new(phase: &'p Phase<'a>, context: WorkerContext<'p>) -> Result<Self, WorkloadError> {
        let (batch, output) = (phase.workload.buffer(), phase.workload.buffer());
        Ok(Self { phase, context, terminal: phase.terminal()?, batch, output })
    }

    fn work(mut self, units: Units<'_>) -> Result<Terminal<'a>, WorkloadError> {
        for unit in units {
            if self.context.stop.is_stopped() {
                break;
            }
            match &self.phase.input {
                Input::Slices(slices) => self.slice(slices.slice(unit))?,
                Input::Partitions(partitions) => self.partition(partitions, unit)?,
            }
        }
        Ok(self.terminal)
    }

    fn slice(&mut self, (first, count): (u64, u64)) -> Result<(), WorkloadError> {
        self.phase.workload.source(first, count, self.phase.end, &mut self.batch)?;
        self.context.tally.add(count);
        self.terminal.fold(&self.batch)
    }

    fn partition(&mut self, partitions: &Partitions, number: u64) -> Result<(), WorkloadError> {
        let mut state = partitions.merged(number)?;
        let Phase { workload, from, end, batch_size, .. } = *self.phase;
        while !self.context.stop.is_stopped() {
            state.emit(batch_size, &mut self.batch)?;
            if self.batch.item_count() == 0 {
                break;
            }
            if from == end {
                self.terminal.fold(&self.batch)?;
            } else {
                workload.run_stages(from, end, &self.batch, &mut self.output)?;
                self.terminal.fold(&self.output)?;
            }
        }
        Ok(())
    }
}
