//! One trial: its specification and its result.

use std::time::SystemTime;

use plugin_api::workload::Outcome as Answer;
use plugin_api::{Session, WorkloadSpec};
use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use super::session::CallError;
use crate::plan::{BackendChoice, Cell, Purpose};
use crate::sandbox::Usage;
use crate::worker::protocol::{Finished, Folders};

#[derive(Clone, Debug)]
pub struct TrialSpec {
    /// The participant and its backend.
    pub backend: BackendChoice,
    /// The point and its configuration, with the run's seed.
    pub cell: Cell,
    /// The number of machines.
    pub nodes: u32,
    /// The repetition in a comparison or a sweep, from 0.
    pub block: Option<u32>,
    pub purpose: Purpose,
    /// The seed of its data: the run's, or one drawn from it for this block.
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
}

/// How long the phases around a run took, in seconds; null for a phase that was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phases {
    /// Starting the worker and loading the library.
    pub load_seconds: Option<f64>,
    /// Starting the engine.
    pub open_seconds: Option<f64>,
    /// Stopping the engine.
    pub close_seconds: Option<f64>,
}

#[derive(Clone, Debug)]
pub struct TrialResult {
    pub started: SystemTime,
    pub outcome: Outcome,
    pub expected: Option<Answer>,
    /// The answer that the judge decoded.
    pub actual: Option<Answer>,
    /// The backend's claims, and the time by the worker's clock.
    pub finished: Option<Finished>,
    /// Seconds from request to reply, by the host's clock.
    pub host_elapsed: Option<f64>,
    /// How long the phases around the run took.
    pub phases: Phases,
    /// What the backend's processes used during the run.
    pub usage: Option<Usage>,
    pub warnings: Vec<String>,
}

/// How the warning of a measured trial begins whose warm-ups still rose or fell.
pub(crate) const UNSETTLED: &str = "did not settle";

impl TrialResult {
    /// A result without anything but its outcome.
    pub fn new(started: SystemTime, outcome: Outcome) -> Self {
        Self {
            started,
            outcome,
            expected: None,
            actual: None,
            finished: None,
            host_elapsed: None,
            phases: Phases::default(),
            usage: None,
            warnings: Vec::new(),
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
