//! What a comparison is: the types that a report renders and that `--json` prints.
//!
//! Seconds, items per second and bytes, never other units. What is absent is `null`. A ratio is one of speeds: 2 is
//! twice as fast as the baseline, 0.5 half as fast.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use crate::record::{Library, SystemProfile};
pub(crate) use crate::run::outcome::Status;
pub(crate) use crate::stats::{Interval as RatioInterval, MeanRatio, Variation, Verdict};

/// The version of these types as JSON. New keys do not change it.
pub(crate) const VERSION: u32 = 1;

/// Records, compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    pub version: u32,
    pub rigor: Rigor,
    /// The backend that the others are compared with; none if there are no records.
    pub baseline: Option<String>,
    /// Differences up to this factor count for nothing: 1.05 is 5 % either way.
    pub margin: f64,
    /// One for each workload and way to run it, sorted by workload, items, nodes, scheduler and parallelism: the order
    /// in the records is shuffled.
    pub points: Vec<Point>,
    /// One for each backend but the baseline, over the points that all backends finished.
    pub geomeans: Vec<Geomean>,
    /// The largest [`NoiseFloor::factor`] of any point, if one backend ran under two names.
    pub noise_floor: Option<f64>,
    /// The machines; a row names its own by the index in this list.
    pub machines: Vec<SystemProfile>,
    /// What the reader must know before believing any of it.
    pub warnings: Vec<Warning>,
}

/// How much is asked of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rigor {
    /// A first look: no interval and no verdict, however many blocks there are.
    Quick,
    /// Intervals and verdicts, each at 95 % for itself.
    #[default]
    Standard,
    /// Differences are called only if they stand when all of the table is judged together (Holm).
    Publish,
}

/// A workload and one way to run it, with every backend that did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Stable and readable: `pipeline/items=1000/parallelism=2/scheduler=default`. Unique in a comparison.
    pub id: String,
    pub workload: String,
    /// How many items the source emits; null where the records do not say (the original project's).
    pub items: Option<u64>,
    /// How many operator calls may be in flight.
    pub parallelism: u32,
    pub scheduler: String,
    /// How many machines were asked for.
    pub nodes: u32,
    /// Options of workload and backend.
    pub extra: Map<String, Value>,
    /// The baseline first, then the others in the order in which the backends first appear in the records.
    pub rows: Vec<Row>,
    /// From one backend under two names, if that was measured here.
    pub noise_floor: Option<NoiseFloor>,
}

/// What one backend did at one point, under one set of circumstances: two plugin files, machines or configurations
/// under one name make two rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub backend: String,
    /// The name, with what sets it apart where a point has several rows of it. Unique in a point.
    pub label: String,
    /// Whether others of this point are compared with this row. There is one such row for each configuration.
    pub is_baseline: bool,
    /// The label of the row that this one is compared with; null for such a row itself, and where there is none.
    pub compared_with: Option<String>,
    /// Index into [`Comparison::machines`]; null where the records do not describe the machine.
    pub machine: Option<usize>,
    pub plugin: Option<Library>,
    pub workload_library: Option<Library>,
    /// Versions of the host and of what the backend runs on.
    pub versions: Map<String, Value>,
    pub config_hash: Option<String>,
    /// How many measured trials there are, by how they ended.
    pub counts: Counts,
    /// Input items per second. Null without a successful trial, or if the number of items is not recorded.
    pub input_rate: Option<Spread>,
    /// Output items per second.
    pub output_rate: Option<Spread>,
    /// Seconds of a run in the steady state.
    pub duration: Option<Spread>,
    /// How much these differ from each other; null for fewer than two.
    pub variation: Option<Variation>,
    /// Before how many of the measured trials the warm-ups still rose or fell when there were no more of them.
    #[serde(default)]
    pub unsettled: u32,
    /// Percentiles of latency; null but in an open loop whose source and sinks share a clock.
    pub latency: Option<LatencySpread>,
    /// In an open loop: the latency that is compared in place of the duration, which the schedule decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_latency: Option<ComparedLatency>,
    /// In an open loop with a successful trial: every percentile of latency that it takes into account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_loop: Option<OpenLoopLatency>,
    /// How long start, first run and shutdown took.
    pub stages: Stages,
    /// What the whole process tree used; null where the records do not say.
    pub resources: Option<Resources>,
    /// Why trials failed, equal reasons together, the most frequent first.
    pub failures: Vec<FailureGroup>,
    /// How it compares with the baseline; null for the baseline itself, and where [`Row::no_ratio`] says why.
    pub ratio: Option<Ratio>,
    pub no_ratio: Option<NoRatio>,
    /// What differs from the baseline though it should not. Stands beside a ratio only if the user insisted.
    pub incomparable: Vec<Incomparable>,
    /// The measured trials behind the figures, in the order of the records.
    pub samples: Vec<Sample>,
}

/// How many measured trials there are, by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub trials: u32,
    pub verified: u32,
    /// There are figures, but nobody looked at the answer (the original project's records).
    pub unverified: u32,
    pub wrong: u32,
    /// The answer was right, but the measurement cannot be.
    pub invalid: u32,
    pub failed: u32,
}

/// A figure over the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many trials it is of.
    pub n: u32,
    pub min: f64,
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    pub max: f64,
}

/// Percentiles of latency over the blocks, in seconds. Each trial has its own percentile; they are not averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencySpread {
    pub p50: Option<Spread>,
    pub p95: Option<Spread>,
    pub p99: Option<Spread>,
}

/// The latency by which the rows of an open loop are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedLatency {
    /// Which percentile: the highest for which there are samples, such as `p99`.
    pub percentile: String,
    /// It over the blocks, in seconds.
    pub spread: Spread,
    /// The block in the middle, as a curve: quantiles from 0 to 1, and milliseconds from when an item was due to the sink.
    pub scheduled: Vec<(f64, f64)>,
    /// The same block: from when an item was made to the sink.
    pub service: Vec<(f64, f64)>,
}

/// How long the items of an open loop took, by percentiles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenLoopLatency {
    /// Whether source and sinks of every trial were on one machine. Elsewhere there are no figures.
    pub shared_clock: bool,
    /// How many items reached the sinks in the trial that has the fewest.
    pub samples: u64,
    /// Every percentile, the lowest first; those without figures too.
    pub percentiles: Vec<PercentileSpread>,
}

/// A percentile over the blocks, in seconds. Each trial has its own; they are not averaged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PercentileSpread {
    /// Its name, such as `p99`.
    pub name: String,
    /// The same from 0 to 1.
    pub quantile: f64,
    /// How many items a trial must have for it.
    pub samples_needed: u64,
    /// From the moment at which an item was due to the sink. Null unless every successful trial has it; so are the others.
    pub scheduled: Option<Spread>,
    /// From the moment at which an item was made to the sink.
    pub service: Option<Spread>,
    /// How late the source itself was.
    pub generator_lag: Option<Spread>,
}

/// The phases around the steady state, in seconds: never one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stages {
    /// Starting the worker and loading the library.
    pub load: Option<Spread>,
    pub open: Option<Spread>,
    /// The first run at this point after a start, which is a warm-up. Null where warm-ups are not in the records.
    pub first: Option<Spread>,
    pub close: Option<Spread>,
}

/// What the whole process tree of a backend used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// CPU seconds of a run, user and system together.
    pub cpu_seconds: Option<Spread>,
    /// The sum of the processes' peaks of resident memory, in bytes.
    pub peak_memory_bytes: Option<Spread>,
}

/// Trials that failed for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureGroup {
    /// How they ended: `wrong`, `invalid` or `failed`.
    pub status: Status,
    pub phase: String,
    /// The failure in one word.
    pub kind: String,
    /// What happened, in one line: of the first of them.
    pub message: String,
    /// What mends it, if anything is known to.
    pub remedy: Option<String>,
    pub count: u32,
    /// Which: indices into [`Row::samples`].
    pub samples: Vec<usize>,
}

/// How fast a backend is beside the baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The speed over the baseline's: Hodges-Lehmann over blocks if [`Ratio::paired`], else the ratio of the medians.
    pub estimate: f64,
    /// Whether trials of one block were compared with each other.
    pub paired: bool,
    /// How many blocks both finished; 0 if not paired.
    pub blocks: u32,
    /// Where the ratio lies, with at least 95 % confidence.
    pub interval: Option<RatioInterval>,
    pub no_interval: Option<NoInterval>,
    /// How probable blocks at least this different would be, were the two equally fast; two-sided, exact.
    pub p_value: Option<f64>,
    /// How probable blocks at least this far beyond the margin would be, if the true difference lay within it: what a
    /// verdict of faster or slower claims; two-sided, exact.
    pub margin_p_value: Option<f64>,
    /// [`Ratio::margin_p_value`] with regard to all others of the table (Holm); only at [`Rigor::Publish`].
    pub adjusted_p_value: Option<f64>,
    /// The ratio of throughput over many runs: the baseline's mean time of a run over this one's, from the same blocks, with the
    /// interval of Fieller. A few runs that take much longer are in it, and not in [`Ratio::estimate`], which is that of a
    /// typical run. Null if not paired, and in an open loop.
    pub mean_ratio: Option<MeanRatio>,
    /// How alike each block is to the next, from -1 to 1; null for fewer than 6 blocks, or if all are equal.
    pub autocorrelation: Option<f64>,
    /// By what factor the interval is wider than that of independent blocks, as these clearly are not; null if they may be.
    pub widened: Option<f64>,
    /// What may be said; null without an interval, and if one of the two has a trial that failed or gave a wrong answer.
    pub verdict: Option<Verdict>,
    /// Why a verdict that the interval alone would allow was not given.
    pub withheld: Option<Withheld>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoInterval {
    /// A first look was asked for.
    Quick,
    /// Fewer than 6 blocks that both finished.
    TooFewBlocks,
    /// Half of the blocks or more have a ratio that another block has too: durations of a few ticks of a clock.
    Tied,
    /// The records do not say which trials belong to one block.
    Unpaired,
}

/// Why a difference was not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// It is no larger than what one backend under two names showed.
    BelowNoiseFloor,
    /// It does not stand when the whole table is judged together.
    Holm,
    /// A trial of the row gave a wrong answer.
    WrongAnswers,
    /// A trial of the row failed, or its measurement cannot be right: the others may be those that were easy.
    Failures,
    /// The same is true of the row that it is compared with.
    BaselineFailures,
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
    /// Both have successful trials, but in no block both.
    NoCommonBlock,
    /// It is an open loop, where latencies are compared, and one of the two has none.
    NoLatency,
    /// [`Row::incomparable`] says what differs.
    Incomparable,
}

/// What differs between a row and the baseline's though it should not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Incomparable {
    /// It ran on another machine. There is never a ratio.
    Machine {
        /// In which keys of the profile the two differ.
        keys: Vec<String>,
    },
    /// Something else was configured. There is never a ratio.
    Configuration {
        /// In which keys the two differ; empty if only the recorded hash does.
        keys: Vec<String>,
    },
    /// One plugin was built with debug assertions or without optimisation, the other was not.
    DebugBesideRelease {
        /// Whether it is this row's that is the debug build, rather than the baseline's.
        this_is_debug: bool,
    },
    /// The work itself came from another library.
    WorkloadLibrary,
}

/// One backend under two names in the same blocks: how large a difference noise makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoiseFloor {
    pub names: [String; 2],
    /// The second's speed over the first's.
    pub ratio: RatioInterval,
    /// The far end of the interval, as a factor of at least 1: a difference below it is not called.
    pub factor: f64,
}

/// A backend over all points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Geomean {
    pub backend: String,
    /// The geometric mean of its ratios; null if no point counts.
    pub ratio: Option<f64>,
    /// How many points count: those where every backend finished every trial and has a ratio.
    pub covered: u32,
    pub points: u32,
}

/// A measured trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Where its record stands.
    pub source: Source,
    pub status: Status,
    /// The run and the point in it.
    pub run_id: String,
    /// Which repetition it is, from 0.
    pub block: Option<u32>,
    /// When it started: ISO 8601, UTC.
    pub timestamp: String,
    /// Seconds of the run; null if its figures do not count.
    pub duration: Option<f64>,
    pub command: Option<String>,
    /// Where the worker's output went.
    pub log: Option<String>,
    pub warnings: Vec<String>,
}

/// Where a record stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub file: String,
    /// The line, counted from 1.
    pub line: u64,
}

/// Something that the reader must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    pub kind: WarningKind,
    /// The same for people, in one line.
    pub message: String,
    /// The points that it concerns, by their ids; empty if it concerns all of them.
    pub points: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// Lines of the records could not be read: the comparison has less in it than the files.
    Unreadable,
    /// There are rows of several machines.
    Machines,
    /// Rows of one point were configured differently, or a recorded hash is not that of what was configured.
    Configuration,
    DebugBuild,
    /// The work came from different libraries.
    WorkloadLibraries,
    /// Nobody verified the answers of some records.
    Unverified,
    /// Some trials failed, or gave a wrong answer.
    Failures,
    /// Another measurement may have run on the machine at the same time.
    Unlocked,
    /// Trials do not say which of them belong to one block.
    Unpaired,
    /// Two records are of one backend, point and block; the first counts, the others are left out.
    Doubled,
    /// Every workload only sleeps: that tells schedulers apart, not engines.
    OnlySleep,
    /// The trials themselves were noted to have something: their own warnings, equal ones together.
    Noted,
}
