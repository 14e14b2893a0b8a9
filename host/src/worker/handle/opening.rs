//! Opening a workload for a run.

use std::time::{Duration, Instant};

use plugin_api::{WorkloadHandle, WorkloadSpec, monotonic_nanos};

use crate::worker::protocol::LibraryFile;
use crate::worker::state::{Failure, Worker};

/// How long after the request an open loop starts, and twice as long as opening the workload takes.
const START_AHEAD: Duration = Duration::from_millis(20);

/// The workload, opened. In an open loop all processes that take part must know when the run starts: a moment ahead, so
/// that those which open the workload by themselves have done so.
pub(super) fn started(
    worker: &mut Worker,
    spec: &WorkloadSpec,
    library: &LibraryFile,
) -> Result<(WorkloadHandle, WorkloadSpec), Failure> {
    let opening = Instant::now();
    let workload = worker.workload(spec, library)?;
    if !workload.plan().open_loop {
        return Ok((workload, spec.clone()));
    }
    let ahead = START_AHEAD + 2 * opening.elapsed();
    let start_nanos = Some(monotonic_nanos().saturating_add(ahead.as_nanos() as u64));
    let spec = WorkloadSpec { start_nanos, ..spec.clone() };
    Ok((worker.workload(&spec, library)?, spec))
}
