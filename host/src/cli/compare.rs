//! `crossrun compare`: the same workloads on several backends, and which is faster, by how much, and how sure that is.

mod ledger;
mod outcome;
pub(crate) mod plan_file;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::app::context::Context;
use crate::app::limits::LimitArguments;
use crate::app::participants::{self, Lineup};
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, options};
use crate::compare::model::Rigor;
use crate::plan::{Block, Matrix, Plan, TrialId};
use crate::record::SystemProfile;
use crate::run::rig::{Cast, Rig, Stopped};
use crate::run::session::Isolation;
use crate::stats::WarmUp;
use crate::text::plural;

use ledger::Ledger;
use plan_file::PlanFile;

/// Blocks of a first look.
const QUICK: u32 = 3;
/// Blocks when nothing else is said: enough for an interval.
const STANDARD: u32 = 7;
/// Blocks for figures that are to be published.
const PUBLISH: u32 = 12;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The backends, or NAME=FILE for a library under a name of its own [default: all that are available].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    backends: Vec<String>,
    /// The workloads [default: scheduler_comparison, pipeline, imbalance and word_count].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    workloads: Vec<String>,
    /// The schedulers to ask for.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "default")]
    schedulers: Vec<String>,
    /// How many items, such as 1e3,1e5 [default: about a second on native threads].
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = options::count)]
    items: Vec<u64>,
    /// How many operator calls at once.
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', default_value = "2", value_parser = options::parallelism)]
    parallelism: Vec<u32>,
    /// The backend that the others are compared with [default: the first].
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// How often everything is repeated, each time with fresh engines and data [default: 7].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["quick", "publish"])]
    blocks: Option<u32>,
    /// A first look: 3 blocks, no interval, no verdict.
    #[arg(long, conflicts_with = "publish")]
    quick: bool,
    /// For figures that are shown to others: 12 blocks, verdicts that hold for the whole table.
    #[arg(long)]
    publish: bool,
    /// Start no new block after this time.
    #[arg(long, value_name = "TIME", value_parser = options::duration)]
    time_budget: Option<Duration>,
    /// Let the first backend take part twice, to see how large a difference noise makes.
    #[arg(long)]
    aa: bool,
    /// A parameter of the workloads or an option of the backends, for all of them. Repeatable.
    #[arg(long, value_name = "KEY=VALUE", value_parser = options::extra)]
    extra: Vec<(String, Value)>,
    /// From which the data and the order are drawn.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// How many machines to ask for.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    nodes: u32,
    /// When a single run is ended.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = options::duration)]
    timeout: Duration,
    #[command(flatten)]
    limits: LimitArguments,
    /// Where records and reports go [default: results/<run id>].
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// What the run is called [default: the time].
    #[arg(long, value_name = "ID", value_parser = options::run_id)]
    run_id: Option<String>,
    /// Go on with a run that was interrupted: run what is missing.
    #[arg(long, value_name = "ID", value_parser = options::run_id, conflicts_with_all = ["run_id", "dry_run"])]
    resume: Option<String>,
    /// Set backends up first, if they are not.
    #[arg(long)]
    setup: bool,
    /// Print every cell in its order, and how long it may take; run nothing.
    #[arg(long)]
    dry_run: bool,
    /// Compare debug builds with release builds, and different workload libraries, all the same.
    #[arg(long)]
    insist: bool,
    /// Do not wait until no other measurement runs on this machine; the records say so.
    #[arg(long)]
    no_lock: bool,
}

impl Arguments {
    fn rigor(&self) -> Rigor {
        match (self.quick, self.publish) {
            (true, _) => Rigor::Quick,
            (_, true) => Rigor::Publish,
            _ => Rigor::Standard,
        }
    }

    fn block_count(&self) -> u32 {
        let usual = match self.rigor() {
            Rigor::Quick => QUICK,
            Rigor::Standard => STANDARD,
            Rigor::Publish => PUBLISH,
        };
        self.blocks.unwrap_or(usual)
    }

    fn matrix(&self, run: String, lineup: &Lineup) -> Matrix {
        let options = options::extras(self.extra.clone());
        Matrix {
            run,
            backends: lineup.backends(),
            workloads: lineup.workloads(&self.items, &options),
            schedulers: self.schedulers.clone(),
            parallelisms: self.parallelism.clone(),
            nodes: self.nodes,
            options,
            blocks: self.block_count(),
            seed: self.seed,
            warm_up: WarmUp::default(),
            aa: self.aa.then(|| lineup.first()),
        }
    }
}

pub(super) fn run(global: &GlobalArguments, arguments: Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let mut context = Context::new(global, Isolation::Process, ui)?;
    context.limit(&arguments.limits);
    let begun = match &arguments.resume {
        Some(run) => Begun::again(&context, &arguments, run)?,
        None => Begun::anew(&context, &arguments, ui)?,
    };
    if arguments.dry_run {
        ui.result(&outcome::preview(&begun.plan, &begun.file.matrix.warm_up, ui.json()));
        return Ok(Exit::Done);
    }
    begun.measure(&context, &arguments, ui)
}

/// A run that is to be measured.
struct Begun {
    file: PlanFile,
    plan: Plan,
    output_dir: PathBuf,
    done: HashSet<TrialId>,
}

impl Begun {
    fn anew(context: &Context, arguments: &Arguments, ui: &mut Ui) -> Result<Self, Problem> {
        let lineup = Lineup::choose(context, &arguments.backends, &arguments.workloads, arguments.setup, ui)?;
        let run = arguments.run_id.clone().unwrap_or_else(|| options::new_run_id(SystemTime::now()));
        let baseline = lineup.baseline(arguments.baseline.as_deref())?;
        let matrix = arguments.matrix(run, &lineup);
        let plan = Plan::new(&matrix).map_err(|error| Problem::usage(error.to_string()))?;
        let output_dir = arguments.output_dir(&matrix.run);
        let file = PlanFile {
            version: plan_file::VERSION,
            plan_hash: plan.hash().into(),
            rigor: arguments.rigor(),
            baseline,
            insist: arguments.insist,
            allow_untrusted: context.trust().is_anyone(),
            timeout_seconds: arguments.timeout.as_secs_f64(),
            backends: lineup.performers(&plan),
            libraries: lineup.libraries(),
            machine: SystemProfile::collect(),
            matrix,
        };
        lineup.check_builds(arguments.insist)?;
        if !arguments.dry_run {
            file.create(&output_dir)?;
        }
        Ok(Self { file, plan, output_dir, done: HashSet::new() })
    }

    fn again(context: &Context, arguments: &Arguments, run: &str) -> Result<Self, Problem> {
        let output_dir = arguments.output_dir(run);
        let file = PlanFile::read(&output_dir)?;
        let plan = file.plan().map_err(|error| Problem::usage(error.to_string()))?;
        file.check_unchanged(&plan, context)?;
        let done = ledger::recorded(&output_dir)?;
        Ok(Self { file, plan, output_dir, done })
    }

    fn measure(self, context: &Context, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
        let Self { file, plan, output_dir, done } = self;
        let lock = context.measurement_lock(!arguments.no_lock, ui)?;
        let blocks = plan.remaining(&done);
        let folders = context.folders(&file.matrix.run)?;
        ui.note(&format!(
            "run {}: {} in {}, {} done before",
            file.matrix.run,
            plural(plan.trials().count() as u64, "trial"),
            plural(plan.blocks.len() as u64, "block"),
            done.len()
        ));
        let cast = Cast {
            launch: context.launch().clone(),
            backends: participants::performers(&file.backends),
            libraries: participants::library_files(&file.libraries),
            folders: folders.clone(),
            timeout: file.timeout(),
            warm_up: file.matrix.warm_up,
        };
        let mut rig = Rig::new(cast);
        let mut ledger = Ledger::open(
            &file,
            &output_dir,
            lock.is_some(),
            folders.clone(),
            plan.trials().count(),
            done.len(),
        )?;
        let stopped = measure_blocks(&mut rig, &blocks, arguments.time_budget, &mut ledger, ui);
        ui.still();
        rig.end();
        context.tidy(&folders);
        stopped?;
        drop(lock);
        ledger.derive_table()?;
        outcome::report(&file, &output_dir, ui)
    }
}

impl Arguments {
    fn output_dir(&self, run: &str) -> PathBuf {
        self.output_dir.clone().unwrap_or_else(|| PathBuf::from("results").join(run))
    }
}

/// Runs block after block while there is time.
fn measure_blocks(
    rig: &mut Rig,
    blocks: &[Block],
    budget: Option<Duration>,
    ledger: &mut Ledger<'_>,
    ui: &mut Ui,
) -> Result<(), Problem> {
    let started = Instant::now();
    for block in blocks {
        if budget.is_some_and(|budget| started.elapsed() > budget) {
            ui.note("the time is up: the blocks that are left are not run; --resume runs them");
            return Ok(());
        }
        let block = std::slice::from_ref(block);
        rig.measure(block, &mut |happening| ledger.note(happening, ui)).map_err(|stopped| match stopped {
            Stopped::Told(problem) => problem,
            Stopped::Failed(error) => error.into(),
            Stopped::Interrupted => {
                Problem::new(Exit::Interrupted, "interrupted; everything that was measured is recorded")
                    .with_remedy(ledger.resume_command())
            }
        })?;
    }
    Ok(())
}
