//! What the source and a reduction have in common: both make numbered batches for as long as flow control admits them.

use std::rc::Rc;
use std::time::{Duration, Instant};

use plugin_api::{Buffer, Fusion, WorkloadError};
use timely::container::NoopBuilder;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilderSession;
use timely::scheduling::Activator;

use crate::batch_numbers::BatchNumbers;
use crate::container::BatchContainer;
use crate::flow_control::FlowControl;
use crate::job::WorkerContext;

/// An output that takes whole batches.
pub(crate) type Output<'a> = OutputBuilderSession<'a, u64, NoopBuilder<BatchContainer>>;

/// How long an operator makes batches before it lets others run. It must be long beside the microsecond that timely
/// takes to schedule an operator, and short beside the time that the others can wait.
const TIME_SLICE: Duration = Duration::from_micros(100);

/// A batch of an open loop that was made in less time was due already, or nearly: there was no wait for an item.
const PROMPT: Duration = Duration::from_micros(10);

/// After so many such batches in a row the source takes it that it is behind, and that more of them are due.
const BEHIND: u32 = 8;

/// The time that an operator has each time that it is scheduled.
pub(crate) struct TimeSlice<'a> {
    context: &'a WorkerContext,
    started: Instant,
}

impl<'a> TimeSlice<'a> {
    pub(crate) fn start(context: &'a WorkerContext) -> Self {
        Self { context, started: Instant::now() }
    }

    /// Whether it is over, or the run was stopped.
    pub(crate) fn is_over(&self) -> bool {
        self.context.is_stopped() || self.started.elapsed() >= TIME_SLICE
    }
}

/// What makes the batches at the start of a phase, on one worker.
pub(crate) struct Producer {
    context: WorkerContext,
    flow: Rc<FlowControl>,
    numbers: BatchNumbers,
    activator: Activator,
    /// Held until the last batch is made.
    capability: Option<Capability<u64>>,
    /// A number that was taken, but whose batch was not made yet.
    next: Option<u64>,
    /// How often the other operators run between two batches, and how often they are still to run before the next.
    turns_of_others: usize,
    turns_left: usize,
    /// How many batches in a row were each [`PROMPT`].
    prompt: u32,
}

impl Producer {
    /// Makes the batches `numbers` under `capability`; `activator` schedules its operator.
    pub(crate) fn new(
        context: WorkerContext,
        flow: Rc<FlowControl>,
        numbers: BatchNumbers,
        activator: Activator,
        capability: Capability<u64>,
    ) -> Self {
        Self {
            context,
            flow,
            numbers,
            activator,
            capability: Some(capability),
            next: None,
            turns_of_others: 0,
            turns_left: 0,
            prompt: 0,
        }
    }

    /// Has the other operators run so often between two batches, if not 0. The operator that makes batches is the first of each step
    /// of a worker: what others are to do would else wait until the next batch is made, which in an open loop may not be due for long.
    pub(crate) fn with_turns_of_others(self, turns_of_others: usize) -> Self {
        Self { turns_of_others, ..self }
    }

    /// Makes batches with `make` and sends them, until the time slice is over. `make` gets the number of a batch and
    /// returns whether there is such a batch.
    pub(crate) fn run(
        &mut self,
        output: &mut Output<'_>,
        mut make: impl FnMut(u64, &mut Buffer) -> Result<bool, WorkloadError>,
    ) {
        if let Some(left) = self.turns_left.checked_sub(1) {
            self.turns_left = left;
            return self.activator.activate();
        }
        let Some(mut capability) = self.capability.take().filter(|_| !self.context.is_stopped()) else {
            return;
        };
        let slice = TimeSlice::start(&self.context);
        while let Some(number) = self.next.take().or_else(|| self.numbers.next(&self.context.job.counters)) {
            // What is emitted at the end comes after what was closed, under the timestamp that this has reached.
            let epoch = self.flow.epoch(number).max(*capability.time());
            capability.downgrade(&epoch);
            if !self.flow.admits(epoch, &self.activator) {
                (self.capability, self.next) = (Some(capability), Some(number));
                return;
            }
            let (mut batch, asked) = (self.context.buffer(), Instant::now());
            if self.context.accept(make(number, &mut batch)) != Some(true) {
                return;
            }
            self.prompt = if asked.elapsed() < PROMPT { self.prompt.saturating_add(1) } else { 0 };
            send(&self.context, output, &capability, batch);
            if self.is_over(&slice) {
                self.capability = self.take_ahead(capability);
                return self.activator.activate();
            }
        }
    }

    /// Takes the number of the next batch before others have their turns: else they would learn only when that batch is made that no
    /// earlier one comes. Gives the capability for it up if there is none. Without such turns no number is taken ahead: another
    /// worker may be idle.
    fn take_ahead(&mut self, mut capability: Capability<u64>) -> Option<Capability<u64>> {
        self.turns_left = if self.prompt < BEHIND { self.turns_of_others } else { 0 };
        if self.turns_of_others > 0 {
            let number = self.numbers.next(&self.context.job.counters)?;
            self.next = Some(number);
            capability.downgrade(&self.flow.epoch(number).max(*capability.time()));
        }
        Some(capability)
    }

    /// Makes all batches that `make` gives at once and sends them, under the timestamp that the producer has reached.
    pub(crate) fn run_at_once(
        &self,
        output: &mut Output<'_>,
        mut make: impl FnMut(&mut Buffer) -> Result<bool, WorkloadError>,
    ) {
        let Some(capability) = &self.capability else { return };
        while !self.context.is_stopped() {
            let mut batch = self.context.buffer();
            if self.context.accept(make(&mut batch)) != Some(true) {
                return;
            }
            send(&self.context, output, capability, batch);
        }
    }

    /// Nothing will be sent under a timestamp before `epoch` any more.
    pub(crate) fn move_on(&mut self, epoch: u64) {
        if let Some(capability) = &mut self.capability {
            capability.downgrade(&epoch);
        }
    }

    /// Without fusion the operator makes one batch each time it is scheduled: a batch stays on the worker that made it,
    /// so no worker may take many while others have none. Nor more in an open loop, unless it is behind: the next one may not be due for
    /// long, and what was made would wait for it.
    fn is_over(&self, slice: &TimeSlice<'_>) -> bool {
        let may_wait = self.context.workload().plan().open_loop && self.prompt < BEHIND;
        may_wait || self.context.job.fusion == Fusion::Off || slice.is_over()
    }
}

/// Sends a batch on, if it has items.
pub(crate) fn send<C>(context: &WorkerContext, output: &mut Output<'_>, capability: &C, batch: Buffer)
where
    C: timely::dataflow::operators::CapabilityTrait<u64>,
{
    let mut batch = BatchContainer::Local(batch);
    if batch.item_count() > 0 {
        output.session_with_builder(capability).give_container(&mut batch);
    }
    // An exchange splits the batch and leaves its buffer here; any other channel takes it.
    context.recycle(batch);
}
