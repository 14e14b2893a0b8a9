//! Runs tasks of a graph serially, row after row, with nothing but the workload's library at work: what its work takes in either
//! form. Edges are read beside the clock, as a backend may read them before its run.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use plugin_api::{GraphRow, GraphShape, WorkloadError, WorkloadHandle};

use super::reference::on_core;
use super::serial_path::cpu_time;
use super::serial_reference::{FEWEST_SLICES, LONGER, MAX_PASSES, MUCH_LONGER, Pass, SLICE, Slice, summary};
use crate::sandbox::affinity::cores;
use crate::worker::protocol::SerialSample;

/// How long the edges of all rows are read.
const READING: Duration = Duration::from_millis(100);

/// A graph is run as a whole where that takes at most so many seconds by its first rows: its later tasks may be of another length.
const WHOLE: f64 = 2.0;

/// A sample of about `duration`, or the whole graph, on one core after the other. `None` if the library cannot run tasks.
pub(super) fn sample(
    workload: &WorkloadHandle,
    shape: GraphShape,
    duration: Duration,
) -> Result<Option<SerialSample>, WorkloadError> {
    let Some((tasks, longest_path)) = size(workload, shape)? else { return Ok(None) };
    let (cores, duration) = (cores(), duration.as_secs_f64());
    let run = |number: usize, limit: f64| {
        let core = cores.get(number % cores.len().max(1)).copied().unwrap_or_default();
        on_core(core, || rows(workload, shape, limit))
    };
    let mut first = run(0, duration / cores.len().max(1) as f64)?;
    if !first.whole {
        let is_affordable = first.seconds_of_task() * tasks as f64 <= WHOLE;
        first = run(0, if is_affordable { LONGER * WHOLE } else { MUCH_LONGER * duration })?;
    }
    let (whole, mut taken) = (first.whole, first.seconds());
    let mut passes = vec![first.pass()];
    while whole && passes.len() < MAX_PASSES && taken < duration {
        let again = run(passes.len(), f64::INFINITY)?;
        taken += again.seconds();
        passes.push(again.pass());
    }
    let turns = cores.len().min(passes.len());
    let sample = SerialSample {
        path_share: longest_path as f64 / tasks.max(1) as f64,
        shortest_task: passes.iter().map(|pass| shortest(&pass.slices)).fold(1.0, f64::min),
        ..summary(&passes, tasks, turns)
    };
    // What later tasks take at least is not known.
    let part = SerialSample { least_cpu_seconds: taken, shortest_task: 0.0, ..sample };
    Ok(Some(if whole { sample } else { part }))
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

/// What was run of a graph, from its first row on.
#[derive(Default)]
struct Run {
    slices: Vec<Slice>,
    /// The narrow rows at the start of a long graph: their tasks may take longer than others.
    narrow: Slice,
    whole: bool,
}

impl Run {
    fn seconds(&self) -> f64 {
        self.narrow.cpu_seconds + self.slices.iter().map(|slice| slice.cpu_seconds).sum::<f64>()
    }

    /// How long a task takes that is in no narrow row.
    fn seconds_of_task(&self) -> f64 {
        let tasks: u64 = self.slices.iter().map(|slice| slice.items).sum();
        self.slices.iter().map(|slice| slice.cpu_seconds).sum::<f64>() / tasks.max(1) as f64
    }

    /// Narrow rows count where no others are judged by them.
    fn pass(self) -> Pass {
        let narrow = Some(self.narrow).filter(|slice| self.whole && slice.items > 0);
        let slices = narrow.into_iter().chain(self.slices).collect();
        Pass { slices, rest: 0.0, rest_operators: 0.0, keyed: false }
    }
}

/// Runs tasks in the order of the rows, until they took `limit` CPU seconds: slices of at least [`SLICE`]. The clock is read around as
/// many tasks as that takes.
fn rows(workload: &WorkloadHandle, shape: GraphShape, limit: f64) -> Result<Run, WorkloadError> {
    let steps = u32::try_from(shape.steps).unwrap_or(u32::MAX);
    let first = first_full_row(workload, shape.width, steps)?;
    prepare_thread(workload, shape)?;
    let (mut run, mut slice, mut taken, mut at_once) = (Run::default(), Slice::default(), 0.0, 1_u64);
    let mut tasks = Tasks::new(workload, shape.output_bytes as usize);
    while tasks.step < steps && (taken <= limit || run.slices.len() < FEWEST_SLICES as usize) {
        let is_narrow = tasks.step < first;
        tasks.read(at_once, if is_narrow { first } else { steps })?;
        let started = cpu_time();
        let items = tasks.run(at_once)?;
        let seconds = cpu_time() - started;
        taken += seconds;
        if seconds < SLICE.as_secs_f64() {
            at_once = at_once.saturating_mul(2);
        } else if seconds > 4.0 * SLICE.as_secs_f64() {
            at_once = (at_once / 2).max(1);
        }
        let part = if is_narrow { &mut run.narrow } else { &mut slice };
        part.cpu_seconds += seconds;
        part.items += items;
        if slice.cpu_seconds >= SLICE.as_secs_f64() {
            run.slices.push(std::mem::take(&mut slice));
        }
    }
    run.slices.extend(Some(slice).filter(|slice| slice.items > 0));
    run.whole = tasks.step == steps;
    Ok(run)
}

/// Runs the first task, which needs no other: what the library prepares once in each thread, such as memory, is no work of the tasks.
fn prepare_thread(workload: &WorkloadHandle, shape: GraphShape) -> Result<(), WorkloadError> {
    if shape.steps > 0 {
        let first = workload.graph_row(0)?.points();
        if !first.is_empty() {
            workload.graph_task_into(0, first.start, &[], &mut vec![0; shape.output_bytes as usize])?;
        }
    }
    Ok(())
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

/// The tasks of a graph in the order of its rows, with the outputs of the row before, in memory that is used again.
struct Tasks<'w> {
    workload: &'w WorkloadHandle,
    bytes: usize,
    /// The next task.
    step: u32,
    place: u32,
    /// The rows from there on that were read, and how many of their tasks have not run.
    read: VecDeque<GraphRow>,
    ahead: u64,
    /// The first point of the row before, and for each point its output and how long that is.
    first: u32,
    before: Vec<(Vec<u8>, usize)>,
    made: Vec<(Vec<u8>, usize)>,
    unused: Vec<Vec<u8>>,
}

impl<'w> Tasks<'w> {
    fn new(workload: &'w WorkloadHandle, bytes: usize) -> Self {
        let (read, before, made, unused) = (VecDeque::new(), Vec::new(), Vec::new(), Vec::new());
        Self { workload, bytes, step: 0, place: 0, read, ahead: 0, first: 0, before, made, unused }
    }

    /// Reads the rows of so many tasks, as far as the row `end`.
    fn read(&mut self, tasks: u64, end: u32) -> Result<(), WorkloadError> {
        while self.ahead < tasks && self.step as usize + self.read.len() < end as usize {
            let row = self.workload.graph_row(self.step + self.read.len() as u32)?;
            self.ahead += u64::from(row.width());
            self.read.push_back(row);
        }
        Ok(())
    }

    /// Runs so many tasks of the rows that were read, or those that there are. Returns their number.
    fn run(&mut self, tasks: u64) -> Result<u64, WorkloadError> {
        let mut left = tasks;
        while left > 0
            && let Some(row) = self.read.pop_front()
        {
            let end = row.width().min(self.place.saturating_add(u32::try_from(left).unwrap_or(u32::MAX)));
            self.run_row(&row, end)?;
            let ran = u64::from(end - self.place);
            (self.place, left, self.ahead) = (end, left - ran, self.ahead - ran);
            if end < row.width() {
                self.read.push_front(row);
                break;
            }
            self.unused.extend(self.before.drain(..).map(|(output, _)| output));
            std::mem::swap(&mut self.before, &mut self.made);
            (self.first, self.step, self.place) = (row.points().start, self.step + 1, 0);
        }
        Ok(tasks - left)
    }

    /// Runs the tasks of a row from the next one on, up to the place `end`.
    fn run_row(&mut self, row: &GraphRow, end: u32) -> Result<(), WorkloadError> {
        let Self { workload, bytes, step, place, first, before, made, unused, .. } = self;
        let output_of = |point: &u32| {
            let made = before.get(point.wrapping_sub(*first) as usize);
            made.and_then(|(output, length)| output.get(..*length)).unwrap_or_default()
        };
        let mut inputs = Vec::new();
        for place in *place..end {
            let mut output = unused.pop().unwrap_or_else(|| vec![0; *bytes]);
            inputs.clear();
            inputs.extend(row.inputs(place).iter().map(output_of));
            let point = row.points().start + place;
            let length = workload.graph_task_into(*step, point, &inputs, &mut output)?;
            made.push((output, length));
        }
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
