//! The epochs of a source whose reductions close what has ended: so many slices that follow each other.

use std::rc::Rc;

use thread_engine::Slices;

use crate::flow_control::{FlowControl, WINDOW, batches_per_epoch};

/// A short run has about so many epochs.
const EPOCHS: u64 = 16;

/// The epochs of the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epochs {
    slices: Slices,
    /// How many slices an epoch has.
    each: u64,
    /// How many epochs beyond the earliest may be in flight.
    ahead: u64,
}

impl Epochs {
    pub(crate) fn new(slices: Slices, workers: usize) -> Self {
        let each = batches_per_epoch(workers, slices.size).min(slices.count() / EPOCHS).max(workers as u64);
        Self { slices, each, ahead: WINDOW }
    }

    /// Each has one slice: of an open loop, where what has ended must not wait for items that are not due. As many slices are in
    /// flight as if an epoch had one of each worker.
    pub(crate) fn of_one_slice(slices: Slices, workers: usize) -> Self {
        Self { slices, each: 1, ahead: WINDOW * workers as u64 }
    }

    /// The flow control of the source.
    pub(crate) fn flow(self) -> Rc<FlowControl> {
        FlowControl::within(self.each, self.ahead)
    }

    /// The first item of an epoch; that after the last one where there are no more.
    pub(crate) fn first_item(self, epoch: u64) -> u64 {
        epoch.saturating_mul(self.each).saturating_mul(self.slices.size).min(self.slices.total)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_item_of_an_earlier_epoch_comes_after_its_first(total in 0_u64..30_000, size in 1_u64..6000, workers in 1_usize..5) {
            let slices = Slices { total, size };
            let epochs = Epochs::new(slices, workers);
            for number in 0..slices.count() {
                let (first, count) = slices.slice(number);
                let epoch = number / epochs.each;
                prop_assert!(epochs.first_item(epoch) <= first);
                prop_assert!(first + count <= epochs.first_item(epoch + 1));
            }
            prop_assert_eq!(epochs.first_item(u64::MAX), total);
        }
    }
}
