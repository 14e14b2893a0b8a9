//! Times calls of a stage with nothing but the workload's library at work: one thread, one item, one call after the other.
//! This is the reference for all engines.

use std::time::{Duration, Instant};

use plugin_api::{WorkloadError, WorkloadHandle};

use crate::sandbox::affinity::{cores, keep_to};
use crate::stats::median;
use crate::worker::protocol::CallTime;

/// The minimum for each core, however many there are.
const MIN_PER_CORE: Duration = Duration::from_millis(20);

/// Times calls of `stage` on each core that this process may use, one core after the other; `duration` in all.
pub(super) fn time_calls(
    workload: &WorkloadHandle,
    stage: usize,
    duration: Duration,
) -> Result<Vec<CallTime>, WorkloadError> {
    let cores = cores();
    let each = (duration / cores.len().max(1) as u32).max(MIN_PER_CORE);
    cores.iter().map(|core| on_core(*core, || time(workload, stage, each))).collect()
}

/// Calls `work` on a thread of its own, so that the affinity of this one stays.
pub(super) fn on_core<T: Send>(
    core: usize,
    work: impl FnOnce() -> Result<T, WorkloadError> + Send,
) -> Result<T, WorkloadError> {
    on_cores(&[core], work)
}

/// The same on several cores.
pub(super) fn on_cores<T: Send>(
    cores: &[usize],
    work: impl FnOnce() -> Result<T, WorkloadError> + Send,
) -> Result<T, WorkloadError> {
    let pinned = move || {
        keep_to(cores);
        work()
    };
    let failed = |why: String| Err(WorkloadError::Operator(why));
    std::thread::scope(|scope| match std::thread::Builder::new().spawn_scoped(scope, pinned) {
        Ok(thread) => thread.join().unwrap_or_else(|_| failed("a stage panicked while it was timed".into())),
        Err(error) => failed(format!("no thread can be started to time a stage: {error}")),
    })
}

fn time(workload: &WorkloadHandle, stage: usize, duration: Duration) -> Result<CallTime, WorkloadError> {
    let (mut batch, mut output) = (workload.buffer(), workload.buffer());
    workload.source(0, 1, stage, &mut batch)?;
    // The first call loads code and data into the caches.
    workload.run_stages(stage, stage + 1, &batch, &mut output)?;
    let (started, mut calls) = (Instant::now(), Vec::new());
    while calls.is_empty() || started.elapsed() < duration {
        let begun = Instant::now();
        workload.run_stages(stage, stage + 1, &batch, &mut output)?;
        calls.push(begun.elapsed().as_secs_f64());
    }
    let mean = started.elapsed().as_secs_f64() / calls.len() as f64;
    Ok(CallTime { median: median(&calls).unwrap_or(mean), mean })
}
