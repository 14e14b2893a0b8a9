//! `crossrun run`: one workload on one backend, verified and recorded.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use plugin_api::workload::Outcome;
use plugin_api::{RunResult, WorkloadSpec};
use serde_json::Value;

use super::{DEFAULT_BACKEND, DEFAULT_WORKLOAD};
use crate::app::availability::NotReady;
use crate::app::context::Context;
use crate::app::limits::LimitArguments;
use crate::app::reproduce::{push, push_guards, run_words};
use crate::app::resolve::Chosen;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, observe, options};
use crate::record::{
    Conclusion, Conditions, Kind, Observation, OpenLoop, Percentiles, SystemProfile, TrialRecord, Writer,
    command,
};
use crate::run::judge::Judge;
use crate::run::session::{CallError, Deaf, Isolation};
use crate::run::{self, Backend, Trial};
use crate::worker::protocol::Folders;

/// How long a run may take when nothing else is said.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The backend, in upper or lower case.
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
            extra: options::extras(extra),
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
            backend: backend.to_lowercase(),
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
}

pub(super) fn run(global: &GlobalArguments, arguments: Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let options = Options::resolve(arguments)?;
    let mut context = Context::new(global, options.isolation, ui)?;
    options.cores.map_or(Ok(()), |cores| context.keep_to(cores))?;
    context.limit(&options.limits);
    let runner = context.runner(&options.backend)?;
    let library = context.workload_library(&options.spec.name)?;
    let folders = context.folders(&options.run_id)?;
    let mut judge = context.judge(&library, &folders)?;
    let lock = context.measurement_lock(options.lock, ui)?;
    let conditions = conditions(&context, &options, &runner, &library, &folders, lock.is_some());
    let observation = Attempt {
        context: &context,
        options: &options,
        runner: &runner,
        library: &library,
        folders: &folders,
    }
    .observe(&mut judge, ui);
    ui.still();
    judge.end();
    context.tidy(&folders);
    let observation = observation?;
    for warning in &observation.warnings {
        ui.warning(warning);
    }
    let trial = TrialRecord::new(&with_log(conditions), observation.clone());
    keep(&options, &trial)?;
    show(&options, &trial, &observation, ui)
}

fn conditions(
    context: &Context,
    options: &Options,
    runner: &Chosen,
    library: &Chosen,
    folders: &Folders,
    locked: bool,
) -> Conditions {
    Conditions {
        backend: options.backend.clone(),
        run_id: options.run_id.clone(),
        spec: options.spec.clone(),
        data_seed: options.spec.seed,
        block: None,
        nodes: options.nodes,
        kind: Kind::Measured,
        started: SystemTime::now(),
        plugin: Some(runner.record()),
        workload_library: Some(library.record()),
        system_profile: SystemProfile::collect(),
        command: reproduce(context, options),
        isolation: options.isolation.word().into(),
        locked,
        cores: context.cores(),
        metg: None,
        log: Some(run::log_file(&folders.log_dir, &options.backend).display().to_string()),
    }
}

/// A log that stayed empty was removed.
fn with_log(mut conditions: Conditions) -> Conditions {
    conditions.log = conditions.log.filter(|log| Path::new(log).exists());
    conditions
}

/// The command that runs this again, with every default written out.
fn reproduce(context: &Context, options: &Options) -> String {
    let Options { backend, spec, nodes, output_dir, timeout, limits, isolation, cores, .. } = options;
    let mut words = run_words(backend, spec, spec.seed, *nodes);
    push(&mut words, "output-dir", output_dir.display());
    push(&mut words, "timeout", format!("{}s", timeout.as_secs_f64()));
    limits.push(&mut words);
    push(&mut words, "isolation", isolation.word());
    if let Some(cores) = cores {
        push(&mut words, "cores", cores);
    }
    for folder in context.explicit_folders() {
        push(&mut words, "plugin-dir", folder.display());
    }
    push_guards(&mut words, context.trust().is_anyone(), context.lock().map(|lock| lock.path.as_path()));
    command::reproduce("crossrun", words)
}

/// One attempt at a measurement.
struct Attempt<'a> {
    context: &'a Context,
    options: &'a Options,
    runner: &'a Chosen,
    library: &'a Chosen,
    folders: &'a Folders,
}

impl Attempt<'_> {
    /// What came of it. A problem that is none of the backend's, such as a parameter out of range, is no observation.
    fn observe(&self, judge: &mut Judge, ui: &mut Ui) -> Result<Observation, Problem> {
        let entry = crate::app::context::entry(judge, &self.options.spec.name)?;
        let mut backend = match self.context.load(self.runner, self.folders) {
            Ok(backend) => backend,
            Err(error) => return failed(error),
        };
        let warnings = run::unknown_options(&self.options.spec, &entry, &backend);
        let expected = match self.prepare(&mut backend, judge, ui) {
            Ok(expected) => expected,
            Err(not_ready) => {
                backend.end();
                return match not_ready {
                    NotReady::Call(error) => failed(error),
                    NotReady::Problem(problem) => Err(problem),
                };
            }
        };
        let trial = self.trial();
        let report =
            run::run(&trial, backend, judge, expected, &mut |event| crate::app::progress::show(ui, event));
        if let run::Conclusion::Failed(error) = &report.conclusion {
            failed(error.clone())?;
        }
        let mut observation = observe::observation(report);
        observation.warnings.splice(0..0, warnings);
        Ok(observation)
    }

    fn trial(&self) -> Trial {
        let Options { backend, spec, nodes, timeout, .. } = self.options;
        Trial {
            backend: backend.clone(),
            spec: spec.clone(),
            nodes: *nodes,
            library: self.library.library_file(),
            timeout: *timeout,
            folders: self.folders.clone(),
        }
    }

    /// Makes sure that the backend could start, and computes what must come out.
    fn prepare(&self, backend: &mut Backend, judge: &mut Judge, ui: &mut Ui) -> Result<Outcome, NotReady> {
        let Options { backend: name, setup, spec, timeout, .. } = self.options;
        crate::app::availability::make_available(self.context, backend, name, *setup, self.folders, ui)?;
        crate::app::progress::show(ui, run::Event::Expecting);
        Ok(judge.expect(spec, *timeout, &mut Deaf).map_err(Problem::from)?)
    }
}

/// A failure of the backend is an observation; a wrong command line, a backend that is not there and an interrupt
/// are not.
fn failed(error: CallError) -> Result<Observation, Problem> {
    match crate::app::exit::exit_of(&error) {
        Exit::TrialFailed => Ok(Observation::failed(observe::failure(error))),
        _ => Err(error.into()),
    }
}

fn keep(options: &Options, trial: &TrialRecord) -> Result<(), Problem> {
    let mut writer = Writer::open(&options.output_dir)?;
    writer.append_trial(trial)?;
    writer.append_unified(&trial.record)?;
    writer.derive_csv()?;
    Ok(())
}

fn show(
    options: &Options,
    trial: &TrialRecord,
    observation: &Observation,
    ui: &mut Ui,
) -> Result<Exit, Problem> {
    if ui.json() {
        ui.result(&serde_json::to_string(&trial.record).map_err(|error| Problem::unexpected(&error))?);
    }
    let backend = &options.backend;
    let folder = options.output_dir.display();
    match &observation.conclusion {
        Conclusion::Verified => {
            if !ui.json() {
                ui.result(&page(options, trial));
            }
            Ok(Exit::Done)
        }
        Conclusion::Wrong(why) => {
            ui.error(&format!("{backend} gave a wrong answer: {why} (recorded in {folder})"));
            Ok(Exit::WrongAnswer)
        }
        Conclusion::Invalid(why) => {
            ui.error(&format!("the measurement of {backend} is not valid: {why} (recorded in {folder})"));
            Ok(Exit::Invalid)
        }
        Conclusion::Failed(failure) => {
            let remedy =
                failure.remedy.as_ref().map_or_else(String::new, |remedy| format!("; try: {remedy}"));
            ui.error(&format!("{backend} failed: {} (recorded in {folder}){remedy}", failure.message));
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
