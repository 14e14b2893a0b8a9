//! The METG of sweeps, as reports render it and `--json` prints it.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::compare::model::{MachineReading, RatioInterval, Source, Status};
use crate::metg::{MOST_ITERATIONS, Value};
use crate::record::{Library, SystemProfile};
use crate::run::task_graph::Form;

pub(crate) use super::graph::SweptGraph;

/// The version of this model's JSON.
pub(crate) const VERSION: u32 = 1;

/// The METG of all backends.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Sweeps {
    pub version: u32,
    /// The share of the cores' time that must be spent in kernels.
    pub target: f64,
    /// One for each backend, number of cores and graph: the smallest value of a graph first, rows without a value last.
    pub rows: Vec<Row>,
    /// The values of graphs that differ in one setting, side by side.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
    /// The command that repeats each run of the records as a whole; of records that do not have it, none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Every reading of the machine check, in the order of time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub machine_checks: Vec<MachineReading>,
    /// In the order in which they first appear.
    pub machines: Vec<SystemProfile>,
    pub warnings: Vec<String>,
    /// The files whose lines have no hash chain, as in a comparison.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_chain: Vec<String>,
}

/// A backend on a number of cores.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Row {
    pub backend: String,
    /// The backend, with what tells the row from others on as many cores and of graphs of the same workload: the machine, the file of
    /// the plugin or of the workload library, options, or the size of the graph.
    pub label: String,
    pub cores: u32,
    /// The graph that the tasks are of; absent if they are independent of each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph: Option<SweptGraph>,
    /// METG as Task Bench defines it: the granularity of a task (cores · duration / tasks) at the target, in seconds. Null
    /// if no block has a value.
    pub metg: Option<Value>,
    /// Of `metg`, in seconds. Null with fewer than six blocks, or for a bound.
    pub metg_interval: Option<RatioInterval>,
    /// The kernel of a task at the target, without overhead, in seconds: `metg` times the target. Null as `metg` is.
    pub value: Option<Value>,
    /// Of `value`, in seconds. Null as `metg_interval` is.
    pub interval: Option<RatioInterval>,
    /// The overhead of a task in seconds of a core: the median over the blocks.
    pub floor: Option<f64>,
    pub blocks_with_value: u32,
    /// Every block, in order.
    pub blocks: Vec<Block>,
    /// The median over the blocks at each kernel, the shortest first.
    pub curve: Vec<Step>,
    pub plugin: Option<Library>,
    pub workload_library: Option<Library>,
    pub versions: Map<String, Json>,
}

impl Row {
    /// The label, and the graph if there is one.
    pub(crate) fn name(&self) -> String {
        self.graph.as_ref().map_or_else(|| self.label.clone(), |graph| format!("{} {graph}", self.label))
    }

    /// Whether its kernels were as long as any can be.
    pub(crate) fn ran_longest_kernel(&self) -> bool {
        self.curve.last().is_some_and(|step| step.iterations >= MOST_ITERATIONS)
    }
}

/// The rows of graphs that differ in one setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Table {
    /// `pattern`, `radix`, `output_bytes`, or another parameter of the workload.
    pub by: String,
    /// Those of two forms are never in one column.
    pub columns: Vec<Column>,
    pub groups: Vec<Group>,
}

/// A backend, and how it ran the graphs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Column {
    /// The label of its rows.
    pub backend: String,
    /// Absent if no trial began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
}

/// The graphs of a table that differ in nothing but the setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Group {
    /// What they have in common: `nearest 64 B`.
    pub graphs: String,
    pub lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Line {
    /// Of the setting.
    pub value: Json,
    /// The place in [`Sweeps::rows`] for each column. Null where nothing was measured.
    pub rows: Vec<Option<usize>>,
}

/// One sweep of one backend.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Block {
    /// Its run, as reports name it. Not in JSON, where each point has its source.
    #[serde(skip)]
    pub run: String,
    /// Counted from 0.
    pub block: u32,
    /// Seconds of one iteration of the kernel in the serial reference of this block.
    pub seconds_per_iteration: f64,
    pub outcome: SweepOutcome,
    /// The overhead of a task in seconds of a core.
    pub floor: Option<f64>,
    /// In the order in which they were run.
    pub points: Vec<Point>,
}

impl Block {
    /// The kernel at the target or its bound, if it has one.
    pub(crate) fn value(&self) -> Option<Value> {
        match self.outcome {
            SweepOutcome::Value { value, .. } => Some(value),
            SweepOutcome::Invalid { .. }
            | SweepOutcome::NeverEfficient { .. }
            | SweepOutcome::Unfinished
            | SweepOutcome::Failed { .. } => None,
        }
    }

    /// The granularity at the target or its bound, if it has one.
    pub(crate) fn metg(&self) -> Option<Value> {
        self.value().map(Value::granularity)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum SweepOutcome {
    /// A value, or a bound: of the granularity at the target, and of the kernel.
    Value { metg: Value, value: Value },
    /// A point has an impossible efficiency.
    Invalid { kernel_seconds: f64, efficiency: f64 },
    /// The longest kernel did not reach the efficiency with which a sweep must begin.
    NeverEfficient { kernel_seconds: f64, efficiency: f64 },
    /// The run ended before the sweep did, or goes on: its long kernels say nothing of the short ones.
    Unfinished,
    /// A point has no verified answer.
    Failed { status: Status, phase: String, message: String, remedy: Option<String> },
}

/// A measured trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Point {
    pub source: Source,
    pub status: Status,
    pub iterations: Option<u64>,
    pub kernel_seconds: f64,
    pub tasks: u64,
    /// The duration of the run. Null without a verified answer.
    pub seconds: Option<f64>,
    /// The seconds of a core that one task takes, overhead included. Null without a verified answer.
    pub granularity_seconds: Option<f64>,
    /// The share of the cores' time that was spent in kernels.
    pub efficiency: Option<f64>,
    pub command: Option<String>,
    /// The file with the output of the backend.
    pub log: Option<String>,
}

/// A kernel, over all blocks that measured it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Step {
    pub iterations: u64,
    pub kernel_seconds: f64,
    pub granularity_seconds: f64,
    pub efficiency: f64,
    pub least: f64,
    pub most: f64,
    pub blocks: u32,
}
