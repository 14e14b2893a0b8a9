//! What `crossrun compare` is asked for.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::app::limits::LimitArguments;
use crate::app::options;
use crate::app::participants::Selection;
use crate::compare::model::Rigor;
use crate::plan::Matrix;
use crate::stats::WarmUp;

/// Blocks of a first look.
const QUICK: u32 = 3;
/// Blocks when nothing else is said: enough for an interval.
const STANDARD: u32 = 7;
/// Blocks for figures that are to be published.
const PUBLISH: u32 = 12;
/// Operator calls at once when nothing else is said.
const PARALLELISM: u32 = 2;
/// The seed when nothing else is said.
const SEED: u64 = 42;
/// When a single run is ended if nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(600);

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The backends, or NAME=FILE for a library under a name of its own [default: all that are available].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) backends: Vec<String>,
    /// The workloads [default: scheduler_comparison, pipeline, imbalance and word_count].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) workloads: Vec<String>,
    /// The schedulers to ask for [default: default].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(super) schedulers: Vec<String>,
    /// How many items, such as 1e3,1e5 [default: about a second on native threads].
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = options::count)]
    pub(super) items: Vec<u64>,
    /// How many operator calls at once [default: 2].
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = options::parallelism)]
    pub(super) parallelism: Vec<u32>,
    /// The backend that the others are compared with [default: the first].
    #[arg(long, value_name = "NAME")]
    pub(super) baseline: Option<String>,
    /// How often everything is repeated, each time with fresh engines and data [default: 7].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["quick", "publish"])]
    pub(super) blocks: Option<u32>,
    /// A first look: 3 blocks, no interval, no verdict.
    #[arg(long, conflicts_with = "publish")]
    pub(super) quick: bool,
    /// For figures that are shown to others: 12 blocks, verdicts that hold for the whole table.
    #[arg(long)]
    pub(super) publish: bool,
    /// Start no new block after this time.
    #[arg(long, value_name = "TIME", value_parser = options::duration)]
    pub(super) time_budget: Option<Duration>,
    /// Let the first backend take part twice, to see how large a difference noise makes.
    #[arg(long)]
    pub(super) aa: bool,
    /// A parameter of the workloads or an option of the backends, for all of them. Repeatable.
    #[arg(long, value_name = "KEY=VALUE", value_parser = options::extra)]
    pub(super) extra: Vec<(String, Value)>,
    /// From which the data and the order are drawn [default: 42].
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// How many machines to ask for [default: 1].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) nodes: Option<u32>,
    /// When a single run is ended [default: 10m].
    #[arg(long, value_name = "TIME", value_parser = options::duration)]
    pub(super) timeout: Option<Duration>,
    #[command(flatten)]
    pub(super) limits: LimitArguments,
    /// Where records and reports go [default: results/<run id>].
    #[arg(long, value_name = "DIR")]
    pub(super) output_dir: Option<PathBuf>,
    /// What the run is called [default: the time].
    #[arg(long, value_name = "ID", value_parser = options::run_id)]
    pub(super) run_id: Option<String>,
    /// Go on with a run that was interrupted: run what is missing.
    #[arg(long, value_name = "ID", value_parser = options::run_id, conflicts_with_all = ["run_id", "dry_run"])]
    pub(super) resume: Option<String>,
    /// Set backends up first, if they are not.
    #[arg(long)]
    pub(super) setup: bool,
    /// Print every cell in its order, and how long it may take; run nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Compare debug builds with release builds, and different workload libraries, all the same.
    #[arg(long)]
    pub(super) insist: bool,
    /// Do not wait until no other measurement runs on this machine; the records say so.
    #[arg(long)]
    pub(super) no_lock: bool,
}

impl Arguments {
    pub(super) fn rigor(&self) -> Rigor {
        match (self.quick, self.publish) {
            (true, _) => Rigor::Quick,
            (_, true) => Rigor::Publish,
            _ => Rigor::Standard,
        }
    }

    pub(super) fn block_count(&self) -> u32 {
        let usual = match self.rigor() {
            Rigor::Quick => QUICK,
            Rigor::Standard => STANDARD,
            Rigor::Publish => PUBLISH,
        };
        self.blocks.unwrap_or(usual)
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    pub(super) fn matrix(&self, run: String, selection: &Selection) -> Matrix {
        let options: Map<_, _> = self.extra.iter().cloned().collect();
        let or = |list: &[String], usual: &str| {
            if list.is_empty() { vec![usual.to_owned()] } else { list.to_vec() }
        };
        let parallelism = &self.parallelism;
        Matrix {
            run,
            backends: selection.backends(),
            workloads: selection.workloads(&self.items, &options),
            schedulers: or(&self.schedulers, "default"),
            parallelisms: if parallelism.is_empty() { vec![PARALLELISM] } else { parallelism.clone() },
            nodes: self.nodes.unwrap_or(1),
            options,
            blocks: self.block_count(),
            seed: self.seed.unwrap_or(SEED),
            warm_up: if self.quick { WarmUp::quick() } else { WarmUp::default() },
            aa: self.aa.then(|| selection.first()),
        }
    }

    pub(super) fn output_dir(&self, run: &str) -> PathBuf {
        self.output_dir.clone().unwrap_or_else(|| PathBuf::from("results").join(run))
    }
}
