//! How the units of a fused phase reach its workers.

use std::ops::Range;

use thread_engine::Counter;

use crate::ordered::OrderedReceiver;

/// The numbers of the units that one worker is to do.
pub(crate) enum Units<'a> {
    /// One counter for all workers: the worker that is idle takes the next number below `end`.
    Shared { counter: &'a Counter, end: u64 },
    /// Each worker in turn is handed the next number.
    Ordered(OrderedReceiver<'a, Range<u64>>),
}

impl Iterator for Units<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        match self {
            Self::Shared { counter, end } => counter.next_below(*end),
            Self::Ordered(receiver) => receiver.next(|_| {}),
        }
    }
}
