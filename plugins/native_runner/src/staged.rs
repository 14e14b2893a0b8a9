//! A phase in which each stage of each batch is a task of its own, as `fusion=off` asks.

mod lane;
mod pool;

use plugin_api::{Buffer, WorkloadError};

use crate::backlog::{Backlog, Made, Order, Task};
use crate::crew::{Crew, Post};
use crate::halt::Failure;
use crate::keyed::Terminal;
use crate::phase::{Input, Phase};
use crate::schedule::Scheduler;
use crate::turns::Turns;
use lane::Lane;

/// How many batches may be alive for each worker.
const BATCHES_A_WORKER: usize = 4;
/// How many buffers a worker keeps: one to write to, and one that it has just read.
const SPARE_BUFFERS: usize = 2;

/// Runs `phase` and gives what each worker folded.
///
/// # Errors
/// The first failure of any worker.
pub(crate) fn run<'a>(
    phase: &Phase<'a>,
    scheduler: Scheduler,
    crew: &Crew<'_>,
) -> Result<Vec<Terminal<'a>>, Failure> {
    let threads = crew.threads();
    let backlog = |order| Backlog::new(phase.input.units(), order, threads * BATCHES_A_WORKER);
    match scheduler {
        Scheduler::Pull => {
            let pool = pool::Pool::new(backlog(Order::Newest));
            let lanes = (0..threads).map(|_| pool.lane()).collect();
            crew.run(lanes, |post, lane| work(phase, post, lane))
        }
        Scheduler::RoundRobin => {
            let turns = Turns::new(threads, backlog(Order::Oldest));
            crew.run(turns.lanes(), |post, lane| work(phase, post, lane))
        }
    }
}

fn work<'a>(phase: &Phase<'a>, post: Post<'_>, mut lane: impl Lane) -> Result<Terminal<'a>, WorkloadError> {
    let mut worker = Worker { phase, post, terminal: phase.terminal()?, spare: Vec::new() };
    let mut made = None;
    while let Some(task) = lane.next(made).filter(|_| !post.halt.is_stopped()) {
        made = Some(worker.run(task)?);
    }
    Ok(worker.terminal)
}

struct Worker<'p, 'a> {
    phase: &'p Phase<'a>,
    post: Post<'p>,
    terminal: Terminal<'a>,
    /// Buffers of batches that are done with, which keep their memory.
    spare: Vec<Buffer>,
}

impl Worker<'_, '_> {
    fn run(&mut self, task: Task) -> Result<Made, WorkloadError> {
        match (task, &self.phase.input) {
            (Task::Open(unit), Input::Slices(slices)) => self.slice(slices.slice(unit)),
            (Task::Open(unit), Input::Partitions(partitions)) => {
                Ok(Made { partition: Some(partitions.merged(unit)?), batch: None })
            }
            (Task::Emit(mut state), _) => {
                let mut batch = self.buffer();
                state.emit(self.phase.batch_size, &mut batch)?;
                let batch = self.unless_empty(self.phase.from, batch);
                // An empty batch is the end of the partition.
                Ok(Made { partition: batch.is_some().then_some(state), batch })
            }
            (Task::Stage(stage, batch), _) => self.stage(stage, batch),
        }
    }

    fn slice(&mut self, (first, count): (u64, u64)) -> Result<Made, WorkloadError> {
        let mut batch = self.buffer();
        self.phase.workload.source(first, count, self.phase.from, &mut batch)?;
        self.post.tally.add(count);
        Ok(Made { batch: self.unless_empty(self.phase.from, batch), partition: None })
    }

    fn stage(&mut self, stage: usize, batch: Buffer) -> Result<Made, WorkloadError> {
        if stage == self.phase.end {
            self.terminal.fold(&batch)?;
            self.keep(batch);
            return Ok(Made::default());
        }
        let mut output = self.buffer();
        self.phase.workload.run_stages(stage, stage + 1, &batch, &mut output)?;
        self.keep(batch);
        Ok(Made { batch: self.unless_empty(stage + 1, output), partition: None })
    }

    /// A batch on its way to `stage`; none when a filter left nothing of it.
    fn unless_empty(&mut self, stage: usize, batch: Buffer) -> Option<(usize, Buffer)> {
        if batch.item_count() == 0 {
            self.keep(batch);
            return None;
        }
        Some((stage, batch))
    }

    fn buffer(&mut self) -> Buffer {
        self.spare.pop().unwrap_or_else(|| self.phase.workload.buffer())
    }

    fn keep(&mut self, buffer: Buffer) {
        if self.spare.len() < SPARE_BUFFERS {
            self.spare.push(buffer);
        }
    }
}
