//! What the trials of a row came to, by themselves.

use serde::{Deserialize, Serialize};

use crate::stats::Interval as RatioInterval;

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
    /// Of [`Row::duration`](super::Row::duration).
    pub duration: RatioInterval,
    /// Of [`Row::input_rate`](super::Row::input_rate). Null where that is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_rate: Option<RatioInterval>,
    /// Of [`Row::compared_latency`](super::Row::compared_latency). Null where that is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<RatioInterval>,
}

/// Percentiles of latency over the blocks, in seconds, each null unless every successful trial has it. Each trial has its own
/// percentile; only the two in the middle of an even number are averaged.
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
    /// The curve of the median block, or the faster one of two in the middle: quantiles from 0 to 1, and milliseconds from when an
    /// item was due to the sink.
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

/// A percentile over the blocks, in seconds. Each trial has its own; only the two in the middle of an even number are averaged.
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
