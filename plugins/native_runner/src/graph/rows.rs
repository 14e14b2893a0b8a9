//! Which rows there are: those of which a task has not run, up to a number, and one more that waits for its edges.

use std::sync::{Arc, Mutex, PoisonError};

use plugin_api::{GraphShape, WorkloadError, WorkloadHandle};
use thread_engine::graph::read_row;

use super::ready::ReadyTasks;
use super::row::{Row, Task};

/// The most rows from the oldest that is not finished: with more, workers could run further ahead, and more outputs would be kept.
const WINDOW: u32 = 16;

pub(super) struct Rows<'a> {
    workload: &'a WorkloadHandle,
    steps: u32,
    ready: &'a ReadyTasks,
    window: Mutex<Window>,
}

struct Window {
    /// The newest row, of which no task may run before the row after it is known. `None` after the last.
    newest: Option<Arc<Row>>,
    /// The first row that is not finished.
    oldest: u32,
    /// Rows after that which are finished.
    finished: Vec<u32>,
}

impl<'a> Rows<'a> {
    /// The first rows, whose ready tasks are in the queue.
    pub(super) fn new(
        workload: &'a WorkloadHandle,
        shape: GraphShape,
        ready: &'a ReadyTasks,
    ) -> Result<Self, WorkloadError> {
        // The steps of a graph are numbers of 32 bits.
        let steps = u32::try_from(shape.steps).unwrap_or(u32::MAX);
        let newest = if steps == 0 { None } else { Some(row(workload, 0, None)?) };
        if newest.is_none() {
            ready.finish();
        }
        let window = Mutex::new(Window { newest, oldest: 0, finished: Vec::new() });
        let rows = Self { workload, steps, ready, window };
        let mut released = Vec::new();
        rows.extend(&mut rows.window.lock().unwrap_or_else(PoisonError::into_inner), &mut released)?;
        ready.add(released.into_iter());
        Ok(rows)
    }

    /// Takes that a task of `row` has run. Adds tasks to `released` that may run because of it.
    pub(super) fn finish(&self, row: &Row, released: &mut Vec<Task>) -> Result<(), WorkloadError> {
        if !row.has_run() {
            return Ok(());
        }
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.finished.push(row.step());
        while let Some(at) = window.finished.iter().position(|step| *step == window.oldest) {
            window.finished.swap_remove(at);
            window.oldest += 1;
        }
        if window.oldest == self.steps {
            self.ready.finish();
        }
        self.extend(&mut window, released)
    }

    /// Makes rows until the window is full, and releases the tasks of all but the newest.
    fn extend(&self, window: &mut Window, released: &mut Vec<Task>) -> Result<(), WorkloadError> {
        while let Some(newest) = window.newest.take() {
            if newest.step() + 1 == self.steps {
                newest.release(released);
            } else if newest.step() < window.oldest + WINDOW {
                let next = row(self.workload, newest.step() + 1, Some(&newest))?;
                newest.connect(&next);
                newest.release(released);
                window.newest = Some(next);
            } else {
                window.newest = Some(newest);
                break;
            }
        }
        Ok(())
    }
}

fn row(workload: &WorkloadHandle, step: u32, before: Option<&Row>) -> Result<Arc<Row>, WorkloadError> {
    let edges = read_row(workload, step, before.map(Row::edges))?;
    Ok(Arc::new(Row::new(step, edges, before)))
}
