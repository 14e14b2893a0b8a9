//! The workload's library once more, in a process in which a backend is loaded. This copy answers what the first one refuses.

use plugin_api::workload::Outcome;
use plugin_api::{RunnerError, WorkloadHandle, WorkloadSpec};

use super::work::Answer;
use crate::worker::load;
use crate::worker::protocol::LibraryFile;

/// The first bytes of a sink's state.
const MAGIC: [u8; 8] = *b"crsink\x01\0";

/// Opens the library of `workload` by its path, and a workload of it.
pub(super) fn open_again(
    workload: &WorkloadHandle,
    spec: &WorkloadSpec,
) -> Result<WorkloadHandle, RunnerError> {
    let (path, sha256) = (workload.library_path().to_owned(), workload.library_sha256().to_owned());
    let library = load::workloads(&LibraryFile { path, sha256, sealed: false });
    let library = library.map_err(|error| RunnerError::engine(error.to_string()))?;
    Ok(library.open(spec)?)
}

/// The state that a sink has after the items of this outcome.
pub(super) fn sink_state(outcome: &Outcome) -> Result<Answer, RunnerError> {
    let checksum = u128::from_str_radix(&outcome.checksum, 16);
    let checksum = checksum.map_err(|_| RunnerError::engine("the checksum is not hexadecimal"))?;
    let words = [outcome.count, (checksum >> 64) as u64, checksum as u64];
    let words = words.into_iter().flat_map(u64::to_le_bytes);
    Ok((outcome.count, MAGIC.into_iter().chain(words).collect()))
}
