//! One worker's part of a row.

use std::ops::Range;
use std::sync::Arc;

use plugin_api::{WorkloadError, WorkloadHandle};

use super::message::Output;
use super::shared_rows::SharedRow;

/// The tasks of a row that one worker runs: those of a range of points, as every worker has.
pub(super) struct OwnRow {
    shared: Arc<SharedRow>,
    /// The places of its tasks.
    places: Range<u32>,
    /// By place: the outputs of the row before that came to this worker. They are freed with the row.
    inputs: Vec<Option<Output>>,
    /// How many inputs each of its tasks waits for.
    open: Vec<u32>,
    /// How many of its tasks have not run.
    left: u32,
}

impl OwnRow {
    pub(super) fn new(shared: Arc<SharedRow>, worker: usize, workers: usize) -> Self {
        let places = places(worker, workers, shared.edges.width());
        let open = places.clone().map(|place| shared.edges.inputs(place).len() as u32).collect();
        let inputs = vec![None; shared.before.len()];
        Self { inputs, open, left: places.len() as u32, places, shared }
    }

    /// The places of the tasks that wait for nothing.
    pub(super) fn without_inputs(&self) -> impl Iterator<Item = u32> {
        self.places.clone().zip(&self.open).filter(|(_, open)| **open == 0).map(|(place, _)| place)
    }

    /// Takes the output of the task at `from` of the row before, and adds the places of tasks that now have all their inputs.
    pub(super) fn receive(&mut self, from: u32, output: Output, released: &mut Vec<u32>) {
        for place in self.shared.arriving.of(from).iter().filter(|place| self.places.contains(place)) {
            if let Some(open) = self.open.get_mut((place - self.places.start) as usize) {
                *open = open.saturating_sub(1);
                released.extend(Some(*place).filter(|_| *open == 0));
            }
        }
        if let Some(input) = self.inputs.get_mut(from as usize) {
            *input = Some(output);
        }
    }

    /// Runs a task that has all its inputs, and gives its output.
    pub(super) fn run(&mut self, workload: &WorkloadHandle, place: u32) -> Result<Vec<u8>, WorkloadError> {
        let SharedRow { edges, before, step, output_bytes, .. } = &*self.shared;
        let input = |point: &u32| {
            let input = self.inputs.get(point.wrapping_sub(before.start) as usize);
            input.and_then(Option::as_ref).map_or(&[][..], |output| output.0.as_slice())
        };
        let inputs: Vec<_> = edges.inputs(place).iter().map(input).collect();
        let mut output = Vec::with_capacity(*output_bytes);
        workload.graph_task(*step, edges.points().start + place, &inputs, *output_bytes, &mut output)?;
        self.left = self.left.saturating_sub(1);
        Ok(output)
    }

    pub(super) fn is_finished(&self) -> bool {
        self.left == 0
    }

    /// Whether a task needs the output of the task at `place`.
    pub(super) fn is_needed(&self, place: u32) -> bool {
        !self.shared.leaving.of(place).is_empty()
    }

    /// Calls `with` once with each worker that owns a task that needs the output of the task at `place`.
    pub(super) fn each_target_worker(&self, place: u32, workers: usize, mut with: impl FnMut(usize)) {
        let mut last = None;
        // The places ascend, and with them the workers.
        for target in self.shared.leaving.of(place) {
            let owner = Some(owner(*target, workers, self.shared.next_width));
            if owner != last {
                last = owner;
                owner.into_iter().for_each(&mut with);
            }
        }
    }
}

/// The worker that owns the task at `place` of a row of so many.
fn owner(place: u32, workers: usize, width: u32) -> usize {
    (u64::from(place) * workers as u64 / u64::from(width.max(1))) as usize
}

/// The places of a row of `width` tasks that a worker owns.
fn places(worker: usize, workers: usize, width: u32) -> Range<u32> {
    let first = |worker: usize| (worker as u64 * u64::from(width)).div_ceil(workers.max(1) as u64) as u32;
    first(worker)..first(worker + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_task_has_one_owner_and_no_owner_has_two_more_than_another(workers in 1_usize..9, width in 1_u32..100) {
            let mut counts = Vec::new();
            let mut seen = Vec::new();
            for worker in 0..workers {
                let own = places(worker, workers, width);
                counts.push(own.len());
                prop_assert!(own.clone().all(|place| owner(place, workers, width) == worker));
                seen.extend(own);
            }
            prop_assert_eq!(seen, (0..width).collect::<Vec<_>>());
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
        }
    }
}
