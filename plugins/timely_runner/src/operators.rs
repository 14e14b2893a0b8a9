//! The four operators of the graph.

use std::cell::RefCell;
use std::rc::Rc;

use plugin_api::{Buffer, State, WorkloadError};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::{Operator, source as source_operator};
use timely::dataflow::{Scope, Stream};

use crate::exchange;
use crate::feed::Feed;
use crate::job::{Job, Post};
use crate::maker::{Maker, send};
use crate::pace::Pace;
use crate::parcel::Parcel;

/// Batches of one worker, with their epochs.
pub(crate) type Batches<'scope> = Stream<'scope, u64, Parcel>;

/// What reached the sink of one worker.
pub(crate) struct Sunk {
    pub(crate) items: u64,
    pub(crate) state: State,
}

/// Makes the slices of this worker and takes them through the stages `1..to`.
pub(crate) fn source<'scope>(
    scope: Scope<'scope, u64>,
    name: &str,
    post: &Post,
    to: usize,
    pace: Rc<Pace>,
) -> Batches<'scope> {
    let post = post.clone();
    source_operator(scope, name, move |capability, info| {
        let activator = scope.activator_for(info.address);
        let Job { slices, hand_out, tallies, .. } = &*post.job;
        let feed = Feed::of_source(*slices, *hand_out, post.worker, tallies.len());
        let mut maker = Maker::new(post.clone(), pace, feed, activator, capability);
        move |output| maker.visit(output, |number, batch| make_slice(&post, number, to, batch))
    })
}

fn make_slice(post: &Post, number: u64, to: usize, batch: &mut Buffer) -> Result<bool, WorkloadError> {
    let (first, count) = post.job.slices.slice(number);
    post.workload().source(first, count, to, batch)?;
    post.count(count);
    Ok(true)
}

/// Takes batches through the stages `from..to`.
pub(crate) fn chain<'scope>(
    batches: Batches<'scope>,
    name: &str,
    post: &Post,
    from: usize,
    to: usize,
) -> Batches<'scope> {
    let post = post.clone();
    batches.unary(Pipeline, name, move |_, _| {
        move |input, output| {
            input.for_each(|capability, batch| {
                if post.is_stopped() {
                    return;
                }
                let mut out = post.buffer();
                if post.accept(post.workload().run_stages(from, to, batch, &mut out)).is_some() {
                    send(&post, output, &capability, out);
                }
                post.keep(std::mem::take(batch));
            });
        }
    })
}

/// Exchanges batches by key and folds them; when the frontier says that the input has ended on all workers, emits what
/// `state` holds then.
///
/// `inbound` is the pace of what makes the input, `outbound` that of what it emits itself.
pub(crate) fn reduce<'scope>(
    batches: Batches<'scope>,
    name: &str,
    post: &Post,
    (stage, mut state): (usize, State),
    (inbound, outbound): (Rc<Pace>, Rc<Pace>),
) -> Batches<'scope> {
    let (scope, post) = (batches.scope(), post.clone());
    batches.unary_frontier(exchange::by_key(&post, stage), name, move |capability, info| {
        let activator = scope.activator_for(info.address);
        let feed = Feed::of_reduction(stage);
        let mut maker = Maker::new(post.clone(), outbound, feed, activator, capability);
        let limit = post.job.slices.size;
        move |(input, frontier), output| {
            input.for_each(|_, batch| fold(&post, &mut state, batch));
            inbound.advance(frontier.frontier());
            if frontier.is_empty() {
                maker.visit(output, |_, batch| {
                    state.emit(limit, batch)?;
                    // An empty batch is the end.
                    Ok(batch.item_count() > 0)
                });
            }
        }
    })
}

/// Folds all that comes into `sunk`.
pub(crate) fn sink(batches: Batches<'_>, post: &Post, sunk: Rc<RefCell<Sunk>>) {
    let post = post.clone();
    batches.sink(Pipeline, "sink", move |(input, _)| {
        let mut sunk = sunk.borrow_mut();
        input.for_each(|_, batch| {
            sunk.items += batch.item_count();
            fold(&post, &mut sunk.state, batch);
        });
    });
}

fn fold(post: &Post, state: &mut State, batch: &mut Parcel) {
    if !post.is_stopped() {
        post.accept(state.fold(batch));
    }
    post.keep(std::mem::take(batch));
}
