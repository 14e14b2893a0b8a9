//! Runs one trial: starts a worker, opens the engine, runs the workload, has the answer judged. Prints nothing and
//! writes no record: it returns what happened, failures included.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plugin_api::workload::{CatalogueEntry, Outcome};
use plugin_api::{Availability, Parameter, Progress, Session, SetupRequest, WorkloadSpec};

use crate::isolate::Ending;
use crate::judge::{self, Judge, Verdict};
use crate::protocol::{Finished, Folders, LibraryFile, Reply, Request};
use crate::session::{CallError, Deaf, Launch, Observer, WorkerSession};

/// How long each phase may take. A run has its own limit.
pub mod deadline {
    use std::time::Duration;

    /// Opening the library and making its runner.
    pub const LOAD: Duration = Duration::from_secs(10);
    /// Asking whether the backend could start.
    pub const PROBE: Duration = Duration::from_secs(5);
    /// Starting the engine.
    pub const OPEN: Duration = Duration::from_secs(120);
    /// Stopping the engine.
    pub const CLOSE: Duration = Duration::from_secs(30);
    /// Decoding a sink's state.
    pub const JUDGE: Duration = Duration::from_secs(60);
    /// Listing the workloads of a library.
    pub const CATALOGUE: Duration = Duration::from_secs(10);
}

/// Keys of `extra` that every backend reads, or the host itself.
pub const COMMON_OPTIONS: [&str; 3] = ["batch_size", "fusion", "max_wait_seconds"];

/// What is going on, for whoever shows it.
#[derive(Clone, Debug)]
pub enum Event {
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
    /// Something that the user should know.
    Warning(String),
}

/// Where a trial's events go.
pub type Events<'a> = &'a mut dyn FnMut(Event);

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
pub struct Trial {
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

/// How long a trial's phases took, in seconds, by the host's clock. Absent for what was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Phases {
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
pub struct Report {
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
    /// What the user should know.
    pub warnings: Vec<String>,
    /// How the worker ended.
    pub ending: Option<Ending>,
}

/// How a trial ended.
#[derive(Debug)]
pub enum Conclusion {
    /// It ran to its end and was judged.
    Judged(Verdict),
    /// It did not.
    Failed(CallError),
}

/// A runner in its worker.
pub struct Backend {
    session: WorkerSession,
    options: Vec<Parameter>,
    load_seconds: f64,
}

impl Backend {
    /// Starts a worker and loads the runner in `library`, which must call itself `name`.
    ///
    /// # Errors
    /// When the file is refused, crashes, hangs, or says another name than its metadata.
    pub fn load(launch: &Launch, library: &LibraryFile, name: &str, log: &Path) -> Result<Self, CallError> {
        let started = Instant::now();
        let mut session = WorkerSession::start(launch, log)?;
        let request = Request::LoadRunner { library: library.clone() };
        match session.call("load", request, Some(deadline::LOAD), &mut Deaf) {
            Ok(Reply::Loaded { name: said, .. }) if said.to_lowercase() != name => {
                session.end();
                Err(CallError::other_name(&library.path, name, &said))
            }
            Ok(Reply::Loaded { options, .. }) => {
                Ok(Self { session, options, load_seconds: started.elapsed().as_secs_f64() })
            }
            Ok(_) => Err(CallError::unexpected("load")),
            Err(error) => {
                session.end();
                Err(error)
            }
        }
    }

    /// A runner that a session already has, for embedders and tests.
    pub fn linked(session: WorkerSession) -> Self {
        Self { session, options: Vec::new(), load_seconds: 0.0 }
    }

    /// Whether the backend could start.
    ///
    /// # Errors
    /// When it crashes or hangs.
    pub fn probe(&mut self) -> Result<Availability, CallError> {
        match self.session.call("probe", Request::Probe, Some(deadline::PROBE), &mut Deaf)? {
            Reply::Probed { availability } => Ok(availability),
            _ => Err(CallError::unexpected("probe")),
        }
    }

    /// Lets the backend install or remove what it needs. Without a deadline: downloads take their time, and the user
    /// can interrupt.
    ///
    /// # Errors
    /// What the backend says, or how it died.
    pub fn setup(
        &mut self,
        request: SetupRequest,
        folders: Folders,
        events: Events<'_>,
    ) -> Result<(), CallError> {
        let request = Request::Setup { request, folders };
        self.session.call("setup", request, None, &mut Forward(events)).map(|_| ())
    }

    /// Ends the worker.
    pub fn end(self) -> Option<Ending> {
        self.session.end()
    }
}

/// Keys of `extra` that nobody reads, as one warning each.
pub fn unknown_options(spec: &WorkloadSpec, workload: &CatalogueEntry, backend: &Backend) -> Vec<String> {
    let known = || {
        let parameters = workload.parameters.iter().chain(&backend.options);
        parameters.map(|parameter| parameter.name.as_str()).chain(COMMON_OPTIONS)
    };
    let unknown = spec.extra.keys().filter(|key| !known().any(|name| name == key.as_str()));
    let names = || known().collect::<Vec<_>>().join(", ");
    unknown
        .map(|key| format!("extra.{key} is read by nobody; workload and backend know {}", names()))
        .collect()
}

/// Runs `trial` on `backend` and has it judged by `judge`, which knows what must come out.
pub fn run(
    trial: &Trial,
    backend: Backend,
    judge: &mut Judge,
    expected: Outcome,
    events: Events<'_>,
) -> Report {
    let mut running = Running::new(trial, backend, expected);
    let conclusion = running.conclude(judge, events);
    running.report(conclusion)
}

struct Running<'a> {
    trial: &'a Trial,
    backend: Backend,
    phases: Phases,
    expected: Outcome,
    actual: Option<Outcome>,
    finished: Option<Finished>,
    warnings: Vec<String>,
}

impl<'a> Running<'a> {
    fn new(trial: &'a Trial, backend: Backend, expected: Outcome) -> Self {
        let phases = Phases { load_seconds: Some(backend.load_seconds), ..Phases::default() };
        Self { trial, backend, phases, expected, actual: None, finished: None, warnings: Vec::new() }
    }

    fn conclude(&mut self, judge: &mut Judge, events: Events<'_>) -> Conclusion {
        match self.measure(events) {
            Ok((finished, host_elapsed)) => self.judge(judge, finished, host_elapsed, events),
            Err(error) => Conclusion::Failed(error),
        }
    }

    /// Opens, runs and closes; a failed close after a good run is a warning.
    fn measure(&mut self, events: Events<'_>) -> Result<(Finished, f64), CallError> {
        events(Event::Opening);
        self.phases.open_seconds = Some(self.open(events)?);
        events(Event::Running);
        let (finished, host_elapsed) = self.run(events)?;
        self.phases.host_elapsed = Some(host_elapsed);
        events(Event::Judging);
        match self.call("close", Request::Close, deadline::CLOSE, events) {
            Ok((_, seconds)) => self.phases.close_seconds = Some(seconds),
            Err(error) => {
                let warning = format!("closing the backend failed: {error}");
                events(Event::Warning(warning.clone()));
                self.warnings.push(warning);
            }
        }
        Ok((finished, host_elapsed))
    }

    fn open(&mut self, events: Events<'_>) -> Result<f64, CallError> {
        let Trial { spec, nodes, folders, .. } = self.trial;
        let session = Session {
            parallelism: spec.parallelism,
            nodes: *nodes,
            options: spec.extra.clone(),
            data_dir: folders.data_dir.clone(),
            log_dir: folders.log_dir.clone(),
        };
        self.call("open", Request::Open { session }, deadline::OPEN, events).map(|(_, seconds)| seconds)
    }

    fn run(&mut self, events: Events<'_>) -> Result<(Finished, f64), CallError> {
        let Trial { spec, library, folders, timeout, .. } = self.trial;
        let request = Request::Run {
            spec: spec.clone(),
            library: library.clone(),
            folders: folders.clone(),
            timeout_seconds: Some(timeout.as_secs_f64()),
        };
        match self.call("run", request, *timeout, events)? {
            (Reply::Finished(finished), seconds) => Ok((*finished, seconds)),
            _ => Err(CallError::unexpected("run")),
        }
    }

    fn call(
        &mut self,
        phase: &'static str,
        request: Request,
        deadline: Duration,
        events: Events<'_>,
    ) -> Result<(Reply, f64), CallError> {
        let started = Instant::now();
        let reply = self.backend.session.call(phase, request, Some(deadline), &mut Forward(events))?;
        Ok((reply, started.elapsed().as_secs_f64()))
    }

    fn judge(
        &mut self,
        judge: &mut Judge,
        finished: Finished,
        host_elapsed: f64,
        events: Events<'_>,
    ) -> Conclusion {
        let Trial { spec, backend, .. } = self.trial;
        let judged = judge.judge(spec, &finished.sink_state, deadline::JUDGE, &mut Forward(events));
        let conclusion = match judged {
            Ok(actual) => {
                let verdict = judge::verdict(backend, &finished, host_elapsed, &actual, &self.expected);
                self.actual = Some(actual);
                Conclusion::Judged(verdict)
            }
            Err(error) => Conclusion::Failed(error),
        };
        self.warnings.extend(reported_warnings(&finished));
        self.finished = Some(finished);
        conclusion
    }

    fn report(self, conclusion: Conclusion) -> Report {
        let Self { backend, phases, expected, actual, finished, mut warnings, .. } = self;
        let ending = backend.end();
        if let Some(leftovers) = ending.as_ref().map(|ending| ending.leftovers).filter(|count| *count > 0) {
            let processes = if leftovers == 1 { "process" } else { "processes" };
            warnings.push(format!("the backend left {leftovers} {processes} behind, which were ended"));
        }
        Report { phases, expected: Some(expected), actual, finished, conclusion, warnings, ending }
    }
}

/// The strings in the metrics' `warnings`.
fn reported_warnings(finished: &Finished) -> Vec<String> {
    let warnings = finished.metrics.get("warnings").and_then(|warnings| warnings.as_array());
    let texts = warnings.into_iter().flatten().filter_map(|warning| warning.as_str());
    texts.map(str::to_owned).collect()
}

/// The log of a session: one file, in the session's folder.
pub fn log_file(log_dir: &Path, name: &str) -> PathBuf {
    log_dir.join(format!("{name}.log"))
}
