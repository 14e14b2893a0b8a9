//! The rows of the graph, which the first worker that gets so far reads for all.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use plugin_api::{GraphRow, GraphShape, WorkloadError, WorkloadHandle};
use thread_engine::graph::{Targets, read_row};

/// A row of the graph, as all workers see it.
pub(super) struct SharedRow {
    pub(super) step: u32,
    /// Its points, and the inputs of each.
    pub(super) edges: GraphRow,
    /// The points of the row before.
    pub(super) before: Range<u32>,
    /// Which tasks of this row need the outputs of the row before.
    pub(super) arriving: Arc<Targets>,
    /// Which tasks of the next row need the outputs of this row.
    pub(super) leaving: Arc<Targets>,
    pub(super) next_width: u32,
    pub(super) output_bytes: usize,
}

/// All rows; those that some workers have taken and others have not are in memory.
pub(crate) struct SharedRows {
    shape: GraphShape,
    workers: usize,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    /// By step: the row, and how many workers have not taken it.
    rows: BTreeMap<u64, (Arc<SharedRow>, usize)>,
    next: Next,
}

/// What is known of the next row that is to be made.
#[derive(Default)]
struct Next {
    step: u32,
    before: Range<u32>,
    arriving: Arc<Targets>,
    /// Known with the row before.
    edges: Option<GraphRow>,
}

impl SharedRows {
    /// The rows of a graph of this shape, of which each of `workers` workers takes every row once, in order.
    pub(crate) fn new(shape: GraphShape, workers: usize) -> Self {
        Self { shape, workers, window: Mutex::default() }
    }

    /// How many rows there are.
    pub(super) fn steps(&self) -> u64 {
        // The steps of a graph are numbers of 32 bits.
        self.shape.steps.min(u64::from(u32::MAX))
    }

    /// The row `step`, for one of the workers.
    pub(super) fn take(&self, workload: &WorkloadHandle, step: u64) -> Result<Arc<SharedRow>, WorkloadError> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        while u64::from(window.next.step) <= step {
            let made = u64::from(window.next.step);
            let row = Arc::new(self.make(workload, &mut window.next)?);
            window.rows.insert(made, (row, self.workers));
        }
        let missing =
            WorkloadError::Malformed("a row of the graph was taken more often than there are workers");
        let (row, left) = window.rows.get_mut(&step).ok_or(missing)?;
        let row = Arc::clone(row);
        *left -= 1;
        if *left == 0 {
            window.rows.remove(&step);
        }
        Ok(row)
    }

    fn make(&self, workload: &WorkloadHandle, next: &mut Next) -> Result<SharedRow, WorkloadError> {
        let Next { step, before, arriving, edges } = std::mem::take(next);
        let edges = edges.map_or_else(|| read_row(workload, step, None), Ok)?;
        let after = u64::from(step + 1) < self.steps();
        let after = after.then(|| read_row(workload, step + 1, Some(&edges))).transpose()?;
        let leaving =
            Arc::new(after.as_ref().map(|after| Targets::between(&edges, after)).unwrap_or_default());
        let next_width = after.as_ref().map_or(0, GraphRow::width);
        *next = Next { step: step + 1, before: edges.points(), arriving: Arc::clone(&leaving), edges: after };
        let output_bytes = self.shape.output_bytes as usize;
        Ok(SharedRow { step, edges, before, arriving, leaving, next_width, output_bytes })
    }
}
