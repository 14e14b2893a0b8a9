//! Trials on the backend of the self-test.

use std::fs;
use std::path::Path;
use std::time::Duration;

use plugin_api::WorkloadSpec;
use serde_json::json;

use crate::check::trials::{ignore, spec};
use crate::plan::defaults::{COMPUTING, NULL, OPEN_LOOP, SLEEPING, TASK_GRAPH};
use crate::plan::{BackendChoice, DataId, Purpose};
use crate::plugin::PluginRef;
use crate::run::engine::Engine;
use crate::run::event::Stopped;
use crate::run::executor::{Executor, Setting};
use crate::run::outcome::Outcome;
use crate::run::participants::Participants;
use crate::run::session::{CallError, Launch};
use crate::run::trial::{Granularity, TrialResult, TrialSpec};
use crate::stats::WarmUp;
use crate::worker::cheat::{Cheat, NAME};
use crate::worker::protocol::Folders;

/// The iterations of the kernel of items that compute.
const ITERATIONS: u64 = 20_000;
/// The time limit of a run.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the backend of the self-test, which is part of this program, compares each run with its serial reference, and has it judged.
pub(crate) struct Trials {
    pub(super) executor: Executor,
}

impl Trials {
    /// Of the workloads of `library`. The backend gets a folder of its own for its data, below that of the logs.
    pub(crate) fn new(launch: Launch, library: &PluginRef, folders: Folders) -> Self {
        let names = [SLEEPING, COMPUTING, OPEN_LOOP, NULL, TASK_GRAPH];
        let libraries = names.map(|name| (name.to_owned(), library.clone()));
        let participants = Participants { libraries: libraries.into(), ..Participants::default() };
        // A backend that alters files must not find those of the user.
        let data_dir = folders.log_dir.join(format!("data-{}", std::process::id()));
        Self::with(launch, participants, Folders { data_dir, ..folders })
    }

    fn with(launch: Launch, participants: Participants, folders: Folders) -> Self {
        let (timeout, warm_up) = (TIMEOUT, WarmUp::default());
        Self { executor: Executor::new(Setting { launch, participants, folders, timeout, warm_up }) }
    }

    /// The same, but with a judge and a memory of its own, as another run of this program has.
    pub(super) fn anew(&self) -> Self {
        let Setting { launch, participants, folders, .. } = &self.executor.setting;
        Self::with(launch.clone(), participants.clone(), folders.clone())
    }

    /// Where the backend may write.
    pub(super) fn data_dir(&self) -> &Path {
        &self.executor.setting.folders.data_dir
    }

    /// Ends the judge, and removes what the backend wrote.
    pub(crate) fn end(self) {
        let data_dir = self.data_dir().to_owned();
        self.executor.end();
        // Most backends write nothing. A folder that stays is removed with the logs, when they are old.
        let _ = fs::remove_dir_all(data_dir);
    }

    /// The workload with the data of a trial of `point`. The seed is drawn as that of a comparison.
    pub(super) fn with_data(
        &mut self,
        spec: &WorkloadSpec,
        point: &str,
        block: u32,
        purpose: Purpose,
    ) -> Result<WorkloadSpec, CallError> {
        let seed = self.executor.seeds.of(DataId { block, point: point.into(), purpose })?;
        Ok(WorkloadSpec { seed, ..spec.clone() })
    }

    pub(super) fn open(&mut self, cheat: Cheat, spec: &WorkloadSpec) -> Result<Engine, CallError> {
        let backend = self.executor.cheating_backend(cheat)?;
        let opened = self.executor.open(backend, &trial(spec), &mut ignore);
        opened.map_err(|result| match result.outcome {
            Outcome::Failed(error) | Outcome::Invalid(error) => error,
            _ => CallError::unexpected("open"),
        })
    }

    pub(super) fn run(&mut self, engine: &mut Engine, spec: &WorkloadSpec) -> Result<TrialResult, CallError> {
        self.executor.take_reference(spec, None);
        self.run_trial(engine, &trial(spec))
    }

    /// Runs `spec` as a point of a METG sweep, which has no serial reference but the time of its kernels.
    pub(super) fn sweep(
        &mut self,
        engine: &mut Engine,
        spec: &WorkloadSpec,
    ) -> Result<TrialResult, CallError> {
        let seconds_per_iteration = self.executor.task_reference(spec)?.seconds_per_iteration;
        let kernel_seconds = seconds_per_iteration * ITERATIONS as f64;
        let granularity =
            Some(Granularity { seconds_per_iteration, kernel_seconds, ..Granularity::default() });
        self.run_trial(engine, &TrialSpec { granularity, ..trial(spec) })
    }

    fn run_trial(&mut self, engine: &mut Engine, trial: &TrialSpec) -> Result<TrialResult, CallError> {
        let ran = self.executor.run(trial, engine, &mut ignore);
        ran.map_err(|stopped| match stopped {
            Stopped::Failed(error) => error,
            Stopped::Interrupted => CallError::interrupted("selftest"),
            Stopped::Sink(never) => match never {},
        })
    }

    /// Runs one trial in a session of its own.
    pub(super) fn run_alone(&mut self, cheat: Cheat, spec: &WorkloadSpec) -> Result<TrialResult, CallError> {
        let mut engine = self.open(cheat, spec)?;
        let result = self.run(&mut engine, spec);
        engine.close(&mut |_| ());
        result
    }
}

pub(super) fn trial(spec: &WorkloadSpec) -> TrialSpec {
    TrialSpec::alone(BackendChoice::new(NAME), "selftest".into(), spec.clone(), 1)
}

/// Items that compute, each for about a hundred microseconds.
pub(super) fn computing(items: u64) -> WorkloadSpec {
    spec(COMPUTING, items, &[("batch_size", json!(10)), ("stages", json!(1)), ("iters", json!(ITERATIONS))])
}
