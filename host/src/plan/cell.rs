//! What is measured as one.

use plugin_api::WorkloadSpec;

use super::point::Point;

/// A workload at one point, to be measured once.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The point's stable and readable id.
    pub point: String,
    /// The run and the point: the same for every backend.
    pub run_id: String,
    /// What was configured. Its seed is the run's; the data of a trial have their own.
    pub spec: WorkloadSpec,
}

impl Cell {
    /// The cell of a run at the point that a spec and a number of machines make.
    pub fn new(run: &str, spec: WorkloadSpec, nodes: u32) -> Self {
        let point = Point {
            workload: &spec.name,
            items: Some(spec.total_items),
            parallelism: spec.parallelism,
            scheduler: &spec.scheduler_name,
            nodes,
            extra: &spec.extra,
        };
        let point = point.to_string();
        Self { run_id: format!("{run}/{point}"), point, spec }
    }
}
