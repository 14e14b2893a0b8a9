//! `crossrun run`: runs one workload on one backend, verifies the answer, and records the trial.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use plugin_api::workload::CatalogueEntry;
use plugin_api::{ErrorKind, RunResult, WorkloadSpec};

use crate::app::availability::{NotReady, SetUp, make_available, of_file};
use crate::app::command_line::CommandLine;
use crate::app::context::{self, Context};
use crate::app::exit::exit_of;
use crate::app::limits::LimitArguments;
use crate::app::reproduce::{LoadingOptions, RunCommand};
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, options, parameters, progress, reports};
use crate::cli::compare::plan_file::PlanFile;
use crate::cli::measure::TrialArguments;
use crate::plan::BackendChoice;
use crate::plan::defaults::{DEFAULT_BACKEND, DEFAULT_WORKLOAD};
use crate::plan::whole_rows::{rounded, row_width, used_items};
use crate::record::names::RESULTS;
use crate::record::{
    Access, Conditions, OpenLoop, Percentiles, Recorder, SystemProfile, TrialRecord, UnifiedRecord, writer,
};
use crate::run::backend::{Backend, read_in_runs, without_effect};
use crate::run::event::{Event, Phase, Stopped};
use crate::run::executor::Executor;
use crate::run::outcome::Outcome;
use crate::run::participants::Participants;
use crate::run::session::{CallError, Fault, Isolation};
use crate::run::trial::{TrialResult, TrialSpec, again_if_stopped};
use crate::stats::WarmUp;
use crate::text::{plural, single_line, with_remedy};

/// The environment variable that names the backend if no option does.
const BACKEND: &str = "CROSSRUN_BACKEND";

/// What no process can see of itself: a debugger needs the plugin in the process that it started, without another one above it.
const IN_PROCESS: &str = "with --isolation none, a plugin that calls _exit ends crossrun with an exit code of the plugin's choice, \
                          also 0; the run is verified only if crossrun says so, or records it; no limit holds, and no deadline";

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[arg(long, value_name = "NAME", help = backend_help())]
    backend: Option<String>,
    /// The workload.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_WORKLOAD)]
    workload: String,
    /// The number of items that the source emits, such as 1000 or 1e6.
    #[arg(long, value_name = "COUNT", default_value = "10", value_parser = options::count, allow_negative_numbers = true)]
    items: u64,
    /// The largest number of operator calls at once, over all stages together.
    #[arg(long, value_name = "COUNT", default_value = "2", value_parser = options::parallelism, allow_negative_numbers = true)]
    parallelism: u32,
    /// A hint to the engine: default, fifo, load_aware, or another name that the engine knows.
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = NonEmptyStringValueParser::new())]
    scheduler: String,
    /// The seed of the workload's data.
    #[arg(long, default_value_t = 42, value_parser = options::natural, allow_negative_numbers = true)]
    seed: u64,
    /// How many machines to ask for.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = options::number, allow_negative_numbers = true)]
    nodes: u32,
    #[command(flatten)]
    trial: TrialArguments,
    /// The folder for records [default: results/<workload>].
    #[arg(long, value_name = "DIR", value_parser = options::new_path())]
    output_dir: Option<PathBuf>,
    /// The process that the plugin runs in.
    #[arg(long, value_enum, default_value = "process")]
    isolation: Isolation,
    /// Pin the backend and the processes that it starts to this number of cores [default: all cores].
    #[arg(long, value_name = "COUNT", value_parser = options::number, allow_negative_numbers = true)]
    cores: Option<u32>,
}

fn backend_help() -> String {
    format!(
        "The backend, in upper or lower case. NAME=FILE runs a library under a name of its own \
         [default: {BACKEND} of the environment, or {DEFAULT_BACKEND}]"
    )
}

/// The arguments after all checks that need no plugin.
struct Options {
    backend: String,
    setup: SetUp,
    spec: WorkloadSpec,
    nodes: u32,
    output_dir: PathBuf,
    run_id: String,
    timeout: Duration,
    limits: LimitArguments,
    isolation: Isolation,
    cores: Option<u32>,
    lock: bool,
}

impl Options {
    fn resolve(arguments: Arguments) -> Result<Self, Problem> {
        let Arguments { trial, backend, workload, nodes, isolation, cores, .. } = arguments;
        let spec = WorkloadSpec {
            name: workload,
            total_items: arguments.items,
            parallelism: arguments.parallelism,
            scheduler_name: arguments.scheduler,
            seed: arguments.seed,
            extra: trial.extra()?,
            ..WorkloadSpec::default()
        };
        spec.batch_size().and(spec.fusion().map(|_| 0)).map_err(Problem::from)?;
        let process_option = cores.map(|_| "cores").or_else(|| trial.limits.first_set());
        if let Some(option) = process_option.filter(|_| isolation == Isolation::None) {
            return Err(Problem::usage(format!("--{option} needs a process of its own for the plugin"))
                .with_remedy("--isolation process"));
        }
        let max_wait =
            options::max_wait(&spec.extra).map_err(Problem::usage)?.filter(|_| trial.timeout.is_none());
        let timeout = max_wait.map_or_else(|| trial.timeout(), Ok)?;
        let setup = match (trial.setup, &backend) {
            (true, _) => SetUp::Always,
            (false, Some(_)) => SetUp::Never,
            (false, None) => SetUp::IfConfirmed,
        };
        Ok(Self {
            backend: backend.unwrap_or_else(default_backend),
            setup,
            output_dir: arguments.output_dir.unwrap_or_else(|| default_folder(&spec.name)),
            run_id: trial.run_id(),
            spec,
            nodes,
            timeout,
            limits: trial.limits,
            isolation,
            cores,
            lock: !trial.no_lock,
        })
    }

    fn trial(&self, participants: &Participants) -> TrialSpec {
        let participant = participants.backends.get(&self.backend);
        let runs = participant.map_or(self.backend.as_str(), |it| it.plugin.name()).to_owned();
        let backend = BackendChoice { name: self.backend.clone(), runs };
        TrialSpec::alone(backend, self.run_id.clone(), self.spec.clone(), self.nodes)
    }

    /// The command that repeats the trial.
    fn command(&self, context: &Context, participants: &Participants) -> RunCommand {
        RunCommand {
            participants: participants.clone(),
            timeout: self.timeout,
            limits: self.limits,
            cores: self.cores,
            no_lock: !self.lock,
            loading: LoadingOptions::of(context),
            output_dir: Some(self.output_dir.clone()),
            isolation: Some(self.isolation),
            plugin_folders: Some(context.explicit.clone()),
        }
    }
}

fn default_folder(workload: &str) -> PathBuf {
    Path::new(RESULTS).join(workload)
}

fn default_backend() -> String {
    let named = std::env::var_os(BACKEND).filter(|name| !name.is_empty());
    named.map_or_else(|| DEFAULT_BACKEND.to_owned(), |name| name.to_string_lossy().into_owned())
}

pub(super) fn run(global: &GlobalArguments, arguments: Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let named_folder = arguments.output_dir.is_some();
    let mut options = Options::resolve(arguments)?;
    let mut context = Context::new(global, ui)?;
    context.launch.isolation = options.isolation;
    if options.isolation == Isolation::None {
        ui.warning(IN_PROCESS);
    }
    options.cores.map_or(Ok(()), |cores| context.pin_to(cores))?;
    // Within this process no limit holds, and the command that repeats the trial names none.
    if options.isolation == Isolation::Process {
        options.limits = context.apply_limits(&options.limits);
    }
    let found = context.participant(&options.backend);
    let (name, participant) = found.map_err(|problem| of_several(problem, &options.backend, global))?;
    let (workload, library) = context.workload(&options.spec.name)?;
    // By default the folder is called as the workload, which a name that leads elsewhere is not, nor one in other letters.
    if !named_folder {
        options.output_dir = default_folder(&workload);
    }
    PlanFile::refuse_in(&options.output_dir)?;
    writer::check(&options.output_dir, Access::Shared)?;
    options.spec.name = workload;
    options.backend = name;
    let folders = context.folders(&options.run_id)?;
    let participants = Participants {
        backends: BTreeMap::from([(options.backend.clone(), participant)]),
        libraries: BTreeMap::from([(options.spec.name.clone(), library)]),
    };
    let mut executor = context.executor(participants, &folders, options.timeout, WarmUp::default());
    round_items(&mut executor, &mut options, ui);
    let ended = measure_and_record(&mut executor, &context, &options, ui);
    ui.clear_status();
    executor.end();
    context.tidy(&folders);
    let Measured { record, outcome, recorder } = ended?;
    let recorded = recorder.is_ok();
    let (altered, kept) = match recorder {
        Ok(mut recorder) => {
            // Of earlier runs, which a crash or a full disk may have cut short.
            let mut is_again = false;
            let look = |earlier: &TrialRecord| is_again |= is_again_in_run(&record.record, &earlier.record);
            let made_whole = recorder.writer.complete_unified(look).map_err(Problem::from);
            if is_again {
                ui.warning(&again_in_run(&record.record));
            }
            let (altered, completed) = reports::complete(&mut recorder, ui);
            (altered, made_whole.and(completed))
        }
        Err(problem) => (Vec::new(), Err(problem)),
    };
    for warning in &record.record.metadata.warnings {
        ui.warning(warning);
    }
    let exit = show(&options, &record, &outcome, recorded, ui)?.unless_altered(&altered);
    let what = if recorded { "the files of records are not complete" } else { "the trial is not recorded" };
    let kept = kept.map_err(|problem| Problem { message: format!("{what}: {}", problem.message), ..problem });
    Ok(ui.unless_lost(kept, exit))
}

/// Whether `earlier` is of the same run as `now`, by its id, and of the same backend at the same point on as many cores. Without a hash
/// nothing is known of the point.
fn is_again_in_run(now: &UnifiedRecord, earlier: &UnifiedRecord) -> bool {
    let is_of_run = now.run_id == earlier.run_id && now.timestamp != earlier.timestamp;
    let is_at_point = now.config_hash.is_some() && now.config_hash == earlier.config_hash;
    let cores = |record: &UnifiedRecord| record.metadata.cores.as_ref().map(Vec::len);
    is_of_run && is_at_point && now.backend == earlier.backend && cores(now) == cores(earlier)
}

/// One id for each night makes one run of all nights, in which no change is ever found.
fn again_in_run(UnifiedRecord { run_id, backend, .. }: &UnifiedRecord) -> String {
    let message = format!(
        "the id {run_id} has a trial of {backend} at this point already: history takes both for one run"
    );
    with_remedy(&message, Some("another --run-id for each run"))
}

/// The problem with a name that may be a list of backends: these are compared.
fn of_several(problem: Problem, backends: &str, global: &GlobalArguments) -> Problem {
    if !backends.contains(',') || backends.contains('=') {
        return problem;
    }
    let mut compare = CommandLine::new(&["compare"]);
    compare.option("backends", backends).paths("plugin-dir", &global.plugin_dir);
    problem.with_remedy(compare.to_string())
}

/// Rounds the items of a graph down to whole rows. A library that cannot say whether it has any is an error of the trial.
fn round_items(executor: &mut Executor, options: &mut Options, ui: &mut Ui) {
    let WorkloadSpec { name, total_items, extra, .. } = &mut options.spec;
    let judge = executor.judge(name).map_err(Problem::from);
    let Ok(entry) = judge.and_then(|judge| context::entry(judge, name)) else { return };
    let used = used_items(row_width(&entry), *total_items, extra);
    if let Some(note) = rounded(name, *total_items, used) {
        ui.warning(&note);
    }
    *total_items = used;
}

/// A trial that is over, and who recorded it, or why it could not be recorded.
struct Measured {
    record: TrialRecord,
    outcome: Outcome,
    recorder: Result<Recorder, Problem>,
}

/// Runs the trial under the measurement lock, and records it.
fn measure_and_record(
    executor: &mut Executor,
    context: &Context,
    options: &Options,
    ui: &mut Ui,
) -> Result<Measured, Problem> {
    // What its library does not list of it is an error of the trial.
    if let Ok(entry) = context::entry(executor.judge(&options.spec.name)?, &options.spec.name) {
        parameters::check_extra_of(&options.spec.extra, &entry)?;
    }
    let lock = context.measurement_lock(options.lock, ui)?;
    // Again: while this run waited, a comparison may have begun in the folder.
    PlanFile::refuse_in(&options.output_dir)?;
    let trial = options.trial(&executor.setting.participants);
    let result = measure(executor, context, options, &trial, ui);
    let result = result.map_err(|problem| context.problem_in_folders(problem))?;
    let command = options.command(context, &executor.setting.participants);
    let (profile, folders) = (SystemProfile::collect(), &executor.setting.folders);
    let conditions = command.conditions(profile, context, folders, lock.as_ref());
    let outcome = result.outcome.clone();
    let record = TrialRecord::new(&conditions, &trial, result);
    let recorder = recorded(&record, conditions, options);
    Ok(Measured { record, outcome, recorder })
}

/// Records the trial. A comparison that began in the folder while it was measured would have it among its own.
fn recorded(record: &TrialRecord, conditions: Conditions, options: &Options) -> Result<Recorder, Problem> {
    PlanFile::refuse_in(&options.output_dir)?;
    let mut recorder = Recorder::open(&options.output_dir, Access::Shared, conditions)?;
    // What the unified file lacks is appended at the end, or told.
    let _ = recorder.writer.append(record)?;
    Ok(recorder)
}

/// Runs the trial. A problem that the backend did not cause, such as a parameter out of range, is an error and not a result.
fn measure(
    executor: &mut Executor,
    context: &Context,
    options: &Options,
    trial: &TrialSpec,
    ui: &mut Ui,
) -> Result<TrialResult, Problem> {
    let entry = context::entry(executor.judge(&options.spec.name)?, &options.spec.name)?;
    let mut first = match executor.load(&options.backend) {
        Ok(backend) => backend,
        Err(error) => return recordable(TrialResult::failed(error)),
    };
    let needs = executor.needs(&options.spec);
    if let Err(error) = needs.and_then(|needs| first.check_supports(&needs)) {
        first.end();
        return recordable(TrialResult::failed(error));
    }
    let declared = &first.loaded.options;
    if let Err(problem) = parameters::check_options(&options.spec.extra, &options.backend, declared) {
        first.end();
        return Err(problem);
    }
    let warnings = first.unknown_options(&options.spec, &entry);
    let is_asked_more = asks_backend(&options.spec, &entry);
    if let Err(not_ready) = prepare(executor, context, options, &mut first, ui) {
        first.end();
        let participant = executor.setting.participants.backends.get(&options.backend);
        return match not_ready {
            NotReady::Call(error) => recordable(TrialResult::failed(error)),
            NotReady::Problem(problem) if participant.is_some_and(|it| it.from_file) => Err(of_file(problem)),
            NotReady::Problem(problem) => Err(problem),
        };
    }
    let mut first = Some(first);
    let mut result =
        again_if_stopped(|_| match first.take().map_or_else(|| executor.load(&options.backend), Ok) {
            Ok(backend) => run_alone(executor, trial, backend, ui),
            Err(error) => Ok(TrialResult::failed(error)),
        })?;
    result.warnings.splice(0..0, warnings);
    if !is_asked_more && refuses_valid_spec(&result) {
        return Ok(result);
    }
    recordable(result)
}

fn run_alone(
    executor: &mut Executor,
    trial: &TrialSpec,
    backend: Backend,
    ui: &mut Ui,
) -> Result<TrialResult, Problem> {
    let mut shown = |event: &Event<'_>| {
        progress::show(ui, event);
        Ok::<(), Infallible>(())
    };
    executor.run_alone(trial, backend, &mut shown).map_err(|stopped| match stopped {
        Stopped::Failed(error) => error.into(),
        Stopped::Interrupted => Problem::from(CallError::interrupted("run")),
        Stopped::Sink(never) => match never {},
    })
}

/// Makes sure that the backend can start, and computes the expected answer.
fn prepare(
    executor: &mut Executor,
    context: &Context,
    options: &Options,
    backend: &mut Backend,
    ui: &mut Ui,
) -> Result<(), NotReady> {
    make_available(context, backend, options.setup, &executor.setting.folders, ui)?;
    progress::show(ui, &Event::Phase(Phase::Expecting));
    executor.expect(&options.spec).map_err(|error| NotReady::Problem(error.into()))?;
    Ok(())
}

/// Whether the user gave something that only the backend reads: a scheduler, or a key of `extra` that is none of the workload's.
fn asks_backend(spec: &WorkloadSpec, workload: &CatalogueEntry) -> bool {
    spec.scheduler_name != WorkloadSpec::default().scheduler_name
        || !without_effect(&spec.extra, read_in_runs(workload.parameters.iter()), "").is_empty()
}

/// Whether a spec was refused for which the workload's oracle had answered before.
fn refuses_valid_spec(result: &TrialResult) -> bool {
    matches!(&result.outcome, Outcome::Failed(error) if error.fault == Fault::Reported(ErrorKind::InvalidSpec)
        && ["open", "prepare", "run", "judge"].contains(&error.phase.as_ref()))
}

/// A failure of the backend is a result to record. A usage error, an unavailable backend and an interrupt are not.
fn recordable(result: TrialResult) -> Result<TrialResult, Problem> {
    match &result.outcome {
        Outcome::Failed(error) if exit_of(error) != Exit::TrialFailed => Err(error.clone().into()),
        _ => Ok(result),
    }
}

fn show(
    options: &Options,
    trial: &TrialRecord,
    outcome: &Outcome,
    recorded: bool,
    ui: &mut Ui,
) -> Result<Exit, Problem> {
    if ui.json() {
        ui.object(&trial.record)?;
    }
    let backend = &options.backend;
    let folder = options.output_dir.display();
    let recorded = if recorded { format!("recorded in {folder}") } else { "not recorded".to_owned() };
    match outcome {
        Outcome::Verified | Outcome::Unverified => {
            if !ui.json() {
                ui.result(&page(options, trial, &recorded));
            }
            Ok(Exit::Done)
        }
        Outcome::Wrong(error) => {
            let message = format!("{backend} gave a wrong answer: {error} ({recorded})");
            ui.error(&with_remedy(&message, error.remedy.as_deref()));
            Ok(Exit::WrongAnswer)
        }
        Outcome::Invalid(error) => {
            ui.error(&format!("the measurement of {backend} is not valid: {error} ({recorded})"));
            Ok(Exit::Invalid)
        }
        Outcome::Failed(error) => {
            let message = format!("{backend} failed: {error} ({recorded})");
            ui.error(&with_remedy(&message, error.remedy.as_deref()));
            Ok(Exit::TrialFailed)
        }
    }
}

/// The latency of the items of an open loop: a line for each kind of latency.
fn latency_lines(open_loop: &OpenLoop) -> String {
    let Some(scheduled) = &open_loop.scheduled else {
        let why = if open_loop.shared_clock {
            "no item reached the sink"
        } else {
            "source and sinks do not share a clock"
        };
        return format!("latency: not measured, because {why}\n");
    };
    let samples = plural(scheduled.samples, "item");
    let of = [
        (format!("latency of {samples} from the scheduled time of each"), &open_loop.scheduled),
        ("latency from the emission of each".into(), &open_loop.service),
        ("delay of the source itself".into(), &open_loop.generator_lag),
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

/// The result of a verified run.
fn page(options: &Options, trial: &TrialRecord, recorded: &str) -> String {
    let (record, metadata) = (&trial.record, &trial.record.metadata);
    let count = metadata.results_count.unwrap_or_default();
    let elapsed = record.duration_seconds.unwrap_or_default();
    let mut result = RunResult::new(&record.backend, &options.spec, elapsed, count, Vec::new());
    result.scheduler_name = metadata.scheduler_name.clone().unwrap_or_default();
    let checksum = single_line(metadata.checksum.as_deref().unwrap_or_default());
    let items = plural(count, "item");
    let recorded = single_line(&format!("{recorded} as {}", record.run_id));
    let input = metadata.input_throughput.map_or_else(String::new, |rate| format!(", {rate:.1} items/s in"));
    format!(
        "{}\nverified: {items} with checksum {checksum}, equal to the serial oracle's{input}\n{}{recorded}\n",
        single_line(&result.summary()),
        metadata.open_loop.as_ref().map_or_else(String::new, latency_lines),
    )
}
