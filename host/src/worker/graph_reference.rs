//! Runs tasks of a graph serially, row after row, with nothing but the workload's library at work: what its work takes in either
//! form. Edges are read beside the clock, as a backend may read them before its run.

use std::time::{Duration, Instant};

use plugin_api::{GraphRow, GraphShape, WorkloadError, WorkloadHandle};

use super::reference::on_core;
use super::serial_path::cpu_time;
use super::serial_reference::{FEWEST_SLICES, MAX_PASSES, Pass, SLICE, Slice, summary};
use crate::sandbox::affinity::cores;
use crate::worker::protocol::SerialSample;

/// How long the edges of all rows are read.
const READING: Duration = Duration::from_millis(100);

/// A sample of about `duration`, on one core after the other. `None` if the library cannot run tasks.
pub(super) fn sample(
    workload: &WorkloadHandle,
    shape: GraphShape,
    duration: Duration,
) -> Result<Option<SerialSample>, WorkloadError> {
    let Some((tasks, longest_path)) = size(workload, shape)? else { return Ok(None) };
    let (cores, mut passes, mut taken) = (cores(), Vec::new(), 0.0);
    let limit = duration.as_secs_f64() / cores.len().max(1) as f64;
    while passes.len() < MAX_PASSES && (taken < duration.as_secs_f64() || passes.is_empty()) {
        let core = cores.get(passes.len() % cores.len().max(1)).copied().unwrap_or_default();
        let slices = on_core(core, || rows(workload, shape, limit))?;
        taken += slices.iter().map(|slice| slice.cpu_seconds).sum::<f64>();
        passes.push(Pass { slices, rest: 0.0, rest_operators: 0.0, keyed: false });
    }
    let turns = cores.len().min(passes.len());
    let shortest_task = passes.iter().map(|pass| shortest(&pass.slices)).fold(1.0, f64::min);
    let path_share = longest_path as f64 / tasks.max(1) as f64;
    Ok(Some(SerialSample { path_share, shortest_task, ..summary(&passes, tasks, turns) }))
}

/// How long a task is in the slice in which tasks are shortest, in relation to all slices.
fn shortest(slices: &[Slice]) -> f64 {
    let of_task = |seconds: f64, tasks: u64| seconds / tasks.max(1) as f64;
    let seconds = slices.iter().map(|slice| slice.cpu_seconds).sum();
    let mean = of_task(seconds, slices.iter().map(|slice| slice.items).sum());
    let least = slices.iter().map(|slice| of_task(slice.cpu_seconds, slice.items)).fold(mean, f64::min);
    if mean > 0.0 { least / mean } else { 1.0 }
}

/// How many tasks a graph has, and how many of them are on its longest path. The edges of a large graph are read for a limited
/// time: the longest path of its first rows is not longer than that of the graph. `None` if the library cannot run tasks.
fn size(workload: &WorkloadHandle, shape: GraphShape) -> Result<Option<(u64, u64)>, WorkloadError> {
    let (started, mut tasks, mut longest) = (Instant::now(), 0, 0);
    let (mut lengths, mut first) = (Vec::<u64>::new(), 0);
    for step in 0..u32::try_from(shape.steps).unwrap_or(u32::MAX) {
        let Some(width) = workload.graph_width(step)? else { return Ok(None) };
        tasks += u64::from(width);
        if started.elapsed() > READING {
            continue;
        }
        let row = workload.graph_row(step)?;
        let before = |point: &u32| lengths.get(point.wrapping_sub(first) as usize);
        let length =
            |place| 1 + row.inputs(place).iter().filter_map(before).max().copied().unwrap_or_default();
        lengths = (0..row.width()).map(length).collect();
        first = row.points().start;
        longest = lengths.iter().copied().fold(longest, u64::max);
    }
    Ok(Some((tasks, longest)))
}

/// Rows that are narrower than others at the start of a graph of more than twice so many: no row has more points.
const NARROW_ROWS: u32 = 13;

/// Runs rows from the first on, until they took `limit` CPU seconds: slices of at least [`SLICE`]. The clock is read around as many
/// rows as that takes. Narrow rows at the start of a long graph are no part of the slices: their tasks may take longer than others.
fn rows(workload: &WorkloadHandle, shape: GraphShape, limit: f64) -> Result<Vec<Slice>, WorkloadError> {
    let steps = u32::try_from(shape.steps).unwrap_or(u32::MAX);
    let first = first_full_row(workload, shape.width, steps)?;
    let (mut slices, mut slice, mut taken) = (Vec::new(), Slice::default(), 0.0);
    let (mut outputs, mut step, mut at_once) = (Outputs::new(shape.output_bytes as usize), 0, 1_u32);
    while step < steps && (taken <= limit || slices.len() < FEWEST_SLICES as usize) {
        let end = step.saturating_add(at_once).min(if step < first { first } else { steps });
        let read = (step..end).map(|step| workload.graph_row(step)).collect::<Result<Vec<_>, _>>()?;
        let started = cpu_time();
        (step..end).zip(&read).try_for_each(|(step, row)| outputs.next_row(workload, step, row))?;
        let seconds = cpu_time() - started;
        if seconds < SLICE.as_secs_f64() {
            at_once = at_once.saturating_mul(2);
        }
        if step >= first {
            taken += seconds;
            slice.cpu_seconds += seconds;
            slice.items += read.iter().map(|row| u64::from(row.width())).sum::<u64>();
            if slice.cpu_seconds >= SLICE.as_secs_f64() {
                slices.push(std::mem::take(&mut slice));
            }
        }
        step = end;
    }
    slices.extend(Some(slice).filter(|slice| slice.items > 0));
    Ok(slices)
}

/// The step after the last narrow row at the start of a long graph.
fn first_full_row(workload: &WorkloadHandle, width: u64, steps: u32) -> Result<u32, WorkloadError> {
    let mut first = 0;
    for step in 0..if steps > 2 * NARROW_ROWS { NARROW_ROWS } else { 0 } {
        if workload.graph_width(step)?.is_some_and(|points| u64::from(points) < width) {
            first = step + 1;
        }
    }
    Ok(first)
}

/// The outputs of a row, which the next one reads, in memory that is used again.
struct Outputs {
    bytes: usize,
    /// The first point of the row, and for each point its output and how long that is.
    first: u32,
    row: Vec<(Vec<u8>, usize)>,
    unused: Vec<Vec<u8>>,
}

impl Outputs {
    fn new(bytes: usize) -> Self {
        Self { bytes, first: 0, row: Vec::new(), unused: Vec::new() }
    }

    /// Runs the tasks of the row after the one of which the outputs are here.
    fn next_row(
        &mut self,
        workload: &WorkloadHandle,
        step: u32,
        row: &GraphRow,
    ) -> Result<(), WorkloadError> {
        let Self { bytes, first, row: before, unused } = self;
        let made = |point: &u32| {
            let made = before.get(point.wrapping_sub(*first) as usize);
            made.and_then(|(output, length)| output.get(..*length)).unwrap_or_default()
        };
        let (mut inputs, mut outputs) = (Vec::new(), Vec::with_capacity(row.width() as usize));
        for (place, point) in (0..).zip(row.points()) {
            let mut output = unused.pop().unwrap_or_else(|| vec![0; *bytes]);
            inputs.clear();
            inputs.extend(row.inputs(place).iter().map(made));
            let length = workload.graph_task_into(step, point, &inputs, &mut output)?;
            outputs.push((output, length));
        }
        unused.extend(before.drain(..).map(|(output, _)| output));
        (*before, *first) = (outputs, row.points().start);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_tasks_are_those_of_the_cheapest_slice() {
        let slice = |cpu_seconds, items| Slice { cpu_seconds, items, ..Slice::default() };
        assert_eq!(shortest(&[slice(1.0, 1), slice(3.0, 3)]), 1.0);
        assert_eq!(shortest(&[slice(1.0, 10), slice(9.0, 10)]), 0.2);
        assert_eq!(shortest(&[]), 1.0);
    }
}
