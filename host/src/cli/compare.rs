//! `crossrun compare`: the same workloads on several backends, and which is faster, by how much, and how sure that is.

mod arguments;
mod outcome;
pub(crate) mod plan_file;
mod resume;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::app::consumers::Consumers;
use crate::app::context::Context;
use crate::app::json_events::JsonEvents;
use crate::app::limits::LimitArguments;
use crate::app::participants::Selection;
use crate::app::progress::Progress;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, options, reports};
use crate::plan::{Block, Plan};
use crate::record::{Recorder, SystemProfile};
use crate::run::executor::{Executor, Setting};
use crate::run::participants::Participants;
use crate::run::session::Isolation;
use crate::text::plural;

pub(super) use arguments::Arguments;
use plan_file::PlanFile;

pub(super) fn run(global: &GlobalArguments, arguments: Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let mut context = Context::new(global, Isolation::Process, ui)?;
    let limits = context.limit(&arguments.limits);
    let begun = match &arguments.resume {
        Some(run) => Begun::again(&mut context, &arguments, run)?,
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
            allow_untrusted: context.trust.is_anyone(),
            timeout_seconds: arguments.timeout().as_secs_f64(),
            limits: Some(limits),
            backends: plan_file::recorded_backends(&participants),
            libraries: plan_file::recorded_libraries(&participants),
            machine: SystemProfile::collect(),
            matrix,
        };
        selection.check_builds(arguments.insist)?;
        if !arguments.dry_run {
            file.create(&output_dir)?;
        }
        Ok(Self { file, participants, plan, output_dir })
    }

    fn again(context: &mut Context, arguments: &Arguments, run: &str) -> Result<Self, Problem> {
        let output_dir = arguments.output_dir(run);
        let file = PlanFile::read(&output_dir)?;
        resume::check_same(arguments, &file)?;
        if let Some(limits) = &file.limits {
            context.set_limits(*limits);
        }
        let plan = file.plan().map_err(|error| Problem::usage(error.to_string()))?;
        let participants = file.participants(&plan, context)?;
        Ok(Self { file, participants, plan, output_dir })
    }

    fn measure(&self, context: &Context, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
        let Self { file, plan, output_dir, .. } = self;
        let lock = context.measurement_lock(!arguments.no_lock, ui)?;
        let done = match arguments.resume {
            // Another one may have gone on with the run until now.
            Some(_) => resume::recorded(output_dir)?,
            None => HashSet::new(),
        };
        let blocks = plan.remaining(&done);
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
            launch: context.launch.clone(),
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
            ran.map_err(|stopped| {
                Problem::of_stopped(stopped, || resume::command(&self.file, &self.output_dir))
            })?;
        }
        Ok(())
    }
}
