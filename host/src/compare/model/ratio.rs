//! A backend beside the baseline: the ratio with what is known of it, or why there is none.

use serde::{Deserialize, Serialize};

use crate::stats::{Interval as RatioInterval, MeanRatio, Verdict};

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
    /// [`Ratio::margin_p_value`] after Holm over the whole table. Only at [`Rigor::Publish`](super::Rigor::Publish).
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
    /// [`Row::doubts`](super::Row::doubts) has the reasons.
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
    /// [`Row::incomparable`](super::Row::incomparable) has the differences.
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
