//! `crossrun compare`: the same workloads on several backends, and which is faster, by how much, and how sure that is.

mod outcome;
pub(crate) mod plan_file;
mod resume;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::app::consumers::Consumers;
use crate::app::context::Context;
use crate::app::json_events::JsonEvents;
use crate::app::limits::LimitArguments;
use crate::app::participants::Selection;
use crate::app::progress::Progress;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, options, reports};
use crate::compare::model::Rigor;
use crate::plan::{Block, Matrix, Plan, TrialId};
use crate::record::{Recorder, SystemProfile};
use crate::run::event::Stopped;
use crate::run::executor::{Executor, Setting};
use crate::run::participants::Participants;
use crate::run::session::Isolation;
use crate::stats::WarmUp;
use crate::text::plural;

use plan_file::PlanFile;

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
pub(super) struct Arguments {
    /// The backends, or NAME=FILE for a library under a name of its own [default: all that are available].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    backends: Vec<String>,
    /// The workloads [default: scheduler_comparison, pipeline, imbalance and word_count].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    workloads: Vec<String>,
    /// The schedulers to ask for [default: default].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    schedulers: Vec<String>,
    /// How many items, such as 1e3,1e5 [default: about a second on native threads].
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = options::count)]
    items: Vec<u64>,
    /// How many operator calls at once [default: 2].
    #[arg(long, value_name = "COUNTS", value_delimiter = ',', value_parser = options::parallelism)]
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
    /// From which the data and the order are drawn [default: 42].
    #[arg(long)]
    seed: Option<u64>,
    /// How many machines to ask for [default: 1].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    nodes: Option<u32>,
    /// When a single run is ended [default: 10m].
    #[arg(long, value_name = "TIME", value_parser = options::duration)]
    timeout: Option<Duration>,
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

    fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    fn matrix(&self, run: String, selection: &Selection) -> Matrix {
        let options = options::extras(self.extra.clone());
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
            warm_up: WarmUp::default(),
            aa: self.aa.then(|| selection.first()),
        }
    }

    fn output_dir(&self, run: &str) -> PathBuf {
        self.output_dir.clone().unwrap_or_else(|| PathBuf::from("results").join(run))
    }
}

pub(super) fn run(global: &GlobalArguments, arguments: Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let mut context = Context::new(global, Isolation::Process, ui)?;
    let limits = context.limit(&arguments.limits);
    let begun = match &arguments.resume {
        Some(run) => Begun::again(&mut context, &arguments, limits, run)?,
        None => Begun::anew(&context, &arguments, limits, ui)?,
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
    participants: Participants,
    plan: Plan,
    output_dir: PathBuf,
    done: HashSet<TrialId>,
}

impl Begun {
    fn anew(
        context: &Context,
        arguments: &Arguments,
        limits: LimitArguments,
        ui: &mut Ui,
    ) -> Result<Self, Problem> {
        let (backends, workloads) = (&arguments.backends, &arguments.workloads);
        let selection = Selection::new(context, backends, workloads, arguments.setup, ui)?;
        let run = arguments.run_id.clone().unwrap_or_else(|| options::new_run_id(SystemTime::now()));
        let baseline = selection.baseline(arguments.baseline.as_deref())?;
        let matrix = arguments.matrix(run, &selection);
        let plan = Plan::new(&matrix).map_err(|error| Problem::usage(error.to_string()))?;
        let output_dir = arguments.output_dir(&matrix.run);
        let participants = selection.participants(&plan);
        let file = PlanFile {
            version: plan_file::VERSION,
            plan_hash: plan.hash().into(),
            rigor: arguments.rigor(),
            baseline,
            insist: arguments.insist,
            allow_untrusted: context.trust().is_anyone(),
            timeout_seconds: arguments.timeout().as_secs_f64(),
            limits,
            backends: plan_file::recorded_backends(&participants),
            libraries: plan_file::recorded_libraries(&participants),
            machine: SystemProfile::collect(),
            matrix,
        };
        selection.check_builds(arguments.insist)?;
        if !arguments.dry_run {
            file.create(&output_dir)?;
        }
        Ok(Self { file, participants, plan, output_dir, done: HashSet::new() })
    }

    fn again(
        context: &mut Context,
        arguments: &Arguments,
        limits: LimitArguments,
        run: &str,
    ) -> Result<Self, Problem> {
        let output_dir = arguments.output_dir(run);
        let file = PlanFile::read(&output_dir)?;
        resume::check_same(arguments, limits, &file)?;
        context.limit(&file.limits);
        let plan = file.plan().map_err(|error| Problem::usage(error.to_string()))?;
        let participants = file.participants(&plan, context)?;
        let done = resume::recorded(&output_dir)?;
        Ok(Self { file, participants, plan, output_dir, done })
    }

    fn measure(&self, context: &Context, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
        let Self { file, plan, output_dir, done, .. } = self;
        let lock = context.measurement_lock(!arguments.no_lock, ui)?;
        let blocks = plan.remaining(done);
        let folders = context.folders(&file.matrix.run)?;
        let trials = plan.trials().count();
        ui.note(&format!(
            "run {}: {} in {}, {} done before",
            file.matrix.run,
            plural(trials as u64, "trial"),
            plural(plan.blocks.len() as u64, "block"),
            done.len()
        ));
        let conditions = file.conditions(&self.participants, context, &folders, lock.is_some());
        let mut consumers = Consumers {
            recorder: Recorder::open(output_dir, conditions)?,
            progress: Progress::new(trials, done.len()),
            events: JsonEvents::new(trials, done.len()),
        };
        let mut executor = Executor::new(Setting {
            launch: context.launch().clone(),
            participants: self.participants.clone(),
            folders: folders.clone(),
            timeout: file.timeout(),
            warm_up: file.matrix.warm_up,
        });
        let stopped = self.blocks(&mut executor, &blocks, arguments.time_budget, &mut consumers, ui);
        ui.still();
        executor.end();
        context.tidy(&folders);
        stopped?;
        drop(lock);
        reports::finish(&mut consumers.recorder, ui)?;
        outcome::report(file, &self.participants, context, output_dir, ui)
    }

    /// Runs block after block while there is time.
    fn blocks(
        &self,
        executor: &mut Executor,
        blocks: &[Block],
        budget: Option<Duration>,
        consumers: &mut Consumers,
        ui: &mut Ui,
    ) -> Result<(), Problem> {
        let started = Instant::now();
        for block in blocks {
            if budget.is_some_and(|budget| started.elapsed() > budget) {
                ui.note("the time is up: the blocks that are left are not run; --resume runs them");
                return Ok(());
            }
            let ran = executor.blocks(std::slice::from_ref(block), &mut |event| consumers.note(event, ui));
            ran.map_err(|stopped| self.stopped(stopped))?;
        }
        Ok(())
    }

    fn stopped(&self, stopped: Stopped<Problem>) -> Problem {
        match stopped {
            Stopped::Sink(problem) => problem,
            Stopped::Failed(error) => error.into(),
            Stopped::Interrupted => {
                Problem::new(Exit::Interrupted, "interrupted; everything that was measured is recorded")
                    .with_remedy(resume::command(&self.file, &self.output_dir))
            }
        }
    }
}
