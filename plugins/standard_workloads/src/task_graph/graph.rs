//! The graph: its rows, and the edges between a row and the next.

use std::ops::Range;

use super::pattern::{Pattern, Shape};

/// A graph of at least one step, and at least one point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Graph {
    pattern: Pattern,
    steps: u64,
    width: u64,
    period: u64,
}

impl Graph {
    pub(super) fn new(pattern: Pattern, steps: u64, width: u64) -> Self {
        Self { pattern, steps, width, period: pattern.period(width) }
    }

    /// How many rows there are.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// The largest number of points of a row.
    pub(super) fn width(&self) -> u64 {
        self.width
    }

    /// The points of a row. No row is empty, but there is none after the last.
    pub(super) fn row(&self, step: u64) -> Range<u64> {
        if step >= self.steps {
            return 0..0;
        }
        let left = self.steps - step;
        match self.pattern.shape {
            Shape::Dom => {
                let first = self.width.saturating_sub(left);
                first..first + self.width.min(step + 1).min(left)
            }
            Shape::Tree => 0..self.width.min(1_u64.checked_shl(step as u32).unwrap_or(u64::MAX)),
            _ => 0..self.width,
        }
    }

    /// Passes each point of the row before that a task needs to `to`, in the order of its edges.
    pub(super) fn for_each_input(&self, step: u64, point: u64, mut to: impl FnMut(u64)) {
        let Some(before) = step.checked_sub(1) else { return };
        let row = self.row(before);
        self.pattern.for_each_input(self.width, self.edge_set(step), point, |from| {
            if row.contains(&from) {
                to(from);
            }
        });
    }

    /// Passes each point of the next row that needs a task's output to `to`.
    pub(super) fn for_each_output(&self, step: u64, point: u64, mut to: impl FnMut(u64)) {
        let row = self.row(step + 1);
        if row.is_empty() {
            return;
        }
        self.pattern.for_each_output(self.width, self.edge_set(step + 1), point, |target| {
            if row.contains(&target) {
                to(target);
            }
        });
    }

    pub(super) fn has_inputs(&self, step: u64, point: u64) -> bool {
        let mut any = false;
        self.for_each_input(step, point, |_| any = true);
        any
    }

    pub(super) fn has_outputs(&self, step: u64, point: u64) -> bool {
        let mut any = false;
        self.for_each_output(step, point, |_| any = true);
        any
    }

    /// Which edges of the period come into a row. Task Bench counts those of fft from the second row on, and others from the first.
    fn edge_set(&self, step: u64) -> u64 {
        match self.pattern.shape {
            Shape::Fft => (step + self.period - 1) % self.period,
            _ => step % self.period,
        }
    }
}
