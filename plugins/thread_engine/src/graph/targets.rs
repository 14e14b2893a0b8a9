//! The edges from a row of a graph to the next, in the direction of the outputs.

use plugin_api::{GraphRow, WorkloadError, WorkloadHandle};

/// The row `step` of a graph, which follows `before`.
///
/// # Errors
/// When the workload has no such row, or a task of it needs an output that no task of the row before makes: that task would
/// never run.
pub fn read_row(
    workload: &WorkloadHandle,
    step: u32,
    before: Option<&GraphRow>,
) -> Result<GraphRow, WorkloadError> {
    let row = workload.graph_row(step)?;
    let points = before.map(GraphRow::points).unwrap_or_default();
    if (0..row.width()).any(|place| row.inputs(place).iter().any(|point| !points.contains(point))) {
        return Err(WorkloadError::Malformed(
            "a task needs the output of a point that the row before does not have",
        ));
    }
    Ok(row)
}

/// Which tasks of a row need the output of each task of the row before: the edges of that row in the other direction.
#[derive(Debug, Default)]
pub struct Targets {
    /// Where the targets of each task begin, and where those of the last end.
    offsets: Vec<u32>,
    places: Vec<u32>,
}

impl Targets {
    /// The edges from `row` to `next`, which follows it.
    pub fn between(row: &GraphRow, next: &GraphRow) -> Self {
        let first = row.points().start;
        let mut offsets = vec![0; row.width() as usize + 1];
        let sources = |place| next.inputs(place).iter().map(move |point| (point.wrapping_sub(first), place));
        let edges = || (0..next.width()).flat_map(sources);
        for (source, _) in edges() {
            if let Some(count) = offsets.get_mut(source as usize + 1) {
                *count += 1;
            }
        }
        for place in 1..offsets.len() {
            offsets[place] += offsets[place - 1];
        }
        let mut ends = offsets.clone();
        let mut places = vec![0; offsets.last().map_or(0, |all: &u32| *all as usize)];
        for (source, target) in edges() {
            if let Some(end) = ends.get_mut(source as usize)
                && let Some(place) = places.get_mut(*end as usize)
            {
                *place = target;
                *end += 1;
            }
        }
        Self { offsets, places }
    }

    /// The places of the tasks that need the output of the task at `place`, ascending, and once for each edge.
    pub fn of(&self, place: u32) -> &[u32] {
        let range = self.offsets.get(place as usize).zip(self.offsets.get(place as usize + 1));
        range.and_then(|(from, to)| self.places.get(*from as usize..*to as usize)).unwrap_or_default()
    }
}
