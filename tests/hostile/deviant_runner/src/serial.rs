//! Any plan, batch after batch.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use plugin_api::{Batch, RunContext, RunnerError, StageKind, WorkloadHandle, WorkloadSpec};

use crate::deviates;

/// How many items reached the sink, and its state.
pub(crate) fn run(spec: &WorkloadSpec, context: &RunContext) -> Result<(u64, Vec<u8>), RunnerError> {
    let workload = context.workload();
    let plan = workload.plan();
    let mut stage = plan.end_of_chain(1);
    let mut batches = made(spec, context, stage)?;
    let is_wrong = (deviates("drops") && stage == plan.sink() && !plan.open_loop)
        || (deviates("drops_of_schedule") && plan.open_loop);
    if is_wrong {
        batches.pop();
    }
    while plan.kind(stage) == Some(StageKind::KeyedReduce) {
        let next = plan.end_of_chain(stage + 1);
        batches = reduced(workload, stage, next, &batches)?;
        if deviates("drops_keys") {
            batches.pop();
        }
        stage = next;
    }
    let (mut sink, mut count) = (workload.new_sink()?, 0);
    for batch in &batches {
        sink.fold(batch)?;
        count += Batch::parse(batch)?.iter().count() as u64;
    }
    Ok((count, sink.encode()?.to_vec()))
}

fn made(spec: &WorkloadSpec, context: &RunContext, to: usize) -> Result<Vec<Vec<u8>>, RunnerError> {
    let (next, batches) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let size = spec.batch_size().unwrap_or(1);
    let take = || -> Result<(), RunnerError> {
        let mut out = context.workload().buffer();
        loop {
            let first = next.fetch_add(size, Ordering::Relaxed);
            if first >= spec.total_items {
                return Ok(());
            }
            if context.cancelled() && !deviates("deaf") {
                return Err(RunnerError::cancelled());
            }
            context.workload().source(first, size.min(spec.total_items - first), to, &mut out)?;
            batches.lock().unwrap().push(out.to_vec());
        }
    };
    // A thread for each item of the check: on a busy machine every sleep is longer than it should be, and the sleeps of one thread add up
    // until they take as long as the parallelism allows.
    let threads = if deviates("crowd") { 40 } else { 1 };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })?;
    Ok(batches.into_inner().unwrap())
}

fn reduced(
    workload: &WorkloadHandle,
    stage: usize,
    next: usize,
    batches: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, RunnerError> {
    let mut state = workload.new_state(stage)?;
    for batch in batches {
        for part in workload.split(stage, batch, 1)? {
            state.fold(&part)?;
        }
    }
    let (mut keys, mut out, mut emitted) = (workload.buffer(), workload.buffer(), Vec::new());
    loop {
        state.emit(10, &mut keys)?;
        if keys.item_count() == 0 {
            return Ok(emitted);
        }
        workload.run_stages(stage + 1, next, &keys, &mut out)?;
        emitted.push(out.to_vec());
    }
}
