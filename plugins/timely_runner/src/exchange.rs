//! The exchange before a keyed reduction: a batch is split by key, and each part goes to the worker that owns it.

use plugin_api::Buffer;
use timely::communication::Push;
use timely::dataflow::channels::Message;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::progress::Stamp;

use crate::job::Post;
use crate::parcel::Parcel;

/// Splits batches for the reduction `stage`. Partition k belongs to worker k.
pub(crate) struct Split {
    post: Post,
    stage: usize,
    workers: u32,
}

/// The contract under which batches reach the reduction `stage`.
pub(crate) fn by_key(post: &Post, stage: usize) -> DistributorPact<impl FnOnce(usize) -> Split + use<>> {
    let post = post.clone();
    DistributorPact(move |workers| Split { post, stage, workers: workers as u32 })
}

impl Split {
    fn parts(&self, batch: &Parcel) -> Option<Vec<Buffer>> {
        self.post.accept(self.post.workload().split(self.stage, batch, self.workers))
    }
}

impl Distributor<Parcel> for Split {
    fn partition<T: Clone, P: Push<Message<T, Parcel>>>(
        &mut self,
        batch: &mut Parcel,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let Some(parts) = self.parts(batch) else {
            // Timely counts what comes and what goes. The run is over, so it does not matter where it goes.
            return Message::push_at(batch, stamp.clone(), &mut pushers[0]);
        };
        for (part, pusher) in parts.into_iter().zip(pushers) {
            if part.item_count() > 0 {
                Message::push_at(&mut Parcel::Made(part), stamp.clone(), pusher);
            }
        }
    }

    /// Nothing is held back: a batch is split at once.
    fn flush<T: Clone, P: Push<Message<T, Parcel>>>(&mut self, _stamp: &Stamp<T>, _pushers: &mut [P]) {}
}
