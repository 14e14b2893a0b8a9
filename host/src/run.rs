//! Runs trials: starts a worker, opens the engine, runs workloads, has the answers judged. Prints nothing and writes no
//! record: it returns what happened, failures included.

mod backend;
mod campaign;
mod engine;
pub(crate) mod judge;
pub(crate) mod rig;
pub(crate) mod session;
pub(crate) mod sweep;

use std::path::{Path, PathBuf};
use std::time::Duration;

use plugin_api::workload::{CatalogueEntry, Outcome};
use plugin_api::{Progress, Session, WorkloadSpec};

use crate::run::judge::{Judge, Verdict};
use crate::run::session::{CallError, Observer};
use crate::sandbox::Usage;
use crate::worker::protocol::{Finished, Folders, LibraryFile};

pub(crate) use backend::Backend;
pub(crate) use engine::{Closing, Engine};

/// Keys of `extra` that every backend reads, or the host itself.
pub(crate) const COMMON_OPTIONS: [&str; 3] = ["batch_size", "fusion", "max_wait_seconds"];

/// What is going on, for whoever shows it.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The oracle computes what must come out.
    Expecting,
    /// The engine is being started.
    Opening,
    /// The workload runs.
    Running,
    /// The engine is being stopped, and the answer judged.
    Judging,
    /// How far the call under way is.
    Progress(Progress),
    /// A log record of the plugin; the level is 1 (error) to 5 (trace).
    Log(u32, String, String),
}

/// Where a trial's events go.
pub(crate) type Events<'a> = &'a mut dyn FnMut(Event);

struct Forward<'a, 'b>(&'b mut (dyn FnMut(Event) + 'a));

impl Observer for Forward<'_, '_> {
    fn progress(&mut self, progress: Progress) {
        (self.0)(Event::Progress(progress));
    }

    fn log(&mut self, level: u32, target: &str, message: &str) {
        (self.0)(Event::Log(level, target.into(), message.into()));
    }
}

/// What is to be run, on what.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    /// The backend's name in lower case.
    pub backend: String,
    /// The workload and how to run it.
    pub spec: WorkloadSpec,
    /// How many machines are asked for.
    pub nodes: u32,
    /// The workload's library.
    pub library: LibraryFile,
    /// When a run is ended.
    pub timeout: Duration,
    /// Where plugins may write.
    pub folders: Folders,
}

impl Trial {
    /// What the engine is started with: the options of a session stand in the `extra` of its first run.
    pub(crate) fn session(&self) -> Session {
        Session {
            parallelism: self.spec.parallelism,
            nodes: self.nodes,
            options: self.spec.extra.clone(),
            data_dir: self.folders.data_dir.clone(),
            log_dir: self.folders.log_dir.clone(),
        }
    }
}

/// How long a trial's phases took, in seconds, by the host's clock. Absent for what was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Phases {
    /// Starting the worker and loading the library.
    pub load_seconds: Option<f64>,
    /// Starting the engine.
    pub open_seconds: Option<f64>,
    /// The run, from request to reply.
    pub host_elapsed: Option<f64>,
    /// Stopping the engine.
    pub close_seconds: Option<f64>,
}

/// What a trial came to.
#[derive(Debug)]
pub(crate) struct Report {
    /// How long its phases took.
    pub phases: Phases,
    /// What must come out.
    pub expected: Option<Outcome>,
    /// What did.
    pub actual: Option<Outcome>,
    /// What the runner and the worker's clock say.
    pub finished: Option<Finished>,
    /// Verified, wrong, invalid, or failed before that could be told.
    pub conclusion: Conclusion,
    /// What the backend's processes used during the run.
    pub usage: Option<Usage>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Report {
    /// Whether the answer is right and no claim contradicts a clock.
    pub(crate) fn is_verified(&self) -> bool {
        matches!(self.conclusion, Conclusion::Judged(Verdict::Verified))
    }

    /// What is known of a trial whose engine did not start.
    fn not_opened(load_seconds: f64, expected: Outcome, error: CallError, warnings: Vec<String>) -> Self {
        let phases = Phases { load_seconds: Some(load_seconds), ..Phases::default() };
        let conclusion = Conclusion::Failed(error);
        Self {
            phases,
            expected: Some(expected),
            actual: None,
            finished: None,
            conclusion,
            usage: None,
            warnings,
        }
    }

    /// Adds how the engine was stopped.
    pub(crate) fn close(&mut self, closing: Closing) {
        self.phases.close_seconds = closing.seconds;
        self.warnings.extend(closing.warnings);
    }
}

/// How a trial ended.
#[derive(Debug)]
pub(crate) enum Conclusion {
    /// It ran to its end and was judged.
    Judged(Verdict),
    /// It did not.
    Failed(CallError),
}

/// Keys of `extra` that nobody reads, as one warning each.
pub(crate) fn unknown_options(
    spec: &WorkloadSpec,
    workload: &CatalogueEntry,
    backend: &Backend,
) -> Vec<String> {
    let known = || {
        let parameters = workload.parameters.iter().chain(backend.options());
        parameters.map(|parameter| parameter.name.as_str()).chain(COMMON_OPTIONS)
    };
    let unknown = spec.extra.keys().filter(|key| !known().any(|name| name == key.as_str()));
    let names = || known().collect::<Vec<_>>().join(", ");
    unknown
        .map(|key| format!("extra.{key} is read by nobody; workload and backend know {}", names()))
        .collect()
}

/// Runs `trial` alone: starts the engine of `backend`, runs, and stops it. `judge` says what came out, `expected` is what
/// must.
pub(crate) fn run(
    trial: &Trial,
    backend: Backend,
    judge: &mut Judge,
    expected: Outcome,
    events: Events<'_>,
) -> Report {
    let load_seconds = backend.load_seconds();
    match backend.open(trial.session(), events) {
        Ok(mut engine) => {
            let mut report = engine.run(trial, judge, expected, events);
            report.close(engine.close(events));
            report
        }
        Err(failed) => Report::not_opened(load_seconds, expected, failed.error, failed.warnings),
    }
}

/// The log of a session: one file, in the session's folder.
pub(crate) fn log_file(log_dir: &Path, name: &str) -> PathBuf {
    log_dir.join(format!("{name}.log"))
}
