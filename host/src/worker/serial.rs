//! Runs a workload serially: batch after batch, on one thread. Shares no code with any backend.

use std::collections::BTreeSet;

use plugin_api::workload::Outcome;
use plugin_api::{Batch, BatchBuilder, GraphShape, StageKind, State, WorkloadError, WorkloadHandle};

/// How many keys a state emits at once: few, so that `emit` is called more than once.
const KEYS: u64 = 100;

/// The number of partitions of the keys of a reduction.
const PARTITIONS: u32 = 3;

/// Takes all items to the sink, in batches of `batch_size`, and returns the answer.
pub(super) fn run(workload: &WorkloadHandle, batch_size: u64) -> Result<Outcome, WorkloadError> {
    let last = workload.plan().sink().saturating_sub(1);
    outcome(workload, &leaving(workload, batch_size, last)?)
}

/// All items as they leave the stage `last`, which is before the sink, in batches. Of a graph of tasks without stages these are the
/// outputs that no task needs.
pub(super) fn leaving(
    workload: &WorkloadHandle,
    batch_size: u64,
    last: usize,
) -> Result<Vec<Vec<u8>>, WorkloadError> {
    let plan = workload.plan();
    if let Some(shape) = plan.graph.filter(|_| !plan.has_stages()) {
        return outputs(workload, shape);
    }
    let end = |from: usize| plan.end_of_chain(from).min(last + 1);
    let mut stage = end(1);
    let mut batches = source(workload, batch_size, stage)?;
    while stage <= last && plan.kind(stage) == Some(StageKind::KeyedReduce) {
        let next = end(stage + 1);
        batches = run_stages(workload, stage + 1, next, &reduce(workload, stage, &batches)?)?;
        stage = next;
    }
    Ok(batches)
}

/// Runs the tasks of a graph, and gives the outputs that no task needs: a batch for each row.
fn outputs(workload: &WorkloadHandle, shape: GraphShape) -> Result<Vec<Vec<u8>>, WorkloadError> {
    let (mut before, mut first, mut batches) = (Vec::<Vec<u8>>::new(), 0, Vec::new());
    for step in 0..u32::try_from(shape.steps).unwrap_or(u32::MAX) {
        let row = workload.graph_row(step)?;
        let place_of = |point: &u32| point.wrapping_sub(first) as usize;
        let run = |(place, point)| {
            let output = |from: &u32| before.get(place_of(from)).map_or(&[][..], Vec::as_slice);
            let inputs: Vec<_> = row.inputs(place).iter().map(output).collect();
            let mut made = Vec::new();
            workload.graph_task(step, point, &inputs, shape.output_bytes as usize, &mut made).map(|()| made)
        };
        let made = (0..).zip(row.points()).map(run).collect::<Result<Vec<_>, _>>()?;
        let needed = (0..row.width()).flat_map(|place| row.inputs(place)).map(place_of).collect();
        batches.push(batch_without(&needed, &before)?);
        (before, first) = (made, row.points().start);
    }
    batches.push(batch_without(&BTreeSet::new(), &before)?);
    Ok(batches)
}

/// A batch of the outputs at all places but these.
fn batch_without(places: &BTreeSet<usize>, outputs: &[Vec<u8>]) -> Result<Vec<u8>, WorkloadError> {
    let left = outputs.iter().enumerate().filter(|(place, _)| !places.contains(place));
    let (items, mut batch) = (left.map(|(_, output)| output.as_slice()), Vec::new());
    items.collect::<BatchBuilder>().encode(&mut batch)?;
    Ok(batch)
}

/// Runs one stage after the other, and passes the batches that leave each to `visit`.
pub(super) fn each_stage<E: From<WorkloadError>>(
    workload: &WorkloadHandle,
    batch_size: u64,
    mut visit: impl FnMut(usize, &[Vec<u8>]) -> Result<(), E>,
) -> Result<(), E> {
    let plan = workload.plan();
    let mut batches = source(workload, batch_size, 1)?;
    visit(0, &batches)?;
    for stage in 1..plan.sink() {
        batches = match plan.kind(stage) {
            Some(StageKind::KeyedReduce) => reduce(workload, stage, &batches)?,
            _ => run_stages(workload, stage, stage + 1, &batches)?,
        };
        visit(stage, &batches)?;
    }
    Ok(())
}

/// The answer if these batches reach the sink.
pub(super) fn outcome(workload: &WorkloadHandle, batches: &[Vec<u8>]) -> Result<Outcome, WorkloadError> {
    let mut sink = fold(batches.iter().map(Vec::as_slice), || workload.new_sink())?;
    workload.outcome(&sink.encode()?)
}

fn source(workload: &WorkloadHandle, batch_size: u64, to: usize) -> Result<Vec<Vec<u8>>, WorkloadError> {
    let (items, mut out) = (workload.spec().total_items, workload.buffer());
    let mut one = |first: u64| {
        workload.source(first, batch_size.min(items - first), to, &mut out)?;
        Ok(out.to_vec())
    };
    (0..items).step_by(batch_size as usize).map(&mut one).collect()
}

fn run_stages(
    workload: &WorkloadHandle,
    from: usize,
    to: usize,
    batches: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, WorkloadError> {
    let mut out = workload.buffer();
    let one = |batch: &Vec<u8>| workload.run_stages(from, to, batch, &mut out).map(|()| out.to_vec());
    batches.iter().map(one).collect()
}

fn reduce(
    workload: &WorkloadHandle,
    stage: usize,
    batches: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, WorkloadError> {
    let split = |batch: &Vec<u8>| workload.split(stage, batch, PARTITIONS);
    let parts = batches.iter().map(split).collect::<Result<Vec<_>, _>>()?;
    let mut emitted = Vec::new();
    for partition in 0..PARTITIONS as usize {
        let own = parts.iter().filter_map(|parts| parts.get(partition)).map(|part| &**part);
        emit(fold(own, || workload.new_state(stage))?, workload, &mut emitted)?;
    }
    Ok(emitted)
}

/// Folds the batches into two states in turn, and merges the states, as two owners would.
fn fold<'a>(
    batches: impl Iterator<Item = &'a [u8]>,
    new: impl Fn() -> Result<State, WorkloadError>,
) -> Result<State, WorkloadError> {
    let mut states = [new()?, new()?];
    for (number, batch) in batches.enumerate() {
        states[number % 2].fold(batch)?;
    }
    let [mut one, mut other] = states;
    one.merge(&other.encode()?)?;
    Ok(one)
}

fn emit(
    mut state: State,
    workload: &WorkloadHandle,
    batches: &mut Vec<Vec<u8>>,
) -> Result<(), WorkloadError> {
    let mut out = workload.buffer();
    loop {
        state.emit(KEYS, &mut out)?;
        if Batch::parse(&out)?.iter().next().is_none() {
            return Ok(());
        }
        batches.push(out.to_vec());
    }
}
