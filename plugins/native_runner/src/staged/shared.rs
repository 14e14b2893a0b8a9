//! One queue of tasks for all workers: the worker that is idle takes the next.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::receiver::TaskReceiver;
use crate::ordered::Supply;
use crate::queue::{Task, TaskOutput, TaskQueue};

/// The queue. A worker locks it once a task, and waits only when there is no task that it could do.
pub(super) struct SharedQueue {
    inner: Mutex<Inner>,
    /// There is a task for a worker that waits, or the queue was closed.
    changed: Condvar,
}

struct Inner {
    queue: TaskQueue,
    waiting: usize,
    closed: bool,
}

impl SharedQueue {
    pub(super) fn new(queue: TaskQueue) -> Self {
        let inner = Inner { queue, waiting: 0, closed: false };
        Self { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    pub(super) fn receiver(&self) -> SharedReceiver<'_> {
        SharedReceiver(self)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct SharedReceiver<'a>(&'a SharedQueue);

impl TaskReceiver for SharedReceiver<'_> {
    fn next(&mut self, output: Option<TaskOutput>) -> Option<Task> {
        let mut inner = self.0.lock();
        if let Some(output) = output {
            inner.queue.add(output);
        }
        while !inner.closed {
            if let Some(task) = inner.queue.take() {
                if inner.waiting > 0 && inner.queue.has_task() {
                    self.0.changed.notify_one();
                }
                return Some(task);
            }
            if inner.queue.is_finished() {
                break;
            }
            inner.waiting += 1;
            inner = self.0.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.waiting -= 1;
        }
        None
    }
}

impl Drop for SharedReceiver<'_> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}
