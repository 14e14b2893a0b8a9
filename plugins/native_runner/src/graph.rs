//! A task graph: a task runs as soon as its inputs are there, on whichever worker is free. No step waits for another.
//!
//! A row of the graph (`row`) has a counter of open inputs for each task. Who finishes a task counts down those that need its
//! output, and takes on one that has become ready; the others go into the queue (`ready`) for all workers. Rows are made as
//! they are needed (`rows`), a few ahead of the oldest that is not finished, so memory does not grow with the number of steps.

mod ready;
mod row;
mod rows;

use plugin_api::{GraphShape, WorkloadError, WorkloadHandle};
use thread_engine::Failure;
use thread_engine::graph::{Finished, UnneededOutputs};

use crate::workers::{WorkerContext, Workers};
use ready::ReadyTasks;
use row::Task;
use rows::Rows;

/// Runs all tasks, and gives what each worker folded and how many outputs that were.
///
/// # Errors
/// The first failure of any worker.
pub(crate) fn run(
    workload: &WorkloadHandle,
    shape: GraphShape,
    workers: &Workers<'_>,
) -> Result<Vec<Finished>, Failure> {
    let ready = ReadyTasks::default();
    let rows = Rows::new(workload, shape, &ready)?;
    let work = |context: WorkerContext<'_>, ()| Worker::new(workload, shape, context)?.work(&rows, &ready);
    workers.run(vec![(); workers.count()], work)
}

struct Worker<'a> {
    workload: &'a WorkloadHandle,
    output_bytes: usize,
    context: WorkerContext<'a>,
    unneeded: UnneededOutputs,
}

impl<'a> Worker<'a> {
    fn new(
        workload: &'a WorkloadHandle,
        shape: GraphShape,
        context: WorkerContext<'a>,
    ) -> Result<Self, WorkloadError> {
        let output_bytes = shape.output_bytes as usize;
        Ok(Self { workload, output_bytes, context, unneeded: UnneededOutputs::new(workload)? })
    }

    fn work(mut self, rows: &Rows<'_>, ready: &ReadyTasks) -> Result<Finished, WorkloadError> {
        let mut next = None;
        let mut released = Vec::new();
        while let Some(task) = next.take().or_else(|| ready.take(self.context.stop)) {
            if self.context.stop.is_stopped() {
                break;
            }
            self.run(&task, &mut released)?;
            self.context.tally.add(1);
            rows.finish(&task.row, &mut released)?;
            next = released.pop();
            ready.add(released.drain(..));
        }
        self.unneeded.finish()
    }

    /// Runs a task, and adds the tasks that have all their inputs with its output to `released`.
    fn run(&mut self, task: &Task, released: &mut Vec<Task>) -> Result<(), WorkloadError> {
        let mut output = Vec::with_capacity(self.output_bytes);
        task.row.with_inputs(task.place, |point, inputs| {
            self.workload.graph_task(task.row.step(), point, inputs, self.output_bytes, &mut output)
        })?;
        if task.row.is_needed(task.place) {
            task.row.keep(task.place, output, released);
            return Ok(());
        }
        self.unneeded.add(&output)
    }
}
