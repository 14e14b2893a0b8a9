//! Hands work out strictly in order, to each worker in turn, into short queues.
//!
//! This has no thread of its own, since waking one would cost more than most tasks: a worker that comes for a task first
//! fills all queues in order. A full queue holds up everything that comes after, also for workers that are idle.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many tasks wait for a worker in its queue.
pub(crate) const QUEUE_DEPTH: usize = 2;

/// Where the tasks come from.
pub(crate) trait Supply {
    /// What is handed out.
    type Task;

    /// Takes the next task, if there is one now.
    fn take(&mut self) -> Option<Self::Task>;

    /// Whether there will never be another task.
    fn is_finished(&self) -> bool;
}

impl Supply for Range<u64> {
    type Task = u64;

    fn take(&mut self) -> Option<u64> {
        self.next()
    }

    fn is_finished(&self) -> bool {
        self.is_empty()
    }
}

/// A supply, and a queue for each worker.
pub(crate) struct OrderedHandOut<S: Supply> {
    inner: Mutex<Inner<S>>,
    /// One for each worker: its queue has a task, or there will be no more.
    changed: Vec<Condvar>,
}

struct Inner<S: Supply> {
    supply: S,
    queues: Vec<VecDeque<S::Task>>,
    /// Which workers wait: to notify one that does not would cost a system call.
    waiting: Vec<bool>,
    /// The worker that gets the next task.
    next_worker: usize,
    closed: bool,
}

impl<S: Supply> OrderedHandOut<S> {
    pub(crate) fn new(workers: usize, supply: S) -> Self {
        let queues = (0..workers).map(|_| VecDeque::with_capacity(QUEUE_DEPTH)).collect();
        let changed = (0..workers).map(|_| Condvar::new()).collect();
        let inner = Inner { supply, queues, waiting: vec![false; workers], next_worker: 0, closed: false };
        Self { inner: Mutex::new(inner), changed }
    }

    /// One for each worker.
    pub(crate) fn receivers(&self) -> Vec<OrderedReceiver<'_, S>> {
        (0..self.changed.len()).map(|worker| OrderedReceiver { hand_out: self, worker }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out tasks in order until there are no more, or the next queue is full.
    fn fill(&self, inner: &mut Inner<S>) {
        let workers = self.changed.len();
        while inner.queues[inner.next_worker].len() < QUEUE_DEPTH
            && let Some(task) = inner.supply.take()
        {
            inner.queues[inner.next_worker].push_back(task);
            if inner.waiting[inner.next_worker] {
                self.changed[inner.next_worker].notify_one();
            }
            inner.next_worker = (inner.next_worker + 1) % workers;
        }
    }
}

/// One worker's end. A worker ends when all is done or when all must stop, so dropping it ends the hand-out.
pub(crate) struct OrderedReceiver<'a, S: Supply> {
    hand_out: &'a OrderedHandOut<S>,
    worker: usize,
}

impl<S: Supply> OrderedReceiver<'_, S> {
    /// Calls `update` on the supply, then waits for this worker's next task. There is none when the worker is to end.
    pub(crate) fn next(&mut self, update: impl FnOnce(&mut S)) -> Option<S::Task> {
        let mut inner = self.hand_out.lock();
        update(&mut inner.supply);
        loop {
            self.hand_out.fill(&mut inner);
            if let Some(task) = inner.queues[self.worker].pop_front() {
                self.hand_out.fill(&mut inner);
                return Some(task);
            }
            if inner.closed || inner.supply.is_finished() {
                return None;
            }
            let changed = &self.hand_out.changed[self.worker];
            inner.waiting[self.worker] = true;
            inner = changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.waiting[self.worker] = false;
        }
    }
}

impl<S: Supply> Drop for OrderedReceiver<'_, S> {
    fn drop(&mut self) {
        self.hand_out.lock().closed = true;
        self.hand_out.changed.iter().for_each(Condvar::notify_all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_takes_nothing_holds_up_the_others() {
        let hand_out = OrderedHandOut::new(2, 0..100);
        let [mut busy, mut idle] =
            <[_; 2]>::try_from(hand_out.receivers()).unwrap_or_else(|_| panic!("not two"));
        assert_eq!(busy.next(|_| {}), Some(0));
        let taken: Vec<_> = (0..3).filter_map(|_| idle.next(|_| {})).collect();
        assert_eq!(taken, [1, 3, 5]);
        // The queue of the busy one is full, so number 6 waits, and number 7 after it, though the idle one could take it.
        let inner = hand_out.lock();
        assert!(inner.queues[1].is_empty() && inner.supply == (6..100));
    }

    #[test]
    fn a_worker_that_ends_early_leaves_the_others_what_was_handed_to_them() {
        let hand_out = OrderedHandOut::new(2, 0..4);
        let [mut one, mut two] =
            <[_; 2]>::try_from(hand_out.receivers()).unwrap_or_else(|_| panic!("not two"));
        assert_eq!([one.next(|_| {}), one.next(|_| {}), one.next(|_| {})], [Some(0), Some(2), None]);
        drop(one);
        assert_eq!([two.next(|_| {}), two.next(|_| {}), two.next(|_| {})], [Some(1), Some(3), None]);
    }
}
