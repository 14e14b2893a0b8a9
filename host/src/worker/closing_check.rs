//! Closes the keyed reductions of a workload while its input goes on, as a backend may, and checks what the contract says of that.
//! Shares no code with any backend.

use plugin_api::workload::Outcome;
use plugin_api::workload::capi::status;
use plugin_api::{ErrorKind, RunnerError, WorkloadError, WorkloadHandle};

use super::serial_path::SerialPath;

/// So many slices are in flight at once; they are done in the reverse order.
const IN_FLIGHT: usize = 3;
/// The number of partitions of the keys of a reduction.
const PARTITIONS: usize = 3;
/// How many keys are closed or emitted at once.
const KEYS: u64 = 5;

/// Takes all items to the sink, in batches of `batch_size`, and returns the answer.
///
/// # Errors
/// What the library reports; and what breaks a rule of closing.
pub(super) fn run(workload: &WorkloadHandle, batch_size: u64) -> Result<Outcome, RunnerError> {
    let total = workload.spec().total_items;
    let mut path = SerialPath::new(workload, PARTITIONS)?;
    let slices: Vec<_> = (0..total).step_by(batch_size as usize).collect();
    let end = path.first_end();
    for in_flight in slices.chunks(IN_FLIGHT) {
        for first in in_flight.iter().rev() {
            path.make(*first, batch_size.min(total - first), end)?;
            path.fold()?;
            close(&mut path, in_flight[0])?;
        }
    }
    close(&mut path, total)?;
    refuses_late(&mut path, batch_size.min(total))?;
    // What is left at the end of the input.
    path.pass_on(|_, state, batch| state.emit(KEYS, batch))?;
    Ok(workload.outcome(&path.sink()?)?)
}

/// Closes what has ended when all items before `low` are folded: each reduction after the one before it.
fn close(path: &mut SerialPath<'_>, low: u64) -> Result<(), RunnerError> {
    let workload = path.workload;
    let time = workload.watermark(low)?;
    let closed = path.pass_on(|stage, state, batch| {
        let next = state.close(time, KEYS, batch)?;
        if batch.item_count() > 0 || next == 0 {
            return Ok(());
        }
        // What the state does not know may end earlier, so a copy is closed.
        let mut copy = workload.new_state(stage)?;
        copy.merge(&state.encode()?)?;
        copy.close(next - 1, KEYS, batch)?;
        if batch.item_count() == 0 {
            return Ok(());
        }
        Err(broken(format!("a part of stage {stage} ended before {next}, the time that `next` gave")))
    });
    closed.map(drop)
}

/// A state of the first reduction that has closed all that it had refuses to take it once more.
fn refuses_late(path: &mut SerialPath<'_>, count: u64) -> Result<(), RunnerError> {
    if !path.is_keyed() {
        return Ok(());
    }
    let (workload, stage) = (path.workload, path.first_end());
    let made = path.make(0, count, stage)?;
    let (items, is_empty, mut out) = (made.to_vec(), made.item_count() == 0, workload.buffer());
    let mut state = workload.new_state(stage)?;
    state.fold(&items)?;
    loop {
        state.close(workload.watermark(u64::MAX)?, KEYS, &mut out)?;
        if out.item_count() == 0 {
            break;
        }
    }
    let mut copy = workload.new_state(stage)?;
    copy.merge(&state.encode()?)?;
    copy.emit(KEYS, &mut out)?;
    // What never ends is never late.
    if out.item_count() > 0 || is_empty {
        return Ok(());
    }
    match state.fold(&items) {
        Err(WorkloadError::Call { status: status::OPERATOR, .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => {
            Err(broken(format!("stage {stage} took what had ended when it was closed, and must refuse it")))
        }
    }
}

fn broken(message: String) -> RunnerError {
    RunnerError::new(ErrorKind::Workload, message)
}
