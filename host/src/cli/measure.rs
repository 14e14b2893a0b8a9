//! Arguments that the measuring commands share.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::app::limits::{self, LimitArguments};
use crate::app::{Problem, options, parameters};
use crate::record::names::RESULTS;

/// The number of blocks with `--quick`.
const QUICK: u32 = 3;
/// The default number of blocks, which is enough for an interval.
pub(super) const STANDARD: u32 = 7;
/// The default time limit of a run.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The arguments of `run`, `compare` and `metg`.
#[derive(clap::Args, Debug)]
pub(super) struct TrialArguments {
    /// A parameter of the workload or an option of the backend. The value is JSON if it parses as JSON, else a string. Repeatable.
    #[arg(long, value_name = "KEY=VALUE", value_parser = options::extra)]
    pub(super) extra: Vec<(String, Value)>,
    /// The time limit of a single run, such as 90s, 10m or 1h [default: 10m; of `run`, the number of seconds in --extra max_wait_seconds=… if that is given].
    #[arg(long, value_name = "TIME", value_parser = options::duration, allow_negative_numbers = true)]
    pub(super) timeout: Option<Duration>,
    #[command(flatten)]
    pub(super) limits: LimitArguments,
    /// The id of the run in its records [default: the time].
    #[arg(long, value_name = "ID", value_parser = options::run_id)]
    pub(super) run_id: Option<String>,
    /// Set up the backends that are not available.
    #[arg(long)]
    pub(super) setup: bool,
    /// Do not wait until no other measurement runs on this machine; the records say so.
    #[arg(long)]
    pub(super) no_lock: bool,
}

impl TrialArguments {
    pub(super) fn extra(&self) -> Result<Map<String, Value>, Problem> {
        parameters::extra(&self.extra)
    }

    /// The time limit of a run: the option's, that of the environment, or the default.
    pub(super) fn timeout(&self) -> Result<Duration, Problem> {
        let of_environment = || Ok(limits::deadlines()?.run.unwrap_or(TIMEOUT));
        self.timeout.map_or_else(of_environment, Ok)
    }

    pub(super) fn run_id(&self) -> String {
        self.run_id.clone().unwrap_or_else(|| options::new_run_id(SystemTime::now()))
    }
}

/// The arguments of `compare` and `metg`.
#[derive(clap::Args, Debug)]
pub(super) struct ScheduleArguments {
    /// The backends. NAME=FILE runs a library under a name of its own [default: all backends that are available].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    backends: Vec<String>,
    /// How often every measurement is repeated, each time with new engines and data. Fewer than 6 give no interval and no verdict
    /// [default: 7].
    #[arg(long, value_name = "COUNT", value_parser = options::number, conflicts_with = "quick", allow_negative_numbers = true)]
    pub(super) blocks: Option<u32>,
    /// A first look: 3 blocks, smaller default sizes, and no intervals or verdicts.
    #[arg(long)]
    pub(super) quick: bool,
    #[command(flatten)]
    pub(super) trial: TrialArguments,
    /// The folder for records and reports [default: results/<run id>].
    #[arg(long, value_name = "DIR", value_parser = options::new_path())]
    pub(super) output_dir: Option<PathBuf>,
    /// Compare debug builds with release builds nevertheless. `compare` then also compares different workload libraries, and graphs of
    /// tasks in stages with those by dependencies.
    #[arg(long)]
    pub(super) insist: bool,
    /// Derive the seeds of all data from this number, to measure again on the same data. A backend can know such data, and reports
    /// say so [default: random seeds].
    #[arg(long, value_name = "NUMBER", value_parser = options::natural, allow_negative_numbers = true)]
    pub(super) data_seed: Option<u64>,
}

impl ScheduleArguments {
    pub(super) fn backends(&self) -> Vec<String> {
        options::backends(&self.backends)
    }

    /// The number of blocks: `standard` unless an option says otherwise.
    pub(super) fn blocks(&self, standard: u32) -> u32 {
        self.blocks.unwrap_or(if self.quick { QUICK } else { standard })
    }

    pub(super) fn output_dir(&self, run: &str) -> PathBuf {
        self.output_dir.clone().unwrap_or_else(|| Path::new(RESULTS).join(run))
    }
}
