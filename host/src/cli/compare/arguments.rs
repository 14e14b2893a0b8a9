//! The arguments of `crossrun compare`.

use std::time::Duration;

use super::vary::Varied;
use crate::app::participants::Selection;
use crate::app::{Problem, options};
use crate::cli::measure::{STANDARD, ScheduleArguments};
use crate::compare::model::Rigor;
use crate::plan::defaults::{SUITES, suite};
use crate::plan::{Matrix, Variation};
use crate::stats::WarmUp;
use clap::builder::NonEmptyStringValueParser;

/// The number of blocks with `--publish`.
const PUBLISH: u32 = 12;
const PARALLELISM: u32 = 2;
const SEED: u64 = 42;

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    pub(super) schedule: ScheduleArguments,
    /// The workloads [default: scheduler_comparison, pipeline, imbalance and word_count].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    workloads: Vec<String>,
    /// The workloads of this name: basic is the default of --workloads; batch is shuffles, large items and memory; stream is the
    /// queries of Nexmark.
    #[arg(long, value_name = "NAME", conflicts_with = "workloads", value_parser = SUITES.map(|(name, _)| name))]
    suite: Option<String>,
    /// The schedulers to ask for [default: default].
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    pub(super) schedulers: Vec<String>,
    /// The numbers of items, such as 1e3,1e5 [default: a run of at least half a second on two native
    /// threads, or a quarter of that with --quick].
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = options::count, allow_negative_numbers = true)]
    items: Vec<u64>,
    /// The numbers of operator calls that may run at once [default: 2].
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = options::parallelism, allow_negative_numbers = true)]
    parallelism: Vec<u32>,
    /// Make a point for each value of a parameter of the workloads, of batch_size, fusion, items or parallelism. A value is JSON if it
    /// parses as JSON, else a string. Repeatable: every combination is a point.
    #[arg(long, value_name = "KEY=VALUES", value_parser = options::variation)]
    vary: Vec<Variation>,
    /// The backend that the others are compared with [default: native if it takes part, else the first].
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(super) baseline: Option<String>,
    /// For results that are published: 12 blocks, and verdicts that are corrected for the number of comparisons.
    #[arg(long, conflicts_with_all = ["blocks", "quick"])]
    pub(super) publish: bool,
    /// Start no new block after this time, which counts from the first trial: the first block is always run.
    #[arg(long, value_name = "TIME", value_parser = options::duration, allow_negative_numbers = true)]
    pub(super) time_budget: Option<Duration>,
    /// Run the first backend twice under two names (an A/A comparison), to see how large a difference noise makes.
    #[arg(long)]
    pub(super) aa: bool,
    /// The seed of the order of the runs [default: 42].
    #[arg(long, value_parser = options::natural, allow_negative_numbers = true)]
    pub(super) seed: Option<u64>,
    /// How many machines to ask for [default: 1].
    #[arg(long, value_name = "COUNT", value_parser = options::number, allow_negative_numbers = true)]
    pub(super) nodes: Option<u32>,
    /// Pin each backend and the processes that it starts to this number of cores [default: all cores].
    #[arg(long, value_name = "COUNT", value_parser = options::number, allow_negative_numbers = true)]
    pub(super) cores: Option<u32>,
    /// Resume an interrupted run: run the trials that are missing.
    #[arg(long, value_name = "ID", value_parser = options::resumed_id, conflicts_with_all = ["run_id", "dry_run"])]
    pub(super) resume: Option<String>,
    /// Print all trials in their order, and how long they may take; run nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl Arguments {
    /// The workloads that were named, one by one or by their suite.
    pub(super) fn workloads_asked_for(&self) -> Vec<String> {
        if self.suite.is_some() { suite(self.suite.as_deref()) } else { self.workloads.clone() }
    }

    /// These, or else the first suite.
    pub(super) fn workloads(&self) -> Vec<String> {
        let asked_for = self.workloads_asked_for();
        if asked_for.is_empty() { suite(None) } else { asked_for }
    }

    pub(super) fn varied(&self) -> Result<Varied, Problem> {
        Varied::of(&self.items, &self.parallelism, &self.schedule.trial.extra()?, &self.vary)
    }

    pub(super) fn rigor(&self) -> Rigor {
        match (self.schedule.quick, self.publish) {
            (true, _) => Rigor::Quick,
            (_, true) => Rigor::Publish,
            _ => Rigor::Standard,
        }
    }

    pub(super) fn matrix(
        &self,
        run: String,
        selection: &Selection,
        varied: &Varied,
    ) -> Result<Matrix, Problem> {
        let options = self.schedule.trial.extra()?;
        Ok(Matrix {
            run,
            backends: selection.backends(),
            workloads: selection.workloads(&varied.items, &options, &varied.options, self.schedule.quick),
            schedulers: or_default(&self.schedulers, "default".to_owned()),
            parallelisms: or_default(&varied.parallelism, PARALLELISM),
            nodes: self.nodes.unwrap_or(1),
            options,
            blocks: self.schedule.blocks(if self.publish { PUBLISH } else { STANDARD }),
            seed: self.seed.unwrap_or(SEED),
            data_seed: self.schedule.data_seed,
            warm_up: if self.schedule.quick { WarmUp::quick() } else { WarmUp::default() },
            aa: self.aa.then(|| selection.first()),
        })
    }
}

fn or_default<T: Clone>(given: &[T], default: T) -> Vec<T> {
    if given.is_empty() { vec![default] } else { given.to_vec() }
}
