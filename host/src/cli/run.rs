//! `crossrun run`: one workload on one backend, verified and recorded.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use plugin_api::{RunResult, WorkloadSpec};
use serde_json::Value;

use crate::app::availability::{NotReady, make_available};
use crate::app::context::{self, Context};
use crate::app::exit::exit_of;
use crate::app::limits::LimitArguments;
use crate::app::reproduce::{Guards, RunCommand};
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, options, progress, reports};
use crate::plan::BackendChoice;
use crate::plan::defaults::{DEFAULT_BACKEND, DEFAULT_WORKLOAD};
use crate::record::{Conditions, OpenLoop, Percentiles, Recorder, SystemProfile, TrialRecord};
use crate::run::backend::Backend;
use crate::run::event::{Event, Phase, Stopped};
use crate::run::executor::{Executor, Setting};
use crate::run::outcome::Outcome;
use crate::run::participants::Participants;
use crate::run::session::{CallError, Isolation};
use crate::run::trial::{TrialResult, TrialSpec};
use crate::stats::WarmUp;

/// How long a run may take when nothing else is said.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The backend, in upper or lower case, or NAME=FILE for a library under a name of its own.
    #[arg(long, value_name = "NAME", env = "CROSSRUN_BACKEND", default_value = DEFAULT_BACKEND)]
    backend: String,
    /// The workload.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_WORKLOAD)]
    workload: String,
    /// How many items the source emits, such as 1000 or 1e6.
    #[arg(long, value_name = "COUNT", default_value = "10", value_parser = options::count)]
    items: u64,
    /// At most this many operator calls at once, over all stages together.
    #[arg(long, value_name = "COUNT", default_value = "2", value_parser = options::parallelism)]
    parallelism: u32,
    /// A hint to the engine: default, fifo, load_aware, or a name that it knows.
    #[arg(long, value_name = "NAME", default_value = "default")]
    scheduler: String,
    /// From which the workload draws its data.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// How many machines to ask for.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    nodes: u32,
    /// A parameter of the workload or an option of the backend; JSON where it parses as JSON. Repeatable.
    #[arg(long, value_name = "KEY=VALUE", value_parser = options::extra)]
    extra: Vec<(String, Value)>,
    /// Where the records go [default: results/<workload>].
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// What the run is called in its record [default: the time].
    #[arg(long, value_name = "ID", value_parser = options::run_id)]
    run_id: Option<String>,
    /// When a run is ended: 90s, 10m or 1h [default: extra.max_wait_seconds, or 10m].
    #[arg(long, value_name = "TIME", value_parser = options::duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    limits: LimitArguments,
    /// Set the backend up first, if it is not.
    #[arg(long)]
    setup: bool,
    /// Where the plugin runs: in a process of its own, or in this one, without deadlines, for debuggers.
    #[arg(long, value_enum, default_value = "process")]
    isolation: Isolation,
    /// Keep the backend and all that it starts to so many cores [default: all that there are].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    cores: Option<u32>,
    /// Do not wait until no other measurement runs on this machine; the record says so.
    #[arg(long)]
    no_lock: bool,
}

/// What was asked for, checked as far as it can be without a plugin.
struct Options {
    backend: String,
    spec: WorkloadSpec,
    nodes: u32,
    output_dir: PathBuf,
    run_id: String,
    timeout: Duration,
    limits: LimitArguments,
    setup: bool,
    isolation: Isolation,
    cores: Option<u32>,
    lock: bool,
}

impl Options {
    fn resolve(arguments: Arguments) -> Result<Self, Problem> {
        let Arguments { backend, workload, items, parallelism, scheduler, seed, nodes, extra, .. } =
            arguments;
        let spec = WorkloadSpec {
            name: workload,
            total_items: items,
            parallelism,
            scheduler_name: scheduler,
            seed,
            extra: extra.into_iter().collect(),
            start_nanos: None,
        };
        spec.batch_size().and(spec.fusion().map(|_| 0)).map_err(Problem::from)?;
        if arguments.cores.is_some() && arguments.isolation == Isolation::None {
            return Err(Problem::usage("--cores needs a process of its own for the plugin")
                .with_remedy("--isolation process"));
        }
        let timeout = match arguments.timeout {
            Some(timeout) => timeout,
            None => options::max_wait(&spec.extra).map_err(Problem::usage)?.unwrap_or(DEFAULT_TIMEOUT),
        };
        Ok(Self {
            backend,
            output_dir: arguments.output_dir.unwrap_or_else(|| PathBuf::from("results").join(&spec.name)),
            run_id: arguments.run_id.unwrap_or_else(|| options::new_run_id(SystemTime::now())),
            spec,
            nodes,
            timeout,
            limits: arguments.limits,
            setup: arguments.setup,
            isolation: arguments.isolation,
            cores: arguments.cores,
            lock: !arguments.no_lock,
        })
    }

    fn trial(&self, participants: &Participants) -> TrialSpec {
        let participant = participants.backends.get(&self.backend);
        let runs = participant.map_or(self.backend.as_str(), |it| it.plugin.name()).to_owned();
        let backend = BackendChoice { name: self.backend.clone(), runs };
        TrialSpec::alone(backend, self.run_id.clone(), self.spec.clone(), self.nodes)
    }

    fn conditions(&self, context: &Context, executor: &Executor, locked: bool) -> Conditions {
        let command = RunCommand {
            participants: executor.setting.participants.clone(),
            timeout: self.timeout,
            limits: self.limits,
            cores: self.cores.map(|cores| cores as usize),
            guards: Guards::of(context),
            output_dir: Some(self.output_dir.clone()),
            isolation: Some(self.isolation),
            plugin_folders: Some(context.explicit.clone()),
        };
        command.conditions(SystemProfile::collect(), context, &executor.setting.folders, locked)
    }
}

pub(super) fn run(global: &GlobalArguments, arguments: Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let mut options = Options::resolve(arguments)?;
    let mut context = Context::new(global, options.isolation, ui)?;
    options.cores.map_or(Ok(()), |cores| context.keep_to(cores))?;
    options.limits = context.limit(&options.limits);
    let (name, participant) = context.participant(&options.backend)?;
    let library = context.workload_library(&options.spec.name)?;
    options.backend = name;
    let folders = context.folders(&options.run_id)?;
    let participants = Participants {
        backends: BTreeMap::from([(options.backend.clone(), participant)]),
        libraries: BTreeMap::from([(options.spec.name.clone(), library)]),
    };
    let mut executor = Executor::new(Setting {
        launch: context.launch.clone(),
        participants,
        folders: folders.clone(),
        timeout: options.timeout,
        warm_up: WarmUp::default(),
    });
    let ended = measure_and_record(&mut executor, &context, &options, ui);
    ui.still();
    executor.end();
    context.tidy(&folders);
    let (record, outcome) = ended?;
    for warning in &record.record.metadata.warnings {
        ui.warning(warning);
    }
    show(&options, &record, &outcome, ui)
}

/// Runs the trial while no other measurement runs, and records it.
fn measure_and_record(
    executor: &mut Executor,
    context: &Context,
    options: &Options,
    ui: &mut Ui,
) -> Result<(TrialRecord, Outcome), Problem> {
    executor.judge(&options.spec.name)?;
    let lock = context.measurement_lock(options.lock, ui)?;
    let trial = options.trial(&executor.setting.participants);
    let result = measure(executor, context, options, &trial, ui)?;
    let conditions = options.conditions(context, executor, lock.is_some());
    let mut recorder = Recorder::open(&options.output_dir, conditions)?;
    let record = recorder.note(&Event::Finished(&trial, &result))?;
    let record = record.ok_or_else(|| Problem::new(Exit::Unexpected, "the trial was not recorded"))?;
    reports::finish(&mut recorder, ui)?;
    Ok((record, result.outcome))
}

/// What came of the trial. A problem that is none of the backend's, such as a parameter out of range, is no result.
fn measure(
    executor: &mut Executor,
    context: &Context,
    options: &Options,
    trial: &TrialSpec,
    ui: &mut Ui,
) -> Result<TrialResult, Problem> {
    let entry = context::entry(executor.judge(&options.spec.name)?, &options.spec.name)?;
    let mut backend = match executor.load(&options.backend) {
        Ok(backend) => backend,
        Err(error) => return counted(TrialResult::failed(error)),
    };
    let warnings = backend.unknown_options(&options.spec, &entry);
    if let Err(not_ready) = prepare(executor, context, options, &mut backend, ui) {
        backend.end();
        return match not_ready {
            NotReady::Call(error) => counted(TrialResult::failed(error)),
            NotReady::Problem(problem) => Err(problem),
        };
    }
    let mut shown = |event: &Event<'_>| {
        progress::show(ui, event);
        Ok::<(), Infallible>(())
    };
    let ran = executor.run_alone(trial, backend, &mut shown).map_err(|stopped| match stopped {
        Stopped::Failed(error) => error.into(),
        Stopped::Interrupted => Problem::from(CallError::interrupted("run")),
        Stopped::Sink(never) => match never {},
    });
    let mut result = ran?;
    result.warnings.splice(0..0, warnings);
    counted(result)
}

/// Makes sure that the backend could start, and computes what must come out.
fn prepare(
    executor: &mut Executor,
    context: &Context,
    options: &Options,
    backend: &mut Backend,
    ui: &mut Ui,
) -> Result<(), NotReady> {
    make_available(context, backend, options.setup, &executor.setting.folders, ui)?;
    progress::show(ui, &Event::Phase(Phase::Expecting));
    executor.expect(&options.spec).map_err(Problem::from)?;
    Ok(())
}

/// A failure of the backend is a result; a wrong command line, a backend that is not there and an interrupt are not.
fn counted(result: TrialResult) -> Result<TrialResult, Problem> {
    match &result.outcome {
        Outcome::Failed(error) if exit_of(error) != Exit::TrialFailed => Err(error.clone().into()),
        _ => Ok(result),
    }
}

fn show(options: &Options, trial: &TrialRecord, outcome: &Outcome, ui: &mut Ui) -> Result<Exit, Problem> {
    if ui.json() {
        ui.result(&serde_json::to_string(&trial.record).map_err(|error| Problem::unexpected(&error))?);
    }
    let backend = &options.backend;
    let folder = options.output_dir.display();
    match outcome {
        Outcome::Verified | Outcome::Unverified => {
            if !ui.json() {
                ui.result(&page(options, trial));
            }
            Ok(Exit::Done)
        }
        Outcome::Wrong(error) => {
            ui.error(&format!("{backend} gave a wrong answer: {error} (recorded in {folder})"));
            Ok(Exit::WrongAnswer)
        }
        Outcome::Invalid(error) => {
            ui.error(&format!("the measurement of {backend} is not valid: {error} (recorded in {folder})"));
            Ok(Exit::Invalid)
        }
        Outcome::Failed(error) => {
            let remedy = error.remedy.as_ref().map_or_else(String::new, |remedy| format!("; try: {remedy}"));
            ui.error(&format!("{backend} failed: {error} (recorded in {folder}){remedy}"));
            Ok(Exit::TrialFailed)
        }
    }
}

/// How long the items of an open loop took: a line for each kind of latency.
fn latency_lines(open_loop: &OpenLoop) -> String {
    let Some(scheduled) = &open_loop.scheduled else {
        return "latency: none, as source and sinks do not share a clock\n".into();
    };
    let samples = crate::text::plural(scheduled.samples, "item");
    let of = [
        (format!("latency from when an item was due, of {samples}"), &open_loop.scheduled),
        ("from when it was made".into(), &open_loop.service),
        ("lag of the source itself".into(), &open_loop.generator_lag),
    ];
    let line = |(what, percentiles): (String, &Option<Percentiles>)| {
        let percentiles = percentiles.as_ref()?;
        let known = percentiles.named().into_iter();
        let known = known.filter_map(|(name, _, value)| Some(format!("{name} {:.3} ms", value?)));
        let known: Vec<_> = known.chain([format!("max {:.3} ms", percentiles.max)]).collect();
        Some(format!("{what}: {}\n", known.join(", ")))
    };
    of.into_iter().filter_map(line).collect()
}

/// What a verified run came to, in a few lines.
fn page(options: &Options, trial: &TrialRecord) -> String {
    let (record, metadata) = (&trial.record, &trial.record.metadata);
    let count = metadata.results_count.unwrap_or_default();
    let elapsed = record.duration_seconds.unwrap_or_default();
    let mut result = RunResult::new(&record.backend, &options.spec, elapsed, count, Vec::new());
    result.scheduler_name = metadata.scheduler_name.clone().unwrap_or_default();
    let checksum = metadata.checksum.as_deref().unwrap_or_default();
    let items = crate::text::plural(count, "item");
    let input = metadata.input_throughput.map_or_else(String::new, |rate| format!(", {rate:.1} items/s in"));
    format!(
        "{}\nverified: {items} with checksum {checksum}, as the serial oracle has them{input}\n{}recorded in {} as {}\n",
        crate::text::printable(&result.summary()),
        metadata.open_loop.as_ref().map_or_else(String::new, latency_lines),
        options.output_dir.display(),
        record.run_id,
    )
}
