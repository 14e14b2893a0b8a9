//! The tasks of a staged phase: which comes next, and when there are no more.

use std::collections::VecDeque;
use std::ops::Range;

use plugin_api::{Buffer, State};

use crate::ordered::Supply;

/// One task: the smallest piece of work that is scheduled.
pub(crate) enum Task {
    /// Make the batch of a slice, or merge a partition.
    Open(u64),
    /// Emit the next batch of a partition.
    Emit(State),
    /// Take a batch through one stage.
    Stage(usize, Buffer),
}

/// What a task made.
#[derive(Default)]
pub(crate) struct TaskOutput {
    /// A batch and the stage that it is to go through next.
    pub(crate) batch: Option<(usize, Buffer)>,
    /// A partition that may have more to emit.
    pub(crate) partition: Option<State>,
}

/// Which of the batches that are ready comes first.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    /// The newest: its bytes are still in a cache.
    Newest,
    /// The one that has waited longest.
    Oldest,
}

/// The tasks of a phase that no worker has begun.
///
/// Batches come before the tasks that make more of them, and no more than `bound` are alive at once. So memory is
/// bounded however long the input is.
pub(crate) struct TaskQueue {
    order: Order,
    bound: usize,
    ready: VecDeque<(usize, Buffer)>,
    partitions: VecDeque<State>,
    units: Range<u64>,
    /// Batches that are ready, and tasks that were taken and are not done.
    in_flight: usize,
}

impl TaskQueue {
    /// All `units` of the input, none of which has begun.
    pub(crate) fn new(units: u64, order: Order, bound: usize) -> Self {
        let (ready, partitions) = (VecDeque::new(), VecDeque::new());
        Self { order, bound, ready, partitions, units: 0..units, in_flight: 0 }
    }

    /// Takes what a task made that was taken before, and is done now.
    pub(crate) fn add(&mut self, output: TaskOutput) {
        self.partitions.extend(output.partition);
        match output.batch {
            // It takes the place of the task that made it.
            Some(batch) => self.ready.push_back(batch),
            None => self.in_flight -= 1,
        }
    }

    /// Whether [`Supply::take`] has a task.
    pub(crate) fn has_task(&self) -> bool {
        let input_is_left = !self.partitions.is_empty() || !self.units.is_empty();
        !self.ready.is_empty() || (input_is_left && self.in_flight < self.bound)
    }
}

impl Supply for TaskQueue {
    type Task = Task;

    /// Takes the next task, if there is one that need not wait for tasks that were taken before.
    fn take(&mut self) -> Option<Task> {
        let batch = match self.order {
            Order::Newest => self.ready.pop_back(),
            Order::Oldest => self.ready.pop_front(),
        };
        if let Some((stage, batch)) = batch {
            return Some(Task::Stage(stage, batch));
        }
        if self.in_flight >= self.bound {
            return None;
        }
        let partition = self.partitions.pop_front().map(Task::Emit);
        let task = partition.or_else(|| self.units.next().map(Task::Open))?;
        self.in_flight += 1;
        Some(task)
    }

    /// Whether no task is left, and none is under way that could make more.
    fn is_finished(&self) -> bool {
        self.in_flight == 0 && !self.has_task()
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::WorkloadHandle;
    use proptest::prelude::*;

    use super::*;
    use crate::tests::support::{open, spec};

    /// Takes and finishes tasks in any order, as workers do; a unit becomes a batch that goes through `stages` tasks.
    fn simulate(
        queue: &mut TaskQueue,
        workload: &WorkloadHandle,
        stages: usize,
        mut pick: impl FnMut(usize) -> usize,
    ) -> (Vec<u64>, usize) {
        let (mut taken, mut opened, mut peak) = (Vec::new(), Vec::new(), 0);
        while !queue.is_finished() {
            while taken.is_empty() || pick(2) == 0 {
                let has_task = queue.has_task();
                let task = queue.take();
                assert_eq!(task.is_some(), has_task);
                let Some(task) = task else { break };
                taken.push(task);
            }
            peak = peak.max(taken.len() + queue.ready.len());
            let done = taken.swap_remove(pick(taken.len()));
            let batch = match done {
                Task::Open(unit) => {
                    opened.push(unit);
                    Some((1, workload.buffer()))
                }
                Task::Stage(stage, batch) => (stage < stages).then_some((stage + 1, batch)),
                Task::Emit(_) => unreachable!("no partition was made"),
            };
            queue.add(TaskOutput { batch, partition: None });
        }
        (opened, peak)
    }

    proptest! {
        #[test]
        fn every_unit_is_opened_once_and_batches_stay_within_the_bound(
            units in 0_u64..60, bound in 1_usize..9, stages in 1_usize..4, oldest: bool, picks: Vec<usize>
        ) {
            let order = if oldest { Order::Oldest } else { Order::Newest };
            let mut queue = TaskQueue::new(units, order, bound);
            let mut picks = picks.into_iter().chain(std::iter::repeat(0));
            let workload = open(&spec("chain"));
            let (mut opened, peak) =
                simulate(&mut queue, &workload, stages, |count| picks.next().unwrap_or(0) % count);
            opened.sort_unstable();
            prop_assert_eq!(opened, (0..units).collect::<Vec<_>>());
            prop_assert!(peak <= bound, "{} of {}", peak, bound);
        }
    }

    #[test]
    fn a_batch_comes_before_new_input_in_the_order_that_was_asked_for() {
        let workload = open(&spec("chain"));
        for (order, first) in [(Order::Newest, 2), (Order::Oldest, 1)] {
            let mut queue = TaskQueue::new(3, order, 9);
            assert!(matches!(queue.take(), Some(Task::Open(0))));
            assert!(matches!(queue.take(), Some(Task::Open(1))));
            for stage in [1, 2] {
                queue.add(TaskOutput { batch: Some((stage, workload.buffer())), partition: None });
            }
            assert!(matches!(queue.take(), Some(Task::Stage(stage, _)) if stage == first));
            assert!(matches!(queue.take(), Some(Task::Stage(stage, _)) if stage == 3 - first));
            assert!(matches!(queue.take(), Some(Task::Open(2))));
            assert!(!queue.is_finished());
        }
    }
}
