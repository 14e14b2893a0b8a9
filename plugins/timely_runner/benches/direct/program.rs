//! A program for timely without crossrun, with the same calls into the workload's library.
//!
//! It advances its input and checks its probe for each slice, as timely's own examples do. This costs little compared with a
//! slice of many or long items. With slices of one short item it would be most of the time. Where the workload was opened with
//! watermarks, a reduction gives out what has ended each time that its frontier passes a slice.

use std::cell::RefCell;
use std::rc::Rc;

use plugin_api::workload::WATERMARKS;
use plugin_api::{Buffer, StageKind, WorkloadHandle};
use timely::Config;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Exchange, Input, Probe};
use timely::dataflow::{ProbeHandle, Stream};

/// How many slices of each worker may be in flight.
const WINDOW: u64 = 4;

type Batches<'scope> = Stream<'scope, u64, Vec<Buffer>>;

/// Runs a plan, and gives the merged state of the sinks.
pub(crate) fn run(workload: &WorkloadHandle, workers: usize) -> Vec<u8> {
    let shared = workload.clone();
    let guards = timely::execute(Config::process(workers), move |worker| {
        let (index, peers, spec) = (worker.index() as u64, worker.peers(), shared.spec());
        let sink = Rc::new(RefCell::new(shared.new_sink().unwrap()));
        let probe = ProbeHandle::new();
        let mut input = worker.dataflow::<u64, _, _>(|scope| {
            let (input, slices) = scope.new_input::<Vec<u64>>();
            let mut made = slices.map(source(&shared));
            let plan = shared.plan();
            let mut end = plan.end_of_chain(1);
            if end == plan.sink() {
                made = made.probe_with(&probe);
            }
            while plan.kind(end) == Some(StageKind::KeyedReduce) {
                let emitted = reduce(&shared, made, end, peers, &probe);
                let from = end + 1;
                end = plan.end_of_chain(from);
                made = chain(&shared, emitted, from, end);
            }
            let sink = Rc::clone(&sink);
            made.sink(Pipeline, "sink", move |(input, _)| {
                let mut sink = sink.borrow_mut();
                input.for_each(|_, batches| batches.drain(..).for_each(|batch| sink.fold(&batch).unwrap()));
            });
            input
        });
        let slices = spec.total_items.div_ceil(spec.batch_size().unwrap());
        for slice in (index..slices).step_by(peers) {
            input.send(slice);
            input.advance_to(slice + 1);
            worker.step();
            while probe.less_than(&slice.saturating_sub(WINDOW * peers as u64)) {
                worker.step();
            }
        }
        input.close();
        while worker.has_dataflows() {
            worker.step_or_park(None);
        }
        sink.borrow_mut().encode().unwrap().to_vec()
    });
    let mut merged = workload.new_sink().unwrap();
    guards.unwrap().join().into_iter().for_each(|state| merged.merge(&state.unwrap()).unwrap());
    merged.encode().unwrap().to_vec()
}

/// Makes the batch of a slice, up to the first reduction or the sink.
fn source(workload: &WorkloadHandle) -> impl FnMut(u64) -> Buffer + use<> {
    let workload = workload.clone();
    let (size, to) = (workload.spec().batch_size().unwrap(), workload.plan().end_of_chain(1));
    move |slice| {
        let (first, mut batch) = (slice * size, workload.buffer());
        let count = size.min(workload.spec().total_items - first);
        workload.source(first, count, to, &mut batch).unwrap();
        batch
    }
}

/// Applies the stages `from..to` to each batch.
fn chain<'scope>(
    workload: &WorkloadHandle,
    batches: Batches<'scope>,
    from: usize,
    to: usize,
) -> Batches<'scope> {
    if from == to {
        return batches;
    }
    let workload = workload.clone();
    batches.map(move |batch| {
        let mut out = workload.buffer();
        workload.run_stages(from, to, &batch, &mut out).unwrap();
        out
    })
}

/// Splits batches by key, exchanges the parts and folds them. Gives out what the state holds when the input has ended, and what
/// has ended before that, if the workload has watermarks.
fn reduce<'scope>(
    workload: &WorkloadHandle,
    batches: Batches<'scope>,
    stage: usize,
    peers: usize,
    probe: &ProbeHandle<u64>,
) -> Batches<'scope> {
    let split = workload.clone();
    let parts = batches.flat_map(move |batch| {
        let parts = split.split(stage, &batch, peers as u32).unwrap();
        (0_u64..).zip(parts).map(|(owner, part)| (owner, part.to_vec()))
    });
    let mut parts = parts.exchange(|(owner, _)| *owner);
    if stage == workload.plan().end_of_chain(1) {
        // Slices are made as fast as the first reduction folds them.
        parts = parts.probe_with(probe);
    }
    let mut state = workload.new_state(stage).unwrap();
    let workload = workload.clone();
    let (closes, limit) = (workload.spec().is_granted(WATERMARKS), workload.spec().batch_size().unwrap());
    parts.unary_frontier::<CapacityContainerBuilder<Vec<Buffer>>, _, _, _>(
        Pipeline,
        "reduce",
        |capability, _| {
            let mut capability = Some(capability);
            move |(input, frontier), output| {
                input.for_each(|_, parts| parts.drain(..).for_each(|(_, part)| state.fold(&part).unwrap()));
                let Some(mut held) = capability.take() else { return };
                let slice = frontier.frontier().iter().min().copied();
                let passed = slice.filter(|slice| closes && slice > held.time());
                if slice.is_some() && passed.is_none() {
                    capability = Some(held);
                    return;
                }
                let ended = slice.map(|slice| workload.watermark(slice * limit).unwrap());
                let mut session = output.session(&held);
                loop {
                    let mut batch = workload.buffer();
                    match ended {
                        Some(time) => {
                            state.close(time, limit, &mut batch).unwrap();
                        }
                        None => state.emit(limit, &mut batch).unwrap(),
                    }
                    if batch.item_count() == 0 {
                        break;
                    }
                    session.give(batch);
                }
                drop(session);
                if let Some(slice) = slice {
                    held.downgrade(&slice);
                    capability = Some(held);
                }
            }
        },
    )
}
