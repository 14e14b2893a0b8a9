//! The dataflow graph of one worker: how it is built from the layout and run.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use plugin_api::WorkloadError;
use thread_engine::graph::{Finished, UnneededOutputs};
use timely::dataflow::Scope;
use timely::worker::Worker;

use crate::flow_control::{FlowControl, batches_per_epoch};
use crate::job::WorkerContext;
use crate::layout::{Layout, Node};
use crate::operators::{self, SinkOutput};
use crate::tasks;

/// How long a worker with nothing to do sleeps before it checks whether it must stop.
const POLL: Duration = Duration::from_millis(10);

/// Runs this worker's part of the run, and gives what reached its sink, if the run was not stopped.
///
/// # Errors
/// When the workload cannot make the states of a reduction or the sink, or fold what reached the sink.
pub(crate) fn run(worker: &mut Worker, context: &WorkerContext) -> Result<Option<SinkOutput>, WorkloadError> {
    if let Some(rows) = &context.job.task_graph {
        let unneeded = worker.dataflow(|scope| tasks::build(scope, context, rows))?;
        let finished = run_to_end(worker, context, unneeded).map(UnneededOutputs::finish).transpose()?;
        return Ok(finished.map(|Finished { outputs, sink }| SinkOutput { items: outputs, state: sink }));
    }
    let output = worker.dataflow(|scope| build(scope, context))?;
    Ok(run_to_end(worker, context, output))
}

fn run_to_end<T>(worker: &mut Worker, context: &WorkerContext, output: Rc<RefCell<T>>) -> Option<T> {
    while worker.has_dataflows() && !context.is_stopped() {
        worker.step_or_park(Some(POLL));
    }
    // A graph that has ended was dropped, and with it the other reference to the output.
    Rc::into_inner(output).map(RefCell::into_inner)
}

/// Drops the graphs that have not ended, so that timely does not wait for workers that have.
pub(crate) fn drop_unfinished(worker: &mut Worker) {
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

fn build(scope: Scope<'_, u64>, context: &WorkerContext) -> Result<Rc<RefCell<SinkOutput>>, WorkloadError> {
    let (workload, plan) = (context.workload(), context.workload().plan());
    let Layout { source_to, nodes } = &context.job.layout;
    let mut flow = flow_before(context, nodes);
    let source_flow = match context.job.epochs {
        Some(epochs) => epochs.flow(),
        None => Rc::clone(&flow),
    };
    let name = context.job.layout.source_name(plan);
    let mut batches = operators::source(scope, &name, context, *source_to, Rc::clone(&source_flow));
    for (at, node) in nodes.iter().enumerate() {
        let name = node.name(plan);
        batches = match *node {
            Node::Chain { from, to } => operators::chain(batches, &name, context, from, to),
            Node::Reduce { stage } => {
                let state = workload.new_state(stage)?;
                let rest = &nodes[at + 1..];
                let before = std::mem::replace(&mut flow, flow_before(context, rest));
                // What is closed goes through all reductions, so the last one says how far the source may be ahead.
                let is_closed_last = context.job.epochs.is_some() && !has_reduction(rest);
                let inbound = if is_closed_last { Rc::clone(&source_flow) } else { before };
                operators::reduce(batches, &name, context, (stage, state), (inbound, Rc::clone(&flow)))
            }
        };
    }
    let output = Rc::new(RefCell::new(SinkOutput { items: 0, state: workload.new_sink()? }));
    operators::sink(batches, context, Rc::clone(&output));
    Ok(output)
}

/// The flow control of what makes batches for `nodes`.
fn flow_before(context: &WorkerContext, nodes: &[Node]) -> Rc<FlowControl> {
    let workers = context.job.workers();
    // What is left at the end of a run that closes is no more than what was open.
    if workers > 1 && context.job.epochs.is_none() && has_reduction(nodes) {
        FlowControl::bounded(batches_per_epoch(workers, context.job.slices.size))
    } else {
        FlowControl::unbounded()
    }
}

/// Whether there is a keyed reduction among these.
pub(crate) fn has_reduction(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| matches!(node, Node::Reduce { .. }))
}
