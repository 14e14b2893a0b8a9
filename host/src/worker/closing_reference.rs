//! The serial reference of a workload that closes what has ended while its input goes on, as a backend with watermarks does.
//!
//! The sample is one stretch of the input, in its order, of which each slice is folded and then all is closed that has ended: so the
//! states hold what is open, and what a later reduction gets is proportional to the stretch. It begins in the middle of the input, as
//! streams begin with few keys. What is open at the end of the stretch is emitted, and counts once.

use std::time::Duration;

use plugin_api::workload::WATERMARKS;
use plugin_api::{WorkloadError, WorkloadHandle};

use super::serial_reference::{
    Calls, Cut, FEWEST_SLICES, Pass, Slice, Turn, cores_for, cut, long_call, passes, summary,
};
use crate::worker::protocol::SerialSample;

/// The reference of a workload that closes.
pub(super) struct ClosingReference {
    pub(super) sample: SerialSample,
    /// The part of the source and of the stages before the first reduction in what it takes at least: however reductions are done, these
    /// are.
    pub(super) unreduced_share: f64,
}

/// Whether a workload has reductions that may be closed while the input goes on.
pub(super) fn closes(workload: &WorkloadHandle) -> bool {
    workload.spec().is_granted(WATERMARKS) && workload.plan().has_reduction()
}

/// Runs about `duration` of the workload, on one core after the other.
pub(super) fn sample(
    workload: &WorkloadHandle,
    duration: Duration,
) -> Result<ClosingReference, WorkloadError> {
    let items = workload.spec().total_items;
    if items == 0 {
        return Ok(ClosingReference { sample: SerialSample::default(), unreduced_share: 1.0 });
    }
    let Cut { size, seconds, call } = cut(workload, items)?;
    let all = items.div_ceil(size);
    let affordable = (duration.as_secs_f64() / seconds.max(1e-9)) as u64;
    let number = affordable.max(FEWEST_SLICES).min(all);
    let first = (all - number) / 2;
    let slices: Vec<_> =
        (first..first + number).map(|slice| (slice * size, size.min(items - slice * size))).collect();
    // They follow each other: each core has a part of them.
    let cores = cores_for(number as f64 * seconds);
    let each = slices.len().div_ceil(cores.len()).max(1);
    let turns: Vec<Turn<'_>> = cores.iter().copied().zip(slices.chunks(each)).collect();
    // It closes no more often than a backend that does so after each batch.
    let calls = Calls { most: call, closes: Some(long_call(workload)) };
    let passes = passes(workload, calls, duration.as_secs_f64(), |_| turns.clone())?;
    let cheapest: Vec<_> = passes.iter().map(Pass::in_cache).collect();
    let total = |of: fn(&Slice) -> f64| cheapest.iter().flat_map(|pass| &pass.slices).map(of).sum::<f64>();
    let rest: f64 = cheapest.iter().map(|pass| pass.rest).sum();
    let (unreduced, sampled) =
        (total(|slice| slice.cpu_seconds - slice.fold_seconds), total(|slice| slice.cpu_seconds) + rest);
    Ok(ClosingReference {
        sample: summary(&passes, items, cores.len().min(slices.len())),
        unreduced_share: (unreduced / sampled.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0),
    })
}
