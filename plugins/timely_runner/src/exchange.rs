//! The exchange before a keyed reduction: a batch is split by key, and each part goes to the worker that owns it.

use plugin_api::workload::Parts;
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
    /// The batches of the last split, or the memory for the next one.
    parts: Parts,
}

/// The contract under which batches reach the reduction `stage`.
pub(crate) fn by_key(
    context: &WorkerContext,
    stage: usize,
) -> DistributorPact<impl FnOnce(usize) -> Split + use<>> {
    let context = context.clone();
    DistributorPact(move |workers| Split { parts: context.workload().parts(workers as u32), context, stage })
}

impl Distributor<BatchContainer> for Split {
    fn partition<T: Clone, P: Push<Message<T, BatchContainer>>>(
        &mut self,
        batch: &mut BatchContainer,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let split = self.context.workload().split_into(self.stage, batch, &mut self.parts);
        if self.context.accept(split).is_none() {
            // Timely counts what comes in and what goes out. The run has failed, so any worker may get the batch.
            return Message::push_at(batch, stamp.clone(), &mut pushers[0]);
        }
        for (number, pusher) in pushers.iter_mut().enumerate() {
            if self.parts.item_count(number) > 0 {
                let mut part = self.context.buffer();
                self.parts.swap(number, &mut part);
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
