//! `crossrun metg`: measures how long a task must be for a backend to use the cores efficiently, and the overhead of a task.

mod graph;
mod outcome;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plugin_api::workload::CatalogueEntry;
use serde_json::{Map, Value, json};

use crate::app::command_line::CommandLine;
use crate::app::consumers::Consumers;
use crate::app::context::Context;
use crate::app::limits::LimitArguments;
use crate::app::participants::{Selection, check_all_available};
use crate::app::reproduce::{LoadingOptions, RunCommand, add_plugin_folders, backend_argument};
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, machine_history, options, parameters, reports};
use crate::cli::measure::{STANDARD, ScheduleArguments, TrialArguments};
use crate::first_seen::distinct;
use crate::metg::{MOST_ITERATIONS, Range, SWEPT_KEYS};
use crate::plan::defaults::COMPUTING;
use crate::plan::{Matrix, Plan, WorkloadChoice};
use crate::record::record_files::holds_trials;
use crate::record::writer::{self, PLAN, UNIFIED};
use crate::record::{Access, Conditions, MeasurementLock, Recorder, SystemProfile};
use crate::report::duration;
use crate::run::data_seeds::DataSeeds;
use crate::run::engine::names_a_cluster;
use crate::run::event::Event;
use crate::run::participants::Participants;
use crate::shell;
use crate::stats::WarmUp;
use crate::text::plural;
use crate::worker::protocol::Folders;
use graph::GraphArguments;

/// The seconds that a point takes with `--quick`, and without.
const QUICK_POINT: f64 = 0.1;
const STANDARD_POINT: f64 = 0.4;
/// The default longest kernel.
const COARSEST: Duration = Duration::from_secs(2);
/// With `--quick` the kernels of a run of a graph take at most so long on each core, unless `--coarsest` is given. Independent tasks
/// take no longer either: of the longest kernel there are 8 on each core, while a graph has as many tasks with every kernel.
const QUICK_KERNELS: Duration = Duration::from_secs(16);
/// The default number of cores, if the machine has as many.
const CORES: usize = 2;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    schedule: ScheduleArguments,
    #[command(flatten)]
    graph: GraphArguments,
    /// Pin each backend to this number of cores, and run as many tasks at once [default: 2].
    #[arg(long, value_name = "COUNT", value_parser = options::number, allow_negative_numbers = true)]
    cores: Option<u32>,
    /// Run no kernel that is shorter than this, except the longest possible one [default: one iteration].
    #[arg(long, value_name = "TIME", value_parser = options::duration, allow_negative_numbers = true)]
    finest: Option<Duration>,
    /// Run no kernel that is longer than this. A backend whose efficiency stays below 0.9 has no value. A kernel has at most 2^29
    /// iterations, which take one to two seconds: a longer TIME has no effect [default: 2s, or less with --quick where all tasks of a
    /// graph would take more than 16s].
    #[arg(long, value_name = "TIME", value_parser = options::duration, allow_negative_numbers = true)]
    coarsest: Option<Duration>,
    /// The seed of the order of the sweeps.
    #[arg(long, default_value_t = 42, value_parser = options::natural, allow_negative_numbers = true)]
    seed: u64,
}

impl Arguments {
    /// The longest kernel, which is shorter with `--quick` and tasks of graphs.
    fn coarsest(&self, workloads: &[WorkloadChoice], cores: u32) -> Duration {
        let default = || {
            let tasks = workloads.iter().flat_map(|workload| &workload.items).copied().max()?;
            // The number of independent tasks follows from the length of their kernels.
            let is_bounded = self.schedule.quick && self.graph.are_given();
            let longest = QUICK_KERNELS.mul_f64(f64::from(cores) / tasks.max(1) as f64);
            is_bounded.then(|| longest.max(self.finest.unwrap_or_default()).min(COARSEST))
        };
        self.coarsest.or_else(default).unwrap_or(COARSEST)
    }

    fn range(&self, coarsest: Duration) -> Result<Range, Problem> {
        let finest = self.finest.unwrap_or_default();
        if finest > coarsest {
            return Err(Problem::usage("--finest is longer than --coarsest")
                .with_remedy("a shorter --finest, or a longer --coarsest"));
        }
        Ok(Range {
            point_seconds: if self.schedule.quick { QUICK_POINT } else { STANDARD_POINT },
            finest_seconds: finest.as_secs_f64(),
            coarsest_seconds: coarsest.as_secs_f64(),
        })
    }

    /// The keys of `extra` that the sweeps set.
    fn swept_keys(&self) -> Vec<&'static str> {
        if self.graph.are_given() { self.graph.swept_keys() } else { SWEPT_KEYS.to_vec() }
    }

    fn backend_options(&self) -> Result<Map<String, Value>, Problem> {
        let options = self.schedule.trial.extra()?;
        if let Some((option, _)) = options.iter().find(|option| names_a_cluster(*option)) {
            let message = format!(
                "--extra {option} is not allowed: METG is about the cores of this machine, and how many cores of a cluster work is \
                 not known"
            );
            return Err(Problem::usage(message).with_remedy("crossrun compare"));
        }
        match self.swept_keys().iter().find(|key| options.contains_key(**key)) {
            Some(key) => Err(Problem::usage(format!("--extra {key} is not allowed: a sweep sets it"))
                .with_remedy(graph::instead("--extra", key, options.get(*key)))),
            None => Ok(options),
        }
    }

    /// The templates of the points of each sweep, all of one workload.
    fn templates(
        &self,
        options: &Map<String, Value>,
        cores: u32,
        context: &Context,
    ) -> Result<Vec<WorkloadChoice>, Problem> {
        self.graph.check_given()?;
        if self.graph.are_given() {
            return self.graph.workloads(options, cores, self.schedule.quick, context);
        }
        let template = json!({"batch_size": 1, "fusion": "off", "stages": 1});
        Ok(vec![WorkloadChoice {
            name: COMPUTING.into(),
            // A placeholder: the sweep chooses the number of items of each point.
            items: vec![1],
            extra: template.as_object().cloned().unwrap_or_default(),
            ..WorkloadChoice::default()
        }])
    }

    fn matrix(&self, selection: &Selection, asked: &Asked, cores: u32) -> Matrix {
        Matrix {
            run: asked.run.clone(),
            backends: selection.backends(),
            workloads: asked.workloads.clone(),
            schedulers: vec!["default".into()],
            parallelisms: vec![cores],
            nodes: 1,
            options: asked.options.clone(),
            blocks: self.schedule.blocks(STANDARD),
            seed: self.seed,
            data_seed: self.schedule.data_seed,
            warm_up: if self.schedule.quick { WarmUp::quick() } else { WarmUp::default() },
            aa: None,
        }
    }

    /// Refuses a folder that holds a run or other reports, or into which no records can be written.
    fn check_folder(&self, folder: &Path) -> Result<(), Problem> {
        self.refuse_other_run(folder)?;
        reports::refuse_other_reports(folder)?;
        writer::check(folder, Access::Exclusive)?;
        Ok(())
    }

    /// Refuses a folder that holds a run: its trials would be taken for some of this one.
    fn refuse_other_run(&self, folder: &Path) -> Result<(), Problem> {
        if !holds_trials(folder) && !folder.join(PLAN).exists() {
            return Ok(());
        }
        let message = format!("{} already holds a run", folder.display());
        let other =
            if self.schedule.output_dir.is_some() { "another --output-dir" } else { "another --run-id" };
        Err(Problem::usage(message).with_remedy(other))
    }

    /// The command that repeats the measurement as a new run, with this longest kernel.
    fn repeat_command(&self, prepared: &PreparedRun, coarsest: Duration, context: &Context) -> String {
        let PreparedRun { asked, matrix, participants, limits, cores, .. } = prepared;
        let backends = matrix.backends.iter().filter_map(|backend| {
            let participant = participants.backends.get(&backend.name)?;
            let file = participant.from_file.then_some(participant.plugin.path.as_path());
            Some(backend_argument(&backend.name, file))
        });
        let mut command = CommandLine::measuring(&["metg"]);
        command.list("backends", backends);
        self.graph.add_to(&mut command);
        command
            .option("cores", cores)
            .flag("quick", self.schedule.quick)
            .options("blocks", (!self.schedule.quick).then_some(matrix.blocks))
            .duration("finest", self.finest)
            .duration("coarsest", coarsest)
            .option("seed", matrix.seed)
            .options("data-seed", matrix.data_seed)
            .duration("timeout", asked.timeout);
        limits.add_to(&mut command);
        command
            .extra(&matrix.options)
            .flag("insist", self.schedule.insist)
            .flag("no-lock", self.schedule.trial.no_lock);
        add_plugin_folders(&mut command, participants, context);
        LoadingOptions::of(context).add_to(&mut command);
        command.to_string()
    }
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let mut context = Context::new(global, ui)?;
    let cores = arguments.cores.unwrap_or_else(default_cores);
    context.pin_to(cores)?;
    let limits = context.apply_limits(&arguments.schedule.trial.limits);
    let TrialArguments { setup, no_lock, .. } = arguments.schedule.trial;
    let asked = Asked::new(&context, arguments, cores)?;
    if setup {
        asked.check_backends(&context, arguments, cores)?;
    }
    // A set-up would change the engine of a measurement that goes on, and take its cores.
    let held = context.measurement_lock(setup && !no_lock, ui)?;
    let prepared = PreparedRun::new(&context, arguments, asked, limits, cores, ui)?;
    let lock = match held {
        Some(held) => Some(held),
        None => context.measurement_lock(!no_lock, ui)?,
    };
    // Again: while this run waited, the folder may have been used, or a backend been removed.
    let mut ready = arguments.check_folder(&prepared.asked.output_dir);
    if lock.as_ref().is_some_and(|lock| lock.waited) {
        let backends = prepared.participants.backends.values();
        let folders = &prepared.folders;
        ready = ready.and_then(|()| check_all_available(&context, backends, setup, folders, ui));
    }
    ready.inspect_err(|_| context.tidy(&prepared.folders))?;
    let coarsest = prepared.asked.coarsest;
    let command = arguments.repeat_command(&prepared, coarsest, &context);
    // As long as without --quick.
    let longer = (arguments.coarsest.is_none() && coarsest < COARSEST)
        .then(|| arguments.repeat_command(&prepared, COARSEST, &context));
    if longer.is_some() {
        let (longest, all) = (coarsest.as_secs_f64(), QUICK_KERNELS.as_secs());
        ui.note(&format!(
            "with --quick no kernel is longer than {}, so that those of a run take at most {all} s; --coarsest sets \
             another limit",
            duration(longest)
        ));
    }
    let measured = prepared.measure(&context, &command, lock.as_ref(), ui);
    ui.clear_status();
    context.tidy(&prepared.folders);
    let (altered, kept) = measured?;
    drop(lock);
    outcome::report(&prepared.asked.output_dir, &command, longer.as_deref(), (&altered, kept), ui)
}

/// That no kernel is as long as the options ask for, if that is so where an iteration takes so many seconds.
fn asked_beyond(range: &Range, seconds_per_iteration: f64) -> Option<String> {
    let longest = MOST_ITERATIONS as f64 * seconds_per_iteration;
    let effect = if range.finest_seconds > longest {
        "as --finest is longer, it alone is run"
    } else if range.coarsest_seconds > longest.max(COARSEST.as_secs_f64()) {
        // The default is longer on many machines.
        "a longer --coarsest has no effect"
    } else {
        return None;
    };
    let longest = duration(longest);
    Some(format!("the longest kernel has {MOST_ITERATIONS} iterations, which take {longest}: {effect}"))
}

fn default_cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |available| CORES.min(available.get()) as u32)
}

/// What the command line asks for, as far as it can be told whatever backends can start.
struct Asked {
    run: String,
    output_dir: PathBuf,
    options: Map<String, Value>,
    /// The templates of the points.
    workloads: Vec<WorkloadChoice>,
    /// What their libraries list of them; nothing if that is not known.
    entries: Vec<Option<CatalogueEntry>>,
    range: Range,
    /// The longest kernel.
    coarsest: Duration,
    timeout: Duration,
}

impl Asked {
    fn new(context: &Context, arguments: &Arguments, cores: u32) -> Result<Self, Problem> {
        let (options, schedule) = (arguments.backend_options()?, &arguments.schedule);
        let workloads = arguments.templates(&options, cores, context)?;
        let coarsest = arguments.coarsest(&workloads, cores);
        let range = arguments.range(coarsest)?;
        let entries = parameters::entries(&workloads, context).unwrap_or_default();
        parameters::check_extra(&options, &workloads, &entries)?;
        let run = schedule.trial.run_id();
        let output_dir = schedule.output_dir(&run);
        arguments.check_folder(&output_dir)?;
        let timeout = schedule.trial.timeout()?;
        Ok(Self { run, output_dir, options, workloads, entries, range, coarsest, timeout })
    }

    fn workloads(&self) -> Vec<String> {
        distinct(self.workloads.iter().map(|workload| workload.name.clone()))
    }

    /// Refuses backends that cannot be swept together, before a set-up is waited for.
    fn check_backends(&self, context: &Context, arguments: &Arguments, cores: u32) -> Result<(), Problem> {
        let backends = arguments.schedule.backends();
        let selection = Selection::unprobed(context, &backends, &self.workloads())?;
        if !backends.is_empty() {
            selection.check_builds(arguments.schedule.insist)?;
        }
        Plan::new(&arguments.matrix(&selection, self, cores))?;
        Ok(())
    }
}

/// A run before its sweeps are measured.
struct PreparedRun {
    asked: Asked,
    matrix: Matrix,
    plan: Plan,
    limits: LimitArguments,
    cores: u32,
    no_lock: bool,
    participants: Participants,
    folders: Folders,
}

impl PreparedRun {
    fn new(
        context: &Context,
        arguments: &Arguments,
        asked: Asked,
        limits: LimitArguments,
        cores: u32,
        ui: &mut Ui,
    ) -> Result<Self, Problem> {
        let schedule = &arguments.schedule;
        let (backends, workloads) = (schedule.backends(), asked.workloads());
        let selection = Selection::new(context, &backends, &workloads, schedule.trial.setup, ui)?;
        let vary: Vec<_> = asked.workloads.iter().flat_map(|workload| &workload.vary).cloned().collect();
        selection.check_options(&asked.options, &vary, None)?;
        selection.check_builds(schedule.insist)?;
        let warnings = selection.without_effect(&asked.options, &asked.entries, &arguments.swept_keys());
        warnings.iter().for_each(|warning| ui.warning(warning));
        let matrix = arguments.matrix(&selection, &asked, cores);
        let plan = Plan::new(&matrix)?;
        let participants = selection.participants(&plan);
        let (folders, no_lock) = (context.folders(&matrix.run)?, schedule.trial.no_lock);
        Ok(Self { asked, matrix, plan, limits, cores, no_lock, participants, folders })
    }

    /// The command that repeats a trial alone.
    fn run_command(&self, context: &Context) -> RunCommand {
        RunCommand {
            participants: self.participants.clone(),
            timeout: self.asked.timeout,
            limits: self.limits,
            cores: Some(self.cores),
            no_lock: self.no_lock,
            loading: LoadingOptions::of(context),
            ..RunCommand::default()
        }
    }

    /// Measures, and returns which files of records were altered meanwhile, and whether they are complete. `command` repeats the
    /// measurement.
    fn measure(
        &self,
        context: &Context,
        command: &str,
        lock: Option<&MeasurementLock>,
        ui: &mut Ui,
    ) -> Result<(Vec<String>, Result<(), Problem>), Problem> {
        let Self { asked, matrix, plan, folders, .. } = self;
        let Asked { range, output_dir, timeout, .. } = asked;
        let blocks = plural(plan.blocks.len() as u64, "block");
        let backends = plural(matrix.backends.len() as u64, "backend");
        ui.note(&format!("run {}: sweeps of {backends} in {blocks}", matrix.run));
        let sessions = plan.blocks.iter().flat_map(|block| &block.sessions);
        let sweeps: usize = sessions.map(|session| session.cells.len()).sum();
        let run = self.run_command(context);
        let conditions = run.conditions(SystemProfile::collect(), context, folders, lock);
        let (full_command, data_seed_chosen) = (Some(command.to_owned()), matrix.data_seed.is_some());
        let conditions =
            Conditions { full_command, data_seed_chosen, sweeps: Some(sweeps as u64), ..conditions };
        let recorder = Recorder::open(output_dir, Access::Exclusive, conditions)?;
        let mut consumers = Consumers::new(recorder, sweeps, 0);
        let mut executor = context.executor(self.participants.clone(), folders, *timeout, matrix.warm_up);
        executor.seeds = DataSeeds::new(matrix.data_seed, HashMap::new());
        machine_history::recall(&mut executor, context, ui);
        let mut beyond = None;
        let swept = plan.blocks.iter().try_for_each(|block| {
            executor.sweep(&matrix.run, block, range, &mut |event| {
                if beyond.is_none()
                    && let Event::ReferenceTimed(_, seconds) = event
                {
                    beyond = asked_beyond(range, *seconds);
                    beyond.iter().for_each(|note| ui.note(note));
                }
                consumers.note(event, ui)
            })
        });
        machine_history::keep_speed(&executor, context, ui);
        executor.end();
        let complete = reports::complete(&mut consumers.recorder, ui);
        swept.map_err(|stopped| {
            // Before the first measured trial there is nothing to report.
            let is_measured = || output_dir.join(UNIFIED).metadata().is_ok_and(|it| it.len() > 0);
            let next = || if is_measured() { shell::about("report", output_dir) } else { command.to_owned() };
            Problem::of_stopped(stopped, next)
        })?;
        Ok(complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_no_kernel_has_is_told_unless_it_is_the_default() {
        let told = |finest_seconds, coarsest_seconds| {
            asked_beyond(&Range { point_seconds: 0.4, finest_seconds, coarsest_seconds }, 2e-9)
        };
        let longest = "the longest kernel has 536870912 iterations, which take 1.07 s: ";
        assert_eq!(told(0.0, 3.0), Some(format!("{longest}a longer --coarsest has no effect")));
        assert_eq!(told(1.5, 2.0), Some(format!("{longest}as --finest is longer, it alone is run")));
        assert_eq!((told(1.0, 2.0), told(0.0, 1.5)), (None, None));
    }
}
