//! How tasks reach a worker of a staged phase.

use crate::ordered::OrderedReceiver;
use crate::queue::{Task, TaskOutput, TaskQueue};

/// One worker's end of the queue of tasks.
///
/// A worker ends when all is done or when all must stop, so dropping a receiver ends the phase for every worker.
pub(super) trait TaskReceiver: Send {
    /// Gives the output of the last task back, if there was a task, and waits for the next task. There is none when
    /// the worker is to end.
    fn next(&mut self, output: Option<TaskOutput>) -> Option<Task>;
}

impl TaskReceiver for OrderedReceiver<'_, TaskQueue> {
    fn next(&mut self, output: Option<TaskOutput>) -> Option<Task> {
        OrderedReceiver::next(self, |queue| output.into_iter().for_each(|output| queue.add(output)))
    }
}
