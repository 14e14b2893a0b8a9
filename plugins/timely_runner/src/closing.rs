//! Closing what has ended while the input goes on, by timely's own frontier.
//!
//! The timestamp of a batch is the epoch of its slice. A reduction that sees an epoch in its frontier has folded all that was made of the
//! slices before that epoch, on whichever worker: no batch of these is on its way to any worker. So the watermark of the first item
//! of the epoch says up to when the state of its partition may be closed. What ended goes on under an earlier timestamp, and only then
//! does the reduction give up its right to send earlier ones. So the frontier of the next reduction says the same of what all
//! workers have closed. What is left when the input has ended goes on in the same way: no later reduction closes by what others have
//! closed, while it may still get what one worker has not.

use plugin_api::State;
use thread_engine::Slices;
use timely::progress::frontier::AntichainRef;

use crate::flow_control::batches_per_epoch;
use crate::job::WorkerContext;
use crate::producer::{Output, Producer};

/// A short run has about so many epochs.
const EPOCHS: u64 = 16;

/// The epochs of the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epochs {
    slices: Slices,
    /// How many slices an epoch has.
    each: u64,
}

impl Epochs {
    pub(crate) fn new(slices: Slices, workers: usize) -> Self {
        let each = batches_per_epoch(workers, slices.size).min(slices.count() / EPOCHS).max(workers as u64);
        Self { slices, each }
    }

    /// How many slices one has.
    pub(crate) fn slices_each(self) -> u64 {
        self.each
    }

    /// The first item of an epoch; that after the last one where there are no more.
    fn first_item(self, epoch: u64) -> u64 {
        epoch.saturating_mul(self.each).saturating_mul(self.slices.size).min(self.slices.total)
    }
}

/// The closing of a reduction's partition on one worker, which is its owner.
pub(crate) struct Closing {
    context: WorkerContext,
    epochs: Epochs,
    /// What was made before this epoch is closed.
    closed_before: u64,
}

impl Closing {
    /// None, if reductions are to emit at the end of the input only.
    pub(crate) fn of(context: &WorkerContext) -> Option<Self> {
        let epochs = context.job.epochs?;
        Some(Self { context: context.clone(), epochs, closed_before: 0 })
    }

    /// Sends what has ended by `frontier`. Call it when all that has come is folded into `state`.
    pub(crate) fn run(
        &mut self,
        frontier: AntichainRef<'_, u64>,
        state: &mut State,
        producer: &mut Producer,
        output: &mut Output<'_>,
    ) {
        let Some(epoch) = frontier.iter().min().copied().filter(|epoch| *epoch > self.closed_before) else {
            return;
        };
        self.closed_before = epoch;
        let job = &self.context.job;
        let time = job.workload.watermark(self.epochs.first_item(epoch));
        let Some(time) = self.context.accept(time) else { return };
        producer.run_at_once(output, |batch| {
            state.close(time, job.slices.size, batch)?;
            Ok(batch.item_count() > 0)
        });
        producer.move_on(epoch);
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
                let epoch = number / epochs.slices_each();
                prop_assert!(epochs.first_item(epoch) <= first);
                prop_assert!(first + count <= epochs.first_item(epoch + 1));
            }
            prop_assert_eq!(epochs.first_item(u64::MAX), total);
        }
    }
}
