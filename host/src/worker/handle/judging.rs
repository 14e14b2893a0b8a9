//! Requests to the judge: what a library has, what must come out, what came out, and how fast the machine is.

use std::time::Duration;

use plugin_api::WorkloadSpec;

use crate::worker::protocol::{LibraryFile, Reply};
use crate::worker::state::{Failure, Worker};
use crate::worker::{canary, reference};

pub(super) fn catalogue(worker: &mut Worker, library: &LibraryFile) -> Result<Reply, Failure> {
    Ok(Reply::Catalogue { entries: worker.library(library)?.catalogue()? })
}

pub(super) fn expect(
    worker: &mut Worker,
    spec: &WorkloadSpec,
    library: &LibraryFile,
) -> Result<Reply, Failure> {
    let outcome = worker.workload(spec, library)?.expected()?;
    Ok(Reply::Outcome { outcome })
}

pub(super) fn judge(
    worker: &mut Worker,
    spec: &WorkloadSpec,
    library: &LibraryFile,
    sink_state: &[u8],
) -> Result<Reply, Failure> {
    let outcome = worker.workload(spec, library)?.outcome(sink_state)?;
    Ok(Reply::Outcome { outcome })
}

pub(super) fn time(
    worker: &mut Worker,
    spec: &WorkloadSpec,
    library: &LibraryFile,
    stage: usize,
    seconds: f64,
) -> Result<Reply, Failure> {
    let workload = worker.workload(spec, library)?;
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    Ok(Reply::Timed { cores: reference::time_calls(&workload, stage, duration)? })
}

pub(super) fn canary(seconds: f64) -> Reply {
    Reply::Canary(canary::sing(Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}
