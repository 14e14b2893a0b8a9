//! A counter from which all workers take numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Gives each number to one worker, in ascending order from 0.
///
/// It has cache lines of its own: every worker writes to it once a batch, which would slow down each read of what
/// stands beside it.
#[derive(Default)]
#[repr(align(128))]
pub struct Counter(AtomicU64);

impl Counter {
    /// The next number, if it is below `end`.
    #[inline]
    pub fn next_below(&self, end: u64) -> Option<u64> {
        // Only the number matters; what it stands for was there before the workers were.
        Some(self.0.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_given_once_and_the_end_holds_for_every_worker() {
        let counter = Counter::default();
        let taken: Vec<_> = (0..5).map(|_| counter.next_below(3)).collect();
        assert_eq!(taken, [Some(0), Some(1), Some(2), None, None]);
    }
}
