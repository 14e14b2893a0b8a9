//! One trial: its specification and its result.

use std::time::SystemTime;

use plugin_api::workload::Outcome as Answer;
use plugin_api::{Session, WorkloadSpec};
use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use super::reference::TrialReference;
use super::session::{CallError, Fault};
use super::task_graph::TaskGraph;
use crate::plan::{BackendChoice, Cell, Purpose};
use crate::sandbox::Usage;
use crate::sandbox::stop::Stopped;
use crate::worker::protocol::{Finished, Folders, MachineCheck};

#[derive(Clone, Debug)]
pub struct TrialSpec {
    /// The participant and its backend.
    pub backend: BackendChoice,
    /// The point and its configuration, with the seed by which records of this point pair.
    pub cell: Cell,
    /// The number of machines.
    pub nodes: u32,
    /// The repetition in a comparison or a sweep, from 0.
    pub block: Option<u32>,
    pub purpose: Purpose,
    /// The seed of its data: the run's, or one that was drawn for this point and block.
    pub data_seed: u64,
    /// The size of its tasks, in a METG sweep.
    pub granularity: Option<Granularity>,
}

impl TrialSpec {
    /// A measured trial of `spec` without a plan.
    pub fn alone(backend: BackendChoice, run_id: String, spec: WorkloadSpec, nodes: u32) -> Self {
        let data_seed = spec.seed;
        let cell = Cell { point: spec.name.clone(), run_id, spec };
        let (block, granularity) = (None, None);
        Self { backend, cell, nodes, block, purpose: Purpose::Measured, data_seed, granularity }
    }

    /// The session of this trial and those after it on the same engine. Its options are the `extra` of this first trial.
    pub(crate) fn session(&self, folders: &Folders) -> Session {
        let (spec, Folders { data_dir, log_dir }) = (&self.cell.spec, folders.clone());
        let options = spec.extra.clone();
        Session { parallelism: spec.parallelism, nodes: self.nodes, options, data_dir, log_dir }
    }

    /// The workload with the seed of this trial's own data.
    pub fn workload_spec(&self) -> WorkloadSpec {
        WorkloadSpec { seed: self.data_seed, ..self.cell.spec.clone() }
    }
}

/// The size of the tasks of a METG sweep's trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Granularity {
    /// Seconds of one iteration of the kernel, by the block's serial reference.
    pub seconds_per_iteration: f64,
    /// Seconds of one task's kernel, by that reference.
    pub kernel_seconds: f64,
    /// Whether the sweep runs no longer kernel, whatever comes of this trial; absent in records of versions that did not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_longest: Option<bool>,
    /// Whether the sweep runs no shorter kernel; absent in records of versions that did not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_shortest: Option<bool>,
}

/// How long the phases around a run took, in seconds; null for a phase that was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phases {
    /// Starting the worker and loading the library.
    pub load_seconds: Option<f64>,
    /// Starting the engine.
    pub open_seconds: Option<f64>,
    /// Preparing the run: opening the workload where it runs; absent in records of versions that did not prepare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare_seconds: Option<f64>,
    /// Stopping the engine.
    pub close_seconds: Option<f64>,
    /// Waiting for a quiet machine after the session before this one; null and not written without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_seconds: Option<f64>,
}

/// What the processes of a backend used for a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunUsage {
    pub used: Usage,
    /// The seconds between the two readings, by the host's clock. They include the run.
    pub window_seconds: f64,
    /// CPU seconds from the end of the run before to the start of this one; `None` for the first run of a session.
    pub cpu_between_runs: Option<f64>,
    /// CPU seconds from the request to prepare the run until the run.
    pub cpu_preparing: Option<f64>,
}

impl RunUsage {
    /// CPU time between runs is noted from this part of the run's CPU time on.
    const NOTED_PART: f64 = 0.1;
    /// And from so many seconds on: a runtime's own threads wake now and then, and the time of processes that have exited
    /// has a resolution of two ticks of 10 ms.
    const NOTED: f64 = 0.05;

    /// Warnings about a backend that works when nobody has asked it to, or where it was not let.
    pub(super) fn warnings(self) -> impl Iterator<Item = String> {
        let cores = "threads of the backend may use other cores than those that it was given";
        let idle = "the backend used more than a tenth of the run's CPU time between runs, when it had nothing to do";
        let told = [(self.used.exceeds_cores, cores), (self.works_between_runs(), idle)];
        told.into_iter().filter(|(is_told, _)| *is_told).map(|(_, warning)| warning.to_owned())
    }

    fn works_between_runs(self) -> bool {
        let noted = Self::NOTED.max(self.used.cpu_seconds * Self::NOTED_PART);
        self.cpu_between_runs.is_some_and(|between| between > noted)
    }
}

#[derive(Clone, Debug)]
pub struct TrialResult {
    pub started: SystemTime,
    pub outcome: Outcome,
    pub expected: Option<Answer>,
    /// The answer that the judge decoded.
    pub actual: Option<Answer>,
    /// Whether the answer is wrong, but a serial run without a backend gives it too: the workload or its oracle is wrong then.
    pub suspects_workload: bool,
    /// The backend's claims, and the time by the worker's clock.
    pub finished: Option<Finished>,
    /// Seconds from request to reply, by the host's clock.
    pub host_elapsed: Option<f64>,
    /// Whether the backend joined a cluster that the user names: its processes are not below the worker.
    pub joins_cluster: bool,
    /// How long the phases around the run took.
    pub phases: Phases,
    /// What the backend's processes used during the run.
    pub usage: Option<RunUsage>,
    /// What the work takes without a backend; `None` where the judge did not measure that.
    pub reference: Option<TrialReference>,
    /// The number of cores that the efficiency refers to; 0 where that is not known.
    pub cores: u32,
    /// Whether the run was compared with the reference.
    pub work_checked: bool,
    /// The readings of the machine check since the session before.
    pub machine_checks: Vec<MachineCheck>,
    /// Whether crossrun was stopped during the trial, as by Ctrl-Z or with its container. Its times then say nothing, and it is run again.
    pub stopped: bool,
    pub warnings: Vec<String>,
    /// The graph of tasks that was run; `None` for other workloads.
    pub graph: Option<TaskGraph>,
}

/// How the warning of a measured trial begins whose warm-ups still rose or fell.
pub(crate) const UNSETTLED: &str = "did not settle";

/// Why a trial is not valid during which crossrun was stopped.
const STOPPED: &str = "crossrun was stopped during the trial, as by Ctrl-Z or with its container";

/// Why a trial is not valid of which only the backend's processes were stopped. It is not run again: a backend could choose so
/// which of its runs count.
const STOPPED_BELOW: &str = "processes of the backend were stopped by a signal during the trial";

/// The warning of a trial that was run again after crossrun was stopped.
const RUN_AGAIN: &str =
    "was run again: crossrun was stopped during the first run, as by Ctrl-Z or with its container";

/// Runs a trial by `attempt`. If crossrun was stopped meanwhile, the result says nothing, and the trial is run once more:
/// `attempt` is told so, as that needs a new engine.
pub(crate) fn again_if_stopped<E>(
    mut attempt: impl FnMut(bool) -> Result<TrialResult, E>,
) -> Result<TrialResult, E> {
    let mut result = attempt(false)?;
    if result.stopped {
        result = attempt(true)?;
        result.warnings.push(RUN_AGAIN.to_owned());
    }
    Ok(result)
}

impl TrialResult {
    /// A result without anything but its outcome.
    pub fn new(started: SystemTime, outcome: Outcome) -> Self {
        Self {
            started,
            outcome,
            expected: None,
            actual: None,
            suspects_workload: false,
            finished: None,
            host_elapsed: None,
            joins_cluster: false,
            phases: Phases::default(),
            usage: None,
            reference: None,
            cores: 0,
            work_checked: false,
            machine_checks: Vec::new(),
            stopped: false,
            warnings: Vec::new(),
            graph: None,
        }
    }

    /// A trial that failed before its run.
    pub fn failed(error: CallError) -> Self {
        Self::new(SystemTime::now(), Outcome::Failed(error))
    }

    /// Seconds of the run, if its answer is verified.
    pub fn seconds(&self) -> Option<f64> {
        let finished = self.finished.as_ref().filter(|_| self.outcome.is_verified());
        finished.map(|finished| finished.duration_seconds)
    }

    /// The result of a trial, not valid if something was stopped meanwhile. A wrong answer stays wrong.
    pub(super) fn unless_stopped(self, stopped: Stopped) -> Self {
        let why = match stopped {
            Stopped::Nothing => return self,
            Stopped::This => STOPPED,
            Stopped::Below => STOPPED_BELOW,
        };
        let outcome = match self.outcome {
            wrong @ Outcome::Wrong(_) => wrong,
            failed @ Outcome::Failed(_) if stopped == Stopped::Below => failed,
            // A failure that has another reason comes again, and its remedy helps.
            Outcome::Failed(CallError { message, remedy, .. }) => {
                let why = format!("{why}; it failed: {message}");
                Outcome::Invalid(CallError { remedy, ..CallError::judged(Fault::InvalidMeasurement, why) })
            }
            _ => Outcome::Invalid(CallError::judged(Fault::InvalidMeasurement, why.into())),
        };
        Self { outcome, stopped: stopped == Stopped::This, ..self }
    }

    /// Adds how the engine stopped.
    pub(super) fn close(&mut self, closing: Closing) {
        self.phases.close_seconds = closing.seconds;
        self.warnings.extend(closing.warnings);
    }
}

/// How an engine stopped.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    /// How many seconds that took; `None` if it failed or no engine ran.
    pub(crate) seconds: Option<f64>,
    pub(crate) warnings: Vec<String>,
}
