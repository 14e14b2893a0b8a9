//! The tasks of one step, and the edges to the next.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use plugin_api::GraphRow;
use thread_engine::graph::Targets;

/// A task: its row, and its place in it.
pub(super) struct Task {
    pub(super) row: Arc<Row>,
    pub(super) place: u32,
}

/// The outputs of a row that other tasks need. They are freed with the last row that has them.
type Outputs = Arc<[OnceLock<Vec<u8>>]>;

pub(super) struct Row {
    step: u32,
    /// The points and their inputs: points of the row before.
    edges: GraphRow,
    /// The first point of the row before, and its outputs.
    before: (u32, Outputs),
    outputs: Outputs,
    /// How many inputs of each task are missing, and one more until the row is released.
    open: Vec<AtomicU32>,
    /// How many tasks have not run.
    left: AtomicU32,
    /// The next row, and who of it needs the outputs: nobody those of the last row.
    next: OnceLock<(Arc<Self>, Targets)>,
}

impl Row {
    /// The row of a step with these edges, after `before`.
    pub(super) fn new(step: u32, edges: GraphRow, before: Option<&Self>) -> Self {
        let before =
            before.map_or((0, Outputs::default()), |row| (row.edges.points().start, row.outputs.clone()));
        let points = edges.width();
        let open = (0..points).map(|place| AtomicU32::new(edges.inputs(place).len() as u32 + 1)).collect();
        Self {
            step,
            before,
            outputs: (0..points).map(|_| OnceLock::new()).collect(),
            open,
            left: AtomicU32::new(points),
            next: OnceLock::new(),
            edges,
        }
    }

    pub(super) fn edges(&self) -> &GraphRow {
        &self.edges
    }

    pub(super) fn step(&self) -> u32 {
        self.step
    }

    /// Connects this row with the next, before any of its tasks runs.
    pub(super) fn connect(&self, next: &Arc<Self>) {
        let _ = self.next.set((Arc::clone(next), Targets::between(&self.edges, &next.edges)));
    }

    /// Lets tasks run, and adds those that have all their inputs already.
    pub(super) fn release(self: &Arc<Self>, released: &mut Vec<Task>) {
        (0..self.edges.width()).for_each(|place| self.count_down(place, released));
    }

    fn count_down(self: &Arc<Self>, place: u32, released: &mut Vec<Task>) {
        // Who brings the last input sees the outputs that the others have brought.
        let open = self.open.get(place as usize);
        if open.is_some_and(|open| open.fetch_sub(1, Ordering::AcqRel) == 1) {
            released.push(Task { row: Arc::clone(self), place });
        }
    }

    /// Calls `run` with a task's point and inputs.
    pub(super) fn with_inputs<T>(&self, place: u32, run: impl FnOnce(u32, &[&[u8]]) -> T) -> T {
        let (first, outputs) = &self.before;
        let output = |point: &u32| {
            let output = outputs.get(point.wrapping_sub(*first) as usize).and_then(OnceLock::get);
            // An edge from outside of the row before: the task refuses the input.
            output.map_or(&[][..], Vec::as_slice)
        };
        let inputs: Vec<_> = self.edges.inputs(place).iter().map(output).collect();
        run(self.edges.points().start + place, &inputs)
    }

    /// Whether a task needs the output of the task at `place`.
    pub(super) fn is_needed(&self, place: u32) -> bool {
        self.next.get().is_some_and(|(_, targets)| !targets.of(place).is_empty())
    }

    /// Keeps an output for the tasks that need it, and adds those that now have all their inputs.
    pub(super) fn keep(&self, place: u32, output: Vec<u8>, released: &mut Vec<Task>) {
        if let Some(kept) = self.outputs.get(place as usize) {
            let _ = kept.set(output);
        }
        let Some((next, targets)) = self.next.get() else { return };
        targets.of(place).iter().for_each(|target| next.count_down(*target, released));
    }

    /// Counts a task that has run. Returns whether it was the last of the row.
    pub(super) fn has_run(&self) -> bool {
        self.left.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// Rows end one after the other, and not each within the one before: a worker that was stopped behind its task has all the rows that
/// the others made since, and its stack has no room for a call of each.
impl Drop for Row {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some((row, _)) = next {
            next = Arc::into_inner(row).and_then(|mut row| row.next.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::WorkloadSpec;
    use plugin_api::workload::GRAPH;

    use super::*;
    use crate::tests::support::{open, spec};

    #[test]
    fn many_rows_end_with_the_first_on_a_small_stack() {
        let line = WorkloadSpec { granted: vec![GRAPH.into()], ..spec("line") };
        let edges = open(&line).graph_row(1).unwrap();
        let first = Arc::new(Row::new(0, edges.clone(), None));
        let mut newest = Arc::clone(&first);
        for step in 1..50_000 {
            let next = Arc::new(Row::new(step, edges.clone(), Some(&newest)));
            newest.connect(&next);
            newest = next;
        }
        // Somebody has the last one still.
        let stack = std::thread::Builder::new().stack_size(128 << 10);
        stack.spawn(move || drop(first)).unwrap().join().unwrap();
        assert_eq!(Arc::strong_count(&newest), 1);
    }
}
