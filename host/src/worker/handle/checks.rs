//! Requests of the contract's checks, which look at what no measurement does.

use std::path::Path;

use plugin_api::{ErrorKind, RunnerError, WorkloadSpec};

use super::opening::started;
use crate::worker::protocol::{LibraryFile, Reply};
use crate::worker::state::{Failure, Worker};
use crate::worker::{malformed, serial, snapshot};

pub(super) fn redirect(stdout: &Path) -> Result<Reply, Failure> {
    let cannot = |error: std::io::Error| RunnerError::new(ErrorKind::Internal, error.to_string());
    let file = std::fs::File::create(stdout).map_err(cannot)?;
    rustix::stdio::dup2_stdout(file).map_err(|error| cannot(error.into()))?;
    Ok(Reply::Done)
}

pub(super) fn snapshot() -> Reply {
    Reply::Snapshot(snapshot::take())
}

pub(super) fn serial(
    worker: &mut Worker,
    spec: &WorkloadSpec,
    library: &LibraryFile,
) -> Result<Reply, Failure> {
    let (workload, spec) = started(worker, spec, library)?;
    Ok(Reply::Outcome { outcome: serial::run(&workload, spec.batch_size()?)? })
}

pub(super) fn give_malformed(
    worker: &mut Worker,
    spec: &WorkloadSpec,
    library: &LibraryFile,
    rounds: u32,
) -> Result<Reply, Failure> {
    malformed::give_rounds(&worker.workload(spec, library)?, rounds)?;
    Ok(Reply::Done)
}
