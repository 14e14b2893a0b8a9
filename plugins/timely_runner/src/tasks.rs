//! A task graph: each task runs on the worker that owns its point, as soon as its inputs have come.
//!
//! One operator runs the tasks, and its output leads back to its input: an output is exchanged by point, to each worker that
//! owns a task that needs it. The timestamp of a message is the step of the tasks that it is for. An operator holds a
//! capability for its first step that is not finished, so the frontier says which steps have ended on all workers. Workers
//! stay within a window of steps beyond that, which bounds the outputs in memory. Nothing else waits for the frontier: a task
//! runs when its own inputs are there, whatever the other tasks of its step do.

mod message;
mod own_row;
pub(crate) mod shared_rows;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use plugin_api::WorkloadError;
use thread_engine::graph::UnneededOutputs;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::generic::OutputBuilderSession;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::{Capability, ConnectLoop, Feedback};
use timely::progress::frontier::AntichainRef;

use crate::job::WorkerContext;
use crate::producer::TimeSlice;
use message::{Message, Output};
use own_row::OwnRow;
use shared_rows::SharedRows;

/// The name of the operator.
pub(crate) const NAME: &str = "tasks";
/// How many steps beyond the first that is not finished may run.
const WINDOW: u64 = 16;

type Session<'a> = OutputBuilderSession<'a, u64, CapacityContainerBuilder<Vec<Message>>>;

/// Builds the operator of one worker and its loop. What no task needs comes into the result.
///
/// # Errors
/// When the workload cannot make a state of the sink.
pub(crate) fn build(
    scope: Scope<'_, u64>,
    context: &WorkerContext,
    rows: &Arc<SharedRows>,
) -> Result<Rc<RefCell<UnneededOutputs>>, WorkloadError> {
    let unneeded = Rc::new(RefCell::new(UnneededOutputs::new(context.workload())?));
    let (context, rows, sink) = (context.clone(), Arc::clone(rows), Rc::clone(&unneeded));
    let (handle, outputs) = scope.feedback::<Vec<Message>>(1);
    let by_point = Exchange::new(|message: &Message| message.worker as u64);
    let outputs = outputs.unary_frontier(by_point, NAME, move |capability, info| {
        let activator = scope.activator_for(info.address);
        let mut tasks = Tasks::new(context.clone(), rows, sink);
        let mut capability = Some(capability);
        move |(input, frontier), output| {
            input.for_each(|time, messages| {
                // Each message is sent with one timestamp.
                let Some(step) = time.least().copied() else { return };
                context.accept(messages.drain(..).try_for_each(|message| tasks.receive(step, message)));
            });
            let Some(held) = capability.take().filter(|_| !context.is_stopped()) else { return };
            let running = tasks.run(held, frontier.frontier(), output);
            capability = context.accept(running).flatten();
            if capability.is_some() && tasks.can_run() {
                activator.activate();
            }
        }
    });
    outputs.connect_loop(handle);
    Ok(unneeded)
}

/// The tasks of one worker.
struct Tasks {
    context: WorkerContext,
    shared: Arc<SharedRows>,
    /// The rows of which this worker has tasks that have not run, and rows after these.
    rows: VecDeque<OwnRow>,
    /// The step of the first of these rows.
    first: u64,
    /// The steps and places of tasks that have all their inputs.
    ready: VecDeque<(u64, u32)>,
    sink: Rc<RefCell<UnneededOutputs>>,
}

impl Tasks {
    fn new(context: WorkerContext, shared: Arc<SharedRows>, sink: Rc<RefCell<UnneededOutputs>>) -> Self {
        Self { context, shared, rows: VecDeque::new(), first: 0, ready: VecDeque::new(), sink }
    }

    fn can_run(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes an output that tasks of `step` need.
    fn receive(&mut self, step: u64, message: Message) -> Result<(), WorkloadError> {
        // Whoever sent it may know more of the others' progress than this worker.
        self.open(step)?;
        if let Some(row) = self.row(step) {
            let mut released = Vec::new();
            row.receive(message.place, message.output, &mut released);
            self.ready.extend(released.into_iter().map(|place| (step, place)));
        }
        Ok(())
    }

    fn row(&mut self, step: u64) -> Option<&mut OwnRow> {
        self.rows.get_mut(step.checked_sub(self.first)? as usize)
    }

    /// Makes the rows up to `step` known, and the tasks of these that need no inputs ready.
    fn open(&mut self, step: u64) -> Result<(), WorkloadError> {
        let mut next = self.first + self.rows.len() as u64;
        while next <= step && next < self.shared.steps() {
            let shared = self.shared.take(self.context.workload(), next)?;
            let row = OwnRow::new(shared, self.context.worker, self.context.job.workers());
            self.ready.extend(row.without_inputs().map(|place| (next, place)));
            self.rows.push_back(row);
            next += 1;
        }
        Ok(())
    }

    /// Runs ready tasks for a time slice. Returns the capability for the first step that is not finished, if there is one.
    fn run(
        &mut self,
        mut capability: Capability<u64>,
        frontier: AntichainRef<'_, u64>,
        output: &mut Session<'_>,
    ) -> Result<Option<Capability<u64>>, WorkloadError> {
        // A message for step t may come as long as a task of step t - 1 has not run.
        let unfinished = frontier.iter().min().map_or(self.first, |step| step.saturating_sub(1));
        self.open(unfinished + WINDOW)?;
        let context = self.context.clone();
        let slice = TimeSlice::start(&context);
        while let Some((step, _)) = self.ready.front().copied().filter(|_| !slice.is_over()) {
            let capability = capability.delayed(&step);
            let mut session = output.session(&capability);
            while let Some((_, place)) = self.ready.pop_front_if(|(of, _)| *of == step) {
                self.run_task(step, place, |message| session.give(message))?;
                if slice.is_over() {
                    break;
                }
            }
        }
        while self.rows.front().is_some_and(OwnRow::is_finished) {
            self.rows.pop_front();
            self.first += 1;
        }
        capability.downgrade(&self.first);
        Ok(Some(capability).filter(|_| self.first < self.shared.steps()))
    }

    fn run_task(
        &mut self,
        step: u64,
        place: u32,
        mut send: impl FnMut(Message),
    ) -> Result<(), WorkloadError> {
        let context = self.context.clone();
        let Some(row) = self.row(step) else { return Ok(()) };
        let output = row.run(context.workload(), place)?;
        context.count(1);
        if !row.is_needed(place) {
            return self.sink.borrow_mut().add(&output);
        }
        let output = Output::from(output);
        row.each_target_worker(place, context.job.workers(), |worker| {
            send(Message { worker, place, output: output.clone() });
        });
        Ok(())
    }
}
