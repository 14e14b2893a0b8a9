//! The graph of tasks that a trial ran, and how.

use plugin_api::workload::GRAPH;
use plugin_api::{GraphShape, WorkloadSpec};
use serde::{Deserialize, Serialize};

/// The warning of a run whose figures are not to be compared with those of a backend that supports graphs.
const IN_STAGES: &str = "the graph ran in stages, with a barrier after each step: the backend does not run tasks by their dependencies";

/// A graph, of whole rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskGraph {
    /// How it was run.
    pub form: Form,
    /// How many rows of tasks it has.
    pub steps: u64,
    /// The largest number of tasks of a row.
    pub width: u64,
    /// How many bytes an output has that another task needs.
    pub output_bytes: u64,
}

/// How a backend runs a graph. Figures of different forms say different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// As the stages of its plan, with a barrier after each step.
    Stages,
    /// Each task when its inputs are there.
    Graph,
}

impl TaskGraph {
    /// The graph of `shape`, run with what the spec of the run has granted.
    pub(super) fn new(shape: GraphShape, spec: &WorkloadSpec) -> Self {
        let GraphShape { steps, width, output_bytes, .. } = shape;
        Self {
            form: if spec.is_granted(GRAPH) { Form::Graph } else { Form::Stages },
            steps,
            width,
            output_bytes,
        }
    }

    /// The largest number of tasks that can run at once, whatever the parallelism.
    pub(crate) fn max_tasks_at_once(&self) -> u32 {
        u32::try_from(self.width).unwrap_or(u32::MAX)
    }

    /// What to tell of a run that was not asked to be in stages.
    pub(super) fn warning(&self, stages_only: bool) -> Option<String> {
        (self.form == Form::Stages && !stages_only).then(|| IN_STAGES.into())
    }
}
