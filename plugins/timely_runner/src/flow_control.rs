//! Flow control: it bounds how far the producers of batches run ahead of the reduction that folds them on another worker.
//!
//! Timely's channels between workers have no bound. So the batches that lead to an exchange are numbered over all
//! workers, and a range of numbers is an *epoch*, which is the timestamp of its batches. The reduction behind the
//! exchange sees in its frontier, as a probe would, which epochs have been folded on all workers. Producers stay within
//! a window of epochs beyond that.
//!
//! This cannot deadlock: a worker moves its capability to the epoch of its next batch before it checks the window, so
//! the worker with the earliest epoch is always within the window.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use timely::progress::frontier::AntichainRef;
use timely::scheduling::Activator;

/// How many epochs beyond the earliest may be in flight, where an epoch has a batch of each worker or more.
pub(crate) const WINDOW: u64 = 4;
/// About how many items an epoch has for each worker. All of them share the cost of telling every worker that the epoch
/// has ended.
const ITEMS_PER_EPOCH: u64 = 4096;

/// How many batches an epoch has.
pub(crate) fn batches_per_epoch(workers: usize, batch_size: u64) -> u64 {
    workers as u64 * ITEMS_PER_EPOCH.div_ceil(batch_size)
}

/// On one worker: between one producer of batches and the reduction that follows.
pub(crate) struct FlowControl {
    /// How many batches an epoch has; none if nothing is exchanged, so that nothing has to be bounded.
    batches: Option<u64>,
    /// How many epochs beyond the earliest may be in flight.
    window: u64,
    /// The earliest epoch of which a batch may still come.
    earliest: Cell<u64>,
    /// Wakes the producer, if it waits.
    waiting: RefCell<Option<Activator>>,
}

impl FlowControl {
    /// Without a bound, for batches that stay on their worker. An operator there takes all that has come whenever it
    /// runs, so at most what the producer makes in one time slice waits.
    pub(crate) fn unbounded() -> Rc<Self> {
        Self::of(None, WINDOW)
    }

    /// With a bound, for epochs of so many batches.
    pub(crate) fn bounded(batches: u64) -> Rc<Self> {
        Self::within(batches, WINDOW)
    }

    /// The same, with so many epochs beyond the earliest in flight.
    pub(crate) fn within(batches: u64, window: u64) -> Rc<Self> {
        Self::of(Some(batches), window)
    }

    fn of(batches: Option<u64>, window: u64) -> Rc<Self> {
        Rc::new(Self { batches, window, earliest: Cell::new(0), waiting: RefCell::default() })
    }

    /// The timestamp of a batch.
    pub(crate) fn epoch(&self, number: u64) -> u64 {
        self.batches.map_or(0, |batches| number / batches)
    }

    /// Whether a batch of `epoch` may be made now. If not, `producer` will be activated when it may ask again.
    pub(crate) fn admits(&self, epoch: u64, producer: &Activator) -> bool {
        let admitted = self.batches.is_none() || epoch <= self.earliest.get() + self.window;
        if !admitted {
            self.waiting.replace(Some(producer.clone()));
        }
        admitted
    }

    /// Reads the frontier of the reduction's input.
    pub(crate) fn advance(&self, frontier: AntichainRef<'_, u64>) {
        let earliest = frontier.iter().min().copied();
        if let Some(earliest) = earliest.filter(|earliest| *earliest > self.earliest.get()) {
            self.earliest.set(earliest);
            self.waiting.take().iter().for_each(Activator::activate);
        }
    }
}

/// The most items that so many workers may have made when the first of them is not folded.
#[cfg(test)]
pub(crate) fn most_items_ahead(workers: u64, batch_size: u64) -> u64 {
    // The epochs within the window, and of the next one a batch of each worker.
    (WINDOW + 2) * batches_per_epoch(workers as usize, batch_size) * batch_size
}

#[cfg(test)]
mod tests {
    use timely::scheduling::Activations;

    use super::*;

    /// A producer's activator, and what records that it was activated.
    fn producer() -> (Activator, Rc<RefCell<Activations>>) {
        let activations = Rc::new(RefCell::new(Activations::new(None)));
        (Activator::new([1].into(), Rc::clone(&activations)), activations)
    }

    fn activated(activations: &RefCell<Activations>) -> usize {
        let mut count = 0;
        activations.borrow_mut().advance();
        activations.borrow().for_extensions(&[], |_| count += 1);
        count
    }

    #[test]
    fn a_producer_beyond_the_window_waits_until_the_frontier_moves() {
        let (flow, (producer, activations)) = (FlowControl::bounded(8192), producer());
        assert!(flow.admits(WINDOW, &producer));
        assert!(!flow.admits(WINDOW + 1, &producer));
        flow.advance(AntichainRef::new(&[0]));
        assert_eq!(activated(&activations), 0, "nothing has moved");
        flow.advance(AntichainRef::new(&[1]));
        assert_eq!(activated(&activations), 1);
        assert!(flow.admits(WINDOW + 1, &producer));
    }

    #[test]
    fn a_producer_that_does_not_wait_is_not_activated() {
        let (flow, (producer, activations)) = (FlowControl::bounded(8192), producer());
        assert!(flow.admits(0, &producer));
        flow.advance(AntichainRef::new(&[3]));
        assert_eq!(activated(&activations), 0);
    }

    #[test]
    fn an_epoch_has_at_least_one_batch_of_each_worker() {
        for (workers, batch_size) in [(1, 1), (3, ITEMS_PER_EPOCH), (3, 10 * ITEMS_PER_EPOCH)] {
            let flow = FlowControl::bounded(batches_per_epoch(workers, batch_size));
            assert_eq!(flow.epoch(workers as u64 - 1), 0, "{workers} {batch_size}");
        }
        assert_eq!(FlowControl::bounded(batches_per_epoch(3, u64::MAX)).epoch(3), 1);
        let (flow, (producer, _)) = (FlowControl::unbounded(), producer());
        assert_eq!(flow.epoch(u64::MAX), 0);
        assert!(flow.admits(WINDOW + 1, &producer));
    }
}
