//! The four operators of the graph.

use std::cell::RefCell;
use std::rc::Rc;

use plugin_api::{Buffer, State, WorkloadError};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::{Operator, source as source_operator};
use timely::dataflow::{Scope, Stream};

use crate::batch_numbers::BatchNumbers;
use crate::closing::Closing;
use crate::container::BatchContainer;
use crate::exchange;
use crate::flow_control::FlowControl;
use crate::job::{Job, WorkerContext};
use crate::producer::{Producer, send};

/// Batches of one worker, with their epochs.
pub(crate) type Batches<'scope> = Stream<'scope, u64, BatchContainer>;

/// What reached the sink of one worker.
pub(crate) struct SinkOutput {
    pub(crate) items: u64,
    pub(crate) state: State,
}

/// Makes the slices of this worker and takes them through the stages `1..to`.
pub(crate) fn source<'scope>(
    scope: Scope<'scope, u64>,
    name: &str,
    context: &WorkerContext,
    to: usize,
    flow: Rc<FlowControl>,
) -> Batches<'scope> {
    let context = context.clone();
    source_operator(scope, name, move |capability, info| {
        let activator = scope.activator_for(info.address);
        let Job { slices, scheduler, .. } = &*context.job;
        let workers = context.job.workers();
        let numbers = BatchNumbers::of_source(*slices, *scheduler, context.worker, workers);
        let mut producer = Producer::new(context.clone(), flow, numbers, activator, capability)
            .with_turns_of_others(context.job.turns_of_others());
        move |output| producer.run(output, |number, batch| make_slice(&context, number, to, batch))
    })
}

fn make_slice(
    context: &WorkerContext,
    number: u64,
    to: usize,
    batch: &mut Buffer,
) -> Result<bool, WorkloadError> {
    let (first, count) = context.job.slices.slice(number);
    context.workload().source(first, count, to, batch)?;
    context.count(count);
    Ok(true)
}

/// Takes batches through the stages `from..to`.
pub(crate) fn chain<'scope>(
    batches: Batches<'scope>,
    name: &str,
    context: &WorkerContext,
    from: usize,
    to: usize,
) -> Batches<'scope> {
    let context = context.clone();
    batches.unary(Pipeline, name, move |_, _| {
        move |input, output| {
            input.for_each(|capability, batch| {
                if context.is_stopped() {
                    return;
                }
                let mut out = context.buffer();
                if context.accept(context.workload().run_stages(from, to, batch, &mut out)).is_some() {
                    send(&context, output, &capability, out);
                }
                context.recycle(std::mem::take(batch));
            });
        }
    })
}

/// Exchanges batches by key and folds them; when the frontier says that the input has ended on all workers, emits what
/// `state` holds then. Where the job has epochs, what has ended by the frontier is closed before.
///
/// `inbound` controls what makes the input, `outbound` what this operator itself emits at the end.
pub(crate) fn reduce<'scope>(
    batches: Batches<'scope>,
    name: &str,
    context: &WorkerContext,
    (stage, mut state): (usize, State),
    (inbound, outbound): (Rc<FlowControl>, Rc<FlowControl>),
) -> Batches<'scope> {
    let (scope, context) = (batches.scope(), context.clone());
    batches.unary_frontier(exchange::by_key(&context, stage), name, move |capability, info| {
        let activator = scope.activator_for(info.address);
        let numbers = BatchNumbers::of_reduction(stage);
        let mut producer = Producer::new(context.clone(), outbound, numbers, activator, capability);
        let mut closing = Closing::of(&context);
        let limit = context.job.slices.size;
        move |(input, frontier), output| {
            input.for_each(|_, batch| fold(&context, &mut state, batch));
            inbound.advance(frontier.frontier());
            if frontier.is_empty() {
                producer.run(output, |_, batch| {
                    state.emit(limit, batch)?;
                    // An empty batch is the end.
                    Ok(batch.item_count() > 0)
                });
            } else if let Some(closing) = &mut closing {
                closing.run(frontier.frontier(), &mut state, &mut producer, output);
            }
        }
    })
}

/// Folds all that comes into `output`.
pub(crate) fn sink(batches: Batches<'_>, context: &WorkerContext, output: Rc<RefCell<SinkOutput>>) {
    let context = context.clone();
    batches.sink(Pipeline, "sink", move |(input, _)| {
        let mut output = output.borrow_mut();
        input.for_each(|_, batch| {
            output.items += batch.item_count();
            fold(&context, &mut output.state, batch);
        });
    });
}

fn fold(context: &WorkerContext, state: &mut State, batch: &mut BatchContainer) {
    if !context.is_stopped() {
        context.accept(state.fold(batch));
    }
    context.recycle(std::mem::take(batch));
}
