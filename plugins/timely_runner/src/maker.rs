//! What the two kinds of operators that begin a phase have in common: they make numbered batches for as long as the pace
//! admits.

use std::rc::Rc;
use std::time::{Duration, Instant};

use plugin_api::{Buffer, Fusion, WorkloadError};
use timely::container::NoopBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilderSession;
use timely::scheduling::Activator;

use crate::feed::Feed;
use crate::job::Post;
use crate::pace::Pace;
use crate::parcel::Parcel;

/// An output that takes whole batches.
pub(crate) type Output<'a> = OutputBuilderSession<'a, u64, NoopBuilder<Parcel>>;

/// How long an operator makes batches before it lets others run. It must be long beside the microsecond that timely
/// takes to schedule, and short beside what others would wait.
const VISIT: Duration = Duration::from_micros(100);

/// The making end of a phase on one worker.
pub(crate) struct Maker {
    post: Post,
    pace: Rc<Pace>,
    feed: Feed,
    activator: Activator,
    /// Held until the last batch is made.
    capability: Option<Capability<u64>>,
    /// A number that was taken and not made yet.
    next: Option<u64>,
}

impl Maker {
    /// What makes the batches of `feed` under `capability`, and is scheduled by `activator`.
    pub(crate) fn new(
        post: Post,
        pace: Rc<Pace>,
        feed: Feed,
        activator: Activator,
        capability: Capability<u64>,
    ) -> Self {
        Self { post, pace, feed, activator, capability: Some(capability), next: None }
    }

    /// Makes batches with `make`, which is given a number and tells whether there was such a batch, and sends them.
    pub(crate) fn visit(
        &mut self,
        output: &mut Output<'_>,
        mut make: impl FnMut(u64, &mut Buffer) -> Result<bool, WorkloadError>,
    ) {
        let Some(mut capability) = self.capability.take().filter(|_| !self.post.is_stopped()) else { return };
        let started = Instant::now();
        while let Some(number) = self.next.take().or_else(|| self.feed.next(&self.post.job.numbers)) {
            let epoch = self.pace.epoch(number);
            capability.downgrade(&epoch);
            if !self.pace.admits(epoch, &self.activator) {
                (self.capability, self.next) = (Some(capability), Some(number));
                return;
            }
            let mut batch = self.post.buffer();
            if self.post.accept(make(number, &mut batch)) != Some(true) {
                return;
            }
            send(&self.post, output, &capability, batch);
            if self.is_enough(started) {
                self.capability = Some(capability);
                return self.activator.activate();
            }
        }
    }

    /// Without fusion each batch is a visit of its own, and what is made stays with its worker, so no worker may take
    /// many while others have none.
    fn is_enough(&self, started: Instant) -> bool {
        self.post.job.fusion == Fusion::Off || self.post.is_stopped() || started.elapsed() >= VISIT
    }
}

/// Sends a batch on, if anything is left of it.
pub(crate) fn send<C>(post: &Post, output: &mut Output<'_>, capability: &C, batch: Buffer)
where
    C: timely::dataflow::operators::CapabilityTrait<u64>,
{
    let mut parcel = Parcel::Made(batch);
    if parcel.item_count() > 0 {
        output.session_with_builder(capability).give_container(&mut parcel);
    }
    // An exchange splits a batch and leaves it behind; any other channel takes it away.
    post.keep(parcel);
}
