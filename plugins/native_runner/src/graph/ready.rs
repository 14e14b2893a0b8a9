//! The tasks that have all their inputs and that no worker has begun.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thread_engine::Stop;

use super::row::Task;

/// A worker without a task looks so often for one before it lets other threads run, as the next may be ready within a microsecond.
const SPINS: u32 = 2_000;
/// And lets other threads run so often before it sleeps.
const YIELDS: u32 = 200;
const YIELDS_END: u32 = SPINS + YIELDS;
/// A worker that sleeps looks at least so often whether the run was stopped.
const NAP: Duration = Duration::from_millis(5);

#[derive(Default)]
pub(super) struct ReadyTasks {
    queue: Mutex<VecDeque<Task>>,
    /// How many tasks are in the queue. A worker that waits reads this, and not the lock.
    length: AtomicUsize,
    added: Condvar,
    /// Whether all tasks of the graph have run.
    finished: AtomicBool,
}

impl ReadyTasks {
    /// Adds tasks, behind those that are there: the rows of these are older.
    pub(super) fn add(&self, tasks: impl ExactSizeIterator<Item = Task>) {
        let count = tasks.len();
        if count == 0 {
            return;
        }
        let mut queue = self.queue();
        queue.extend(tasks);
        self.length.store(queue.len(), Ordering::Release);
        drop(queue);
        if count == 1 { self.added.notify_one() } else { self.added.notify_all() }
    }

    /// Tells the workers that there are no more tasks.
    pub(super) fn finish(&self) {
        let _queue = self.queue();
        self.finished.store(true, Ordering::Release);
        self.added.notify_all();
    }

    /// The next task, for which it waits; `None` if the graph is finished or the run was stopped.
    pub(super) fn take(&self, stop: &Stop) -> Option<Task> {
        let mut round = 0;
        while !stop.is_stopped() {
            if self.length.load(Ordering::Acquire) > 0
                && let Some(task) = self.pop(&mut self.queue())
            {
                return Some(task);
            }
            if self.finished.load(Ordering::Acquire) {
                return None;
            }
            round += 1;
            match round {
                ..SPINS => std::hint::spin_loop(),
                SPINS..YIELDS_END => std::thread::yield_now(),
                _ => self.sleep(),
            }
        }
        None
    }

    fn pop(&self, queue: &mut VecDeque<Task>) -> Option<Task> {
        let task = queue.pop_front();
        self.length.store(queue.len(), Ordering::Release);
        task
    }

    fn sleep(&self) {
        let queue = self.queue();
        if queue.is_empty() && !self.finished.load(Ordering::Acquire) {
            // The guard that comes back is not needed: the caller looks again.
            let _ = self.added.wait_timeout(queue, NAP);
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Task>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
