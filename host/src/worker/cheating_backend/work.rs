//! The work of a run, with one item, or all of them, changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use plugin_api::{Batch, BatchBuilder, RunnerError, StageKind, WorkloadHandle, WorkloadSpec};

use crate::worker::cheat::Cheat;

/// How many items reached the sink, and the state of the sink.
pub(super) type Answer = (u64, Vec<u8>);

/// The stamp of an item of an open loop that is due, and made, later than any sink sees it.
const LATER: [u8; 16] = [255, 255, 255, 255, 255, 255, 255, 127, 254, 255, 255, 255, 255, 255, 255, 127];

/// Takes all items through a plan without keyed reductions, on `threads` threads.
pub(super) fn work(
    spec: &WorkloadSpec,
    workload: &WorkloadHandle,
    threads: u32,
    cheat: Cheat,
) -> Result<Answer, RunnerError> {
    let (next, batch_size) = (AtomicU64::new(0), spec.batch_size()?);
    let states = Mutex::new(Vec::new());
    let thread = || -> Result<(), RunnerError> {
        let mut sink = workload.new_sink()?;
        let mut arrived = 0;
        loop {
            let first = next.fetch_add(batch_size, Ordering::Relaxed);
            if first >= spec.total_items {
                break;
            }
            let mut items = process(workload, first, batch_size.min(spec.total_items - first), cheat)?;
            // Only the first batch is changed: a small cheat is harder to find.
            if first == 0 {
                change(&mut items, cheat);
            }
            sink.fold(&encoded(&items)?)?;
            arrived += items.len() as u64;
        }
        let state = sink.encode()?.to_vec();
        states.lock().unwrap_or_else(PoisonError::into_inner).push((arrived, state));
        Ok(())
    };
    let panicked = |_| Err(RunnerError::engine("a thread of the cheating backend panicked"));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(thread)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked))
    })?;
    let mut merged = workload.new_sink()?;
    let states = states.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (_, state) in &states {
        merged.merge(state)?;
    }
    Ok((states.iter().map(|(count, _)| count).sum(), merged.encode()?.to_vec()))
}

/// A state of the sink with a time for each item, as one of an open loop has: each item came a nanosecond after it was due.
pub(super) fn with_times(state: &[u8]) -> Vec<u8> {
    let count = state.get(8..16).unwrap_or_default();
    let [one, none] = [1, 0_u64].map(u64::to_le_bytes);
    [state, &one, &one, count, &none, &none].concat()
}

/// About how long the work takes on one core: by the fastest of a few batches, as others may use the core too.
pub(super) fn serial_time(spec: &WorkloadSpec, workload: &WorkloadHandle) -> Result<Duration, RunnerError> {
    let count = spec.batch_size()?.min(spec.total_items).max(1);
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let started = Instant::now();
        process(workload, 0, count, Cheat::None)?;
        fastest = fastest.min(started.elapsed());
    }
    let batches = spec.total_items.div_ceil(count).min(u64::from(u32::MAX)) as u32;
    Ok(fastest.saturating_mul(batches))
}

/// The items of a slice that reach the sink.
fn process(
    workload: &WorkloadHandle,
    first: u64,
    count: u64,
    cheat: Cheat,
) -> Result<Vec<Vec<u8>>, RunnerError> {
    let (mut batch, mut next) = (workload.buffer(), workload.buffer());
    let plan = workload.plan();
    if cheat != Cheat::SkipKernel {
        workload.source(first, count, plan.sink(), &mut batch)?;
    } else {
        workload.source(first, count, 1, &mut batch)?;
        // Filters still drop items, so that the count is right.
        for stage in (1..plan.sink()).filter(|stage| plan.kind(*stage) == Some(StageKind::Filter)) {
            workload.run_stages(stage, stage + 1, &batch, &mut next)?;
            std::mem::swap(&mut batch, &mut next);
        }
    }
    Ok(Batch::parse(&batch)?.iter().map(<[u8]>::to_vec).collect())
}

fn encoded(items: &[Vec<u8>]) -> Result<Vec<u8>, RunnerError> {
    let mut batch = Vec::new();
    items.iter().map(Vec::as_slice).collect::<BatchBuilder>().encode(&mut batch)?;
    Ok(batch)
}

fn change(items: &mut Vec<Vec<u8>>, cheat: Cheat) {
    match cheat {
        Cheat::Drop => drop(items.pop()),
        Cheat::Duplicate => {
            if let (Some(first), Some(last)) = (items.first().cloned(), items.last_mut()) {
                *last = first;
            }
        }
        Cheat::FlipBit => {
            if let Some(byte) = items.last_mut().and_then(|item| item.last_mut()) {
                *byte ^= 1;
            }
        }
        Cheat::ForgedStamps => {
            items.iter_mut().filter_map(|item| item.last_chunk_mut()).for_each(|stamp| *stamp = LATER);
        }
        _ => {}
    }
}
