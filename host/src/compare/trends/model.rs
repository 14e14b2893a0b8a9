//! The trends, as `crossrun history` prints them and `--json` has them. The units are seconds; a missing value is `null`.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::compare::cells::Cell;
use crate::compare::history::{AaHistory, ENOUGH_AA};
use crate::compare::model::{Form, RatioInterval};
use crate::record::SystemProfile;
use crate::stats::MARGIN;

/// The version of these types as JSON. New keys do not change it.
pub(crate) const VERSION: u32 = 1;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Trends {
    pub version: u32,
    /// How many runs there are.
    pub runs: usize,
    /// A cell has an index into this list.
    pub machines: Vec<Machine>,
    /// Sorted by machine, backend and point.
    pub cells: Vec<CellTrend>,
    pub warnings: Vec<String>,
    /// What was altered in the files of records after they were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub altered: Vec<String>,
    /// The files whose lines have no hash chain.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_chain: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Machine {
    pub profile: SystemProfile,
    /// Machines of one name, as one before and after an update of its system, have numbers.
    #[serde(skip)]
    pub name: String,
    pub noise: Noise,
    /// That of the latencies of open loops; absent if no cell is of a latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_noise: Option<Noise>,
}

/// What counts as noise on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Noise {
    /// A change by a smaller factor is not reported. The largest difference of any A/A comparison, or 1.05 with fewer than five, and of
    /// latencies the factor of times if that is more.
    pub factor: f64,
    /// How many A/A comparisons are known of the machine.
    pub aa_comparisons: usize,
}

impl Noise {
    /// Of the factors of all A/A comparisons.
    pub(super) fn of(factors: &[f64]) -> Self {
        let known = AaHistory::new(factors).factor;
        Self { factor: known.unwrap_or(MARGIN), aa_comparisons: factors.len() }
    }

    /// That of latencies, beside that of times. Where too few comparisons say what latencies differ by, it is no less than times do.
    pub(super) fn of_latencies(factors: &[f64], of_times: Self) -> Self {
        let known = AaHistory::new(factors).factor;
        Self { factor: known.unwrap_or(of_times.factor.max(MARGIN)), aa_comparisons: factors.len() }
    }

    /// Whether its own A/A comparisons are enough to say it.
    pub(crate) fn is_known(self) -> bool {
        self.aa_comparisons >= ENOUGH_AA
    }
}

/// One backend at one point on one machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CellTrend {
    pub machine: usize,
    #[serde(flatten)]
    pub cell: Cell,
    /// Whether the plugin is a debug build.
    pub is_debug: bool,
    /// How a graph of tasks was run; absent for other work, and where no trial began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// The value: `time`, or `latency` in an open loop.
    pub of: &'static str,
    /// In an open loop: the highest percentile that all runs with any have, such as `p99`; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentile: Option<&'static str>,
    /// In the order of time.
    pub runs: Vec<RunValue>,
    /// In the order of time.
    pub changes: Vec<Change>,
    /// Whether the newest change is one to slower.
    pub is_regression: bool,
}

/// A cell in one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct RunValue {
    pub run: String,
    /// ISO 8601, UTC.
    pub started: String,
    pub file: String,
    pub trials: usize,
    /// How many of them are verified.
    #[serde(skip)]
    pub verified: usize,
    /// How many of those have a value. In an open loop none has one where one of them has too few items for a percentile.
    pub successes: usize,
    /// The median of the values. Null without any.
    pub median: Option<f64>,
    /// The interval of the median. Null with fewer than six values.
    pub interval: Option<RatioInterval>,
    pub plugin_version: Option<String>,
    pub plugin_sha256: Option<String>,
    pub workload_sha256: Option<String>,
    /// Versions of crossrun and of the engine.
    pub versions: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Change {
    /// The first run after the change.
    pub run: String,
    /// When that started.
    pub started: String,
    /// Index into [`CellTrend::runs`].
    pub index: usize,
    /// The median of the runs' medians from the change before, or the first run that is looked at, to this change.
    pub before: f64,
    /// The same from this change to the next, or the last run.
    pub after: f64,
    /// After over before: above 1 is slower.
    pub factor: f64,
    pub p_value: f64,
    pub call: ChangeCall,
    /// What else differs from the run before, such as `engine 9.1 -> 9.2`.
    pub differs: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeCall {
    Slower,
    Faster,
}
