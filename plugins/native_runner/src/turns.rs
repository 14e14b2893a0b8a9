//! Handing work out strictly in order, to each worker in turn, into short queues.
//!
//! No thread of its own does this, for waking one would cost more than most pieces of work: whoever comes for a piece
//! first hands out all that there is room for. A full queue holds up everything that comes after, also for workers
//! that are idle.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many pieces of work wait at a worker.
pub(crate) const QUEUE_DEPTH: usize = 2;

/// Where the pieces come from.
pub(crate) trait Supply {
    /// What is handed out.
    type Piece;

    /// Takes the next piece, if there is one now.
    fn take(&mut self) -> Option<Self::Piece>;

    /// Whether there will never be another piece.
    fn is_finished(&self) -> bool;
}

impl Supply for Range<u64> {
    type Piece = u64;

    fn take(&mut self) -> Option<u64> {
        self.next()
    }

    fn is_finished(&self) -> bool {
        self.is_empty()
    }
}

/// A supply, and a queue for each worker.
pub(crate) struct Turns<S: Supply> {
    inner: Mutex<Inner<S>>,
    /// For each worker: it has a piece, or all is over.
    changed: Vec<Condvar>,
}

struct Inner<S: Supply> {
    supply: S,
    queues: Vec<VecDeque<S::Piece>>,
    /// Which workers wait: to notify one that does not would cost a system call.
    waiting: Vec<bool>,
    /// Whose turn it is.
    turn: usize,
    closed: bool,
}

impl<S: Supply> Turns<S> {
    pub(crate) fn new(workers: usize, supply: S) -> Self {
        let queues = (0..workers).map(|_| VecDeque::with_capacity(QUEUE_DEPTH)).collect();
        let changed = (0..workers).map(|_| Condvar::new()).collect();
        let inner = Inner { supply, queues, waiting: vec![false; workers], turn: 0, closed: false };
        Self { inner: Mutex::new(inner), changed }
    }

    /// One end for each worker.
    pub(crate) fn lanes(&self) -> Vec<TurnsLane<'_, S>> {
        (0..self.changed.len()).map(|worker| TurnsLane { turns: self, worker }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out what there is room for.
    fn hand_out(&self, inner: &mut Inner<S>) {
        let workers = self.changed.len();
        while inner.queues[inner.turn].len() < QUEUE_DEPTH
            && let Some(piece) = inner.supply.take()
        {
            inner.queues[inner.turn].push_back(piece);
            if inner.waiting[inner.turn] {
                self.changed[inner.turn].notify_one();
            }
            inner.turn = (inner.turn + 1) % workers;
        }
    }
}

/// One worker's end. A worker leaves when all is done or when all must stop, so dropping it ends the hand-out.
pub(crate) struct TurnsLane<'a, S: Supply> {
    turns: &'a Turns<S>,
    worker: usize,
}

impl<S: Supply> TurnsLane<'_, S> {
    /// Waits for this worker's next piece, after `tell` has told the supply what is new; nothing when there are no
    /// more.
    pub(crate) fn next(&mut self, tell: impl FnOnce(&mut S)) -> Option<S::Piece> {
        let mut inner = self.turns.lock();
        tell(&mut inner.supply);
        loop {
            self.turns.hand_out(&mut inner);
            if let Some(piece) = inner.queues[self.worker].pop_front() {
                self.turns.hand_out(&mut inner);
                return Some(piece);
            }
            if inner.closed || inner.supply.is_finished() {
                return None;
            }
            let changed = &self.turns.changed[self.worker];
            inner.waiting[self.worker] = true;
            inner = changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.waiting[self.worker] = false;
        }
    }
}

impl<S: Supply> Drop for TurnsLane<'_, S> {
    fn drop(&mut self) {
        self.turns.lock().closed = true;
        self.turns.changed.iter().for_each(Condvar::notify_all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_takes_nothing_holds_up_the_others() {
        let turns = Turns::new(2, 0..100);
        let [mut busy, mut idle] = <[_; 2]>::try_from(turns.lanes()).unwrap_or_else(|_| panic!("not two"));
        assert_eq!(busy.next(|_| {}), Some(0));
        let taken: Vec<_> = (0..3).filter_map(|_| idle.next(|_| {})).collect();
        assert_eq!(taken, [1, 3, 5]);
        // Number 6 finds the queue of the busy one full, so number 7 waits although nobody has to do with it.
        let inner = turns.lock();
        assert!(inner.queues[1].is_empty() && inner.supply == (6..100));
    }

    #[test]
    fn who_leaves_early_leaves_the_others_what_was_handed_to_them() {
        let turns = Turns::new(2, 0..4);
        let [mut one, mut two] = <[_; 2]>::try_from(turns.lanes()).unwrap_or_else(|_| panic!("not two"));
        assert_eq!([one.next(|_| {}), one.next(|_| {}), one.next(|_| {})], [Some(0), Some(2), None]);
        drop(one);
        assert_eq!([two.next(|_| {}), two.next(|_| {}), two.next(|_| {})], [Some(1), Some(3), None]);
    }
}
