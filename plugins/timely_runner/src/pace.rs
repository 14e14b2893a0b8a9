//! Flow control: how far what makes batches may run ahead of what folds them on another worker.
//!
//! Timely's channels between workers have no bound. So the batches that lead to an exchange are numbered over all
//! workers, and so many numbers in a row are an *epoch*, which is the timestamp of its batches. The reduction behind the
//! exchange sees in its frontier, as a probe would, which epochs have been folded everywhere; what makes the batches
//! stays within a window beyond that.
//!
//! Nobody waits for good: a worker moves its capability to the epoch of the batch that it is to make before it looks
//! at the window, so whoever has the earliest is within it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use timely::progress::frontier::AntichainRef;
use timely::scheduling::Activator;

/// How many epochs may be under way beyond the earliest.
const WINDOW: u64 = 4;
/// About how many items an epoch has for each worker. Many of them share the cost of telling all workers that it is
/// over.
const ITEMS_AN_EPOCH: u64 = 4096;

/// The pace of one worker from one maker of batches to the reduction that follows.
pub(crate) struct Pace {
    /// How many batches an epoch has; none when nothing is exchanged, and so nothing has to be bounded.
    batches: Option<u64>,
    /// The earliest epoch of which a batch may still come.
    earliest: Cell<u64>,
    /// What wakes the maker when it waits.
    waiting: RefCell<Option<Activator>>,
}

impl Pace {
    /// Without a bound: for what a worker keeps to itself. An operator there takes all that has come whenever it
    /// runs, so no more waits than one visit of the maker leaves.
    pub(crate) fn free() -> Rc<Self> {
        Self::of(None)
    }

    /// For `workers` that exchange batches of up to `batch_size` items.
    pub(crate) fn bounded(workers: usize, batch_size: u64) -> Rc<Self> {
        Self::of(Some(workers as u64 * ITEMS_AN_EPOCH.div_ceil(batch_size)))
    }

    fn of(batches: Option<u64>) -> Rc<Self> {
        Rc::new(Self { batches, earliest: Cell::new(0), waiting: RefCell::default() })
    }

    /// The timestamp of a batch.
    pub(crate) fn epoch(&self, number: u64) -> u64 {
        self.batches.map_or(0, |batches| number / batches)
    }

    /// Whether a batch of `epoch` may be made now. If not, `maker` will be woken to ask again.
    pub(crate) fn admits(&self, epoch: u64, maker: &Activator) -> bool {
        let admitted = epoch <= self.earliest.get() + WINDOW;
        if !admitted {
            self.waiting.replace(Some(maker.clone()));
        }
        admitted
    }

    /// Takes note of the frontier at the reduction.
    pub(crate) fn advance(&self, frontier: AntichainRef<'_, u64>) {
        let earliest = frontier.iter().min().copied();
        if let Some(earliest) = earliest.filter(|earliest| *earliest > self.earliest.get()) {
            self.earliest.set(earliest);
            self.waiting.take().iter().for_each(Activator::activate);
        }
    }
}

#[cfg(test)]
mod tests {
    use timely::scheduling::Activations;

    use super::*;

    /// A maker's activator, and where it shows that it was woken.
    fn maker() -> (Activator, Rc<RefCell<Activations>>) {
        let activations = Rc::new(RefCell::new(Activations::new(None)));
        (Activator::new([1].into(), Rc::clone(&activations)), activations)
    }

    fn wakings(activations: &RefCell<Activations>) -> usize {
        let mut wakings = 0;
        activations.borrow_mut().advance();
        activations.borrow().for_extensions(&[], |_| wakings += 1);
        wakings
    }

    #[test]
    fn a_maker_beyond_the_window_waits_until_the_frontier_moves() {
        let (pace, (maker, activations)) = (Pace::bounded(2, 1), maker());
        assert!(pace.admits(WINDOW, &maker));
        assert!(!pace.admits(WINDOW + 1, &maker));
        pace.advance(AntichainRef::new(&[0]));
        assert_eq!(wakings(&activations), 0, "nothing has moved");
        pace.advance(AntichainRef::new(&[1]));
        assert_eq!(wakings(&activations), 1);
        assert!(pace.admits(WINDOW + 1, &maker));
    }

    #[test]
    fn who_does_not_wait_is_not_woken() {
        let (pace, (maker, activations)) = (Pace::bounded(2, 1), maker());
        assert!(pace.admits(0, &maker));
        pace.advance(AntichainRef::new(&[3]));
        assert_eq!(wakings(&activations), 0);
    }

    #[test]
    fn an_epoch_has_at_least_one_batch_of_each_worker() {
        for (workers, batch_size) in [(1, 1), (3, ITEMS_AN_EPOCH), (3, 10 * ITEMS_AN_EPOCH)] {
            let pace = Pace::bounded(workers, batch_size);
            assert_eq!(pace.epoch(workers as u64 - 1), 0, "{workers} {batch_size}");
        }
        assert_eq!(Pace::bounded(3, u64::MAX).epoch(3), 1);
        assert_eq!(Pace::free().epoch(u64::MAX), 0);
    }
}
