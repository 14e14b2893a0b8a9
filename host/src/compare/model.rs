//! The comparison, as reports render it and `--json` prints it.
//!
//! The units are seconds, items per second and bytes. A missing value is `null`. A ratio of 2 means twice as fast as the
//! baseline, 0.5 half as fast.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod figures;
mod ratio;

pub(crate) use crate::record::{Library, SystemProfile};
pub(crate) use crate::run::outcome::Status;
pub(crate) use crate::run::task_graph::Form;
pub(crate) use crate::stats::{Interval as RatioInterval, MeanRatio, Variation, Verdict};
pub(crate) use crate::worker::protocol::{MachineCheck, ShownGraph};
pub(crate) use figures::{
    ComparedLatency, Counts, Efficiency, LatencySpread, MedianIntervals, OpenLoopLatency, PercentileSpread,
    Resources, Spread, Stages,
};
pub(crate) use ratio::{BlockGroup, Geomean, Incomparable, NoInterval, NoRatio, NoiseFloor, Ratio, Withheld};

/// The version of these types as JSON. New keys do not change it.
pub(crate) const VERSION: u32 = 1;

/// A comparison of records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    pub version: u32,
    pub rigor: Rigor,
    /// The backend that the others are compared with. Null without records.
    pub baseline: Option<String>,
    /// Ratios up to this factor count as equivalent: 1.05 is 5 % in either direction.
    pub margin: f64,
    /// Sorted by workload, items, nodes, scheduler and parallelism, because the records are in random order.
    pub points: Vec<Point>,
    /// One for each backend except the baseline, over the points that all backends finished.
    pub geomeans: Vec<Geomean>,
    /// The largest [`NoiseFloor::factor`] of any point, if there was an A/A comparison.
    pub noise_floor: Option<f64>,
    /// The command that repeats each run of the records as a whole; of records that do not have it, none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Every reading of the machine check, in the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machine_checks: Vec<MachineReading>,
    /// The machines. A row has an index into this list.
    pub machines: Vec<SystemProfile>,
    pub warnings: Vec<Warning>,
    /// The files whose lines have no hash chain, so that an edit of them is not seen: those written before there were chains,
    /// and the original project's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_chain: Vec<String>,
    /// The first tasks of the graphs of points, by their ids, for the page. Records do not have them.
    #[serde(skip)]
    pub(crate) graphs: BTreeMap<String, ShownGraph>,
}

impl Comparison {
    /// All rows, each with its point.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Point, &Row)> {
        self.points.iter().flat_map(|point| point.rows.iter().map(move |row| (point, row)))
    }
}

/// The statistical requirements of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rigor {
    /// No intervals and no verdicts, regardless of the number of blocks.
    Quick,
    /// Intervals and verdicts, each with a confidence of 95 %.
    #[default]
    Standard,
    /// Verdicts of a difference that together have a confidence of 95 % (Holm); those of equivalence have it each.
    Publish,
}

/// A workload with its settings, and the results of every backend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Stable and readable: `pipeline/items=1000/parallelism=2/scheduler=default`. Unique in a comparison.
    pub id: String,
    pub workload: String,
    /// The number of input items. Null where the records do not have it (those of the original project).
    pub items: Option<u64>,
    /// How many operator calls may be in flight.
    pub parallelism: u32,
    pub scheduler: String,
    /// The number of machines.
    pub nodes: u32,
    /// Options of workload and backend.
    pub extra: Map<String, Value>,
    /// The baseline first, then the others in the order in which the backends first appear in the records.
    pub rows: Vec<Row>,
    /// From an A/A comparison at this point, if there was one.
    pub noise_floor: Option<NoiseFloor>,
}

impl Point {
    /// The row that `row` is compared with.
    pub(crate) fn compared_with(&self, row: &Row) -> Option<&Row> {
        self.rows.iter().find(|other| Some(&other.label) == row.compared_with.as_ref())
    }
}

/// The results of one backend at one point. Different plugin files, machines or configurations of a backend have their own
/// rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub backend: String,
    /// The name, with the differences where a point has several rows of the backend. Unique in a point.
    pub label: String,
    /// Whether others of this point are compared with this row. There is one such row for each configuration, for each library of
    /// workloads, and for each file of the baseline's plugin that has blocks of its own.
    pub is_baseline: bool,
    /// The label of the row that this one is compared with. Null for a baseline, and where there is none.
    pub compared_with: Option<String>,
    /// Index into [`Comparison::machines`]. Null where the records do not describe the machine.
    pub machine: Option<usize>,
    pub plugin: Option<Library>,
    pub workload_library: Option<Library>,
    /// Versions of crossrun and of the engine.
    pub versions: Map<String, Value>,
    /// How a graph of tasks was run. Null for other workloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    pub config_hash: Option<String>,
    /// The number of cores to which the backend was kept; absent if it could use all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<usize>,
    pub counts: Counts,
    /// Input items per second. Null without a successful trial, or if the number of items is not recorded. The median is that of a run of
    /// the median duration.
    pub input_rate: Option<Spread>,
    /// Output items per second.
    pub output_rate: Option<Spread>,
    /// Seconds of a run in the steady state.
    pub duration: Option<Spread>,
    /// The intervals of medians. Null with fewer than six successful trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_intervals: Option<MedianIntervals>,
    /// How much the durations differ from each other. Null with fewer than two.
    pub variation: Option<Variation>,
    /// The number of measured trials whose warm-ups had not settled.
    #[serde(default)]
    pub unsettled: u32,
    /// Percentiles of latency. Null except in an open loop whose source and sinks share a clock.
    pub latency: Option<LatencySpread>,
    /// In an open loop, where the schedule determines the duration: the latency that is compared instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_latency: Option<ComparedLatency>,
    /// In an open loop with a successful trial: every percentile of latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_loop: Option<OpenLoopLatency>,
    pub stages: Stages,
    /// Null where the records do not have them.
    pub resources: Option<Resources>,
    /// Null where the records have no serial reference: for work that waits, and for an open loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub efficiency: Option<Efficiency>,
    /// The failures grouped by reason, the most frequent first.
    pub failures: Vec<FailureGroup>,
    /// What the trials show together that an honest backend's do not: there is no verdict then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<Doubt>,
    /// The comparison with the baseline. Null for a baseline, and where [`Row::no_ratio`] has the reason.
    pub ratio: Option<Ratio>,
    pub no_ratio: Option<NoRatio>,
    /// The differences from the baseline. With differences there is a ratio only if the user insisted.
    pub incomparable: Vec<Incomparable>,
    /// The measured trials, in the order of the records.
    pub samples: Vec<Sample>,
}

/// What the verified trials of a row show together, although each of them is possible by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Doubt {
    /// The host's clock shows more time than the worker's.
    Clock {
        /// The median over the blocks, beyond the least of any row in the same block.
        seconds: f64,
    },
    /// The processes used less CPU time than the work takes at least.
    CpuTime {
        /// The median part of what the work takes at least by the serial reference.
        part: f64,
    },
    /// The runs took less time than the work takes at least.
    Duration {
        /// The median part of the shortest time by the serial reference.
        part: f64,
    },
    /// The measured runs are faster than the last warm-ups before them.
    WarmUps {
        /// The median of the measured run over the last warm-ups of its block: of its time, or of the compared latency.
        part: f64,
        /// The number of blocks in which it is faster than each of them.
        blocks: u32,
    },
}

impl Row {
    /// Whether no trial failed, gave a wrong answer or is invalid, and nothing is doubtful of all of them.
    pub(crate) fn is_sound(&self) -> bool {
        self.doubts.is_empty() && self.counts.went_wrong() == 0
    }
}

/// Trials that failed for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureGroup {
    /// `wrong`, `invalid` or `failed`.
    pub status: Status,
    pub phase: String,
    /// The kind of failure, for programs.
    pub kind: String,
    /// The message of the first of them, in one line.
    pub message: String,
    /// How many of them have another message. Absent without any.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other_messages: u32,
    /// How to fix it, if that is known.
    pub remedy: Option<String>,
    pub count: u32,
    /// Indices into [`Row::samples`].
    pub samples: Vec<usize>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A measured trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub source: Source,
    pub status: Status,
    /// The run and the point in it.
    pub run_id: String,
    /// When the first trial of its run began: of two runs with one id, it tells which one.
    #[serde(skip)]
    pub(crate) run_started: Option<Arc<str>>,
    /// Counted from 0.
    pub block: Option<u32>,
    /// The start: ISO 8601, UTC.
    pub timestamp: String,
    /// Seconds of the run. Null if it was not successful.
    pub duration: Option<f64>,
    pub command: Option<String>,
    /// The file with the output of the worker.
    pub log: Option<String>,
    pub warnings: Vec<String>,
}

/// How fast the machine was before a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineReading {
    /// The run.
    pub run: String,
    /// Counted from 0.
    pub block: Option<u32>,
    /// The backend whose session followed, or had just ended.
    pub backend: String,
    /// If a session was postponed for it, that was one of this backend or of another one.
    #[serde(flatten)]
    pub check: MachineCheck,
}

/// The place of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub file: String,
    /// Counted from 1.
    pub line: u64,
}

/// A warning for the reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    pub kind: WarningKind,
    /// In one line.
    pub message: String,
    /// The ids of the points that it concerns. Empty for all points.
    pub points: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// Some lines of the records could not be read.
    Unreadable,
    /// Files of records were altered: during the run, or after it.
    Altered,
    /// Some blocks of a run were not measured, as it was interrupted or its time was used up.
    Unfinished,
    /// There are rows from several machines.
    Machines,
    /// Rows of one point have different configurations, or a recorded hash does not match the configuration.
    Configuration,
    DebugBuild,
    /// Rows used different workload libraries.
    WorkloadLibraries,
    /// Rows of one point ran a graph of tasks in different forms.
    GraphForms,
    /// Some answers were not verified.
    Unverified,
    /// Some trials failed or gave a wrong answer.
    Failures,
    /// The trials of a row show together what an honest backend's do not.
    Doubts,
    /// Another measurement may have run on the machine at the same time.
    Unlocked,
    /// The records do not assign trials to blocks.
    Unpaired,
    /// Several records have the same backend, point and block. Only the first is used.
    Doubled,
    /// The user chose the data, so that a backend could know them.
    ChosenData,
    /// Every workload only sleeps, which compares schedulers and not engines.
    OnlySleep,
    /// A warning of trials.
    Noted,
}
