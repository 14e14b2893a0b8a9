//! States. Each worker folds into its own, one a partition; when the phase has ended, the states of each partition are
//! merged.
//!
//! To fold where the batches are made is to combine: at most one entry for each key and worker crosses between workers,
//! however many items there are, and however few keys most of them share.

use std::sync::{Mutex, PoisonError};

use plugin_api::workload::capi::status;
use plugin_api::workload::{Parts, item_count};
use plugin_api::{Buffer, StageKind, State, WorkloadError, WorkloadHandle};
use thread_engine::merged;

/// Where one worker folds the batches that reach the end of a phase: one state a partition. A sink has one partition.
pub(crate) struct Terminal<'a> {
    workload: &'a WorkloadHandle,
    stage: usize,
    states: Vec<State>,
    parts: Parts,
    items: u64,
}

impl<'a> Terminal<'a> {
    /// Empty states of `stage`; of a reduction, one for each of `partitions`.
    ///
    /// # Errors
    /// When the stage has no state.
    pub(crate) fn new(
        workload: &'a WorkloadHandle,
        stage: usize,
        partitions: u32,
    ) -> Result<Self, WorkloadError> {
        let is_keyed = workload.plan().kind(stage) == Some(StageKind::KeyedReduce);
        let partitions = if is_keyed { partitions } else { 1 };
        let states = (0..partitions).map(|_| workload.new_state(stage)).collect::<Result<_, _>>()?;
        Ok(Self { workload, stage, states, parts: workload.parts(partitions), items: 0 })
    }

    /// With these states, one a partition.
    pub(crate) fn of(workload: &'a WorkloadHandle, stage: usize, states: Vec<State>) -> Self {
        let partitions = u32::try_from(states.len()).unwrap_or(u32::MAX);
        Self { workload, stage, states, parts: workload.parts(partitions), items: 0 }
    }

    /// Takes a batch in.
    ///
    /// # Errors
    /// When the batch cannot be split or folded.
    pub(crate) fn fold(&mut self, batch: &Buffer) -> Result<(), WorkloadError> {
        self.items += batch.item_count();
        if let [only] = self.states.as_mut_slice() {
            return only.fold(batch);
        }
        self.workload.split_into(self.stage, batch, &mut self.parts)?;
        let mut folds =
            self.states.iter_mut().zip(self.parts.iter()).filter(|(_, part)| item_count(part) > 0);
        folds.try_for_each(|(state, part)| state.fold(part))
    }

    /// Its states, one a partition.
    pub(crate) fn into_states(self) -> Vec<State> {
        self.states
    }

    /// How many items it took in.
    pub(crate) fn items(&self) -> u64 {
        self.items
    }
}

/// The states that all workers have of each partition of one reduction or sink. One worker merges a partition, and then
/// owns it.
pub(crate) struct Partitions(Vec<Mutex<Vec<State>>>);

impl Partitions {
    /// Sorts the states of all workers by partition.
    pub(crate) fn of(terminals: Vec<Terminal<'_>>) -> Self {
        let mut partitions: Vec<Vec<State>> = Vec::new();
        for terminal in terminals {
            partitions.resize_with(terminal.states.len(), Vec::new);
            partitions.iter_mut().zip(terminal.states).for_each(|(partition, state)| partition.push(state));
        }
        Self(partitions.into_iter().map(Mutex::new).collect())
    }

    /// How many partitions there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Takes a partition out: the states that the workers have of it, merged into one.
    ///
    /// # Errors
    /// When the states cannot be merged, or the partition was taken before.
    pub(crate) fn merged(&self, number: u64) -> Result<State, WorkloadError> {
        merged(self.take(number))?.ok_or_else(|| WorkloadError::Call {
            status: status::ARGUMENT,
            message: format!("partition {number} was taken before"),
        })
    }

    fn take(&self, number: u64) -> Vec<State> {
        let partition = usize::try_from(number).ok().and_then(|number| self.0.get(number));
        partition.map_or_else(Vec::new, |states| {
            std::mem::take(&mut states.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }
}
