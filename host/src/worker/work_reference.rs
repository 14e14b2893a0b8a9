//! What the work of a cell takes: by a serial sample of its stages, or of its tasks if it is a graph of tasks.

use std::time::Duration;

use plugin_api::workload::GRAPH;
use plugin_api::{Batch, WorkloadError, WorkloadHandle};

use super::closing_reference::{self, ClosingReference};
use super::reference::on_cores;
use super::{graph_reference, serial_reference};
use crate::sandbox::affinity::{cores, fast_cores};
use crate::worker::protocol::{Reference, SerialSample, Work};
use crate::worker::state::{Failure, Worker};

/// What has to be run as a whole may take so long.
const MOST_SECONDS: f64 = 2.0;

/// Opens the workload, and runs a sample of about `duration`, or none if that is 0.
pub(super) fn take(worker: &mut Worker, work: &Work, duration: Duration) -> Result<Reference, Failure> {
    let (workload, opening_seconds) = worker.reopen(work)?;
    if workload.plan().open_loop {
        let last_due_seconds = last_due(&worker.begun_workload(work)?)?;
        return Ok(Reference { sample: None, opening_seconds, last_due_seconds });
    }
    let sample = if duration.is_zero() { None } else { Some(of_all_cores(&workload, duration)?) };
    Ok(Reference { sample, opening_seconds, last_due_seconds: None })
}

/// A sample of all cores, and where some are slow, one of the others too: an engine may use those alone. The work takes at least what it
/// takes there, and the efficiency of a run on few cores refers to them.
fn of_all_cores(workload: &WorkloadHandle, duration: Duration) -> Result<SerialSample, WorkloadError> {
    let all = sample(workload, duration)?;
    let fast = fast_cores();
    if fast.len() == cores().len() {
        return Ok(all);
    }
    let least = on_cores(&fast, || sample(workload, duration))?;
    let all = SerialSample {
        fast_cpu_seconds: least.cpu_seconds,
        fast_cores: fast.len() as u64,
        slow_cores: cores().len().saturating_sub(fast.len()) as u64,
        ..all
    };
    if least.least_cpu_seconds >= all.least_cpu_seconds {
        return Ok(all);
    }
    let SerialSample { least_cpu_seconds, operator_share, path_share, shortest_task, .. } = least;
    Ok(SerialSample { least_cpu_seconds, operator_share, path_share, shortest_task, ..all })
}

fn sample(workload: &WorkloadHandle, duration: Duration) -> Result<SerialSample, WorkloadError> {
    let shape = workload.plan().graph.filter(|_| workload.spec().is_granted(GRAPH));
    let of_tasks = match shape {
        Some(shape) => graph_reference::sample(workload, shape, duration)?,
        None => None,
    };
    match of_tasks {
        Some(sample) => Ok(sample),
        None if closing_reference::closes(workload) => closing_sample(workload, duration),
        None => serial_reference::sample(workload, duration),
    }
}

/// The work is what it takes with closing, as its states hold what is open then. A backend may also emit all at the end of the
/// input, so the work takes at least what the cheaper of the two does.
fn closing_sample(workload: &WorkloadHandle, duration: Duration) -> Result<SerialSample, WorkloadError> {
    let half = duration / 2;
    let ClosingReference { sample, unreduced_share } = closing_reference::sample(workload, half)?;
    if !serial_reference::is_affordable(workload, MOST_SECONDS)? {
        let least_cpu_seconds = sample.least_cpu_seconds * unreduced_share;
        return Ok(SerialSample { least_cpu_seconds, ..sample });
    }
    let at_the_end = serial_reference::sample(workload, half)?;
    Ok(SerialSample {
        least_cpu_seconds: sample.least_cpu_seconds.min(at_the_end.least_cpu_seconds),
        operator_share: sample.operator_share.min(at_the_end.operator_share),
        ..sample
    })
}

/// When the last item of an open loop is due, in seconds: the first half of its stamp, which is the end of the item.
fn last_due(workload: &WorkloadHandle) -> Result<Option<f64>, WorkloadError> {
    let Some(last) = workload.spec().total_items.checked_sub(1) else { return Ok(None) };
    let mut batch = workload.buffer();
    workload.source(last, 1, 1, &mut batch)?;
    let stamp = Batch::parse(&batch)?.iter().next().and_then(|item| item.last_chunk::<16>());
    Ok(stamp.map(|stamp| u128::from_le_bytes(*stamp) as u64 as f64 / 1e9))
}
