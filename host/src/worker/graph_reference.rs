//! Runs tasks of a graph serially, row after row, with nothing but the workload's library at work: what its work takes in either
//! form. Edges are read beside the clock, as a backend may read them before its run.

use std::time::{Duration, Instant};

use plugin_api::{GraphShape, WorkloadError, WorkloadHandle};

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
    let path_share = longest_path as f64 / tasks.max(1) as f64;
    Ok(Some(SerialSample { path_share, ..summary(&passes, tasks, turns) }))
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

/// Runs rows from the first on, until they took `limit` CPU seconds: slices of at least [`SLICE`]. Outputs are made in memory that
/// is used again, and narrow rows at the start of a long graph are no part of the slices: their tasks may take longer than others.
fn rows(workload: &WorkloadHandle, shape: GraphShape, limit: f64) -> Result<Vec<Slice>, WorkloadError> {
    let (mut slices, mut before, mut first_before) = (Vec::new(), Vec::<(Vec<u8>, usize)>::new(), 0);
    let (mut slice, mut taken, mut unused) = (Slice::default(), 0.0, Vec::new());
    let steps = u32::try_from(shape.steps).unwrap_or(u32::MAX);
    for step in 0..steps {
        let row = workload.graph_row(step)?;
        unused.resize_with(row.width() as usize, || vec![0; shape.output_bytes as usize]);
        let started = cpu_time();
        let mut outputs = Vec::with_capacity(row.width() as usize);
        for (place, point) in (0..).zip(row.points()) {
            let output = |from: &u32| {
                let made = before.get(from.wrapping_sub(first_before) as usize);
                made.and_then(|(bytes, length)| bytes.get(..*length)).unwrap_or_default()
            };
            let inputs: Vec<_> = row.inputs(place).iter().map(output).collect();
            let mut output: Vec<u8> = unused.pop().unwrap_or_default();
            let length = workload.graph_task_into(step, point, &inputs, &mut output)?;
            outputs.push((output, length));
        }
        let seconds = cpu_time() - started;
        unused.extend(before.into_iter().map(|(output, _)| output));
        (before, first_before) = (outputs, row.points().start);
        if u64::from(row.width()) < shape.width && step < NARROW_ROWS && steps > 2 * NARROW_ROWS {
            continue;
        }
        taken += seconds;
        slice.cpu_seconds += seconds;
        slice.items += u64::from(row.width());
        if slice.cpu_seconds >= SLICE.as_secs_f64() {
            slices.push(std::mem::take(&mut slice));
        }
        if taken > limit && slices.len() >= FEWEST_SLICES as usize {
            return Ok(slices);
        }
    }
    slices.extend(Some(slice).filter(|slice| slice.items > 0));
    Ok(slices)
}
