//! Malformed input for a workload: bytes that no backend would give it. It must refuse or accept them, and go on.

use plugin_api::random::{STEP, mix};
use plugin_api::workload::capi::status;
use plugin_api::{ErrorKind, RunnerError, WorkloadError, WorkloadHandle};

use super::serial;

/// The maximum length of random input.
const MAX_RANDOM: u64 = 64;
/// Room for the output of a task.
const ROOM: usize = 4096;

/// Calls every function that takes bytes with `rounds` inputs: random bytes, and the workload's own batches and states with
/// one byte changed or the end cut off. `tasks` is the same workload, opened to run the tasks of a graph.
pub(super) fn give_rounds(
    workload: &WorkloadHandle,
    tasks: &WorkloadHandle,
    rounds: u32,
) -> Result<(), RunnerError> {
    let mut random = Random(workload.spec().seed);
    let valid = valid_inputs(workload)?;
    for _ in 0..rounds {
        let bytes = match random.below(3) {
            0 => random.bytes(),
            _ => {
                let number = random.below(valid.len() as u64) as usize;
                random.changed(&valid[number])
            }
        };
        let called = call_all(workload, &bytes).and_then(|()| call_tasks(tasks, &bytes));
        called.map_err(|function| panicked(function, &bytes))?;
    }
    Ok(())
}

/// Valid input: a batch before the first stage, or for a graph of tasks before the sink, and states that hold it.
fn valid_inputs(workload: &WorkloadHandle) -> Result<Vec<Vec<u8>>, WorkloadError> {
    let all_items = workload.spec().total_items.max(1);
    let batch = serial::leaving(workload, all_items, 0)?.pop().unwrap_or_default();
    let mut inputs = vec![batch.clone()];
    for stage in 0..workload.plan().stages.len() {
        let Ok(mut state) = workload.new_state(stage) else { continue };
        if state.fold(&batch).is_ok() {
            inputs.push(state.encode()?.to_vec());
        }
    }
    Ok(inputs)
}

/// Calls every function of stages with `bytes`. The error is the name of the function that panicked.
fn call_all(workload: &WorkloadHandle, bytes: &[u8]) -> Result<(), &'static str> {
    let (stages, mut out) = (workload.plan().stages.len(), workload.buffer());
    for from in 0..stages {
        for to in from..=stages {
            no_panic(workload.run_stages(from, to, bytes, &mut out), "run_stages")?;
        }
        no_panic(workload.split(from, bytes, 3), "split")?;
        no_panic(workload.keys(from, bytes, &mut out), "keys")?;
        no_panic(workload.describe(from, bytes), "describe")?;
        let Ok(mut state) = workload.new_state(from) else { continue };
        no_panic(state.fold(bytes), "state_fold")?;
        no_panic(state.merge(bytes), "state_merge")?;
        no_panic(state.encode(), "state_encode")?;
        no_panic(state.emit(1, &mut out), "state_emit")?;
        // What comes after a state was closed is looked at more closely.
        for time in [1, u64::MAX - 1] {
            no_panic(state.close(time, 1, &mut out), "state_close")?;
            no_panic(state.fold(bytes), "state_fold")?;
            no_panic(state.merge(bytes), "state_merge")?;
        }
    }
    for number in [0, u64::MAX] {
        no_panic(workload.watermark(number), "watermark")?;
    }
    no_panic(workload.outcome(bytes), "outcome")
}

/// As [`call_all`], for the functions of a graph.
fn call_tasks(workload: &WorkloadHandle, bytes: &[u8]) -> Result<(), &'static str> {
    let (inputs, mut output) = (vec![bytes; bytes.len() % 4], Vec::new());
    for step in [0, 1, u32::MAX] {
        no_panic(workload.graph_row(step), "graph_edges")?;
        for (point, room) in [(0, bytes.len()), (bytes.len() as u32, ROOM), (u32::MAX, 0)] {
            no_panic(workload.graph_task(step, point, &inputs, room, &mut output), "graph_task")?;
        }
    }
    Ok(())
}

/// A function may report any error, but must not panic.
fn no_panic<T>(result: Result<T, WorkloadError>, function: &'static str) -> Result<(), &'static str> {
    match result {
        Err(WorkloadError::Call { status: status::PANIC | status::POISONED, .. }) => Err(function),
        _ => Ok(()),
    }
}

fn panicked(function: &str, bytes: &[u8]) -> RunnerError {
    let shown = hex::encode(&bytes[..bytes.len().min(48)]);
    let message = format!("{function} panicked on {} bytes that begin with {shown}", bytes.len());
    RunnerError::new(ErrorKind::Workload, message)
}

/// A random number generator, deterministic in its seed (splitmix64).
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
        (0..self.below(MAX_RANDOM)).map(|_| self.next() as u8).collect()
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
