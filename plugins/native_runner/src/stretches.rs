//! Stretches of the source: so many slices that follow each other, which a worker takes at once; and which of them are done.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thread_engine::Slices;

/// About so many items have a stretch: what is folded and merged of each costs little then, and closes late by little.
const ITEMS: u64 = 4096;
/// Each worker has at least so many stretches, if there are so many slices.
const EACH: u64 = 16;
/// So many stretches for each worker may be begun before the first of them is done. Those that are done wait in the states for it.
const AHEAD: u64 = 4;
/// How often a worker that waits looks whether it is to stop.
const POLL: Duration = Duration::from_millis(10);

/// Which stretches are done.
pub(crate) struct Stretches {
    /// How many slices there are, and how many a stretch has.
    slices: u64,
    each: u64,
    ahead: u64,
    done: Mutex<Done>,
    moved: Condvar,
}

#[derive(Default)]
struct Done {
    /// The first that is not done.
    low: u64,
    /// Those after it that are.
    later: BTreeSet<u64>,
}

impl Stretches {
    pub(crate) fn new(slices: Slices, workers: u64) -> Self {
        Self::of(slices, workers, (ITEMS / slices.size.max(1)).min(slices.count() / workers.max(1) / EACH))
    }

    /// Each has one slice: of an open loop, where what has ended must not wait for items that are not due.
    pub(crate) fn of_one_slice(slices: Slices, workers: u64) -> Self {
        Self::of(slices, workers, 1)
    }

    fn of(slices: Slices, workers: u64, each: u64) -> Self {
        let (each, done, moved) = (each.max(1), Mutex::default(), Condvar::new());
        Self { slices: slices.count(), each, ahead: AHEAD * workers.max(1), done, moved }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.slices.div_ceil(self.each)
    }

    /// The numbers of the slices of a stretch.
    pub(crate) fn slices(&self, number: u64) -> Range<u64> {
        number * self.each..((number + 1) * self.each).min(self.slices)
    }

    /// The first slice that is in a stretch that is not done.
    pub(crate) fn low(&self) -> u64 {
        self.lock().low * self.each
    }

    /// Whether so many stretches are done after the one with the slice `closed` that what has ended of them must not wait.
    pub(crate) fn is_far_beyond(&self, closed: u64) -> bool {
        self.low().saturating_sub(closed) > self.ahead / 2 * self.each
    }

    /// Waits until this stretch is not too far ahead of those that are not done. `false` if it is not to begin, as all is to stop.
    pub(crate) fn begin(&self, number: u64, is_stopped: impl Fn() -> bool) -> bool {
        let mut done = self.lock();
        while !is_stopped() {
            // Who has the first one never waits.
            if number < done.low + self.ahead {
                return true;
            }
            done = self.moved.wait_timeout(done, POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// All that was made of a stretch is in the states of the owners.
    pub(crate) fn finish(&self, number: u64) {
        let mut done = self.lock();
        let Done { low, later } = &mut *done;
        later.insert(number);
        while later.remove(low) {
            *low += 1;
        }
        self.moved.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most items of stretches that may be begun or done when the first of them is not done, with so many workers, whatever a slice has.
#[cfg(test)]
pub(crate) fn most_items_ahead(workers: u64, _slice: u64) -> u64 {
    // Those of what nobody has closed, and then those ahead of the first that is not done.
    2 * AHEAD * workers * ITEMS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stretches_have_every_slice_once_and_the_low_is_the_first_that_is_not_done(
            total in 0_u64..30_000, size in 1_u64..6000, workers in 1_u64..5, picks in prop::collection::vec(0_usize..100, 0..60)
        ) {
            let slices = Slices { total, size };
            let stretches = Stretches::new(slices, workers);
            let numbers = 0..stretches.count();
            let all: Vec<_> = numbers.clone().flat_map(|number| stretches.slices(number)).collect();
            prop_assert_eq!(all, (0..slices.count()).collect::<Vec<_>>());
            let mut left: Vec<_> = numbers.collect();
            for pick in picks {
                if left.is_empty() { break }
                stretches.finish(left.remove(pick % left.len()));
                let low = left.first().map_or(slices.count(), |first| stretches.slices(*first).start);
                prop_assert_eq!(stretches.low().min(slices.count()), low);
            }
        }
    }

    #[test]
    fn none_begins_far_ahead_of_one_that_is_not_done_and_all_end_when_told() {
        let stretches = Stretches::new(Slices { total: 1_000_000, size: 1 }, 1);
        assert!(stretches.begin(AHEAD - 1, || false));
        let stops = std::cell::Cell::new(0);
        // It waits, and asks again and again.
        assert!(!stretches.begin(AHEAD, || stops.replace(stops.get() + 1) > 2));
        stretches.finish(0);
        assert!(stretches.begin(AHEAD, || false));
        assert!(!stretches.begin(1, || true));
    }
}
