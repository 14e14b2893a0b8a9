//! What sweeps came to, as people and programs get it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::compare::model::{RatioInterval, Source, Status};
use crate::metg::Value;
use crate::record::{Library, SystemProfile};

/// The version of this model's JSON.
pub(crate) const VERSION: u32 = 1;

/// What sweeps came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sweeps {
    pub version: u32,
    /// The share of the cores' time that must go into kernels.
    pub target: f64,
    /// A row a backend and number of cores: the smallest value first, those without a value last.
    pub rows: Vec<Row>,
    /// The machines, as they first appear.
    pub machines: Vec<SystemProfile>,
    pub warnings: Vec<String>,
}

/// One backend on so many cores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub backend: String,
    pub cores: u32,
    /// METG, in seconds of a kernel; null if no block has one, or if their bounds contradict each other.
    pub value: Option<Value>,
    /// Where it lies, in seconds; null with fewer than six blocks, or for a bound.
    pub interval: Option<RatioInterval>,
    /// Seconds of a core that a task costs beside its kernel: the median over the blocks.
    pub floor: Option<f64>,
    pub blocks_with_value: u32,
    /// Every block, in order.
    pub blocks: Vec<Block>,
    /// The middle of all blocks at each kernel, the shortest first.
    pub curve: Vec<Step>,
    pub plugin: Option<Library>,
    pub workload_library: Option<Library>,
    pub versions: Map<String, Json>,
}

/// One sweep of one backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Block {
    /// Which, from 0.
    pub block: u32,
    /// Seconds of one iteration of the kernel, by the serial reference of this block.
    pub seconds_per_iteration: f64,
    pub outcome: SweepOutcome,
    /// Seconds of a core that a task cost beside its kernel.
    pub floor: Option<f64>,
    /// Its points, in the order in which they were run.
    pub points: Vec<Point>,
}

impl Block {
    /// Its value or bound, if it has one.
    pub(crate) fn value(&self) -> Option<Value> {
        match self.outcome {
            SweepOutcome::Value { value } => Some(value),
            SweepOutcome::Invalid { .. } | SweepOutcome::Failed { .. } => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum SweepOutcome {
    /// A value, or a bound.
    Value { value: Value },
    /// A point is more efficient than can be.
    Invalid { kernel_seconds: f64, efficiency: f64 },
    /// A point has no verified answer.
    Failed { status: Status, phase: String, message: String, remedy: Option<String> },
}

/// A measured trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// Where its record stands.
    pub source: Source,
    pub status: Status,
    pub iterations: Option<u64>,
    pub kernel_seconds: f64,
    pub tasks: u64,
    /// How long all of them took; null without a verified answer.
    pub seconds: Option<f64>,
    /// The share of the cores' time that went into kernels.
    pub efficiency: Option<f64>,
    pub command: Option<String>,
    /// Where the backend's output is.
    pub log: Option<String>,
}

/// A kernel, over all blocks that have it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub iterations: u64,
    /// The median of its seconds.
    pub kernel_seconds: f64,
    /// The median of the efficiencies.
    pub efficiency: f64,
    pub least: f64,
    pub most: f64,
    pub blocks: u32,
}
