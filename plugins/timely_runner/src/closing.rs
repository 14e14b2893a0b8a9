//! Closing what has ended while the input goes on, by timely's own frontier.
//!
//! The timestamp of a batch is the epoch of its slice. A reduction that sees an epoch in its frontier has folded all that was made of the
//! slices before that epoch, on whichever worker: no batch of these is on its way to any worker. So the watermark of the first item
//! of the epoch says up to when the state of its partition may be closed. What ended goes on under an earlier timestamp, and only then
//! does the reduction give up its right to send earlier ones. So the frontier of the next reduction says the same of what all
//! workers have closed. What is left when the input has ended goes on in the same way: no later reduction closes by what others have
//! closed, while it may still get what one worker has not.

use plugin_api::State;
use timely::progress::frontier::AntichainRef;

use crate::epochs::Epochs;
use crate::job::WorkerContext;
use crate::producer::{Output, Producer};

/// The closing of a reduction's partition on one worker, which is its owner.
pub(crate) struct Closing {
    context: WorkerContext,
    epochs: Epochs,
    /// What was made before this epoch is closed.
    closed_before: u64,
    /// The time up to which that is.
    closed: u64,
}

impl Closing {
    /// None, if reductions are to emit at the end of the input only.
    pub(crate) fn of(context: &WorkerContext) -> Option<Self> {
        let epochs = context.job.epochs?;
        Some(Self { context: context.clone(), epochs, closed_before: 0, closed: 0 })
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
        // Epochs that follow each other may have one watermark.
        if time > self.closed {
            self.closed = time;
            producer.run_at_once(output, |batch| {
                state.close(time, job.slices.size, batch)?;
                Ok(batch.item_count() > 0)
            });
        }
        producer.move_on(epoch);
    }
}
