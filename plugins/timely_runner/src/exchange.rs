//! The exchange before a keyed reduction: a batch is split by key, and each part goes to the worker that owns it.

use plugin_api::Buffer;
use timely::communication::Push;
use timely::dataflow::channels::Message;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::progress::Stamp;

use crate::container::BatchContainer;
use crate::job::WorkerContext;

/// Splits batches for the reduction `stage`. Partition k belongs to worker k.
pub(crate) struct Split {
    context: WorkerContext,
    stage: usize,
    workers: u32,
}

/// The contract under which batches reach the reduction `stage`.
pub(crate) fn by_key(
    context: &WorkerContext,
    stage: usize,
) -> DistributorPact<impl FnOnce(usize) -> Split + use<>> {
    let context = context.clone();
    DistributorPact(move |workers| Split { context, stage, workers: workers as u32 })
}

impl Split {
    fn parts(&self, batch: &BatchContainer) -> Option<Vec<Buffer>> {
        self.context.accept(self.context.workload().split(self.stage, batch, self.workers))
    }
}

impl Distributor<BatchContainer> for Split {
    fn partition<T: Clone, P: Push<Message<T, BatchContainer>>>(
        &mut self,
        batch: &mut BatchContainer,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let Some(parts) = self.parts(batch) else {
            // Timely counts what comes in and what goes out. The run has failed, so any worker may get the batch.
            return Message::push_at(batch, stamp.clone(), &mut pushers[0]);
        };
        for (part, pusher) in parts.into_iter().zip(pushers) {
            if part.item_count() > 0 {
                Message::push_at(&mut BatchContainer::Local(part), stamp.clone(), pusher);
            }
        }
    }

    /// There is nothing to flush: a batch is split at once.
    fn flush<T: Clone, P: Push<Message<T, BatchContainer>>>(
        &mut self,
        _stamp: &Stamp<T>,
        _pushers: &mut [P],
    ) {
    }
}
