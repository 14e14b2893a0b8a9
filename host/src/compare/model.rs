//! The comparison, as reports render it and `--json` prints it.
//!
//! The units are seconds, items per second and bytes. A missing value is `null`. A ratio of 2 means twice as fast as the
//! baseline, 0.5 half as fast.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use crate::record::{Library, SystemProfile};
pub(crate) use crate::run::outcome::Status;
pub(crate) use crate::run::task_graph::Form;
pub(crate) use crate::stats::{Interval as RatioInterval, MeanRatio, Variation, Verdict};
pub(crate) use crate::worker::protocol::{MachineCheck, ShownGraph};

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
        /// The median of the measured run over the last warm-ups of its block.
        part: f64,
        /// The number of blocks in which it is faster than each of them.
        blocks: u32,
    },
}

/// The number of measured trials by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub trials: u32,
    pub verified: u32,
    /// The answer was not verified (records of the original project).
    pub unverified: u32,
    pub wrong: u32,
    /// The answer is right, but the measurement is invalid.
    pub invalid: u32,
    pub failed: u32,
}

impl Counts {
    /// How many have a result.
    pub(crate) fn with_result(&self) -> u32 {
        self.verified + self.unverified
    }

    pub(crate) fn went_wrong(&self) -> u32 {
        self.wrong + self.invalid + self.failed
    }
}

/// The spread of a value over the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The number of trials.
    pub n: u32,
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

/// The intervals of medians over the blocks, with at least 95 % confidence if the blocks are independent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MedianIntervals {
    /// Of [`Row::duration`].
    pub duration: RatioInterval,
    /// Of [`Row::input_rate`]. Null where that is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_rate: Option<RatioInterval>,
    /// Of [`Row::compared_latency`]. Null where that is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<RatioInterval>,
}

/// Percentiles of latency over the blocks, in seconds, each null unless every successful trial has it. Each trial has its own
/// percentile; they are not averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencySpread {
    pub p50: Option<Spread>,
    pub p95: Option<Spread>,
    pub p99: Option<Spread>,
}

/// The latency by which the rows of an open loop are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedLatency {
    /// The highest percentile for which every trial of the point has enough samples, such as `p99`.
    pub percentile: String,
    /// In seconds.
    pub spread: Spread,
    /// The curve of the median block: quantiles from 0 to 1, and milliseconds from when an item was due to the sink.
    pub scheduled: Vec<(f64, f64)>,
    /// The same block, from when an item was made to the sink.
    pub service: Vec<(f64, f64)>,
}

/// The percentiles of latency of an open loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenLoopLatency {
    /// Whether source and sinks of every trial were on one machine. Otherwise there are no values.
    pub shared_clock: bool,
    /// The number of items that reached the sinks in the trial with the fewest.
    pub samples: u64,
    /// Every percentile, the lowest first, including those without values.
    pub percentiles: Vec<PercentileSpread>,
}

/// A percentile over the blocks, in seconds. Each trial has its own; they are not averaged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PercentileSpread {
    /// Its name, such as `p99`.
    pub name: String,
    /// The percentile from 0 to 1.
    pub quantile: f64,
    /// The number of items that a trial needs for it.
    pub samples_needed: u64,
    /// From when an item was due to the sink. Null, like the next two, unless every successful trial has it.
    pub scheduled: Option<Spread>,
    /// From when an item was made to the sink.
    pub service: Option<Spread>,
    /// How late the load generator was.
    pub generator_lag: Option<Spread>,
}

/// The durations of the phases around the steady state, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stages {
    /// Starting the worker and loading the library.
    pub load: Option<Spread>,
    pub open: Option<Spread>,
    /// The first run after the start, which is a warm-up, with its preparation. Null where warm-ups are not in the records.
    pub first: Option<Spread>,
    /// Preparing a measured run. Null where the records do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepare: Option<Spread>,
    pub close: Option<Spread>,
}

/// The resources of the whole process tree of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// CPU seconds of a run, user and system together.
    pub cpu_seconds: Option<Spread>,
    /// The sum of the processes' peaks of resident memory, in bytes.
    pub peak_memory_bytes: Option<Spread>,
    /// CPU seconds of a run for each input item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds_per_item: Option<Spread>,
    /// The same with the pages that processes share counted once, in bytes. Null in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<Spread>,
    /// Bytes of memory for each input item: of [`Resources::memory_bytes`], or else of the peaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes_per_item: Option<Spread>,
    /// CPU seconds of a run for each second of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores_used: Option<Spread>,
}

/// How well a backend used its cores, by the serial reference of each block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Efficiency {
    /// CPU seconds that the work takes when it is run serially without a backend.
    pub reference_cpu_seconds: Option<Spread>,
    /// The reference over the seconds that the cores had: 1 is a run without any overhead.
    pub efficiency: Option<Spread>,
    /// What the cores had beyond the reference, in seconds for each input item.
    pub overhead_seconds_per_item: Option<Spread>,
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

/// The speed of a backend in relation to the baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The speed over the baseline's: Hodges-Lehmann over blocks if [`Ratio::paired`], else the ratio of the medians.
    pub estimate: f64,
    /// Whether trials of one block were compared with each other.
    pub paired: bool,
    /// The number of blocks that both finished. 0 if not paired.
    pub blocks: u32,
    /// The interval of the ratio, with at least 95 % confidence.
    pub interval: Option<RatioInterval>,
    pub no_interval: Option<NoInterval>,
    /// Two-sided and exact, of the hypothesis that both are equally fast.
    pub p_value: Option<f64>,
    /// Two-sided and exact, of the hypothesis that the ratio lies within the margin, which the verdicts `faster` and `slower`
    /// deny.
    pub margin_p_value: Option<f64>,
    /// [`Ratio::margin_p_value`] after Holm over the whole table. Only at [`Rigor::Publish`].
    pub adjusted_p_value: Option<f64>,
    /// The baseline's mean duration over that of this row in the same blocks, with the interval of Fieller: the ratio of
    /// throughput over many runs. A few runs that take much longer count in it, but not in [`Ratio::estimate`], which is that
    /// of a typical run. Null if not paired, and in an open loop.
    pub mean_ratio: Option<MeanRatio>,
    /// The correlation of each block with the next. Null with fewer than 6 blocks, or if all are equal.
    pub autocorrelation: Option<f64>,
    /// The factor by which the interval is wider than that of independent blocks, because the autocorrelation is clearly
    /// positive. Null if it is not.
    pub widened: Option<f64>,
    /// The groups into which the blocks fall, the lower first, if there are two: [`Ratio::estimate`] may then be that of no block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<[BlockGroup; 2]>,
    /// Null without an interval, and if a trial of this row or of the baseline failed or gave a wrong answer.
    pub verdict: Option<Verdict>,
    /// Why there is no verdict, or another one than that of the interval. Null where only the interval is missing.
    pub withheld: Option<Withheld>,
}

/// Blocks whose ratios are near each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockGroup {
    pub blocks: u32,
    /// Their median ratio.
    pub ratio: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoInterval {
    /// The comparison is quick.
    Quick,
    /// Fewer than 6 blocks that both finished.
    TooFewBlocks,
    /// The blocks have at most half as many different ratios as there are blocks: durations of a few ticks of a clock.
    Tied,
    /// The records do not assign trials to blocks.
    Unpaired,
}

/// Why a verdict was withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// The difference is no larger than that of the A/A comparison, however narrow its interval is.
    BelowNoiseFloor,
    /// The difference is not significant after the correction for all comparisons.
    Holm,
    /// A trial of the row gave a wrong answer.
    WrongAnswers,
    /// A trial of the row failed, or its measurement is invalid.
    Failures,
    /// A trial of the baseline failed, gave a wrong answer, or its measurement is invalid.
    BaselineFailures,
    /// [`Row::doubts`] has the reasons.
    Doubts,
    /// The row of the baseline has doubts.
    BaselineDoubts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoRatio {
    /// The baseline has no row at this point.
    NoBaseline,
    /// The baseline has no successful trial at this point.
    BaselineFailed,
    /// This row has no successful trial.
    Failed,
    /// There is no block in which both succeeded.
    NoCommonBlock,
    /// Latencies of an open loop are compared, and one of the rows has none.
    NoLatency,
    /// [`Row::incomparable`] has the differences.
    Incomparable,
}

/// A difference between a row and the baseline's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Incomparable {
    /// Another machine. There is never a ratio.
    Machine {
        /// The keys of the profile that differ.
        keys: Vec<String>,
    },
    /// Another configuration. There is never a ratio.
    Configuration {
        /// The keys that differ. Empty if only the recorded hash does.
        keys: Vec<String>,
    },
    /// One plugin was built with debug assertions or without optimisation, the other was not.
    DebugBesideRelease {
        /// Whether this row has the debug build. Otherwise the baseline has it.
        this_is_debug: bool,
    },
    /// Another workload library.
    WorkloadLibrary,
    /// One ran the tasks of a graph by their dependencies, the other in stages.
    GraphForm,
}

/// The largest difference that noise makes, from an A/A comparison: one backend under two names in the same blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoiseFloor {
    pub names: [String; 2],
    /// The second's speed over the first's.
    pub ratio: RatioInterval,
    /// The end of the interval that is farther from 1, as a factor of at least 1. Smaller differences have no verdict.
    pub factor: f64,
}

/// The geometric mean of a backend over all points at which work is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Geomean {
    pub backend: String,
    /// Null if no point counts, for a backend that failed at a point or is in doubt there, and with [`Geomean::mixed`].
    pub ratio: Option<f64>,
    /// The interval over the blocks, with at least 95 % confidence. It says nothing of other points. Null without a ratio, in a
    /// quick comparison, and with fewer than 6 blocks that have every point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<RatioInterval>,
    /// The number of points that count: those where every backend finished every trial and has a ratio, and none is in doubt. The ratio
    /// of single runs does not count for a backend that has blocks at any point.
    pub covered: u32,
    /// The number of points that could count.
    pub points: u32,
    /// The ids of the points that were left out because their items only sleep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Whether the ratios at the points are of rows that must not be mixed: of several machines, numbers of cores, files of a plugin,
    /// or rows of one point. Absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mixed: bool,
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
