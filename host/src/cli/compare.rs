//! `crossrun compare`: runs the same workloads on several backends, and says which is faster, by how much, and how sure that
//! is.

mod arguments;
mod outcome;
pub(crate) mod plan_file;
mod resume;
pub(in crate::cli) mod vary;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::app::consumers::Consumers;
use crate::app::context::Context;
use crate::app::limits::LimitArguments;
use crate::app::participants::{Selection, check_all_available, check_baseline_is_found};
use crate::app::ui::Ui;
use crate::app::{
    Exit, GlobalArguments, Problem, command_line, machine_history, parameters, points, reports,
};
use crate::cli::measure::TrialArguments;
use crate::compare::model::Rigor;
use crate::plan::whole_rows::row_width;
use crate::plan::{Block, Plan};
use crate::record::{Access, Conditions, MeasurementLock, Recorder, SystemProfile};
use crate::run::data_seeds::DataSeeds;
use crate::run::event::Event;
use crate::run::executor::Executor;
use crate::run::participants::Participants;
use crate::text::{plural, with_remedy};
use crate::worker::protocol::Folders;

pub(super) use arguments::Arguments;
use plan_file::PlanFile;
use resume::Recorded;
use vary::Varied;

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let mut context = Context::new(global, ui)?;
    let limits = context.apply_limits(&arguments.schedule.trial.limits);
    if let (None, Some(cores)) = (&arguments.resume, arguments.cores) {
        context.pin_to(cores)?;
    }
    let TrialArguments { setup, no_lock, .. } = arguments.schedule.trial;
    let sets_up = setup && arguments.resume.is_none();
    // Drawn once, so that the folder that is checked is that of the run.
    let run_id = arguments.schedule.trial.run_id();
    if sets_up {
        PreparedRun::check(&context, arguments, &run_id, limits)?;
    }
    // A set-up would change the engine of a measurement that goes on, and take its cores.
    let lock = context.measurement_lock(sets_up && !no_lock, ui)?;
    let prepared = match &arguments.resume {
        Some(run) => PreparedRun::resumed(&mut context, arguments, run)?,
        None => PreparedRun::new(&context, arguments, &run_id, limits, ui)?,
    };
    if arguments.dry_run {
        if let Err(problem) = prepared.file.check_unused(&prepared.output_dir) {
            ui.warning(&format!("without --dry-run it would be refused: {}", problem.line()));
        }
        ui.result(&outcome::preview(&prepared.plan, &prepared.file.matrix.warm_up, ui.json()));
        return Ok(Exit::Done);
    }
    prepared.measure(&context, arguments, lock, ui)
}

/// A run before its trials are measured.
struct PreparedRun {
    file: PlanFile,
    participants: Participants,
    plan: Plan,
    output_dir: PathBuf,
}

impl PreparedRun {
    /// Refuses what is wrong whatever backends can start, before a set-up is waited for.
    fn check(
        context: &Context,
        arguments: &Arguments,
        run_id: &str,
        limits: LimitArguments,
    ) -> Result<(), Problem> {
        let (schedule, varied) = (&arguments.schedule, arguments.varied()?);
        let backends = schedule.backends();
        let selection = Selection::unprobed(context, &backends, &arguments.workloads())?;
        Self::check_baseline(context, arguments)?;
        let are_known = !backends.is_empty();
        let baseline = arguments.baseline.as_deref().filter(|_| are_known);
        let (prepared, _) = Self::of(context, arguments, run_id, &varied, limits, &selection, baseline)?;
        if are_known {
            selection.check_builds(schedule.insist)?;
        }
        if arguments.dry_run { Ok(()) } else { prepared.file.check_folder(&prepared.output_dir) }
    }

    /// Without names it is not known which backends take part, but only those that were found can.
    fn check_baseline(context: &Context, arguments: &Arguments) -> Result<(), Problem> {
        match &arguments.baseline {
            Some(name) if arguments.schedule.backends().is_empty() => check_baseline_is_found(context, name),
            _ => Ok(()),
        }
    }

    fn new(
        context: &Context,
        arguments: &Arguments,
        run_id: &str,
        limits: LimitArguments,
        ui: &mut Ui,
    ) -> Result<Self, Problem> {
        let (schedule, varied) = (&arguments.schedule, arguments.varied()?);
        Self::check_baseline(context, arguments)?;
        let (backends, workloads) = (schedule.backends(), arguments.workloads());
        let selection = Selection::new(context, &backends, &workloads, schedule.trial.setup, ui)?;
        let baseline = arguments.baseline.as_deref();
        let (prepared, warnings) =
            Self::of(context, arguments, run_id, &varied, limits, &selection, baseline)?;
        warnings.iter().for_each(|warning| ui.warning(warning));
        selection.check_builds(schedule.insist)?;
        if !arguments.dry_run {
            prepared.file.create(&prepared.output_dir)?;
        }
        Ok(prepared)
    }

    /// The run of the backends in a selection, with the baseline that was asked for, and what is to be warned of.
    fn of(
        context: &Context,
        arguments: &Arguments,
        run_id: &str,
        varied: &Varied,
        limits: LimitArguments,
        selection: &Selection,
        baseline: Option<&str>,
    ) -> Result<(Self, Vec<String>), Problem> {
        let schedule = &arguments.schedule;
        let baseline = selection.baseline(baseline, !schedule.backends().is_empty(), context)?;
        let mut matrix = arguments.matrix(run_id.to_owned(), selection, varied)?;
        let entries = parameters::entries(&matrix.workloads, context);
        // Each trial says why a library cannot list its workloads.
        let entries = if varied.options.is_empty() { entries.unwrap_or_default() } else { entries? };
        for (workload, entry) in matrix.workloads.iter_mut().zip(&entries) {
            workload.row_width = entry.as_ref().and_then(row_width);
            if entry.as_ref().is_some_and(|entry| entry.plan.open_loop) {
                workload.become_open_loop(&matrix.options, !varied.items.is_empty());
            }
        }
        parameters::check_extra(&matrix.options, &matrix.workloads, &entries)?;
        let mut warnings = selection.without_effect(&matrix.options, &entries, &[]);
        vary::apply(&varied.options, &mut matrix, &entries)?;
        selection.check_options(&matrix.options, &varied.options, arguments.baseline.as_deref())?;
        vary::check_common_sizes(&matrix, !varied.items.is_empty(), schedule.quick)?;
        warnings.extend(matrix.rounded_items());
        let plan = Plan::new(&matrix)?;
        warnings.extend(points::check(&matrix, &plan, &entries, context)?);
        let output_dir = schedule.output_dir(&matrix.run);
        let participants = selection.participants(&plan);
        let file = PlanFile {
            version: plan_file::VERSION,
            plan_hash: plan.hash().into(),
            rigor: arguments.rigor(),
            baseline,
            insist: schedule.insist,
            allow_untrusted: context.trust.is_anyone(),
            timeout_seconds: schedule.trial.timeout()?.as_secs_f64(),
            limits: Some(limits),
            cores: arguments.cores,
            crossrun: Some(machine_history::build()),
            no_lock: schedule.trial.no_lock,
            variables: Some(command_line::set_variables()),
            backends: plan_file::recorded_backends(&participants),
            libraries: plan_file::recorded_libraries(&participants),
            machine: SystemProfile::collect(),
            matrix,
        };
        Ok((Self { file, participants, plan, output_dir }, warnings))
    }

    fn resumed(context: &mut Context, arguments: &Arguments, run: &str) -> Result<Self, Problem> {
        let output_dir = arguments.schedule.output_dir(run);
        let file = PlanFile::read(&output_dir)?;
        if file.matrix.run != run {
            let message =
                format!("{} holds the run {}, and not {run}", output_dir.display(), file.matrix.run);
            return Err(Problem::usage(message).with_remedy(file.resume_command(&output_dir)));
        }
        resume::check_same(arguments, &file)?;
        if let Some(limits) = &file.limits {
            context.set_limits(*limits);
        }
        file.cores.map_or(Ok(()), |cores| context.pin_to(cores))?;
        let plan = file.plan()?;
        context.look_at_shared_files();
        let participants = file.participants(&plan, context)?;
        Ok(Self { file, participants, plan, output_dir })
    }

    /// Measures what is left, under the measurement lock, which may be held already.
    fn measure(
        &self,
        context: &Context,
        arguments: &Arguments,
        held: Option<MeasurementLock>,
        ui: &mut Ui,
    ) -> Result<Exit, Problem> {
        let Self { file, participants, plan, output_dir } = self;
        let no_lock = arguments.schedule.trial.no_lock || file.no_lock;
        let lock = match held {
            Some(held) => Some(held),
            None => context
                .measurement_lock(!no_lock, ui)
                .map_err(|problem| problem.with_remedy(file.resume_command(output_dir)))?,
        };
        match arguments.resume {
            None => file.refuse_trials_again(output_dir)?,
            // Before anything is written: an empty file of trials would hide the measured ones from reports.
            Some(_) => resume::refuse_without_trials(output_dir, file)?,
        }
        let folders = context.folders(&file.matrix.run)?;
        let command = outcome::repeat_command(file, participants, context, no_lock);
        let run = file.run_command(participants, no_lock);
        let conditions = run.conditions(file.machine.clone(), context, &folders, lock.as_ref());
        let (full_command, data_seed_chosen) = (Some(command.clone()), file.matrix.data_seed.is_some());
        let conditions = Conditions { full_command, data_seed_chosen, ..conditions };
        let recorder = Recorder::open(output_dir, Access::Exclusive, conditions)?;
        let Recorded { done, seeds } = match arguments.resume {
            // Read only now that the folder is locked: another process may have run trials of this run until then.
            Some(_) => resume::recorded(output_dir, file, ui)?,
            None => Recorded::default(),
        };
        let blocks = plan.remaining(&done);
        // What could start before a wait, another process may have removed meanwhile.
        if arguments.resume.is_some() || lock.as_ref().is_some_and(|lock| lock.waited) {
            let setup = arguments.schedule.trial.setup;
            let available = self.check_available(&blocks, setup, context, &folders, ui);
            available.inspect_err(|_| context.tidy(&folders))?;
        }
        let trials = plan.trials().count();
        // Open loops have as many items in a quick comparison.
        let has_default = |quick| file.matrix.items_if_not_default(quick).is_none();
        let is_smaller = file.rigor == Rigor::Quick && has_default(true) && !has_default(false);
        let size = if is_smaller { ", of a quarter of the default items" } else { "" };
        ui.note(&format!(
            "run {}: {}{size} in {}, {} already done",
            file.matrix.run,
            plural(trials as u64, "trial"),
            plural(plan.blocks.len() as u64, "block"),
            done.len()
        ));
        let mut consumers = Consumers::new(recorder, trials, done.len());
        let mut executor =
            context.executor(participants.clone(), &folders, file.timeout(), file.matrix.warm_up);
        executor.seeds = DataSeeds::new(file.matrix.data_seed, seeds);
        machine_history::recall(&mut executor, context, ui);
        let stopped = self.blocks(&mut executor, &blocks, arguments.time_budget, &mut consumers, ui);
        ui.clear_status();
        machine_history::keep_speed(&executor, context, ui);
        executor.end();
        context.tidy(&folders);
        let (altered, kept) = reports::complete(&mut consumers.recorder, ui);
        let kept = kept.and_then(|()| file.put_back(output_dir, ui));
        if let (Err(_), Err(lost)) = (&stopped, &kept) {
            ui.warning(&lost.line());
        }
        stopped?;
        // Whoever waits for the lock may be another resume of this run, which opens the folder.
        drop(consumers);
        drop(lock);
        // Shown in any case.
        outcome::report(file, context, &command, output_dir, (&altered, kept), ui)
    }

    /// Checks that the backends of `blocks` can still start, so that none that was removed meanwhile is recorded as one that fails.
    fn check_available(
        &self,
        blocks: &[Block],
        setup: bool,
        context: &Context,
        folders: &Folders,
        ui: &mut Ui,
    ) -> Result<(), Problem> {
        let sessions = blocks.iter().flat_map(|block| &block.sessions);
        let waiting = sessions.filter_map(|session| self.participants.backends.get(&session.backend.name));
        let available = check_all_available(context, waiting, setup, folders, ui);
        available.map_err(|problem| self.before_resume(problem, setup))
    }

    /// The problem that keeps a run from being resumed, with `setup` or without.
    fn before_resume(&self, problem: Problem, setup: bool) -> Problem {
        let resume = self.file.resume_command(&self.output_dir);
        let with_setup = format!("{resume} --setup");
        match problem.remedy.as_deref() {
            // `setup` may find another file of that name, or none.
            Some(remedy) if remedy == "--setup" || remedy.starts_with("crossrun setup ") => {
                problem.with_remedy(with_setup)
            }
            // The same command again would not help.
            None if problem.exit != Exit::Interrupted => problem,
            _ => problem.before(if setup { &with_setup } else { &resume }),
        }
    }

    /// Runs one block after another until the time budget is used up, which counts from the first trial: what comes before it, and a
    /// wait for a core, use none of it.
    fn blocks(
        &self,
        executor: &mut Executor,
        blocks: &[Block],
        budget: Option<Duration>,
        consumers: &mut Consumers,
        ui: &mut Ui,
    ) -> Result<(), Problem> {
        let mut begun: Option<Instant> = None;
        for block in blocks {
            if budget.zip(begun).is_some_and(|(budget, begun)| begun.elapsed() > budget) {
                let resume = self.file.resume_command(&self.output_dir);
                let message = "the time budget is used up: the remaining blocks were not run";
                ui.note(&with_remedy(message, Some(&resume)));
                return Ok(());
            }
            let ran = executor.blocks(std::slice::from_ref(block), &mut |event| {
                // An engine that does not start has a trial that only ends.
                if matches!(event, Event::Started(_) | Event::Finished(..)) {
                    begun.get_or_insert_with(Instant::now);
                }
                consumers.note(event, ui)
            });
            ran.map_err(|stopped| {
                Problem::of_stopped(stopped, || self.file.resume_command(&self.output_dir))
            })?;
        }
        Ok(())
    }
}
