//! The dataflow graph of one worker: built from the layout, run to its end.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use plugin_api::WorkloadError;
use timely::dataflow::Scope;
use timely::worker::Worker;

use crate::job::Post;
use crate::layout::{Layout, Node};
use crate::operators::{self, Sunk};
use crate::pace::Pace;

/// How long a worker with nothing to do sleeps before it looks whether all is to end.
const POLL: Duration = Duration::from_millis(10);

/// Runs this worker's part of the run, and gives what reached its sink, if the run was not stopped.
///
/// # Errors
/// When the workload cannot make the states of a reduction or the sink.
pub(crate) fn run(worker: &mut Worker, post: &Post) -> Result<Option<Sunk>, WorkloadError> {
    let sunk = worker.dataflow(|scope| build(scope, post))?;
    while worker.has_dataflows() && !post.is_stopped() {
        worker.step_or_park(Some(POLL));
    }
    // A graph that has ended is gone, and nobody else has the sink.
    Ok(Rc::into_inner(sunk).map(RefCell::into_inner))
}

/// Drops whatever has not ended, so that timely does not wait for workers that have left.
pub(crate) fn abandon(worker: &mut Worker) {
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

fn build(scope: Scope<'_, u64>, post: &Post) -> Result<Rc<RefCell<Sunk>>, WorkloadError> {
    let (workload, plan) = (post.workload(), post.workload().plan());
    let Layout { source_to, nodes } = &post.job.layout;
    let mut pace = pace_before(post, nodes);
    let name = post.job.layout.source_name(plan);
    let mut batches = operators::source(scope, &name, post, *source_to, Rc::clone(&pace));
    for (at, node) in nodes.iter().enumerate() {
        let name = node.name(plan);
        batches = match *node {
            Node::Chain { from, to } => operators::chain(batches, &name, post, from, to),
            Node::Reduce { stage } => {
                let state = workload.new_state(stage)?;
                let inbound = std::mem::replace(&mut pace, pace_before(post, &nodes[at + 1..]));
                operators::reduce(batches, &name, post, (stage, state), (inbound, Rc::clone(&pace)))
            }
        };
    }
    let sunk = Rc::new(RefCell::new(Sunk { items: 0, state: workload.new_sink()? }));
    operators::sink(batches, post, Rc::clone(&sunk));
    Ok(sunk)
}

/// The pace of what makes batches for `nodes`.
fn pace_before(post: &Post, nodes: &[Node]) -> Rc<Pace> {
    let workers = post.job.tallies.len();
    if workers > 1 && nodes.iter().any(|node| matches!(node, Node::Reduce { .. })) {
        Pace::bounded(workers, post.job.slices.size)
    } else {
        Pace::free()
    }
}
