//! One pool of tasks for all workers: whoever is idle takes the next.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::lane::Lane;
use crate::backlog::{Backlog, Made, Task};
use crate::turns::Supply;

/// The pool. A worker visits it once a task, and waits in it only when there is nothing that it could do.
pub(super) struct Pool {
    inner: Mutex<Inner>,
    /// There is a task for someone who waits, or the pool was closed.
    changed: Condvar,
}

struct Inner {
    backlog: Backlog,
    waiting: usize,
    closed: bool,
}

impl Pool {
    pub(super) fn new(backlog: Backlog) -> Self {
        let inner = Inner { backlog, waiting: 0, closed: false };
        Self { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    pub(super) fn lane(&self) -> PoolLane<'_> {
        PoolLane(self)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct PoolLane<'a>(&'a Pool);

impl Lane for PoolLane<'_> {
    fn next(&mut self, made: Option<Made>) -> Option<Task> {
        let mut inner = self.0.lock();
        if let Some(made) = made {
            inner.backlog.add(made);
        }
        while !inner.closed {
            if let Some(task) = inner.backlog.take() {
                if inner.waiting > 0 && inner.backlog.has_task() {
                    self.0.changed.notify_one();
                }
                return Some(task);
            }
            if inner.backlog.is_finished() {
                break;
            }
            inner.waiting += 1;
            inner = self.0.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.waiting -= 1;
        }
        None
    }
}

impl Drop for PoolLane<'_> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}
