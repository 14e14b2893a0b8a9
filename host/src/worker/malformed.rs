//! Bytes that no backend would give to a workload: it must refuse or take them, and go on.

use plugin_api::random::{STEP, mix};
use plugin_api::workload::capi::status;
use plugin_api::{ErrorKind, RunnerError, WorkloadError, WorkloadHandle};

/// As many bytes are made at most where nothing of the workload's own is changed.
const LONGEST: u64 = 64;

/// Gives every function that takes bytes `rounds` batches and states: such as no workload makes, and the workload's own
/// with a byte changed or an end cut off.
pub(super) fn give_rounds(workload: &WorkloadHandle, rounds: u32) -> Result<(), RunnerError> {
    let mut random = Random(workload.spec().seed);
    let own = own(workload)?;
    for _ in 0..rounds {
        let bytes = match random.below(3) {
            0 => random.bytes(),
            _ => {
                let number = random.below(own.len() as u64) as usize;
                random.changed(&own[number])
            }
        };
        give(workload, &bytes).map_err(|function| poisoned(function, &bytes))?;
    }
    Ok(())
}

/// What the workload makes itself: a batch before the first stage, and states that hold it.
fn own(workload: &WorkloadHandle) -> Result<Vec<Vec<u8>>, WorkloadError> {
    let mut batch = workload.buffer();
    workload.source(0, workload.spec().total_items, 1, &mut batch)?;
    let mut own = vec![batch.to_vec()];
    for stage in 0..workload.plan().stages.len() {
        let Ok(mut state) = workload.new_state(stage) else { continue };
        if state.fold(&batch).is_ok() {
            own.push(state.encode()?.to_vec());
        }
    }
    Ok(own)
}

/// The function that panicked, if one did.
fn give(workload: &WorkloadHandle, bytes: &[u8]) -> Result<(), &'static str> {
    let (stages, mut out) = (workload.plan().stages.len(), workload.buffer());
    for from in 0..stages {
        for to in from..=stages {
            told(workload.run_stages(from, to, bytes, &mut out), "run_stages")?;
        }
        told(workload.split(from, bytes, 3), "split")?;
        let Ok(mut state) = workload.new_state(from) else { continue };
        told(state.fold(bytes), "state_fold")?;
        told(state.merge(bytes), "state_merge")?;
        told(state.encode(), "state_encode")?;
        told(state.emit(1, &mut out), "state_emit")?;
    }
    told(workload.outcome(bytes), "outcome")
}

/// An error that is told is as good as an answer; a panic is not.
fn told<T>(result: Result<T, WorkloadError>, function: &'static str) -> Result<(), &'static str> {
    match result {
        Err(WorkloadError::Call { status: status::PANIC | status::POISONED, .. }) => Err(function),
        _ => Ok(()),
    }
}

fn poisoned(function: &str, bytes: &[u8]) -> RunnerError {
    let shown = hex::encode(&bytes[..bytes.len().min(48)]);
    let message = format!("{function} panicked on {} bytes that begin with {shown}", bytes.len());
    RunnerError::new(ErrorKind::Workload, message)
}

/// The same numbers for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        let word = mix(self.0);
        self.0 = self.0.wrapping_add(STEP);
        word
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.below(LONGEST)).map(|_| self.next() as u8).collect()
    }

    fn changed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let at = self.below(bytes.len() as u64) as usize;
        if self.below(4) == 0 {
            bytes.truncate(at);
        } else if let Some(byte) = bytes.get_mut(at) {
            *byte = self.next() as u8;
        }
        bytes
    }
}
