//! A phase in which each stage of each batch is a task of its own, as `fusion=off` asks.

mod receiver;
mod shared;

use plugin_api::{Buffer, WorkloadError};
use thread_engine::{BufferPool, Failure, Scheduler};

use crate::keyed::Terminal;
use crate::ordered::OrderedHandOut;
use crate::phase::{Input, Phase};
use crate::queue::{Order, Task, TaskOutput, TaskQueue};
use crate::workers::{WorkerContext, Workers};
use receiver::TaskReceiver;
use shared::SharedQueue;

/// How many batches may be alive for each worker.
const BATCHES_PER_WORKER: usize = 4;
/// How many free buffers a worker keeps: one to write to, and one that it has just read.
const FREE_BUFFERS: usize = 2;

/// Runs `phase` and gives what each worker folded.
///
/// # Errors
/// The first failure of any worker.
pub(crate) fn run<'a>(
    phase: &Phase<'a>,
    scheduler: Scheduler,
    workers: &Workers<'_>,
) -> Result<Vec<Terminal<'a>>, Failure> {
    let count = workers.count();
    let queue = |order| TaskQueue::new(phase.input.units(), order, count * BATCHES_PER_WORKER);
    match scheduler {
        Scheduler::Pull => {
            let shared = SharedQueue::new(queue(Order::Newest));
            let receivers = (0..count).map(|_| shared.receiver()).collect();
            workers.run(receivers, |context, receiver| work(phase, context, receiver))
        }
        Scheduler::InOrder => {
            let hand_out = OrderedHandOut::new(count, queue(Order::Oldest));
            workers.run(hand_out.receivers(), |context, receiver| work(phase, context, receiver))
        }
    }
}

fn work<'a>(
    phase: &Phase<'a>,
    context: WorkerContext<'_>,
    mut receiver: impl TaskReceiver,
) -> Result<Terminal<'a>, WorkloadError> {
    let buffers = BufferPool::new(FREE_BUFFERS);
    let mut worker = Worker { phase, context, terminal: phase.terminal()?, buffers };
    let mut output = None;
    while let Some(task) = receiver.next(output).filter(|_| !context.stop.is_stopped()) {
        output = Some(worker.run(task)?);
    }
    Ok(worker.terminal)
}

struct Worker<'p, 'a> {
    phase: &'p Phase<'a>,
    context: WorkerContext<'p>,
    terminal: Terminal<'a>,
    buffers: BufferPool,
}

impl Worker<'_, '_> {
    fn run(&mut self, task: Task) -> Result<TaskOutput, WorkloadError> {
        match (task, &self.phase.input) {
            (Task::Open(unit), Input::Slices(slices)) => self.slice(slices.slice(unit)),
            (Task::Open(unit), Input::Partitions(partitions)) => {
                Ok(TaskOutput { partition: Some(partitions.merged(unit)?), batch: None })
            }
            (Task::Emit(mut state), _) => {
                let mut batch = self.buffer();
                state.emit(self.phase.batch_size, &mut batch)?;
                let batch = self.unless_empty(self.phase.from, batch);
                // An empty batch is the end of the partition.
                Ok(TaskOutput { partition: batch.is_some().then_some(state), batch })
            }
            (Task::Stage(stage, batch), _) => self.stage(stage, batch),
        }
    }

    fn slice(&mut self, (first, count): (u64, u64)) -> Result<TaskOutput, WorkloadError> {
        let mut batch = self.buffer();
        self.phase.workload.source(first, count, self.phase.from, &mut batch)?;
        self.context.tally.add(count);
        Ok(TaskOutput { batch: self.unless_empty(self.phase.from, batch), partition: None })
    }

    fn stage(&mut self, stage: usize, batch: Buffer) -> Result<TaskOutput, WorkloadError> {
        if stage == self.phase.end {
            self.terminal.fold(&batch)?;
            self.buffers.put(batch);
            return Ok(TaskOutput::default());
        }
        let mut output = self.buffer();
        self.phase.workload.run_stages(stage, stage + 1, &batch, &mut output)?;
        self.buffers.put(batch);
        Ok(TaskOutput { batch: self.unless_empty(stage + 1, output), partition: None })
    }

    /// A batch and the stage that it is to go through next; nothing if a filter left no item of it.
    fn unless_empty(&mut self, stage: usize, batch: Buffer) -> Option<(usize, Buffer)> {
        if batch.item_count() == 0 {
            self.buffers.put(batch);
            return None;
        }
        Some((stage, batch))
    }

    fn buffer(&mut self) -> Buffer {
        self.buffers.take(self.phase.workload)
    }
}
