//! `crossrun metg`: how long a task must be for an engine to keep the cores at work, and what a task costs.

mod outcome;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use crate::app::consumers::Consumers;
use crate::app::context::Context;
use crate::app::json_events::JsonEvents;
use crate::app::limits::LimitArguments;
use crate::app::options::{push, seconds};
use crate::app::participants::Selection;
use crate::app::progress::Progress;
use crate::app::reproduce::{Guards, RunCommand, backend_word, push_plugin_folders};
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, options, reports};
use crate::plan::defaults::COMPUTING;
use crate::plan::{Matrix, Plan, WorkloadChoice};
use crate::record::writer::TRIALS;
use crate::record::{Conditions, Recorder, SystemProfile};
use crate::run::executor::{Executor, Setting};
use crate::run::participants::Participants;
use crate::run::session::Isolation;
use crate::run::sweep::Range;
use crate::shell;
use crate::stats::WarmUp;
use crate::text::plural;
use crate::worker::protocol::Folders;

/// What a sweep sets in `extra`: one kernel an item, each item and each stage scheduled by itself.
const SET: [&str; 4] = ["batch_size", "fusion", "iters", "stages"];

/// Blocks of a first look.
const QUICK: u32 = 3;
/// Blocks when nothing else is said: enough for an interval.
const STANDARD: u32 = 7;
/// Seconds that a point takes in a first look.
const QUICK_POINT: f64 = 0.1;
/// Seconds that a point takes when nothing else is said.
const STANDARD_POINT: f64 = 0.4;
/// Cores when nothing else is said, if there are as many.
const CORES: usize = 2;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The backends, or NAME=FILE for a library under a name of its own [default: all that are available].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    backends: Vec<String>,
    /// How many cores each backend is kept to; as many tasks run at once [default: 2].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    cores: Option<u32>,
    /// How often everything is repeated, each time with fresh engines and data [default: 7].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "quick")]
    blocks: Option<u32>,
    /// A first look: 3 blocks of shorter points, no interval.
    #[arg(long)]
    quick: bool,
    /// Run no kernel that is shorter than this [default: one iteration].
    #[arg(long, value_name = "TIME", value_parser = options::duration)]
    finest: Option<Duration>,
    /// Run no kernel that is longer than this.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = options::duration)]
    coarsest: Duration,
    /// An option of the backends, for all of them. Repeatable.
    #[arg(long, value_name = "KEY=VALUE", value_parser = options::extra)]
    extra: Vec<(String, Value)>,
    /// From which the data are drawn.
    #[arg(long, default_value_t = 42)]
    seed: u64,
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
    /// Set backends up first, if they are not.
    #[arg(long)]
    setup: bool,
    /// Measure debug builds beside release builds all the same.
    #[arg(long)]
    insist: bool,
    /// Do not wait until no other measurement runs on this machine; the records say so.
    #[arg(long)]
    no_lock: bool,
}

impl Arguments {
    fn range(&self) -> Result<Range, Problem> {
        let finest = self.finest.unwrap_or_default();
        if finest > self.coarsest {
            return Err(Problem::usage("--finest is longer than --coarsest"));
        }
        Ok(Range {
            point_seconds: if self.quick { QUICK_POINT } else { STANDARD_POINT },
            finest_seconds: finest.as_secs_f64(),
            coarsest_seconds: self.coarsest.as_secs_f64(),
        })
    }

    fn options(&self) -> Result<Map<String, Value>, Problem> {
        let options: Map<_, _> = self.extra.iter().cloned().collect();
        match SET.into_iter().find(|key| options.contains_key(*key)) {
            Some(key) => Err(Problem::usage(format!("--extra {key}: a sweep sets it itself"))),
            None => Ok(options),
        }
    }

    fn matrix(&self, run: String, selection: &Selection, options: Map<String, Value>, cores: u32) -> Matrix {
        let template = json!({"batch_size": 1, "fusion": "off", "stages": 1});
        Matrix {
            run,
            backends: selection.backends(),
            workloads: vec![WorkloadChoice {
                name: COMPUTING.into(),
                // A sweep decides for each point how many there are.
                items: vec![1],
                extra: template.as_object().cloned().unwrap_or_default(),
            }],
            schedulers: vec!["default".into()],
            parallelisms: vec![cores],
            nodes: 1,
            options,
            blocks: self.blocks.unwrap_or(if self.quick { QUICK } else { STANDARD }),
            seed: self.seed,
            warm_up: WarmUp::default(),
            aa: None,
        }
    }

    /// The command that measures all of it again.
    fn again(&self, begun: &Begun, context: &Context) -> String {
        let Begun { matrix, participants, limits, .. } = begun;
        let mut words = vec!["metg".to_owned()];
        let word = |name: &String| Some(backend_word(name, participants.backends.get(name)?));
        let names = matrix.backends.iter().filter_map(|backend| word(&backend.name));
        push(&mut words, "backends", names.collect::<Vec<_>>().join(","));
        push(&mut words, "cores", begun.cores);
        if self.quick {
            words.push("--quick".into());
        } else {
            push(&mut words, "blocks", matrix.blocks);
        }
        if let Some(finest) = self.finest {
            push(&mut words, "finest", seconds(finest));
        }
        push(&mut words, "coarsest", seconds(self.coarsest));
        push(&mut words, "seed", matrix.seed);
        push(&mut words, "timeout", seconds(self.timeout));
        limits.push(&mut words);
        for (key, value) in &matrix.options {
            push(&mut words, "extra", format!("{key}={value}"));
        }
        if self.insist {
            words.push("--insist".into());
        }
        push_plugin_folders(&mut words, participants, context);
        Guards::of(context).push(&mut words);
        shell::command("crossrun", words)
    }
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let mut context = Context::new(global, Isolation::Process, ui)?;
    let cores = cores(arguments.cores);
    context.keep_to(cores)?;
    let limits = context.limit(&arguments.limits);
    let begun = Begun::new(&context, arguments, limits, cores, ui)?;
    let lock = context.measurement_lock(!arguments.no_lock, ui)?;
    let stopped = begun.measure(&context, lock.is_some(), ui);
    ui.still();
    context.tidy(&begun.folders);
    stopped?;
    drop(lock);
    outcome::report(&begun.output_dir, &arguments.again(&begun, &context), ui)
}

/// As many as were asked for; else the usual number, or all if there are fewer.
fn cores(asked_for: Option<u32>) -> u32 {
    let there_are = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    asked_for.unwrap_or(CORES.min(there_are) as u32)
}

/// A run that is to be measured.
struct Begun {
    matrix: Matrix,
    plan: Plan,
    range: Range,
    timeout: Duration,
    limits: LimitArguments,
    cores: u32,
    participants: Participants,
    folders: Folders,
    output_dir: PathBuf,
}

impl Begun {
    fn new(
        context: &Context,
        arguments: &Arguments,
        limits: LimitArguments,
        cores: u32,
        ui: &mut Ui,
    ) -> Result<Self, Problem> {
        let (range, options) = (arguments.range()?, arguments.options()?);
        let (backends, workloads) = (&arguments.backends, [COMPUTING.into()]);
        let selection = Selection::new(context, backends, &workloads, arguments.setup, ui)?;
        selection.check_builds(arguments.insist)?;
        let run = arguments.run_id.clone().unwrap_or_else(|| options::new_run_id(SystemTime::now()));
        let output_dir = arguments.output_dir.clone().unwrap_or_else(|| PathBuf::from("results").join(&run));
        if output_dir.join(TRIALS).exists() {
            let message = format!("{} already holds a run", output_dir.display());
            return Err(Problem::usage(message).with_remedy("another --run-id"));
        }
        let matrix = arguments.matrix(run, &selection, options, cores);
        let plan = Plan::new(&matrix).map_err(|error| Problem::usage(error.to_string()))?;
        let participants = selection.participants(&plan);
        let (folders, timeout) = (context.folders(&matrix.run)?, arguments.timeout);
        Ok(Self { matrix, plan, range, timeout, limits, cores, participants, folders, output_dir })
    }

    fn conditions(&self, context: &Context, locked: bool) -> Conditions {
        let command = RunCommand {
            participants: self.participants.clone(),
            timeout: self.timeout,
            limits: self.limits,
            cores: Some(self.cores as usize),
            guards: Guards::of(context),
            ..RunCommand::default()
        };
        command.conditions(SystemProfile::collect(), context, &self.folders, locked)
    }

    fn measure(&self, context: &Context, locked: bool, ui: &mut Ui) -> Result<(), Problem> {
        let Self { matrix, plan, range, .. } = self;
        let blocks = plural(plan.blocks.len() as u64, "block");
        let backends = plural(matrix.backends.len() as u64, "backend");
        ui.note(&format!("run {}: sweeps of {backends} in {blocks}", matrix.run));
        let sweeps = plan.blocks.iter().map(|block| block.sessions.len()).sum();
        let mut consumers = Consumers {
            recorder: Recorder::open(&self.output_dir, self.conditions(context, locked))?,
            progress: Progress::new(sweeps, 0),
            events: JsonEvents::new(0, 0),
        };
        let mut executor = Executor::new(Setting {
            launch: context.launch.clone(),
            participants: self.participants.clone(),
            folders: self.folders.clone(),
            timeout: self.timeout,
            warm_up: matrix.warm_up,
        });
        let swept = plan.blocks.iter().try_for_each(|block| {
            executor.sweep(&matrix.run, block, range, &mut |event| consumers.note(event, ui))
        });
        executor.end();
        swept.map_err(|stopped| {
            Problem::of_stopped(stopped, || format!("crossrun report {}", self.output_dir.display()))
        })?;
        reports::finish(&mut consumers.recorder, ui)
    }
}
