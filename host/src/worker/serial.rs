//! A workload in the plainest way that there is: batch after batch, on one thread. Shares nothing with any backend.

use plugin_api::workload::Outcome;
use plugin_api::{Batch, StageKind, State, WorkloadError, WorkloadHandle};

/// How many keys are taken out of a state at once: few, so that a state is asked more than once.
const KEYS: u64 = 100;

/// Over how many partitions the keys of a reduction are spread.
const PARTITIONS: u32 = 3;

/// Takes all items to the sink, `batch_size` at once, and says what that came to.
pub(super) fn run(workload: &WorkloadHandle, batch_size: u64) -> Result<Outcome, WorkloadError> {
    let plan = workload.plan();
    let mut stage = plan.end_of_chain(1);
    let mut batches = made(workload, batch_size, stage)?;
    while plan.kind(stage) == Some(StageKind::KeyedReduce) {
        let next = plan.end_of_chain(stage + 1);
        batches = through(workload, stage + 1, next, &reduced(workload, stage, &batches)?)?;
        stage = next;
    }
    let mut sink = folded(batches.iter().map(Vec::as_slice), || workload.new_sink())?;
    workload.outcome(&sink.encode()?)
}

fn made(workload: &WorkloadHandle, batch_size: u64, to: usize) -> Result<Vec<Vec<u8>>, WorkloadError> {
    let (items, mut out, mut batches) = (workload.spec().total_items, workload.buffer(), Vec::new());
    let mut first = 0;
    while first < items {
        let count = batch_size.min(items - first);
        workload.source(first, count, to, &mut out)?;
        batches.push(out.to_vec());
        first += count;
    }
    Ok(batches)
}

fn through(
    workload: &WorkloadHandle,
    from: usize,
    to: usize,
    batches: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, WorkloadError> {
    let mut out = workload.buffer();
    let one = |batch: &Vec<u8>| workload.run_stages(from, to, batch, &mut out).map(|()| out.to_vec());
    batches.iter().map(one).collect()
}

fn reduced(
    workload: &WorkloadHandle,
    stage: usize,
    batches: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, WorkloadError> {
    let split = |batch: &Vec<u8>| workload.split(stage, batch, PARTITIONS);
    let parts = batches.iter().map(split).collect::<Result<Vec<_>, _>>()?;
    let mut emitted = Vec::new();
    for partition in 0..PARTITIONS as usize {
        let own = parts.iter().filter_map(|parts| parts.get(partition)).map(|part| &**part);
        emit(folded(own, || workload.new_state(stage))?, workload, &mut emitted)?;
    }
    Ok(emitted)
}

/// Two states that take turns and are merged, as on two owners.
fn folded<'a>(
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
