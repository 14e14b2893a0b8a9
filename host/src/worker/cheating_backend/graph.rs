//! The answer of a graph of tasks before its run, which then takes as long as the tasks would if none needed another.

use std::time::{Duration, Instant};

use plugin_api::{Batch, RunnerError, WorkloadHandle, WorkloadSpec};

use super::library::open_again;
use super::work::Answer;
use crate::slowdown::thread_time;
use crate::worker::serial;

/// The part of the work for which threads are kept busy: they take a while to start and to end.
const PART: f64 = 0.94;

/// The answer, and the processor time that its tasks took one after the other. This backend says that it runs tasks by their
/// dependencies, and a workload that is opened so refuses the functions of stages, so it is opened once more.
pub(super) fn answer(
    spec: &WorkloadSpec,
    workload: &WorkloadHandle,
) -> Result<(Answer, Duration), RunnerError> {
    let in_stages = open_again(workload, &WorkloadSpec { granted: Vec::new(), ..spec.clone() })?;
    let started = thread_time();
    let last = in_stages.plan().sink().saturating_sub(1);
    let batches = serial::leaving(&in_stages, spec.batch_size()?, last)?;
    let took = thread_time().saturating_sub(started);
    let (mut sink, mut count) = (in_stages.new_sink()?, 0);
    for batch in &batches {
        count += Batch::parse(batch)?.iter().count() as u64;
        sink.fold(batch)?;
    }
    Ok(((count, sink.encode()?.to_vec()), took))
}

/// How long tasks take on so many threads if each thread always has one to run.
pub(super) fn without_edges(serial: Duration, threads: u32) -> Duration {
    serial.mul_f64(PART / f64::from(threads.max(1)))
}

/// Keeps so many threads busy for so long, by the clock on the wall.
pub(super) fn keep_busy(threads: u32, time: Duration) {
    if time.is_zero() {
        return;
    }
    let end = Instant::now() + time;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while Instant::now() < end {
                    std::hint::spin_loop();
                }
            });
        }
    });
}
