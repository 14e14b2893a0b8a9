//! The worker: loads plugins and does what it is asked, one request at a time.
//!
//! It runs in a process of its own behind a channel (`serve`), or inside the caller ([`Worker`]) where isolation is
//! switched off.

mod bounds;
mod canary;
mod census;
mod feed;
pub(crate) mod liar;
pub(crate) mod load;
pub(crate) mod protocol;
mod reference;
mod serial;
mod serve;
mod spare;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::LevelFilter;
use plugin_api::workload::{Outcome, WorkloadLibrary};
use plugin_api::{
    ErrorKind, HostServices, RunContext, RunResult, RunnerError, Session, SetupContext, SetupRequest,
    WorkloadHandle, WorkloadRunner, WorkloadSpec, monotonic_nanos,
};

use self::liar::Liar;
use self::load::LoadError;
use self::protocol::{Finished, Folders, LibraryFile, Reply, Request, VERSION};

pub(crate) use serve::{COMMAND, here, main};

/// How long after the request an open loop starts, and twice as long as opening the workload takes.
const START_AHEAD: Duration = Duration::from_millis(20);

/// What a worker holds between requests.
pub struct Worker {
    host: Arc<dyn HostServices>,
    log_level: LevelFilter,
    runner: Option<Box<dyn WorkloadRunner>>,
    libraries: HashMap<PathBuf, WorkloadLibrary>,
    /// The workload of the last run and the file of its library: opening one may cost as much as a run, and runs repeat.
    opened: Option<(PathBuf, WorkloadHandle)>,
}

/// Why a request failed.
enum Failure {
    /// The file was refused.
    Refused(RunnerError),
    /// What was asked for failed.
    Failed(RunnerError),
}

impl From<RunnerError> for Failure {
    fn from(error: RunnerError) -> Self {
        Self::Failed(error)
    }
}

impl From<plugin_api::WorkloadError> for Failure {
    fn from(error: plugin_api::WorkloadError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Runner(error) => Self::Failed(error),
            other => Self::Refused(RunnerError::new(ErrorKind::Unavailable, other.to_string())),
        }
    }
}

impl Worker {
    /// A worker that has loaded nothing and reports to `host`.
    pub fn new(host: Arc<dyn HostServices>, log_level: LevelFilter) -> Self {
        Self { host, log_level, runner: None, libraries: HashMap::new(), opened: None }
    }

    /// A worker around a runner that is part of this program, for embedders and tests.
    pub fn with_runner(host: Arc<dyn HostServices>, runner: Box<dyn WorkloadRunner>) -> Self {
        Self { runner: Some(runner), ..Self::new(host, LevelFilter::Off) }
    }

    /// Does what `request` asks for.
    pub fn handle(&mut self, request: Request) -> Reply {
        let answer = match request {
            Request::Hello { .. } => Ok(Reply::Hello { version: VERSION }),
            Request::LoadRunner { library } => self.load_runner(&library),
            Request::Lie { lie } => {
                self.runner = Some(Box::new(Liar::new(lie)));
                Ok(Reply::Done)
            }
            Request::Divert { stdout } => divert(&stdout),
            Request::Census => Ok(Reply::Census(census::take())),
            Request::Probe => self.probe(),
            Request::Setup { request, folders } => self.setup(&request, folders),
            Request::Open { session } => self.open(&session),
            Request::Run { spec, library, folders, timeout_seconds } => {
                self.run(&spec, &library, folders, timeout_seconds)
            }
            Request::Close => self.close(),
            Request::Catalogue { library } => self.catalogue(&library),
            Request::Expect { spec, library } => self.expect(&spec, &library),
            Request::Serial { spec, library } => self.serial(&spec, &library),
            Request::Feed { spec, library, rounds } => self.feed(&spec, &library, rounds),
            Request::Judge { spec, library, sink_state } => self.judge(&spec, &library, &sink_state),
            Request::Canary { seconds } => {
                let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                Ok(Reply::Canary(canary::sing(duration)))
            }
            Request::Time { spec, library, stage, seconds } => self.time(&spec, &library, stage, seconds),
            // Nothing is under way: the call that was to be cancelled has just ended by itself.
            Request::Cancel => Ok(Reply::Done),
        };
        answer.unwrap_or_else(|failure| match failure {
            Failure::Refused(error) => Reply::Failed { error: bounds::error(error), refused: true },
            Failure::Failed(error) => Reply::Failed { error: bounds::error(error), refused: false },
        })
    }

    fn load_runner(&mut self, library: &LibraryFile) -> Result<Reply, Failure> {
        let runner = load::runner(library, Arc::clone(&self.host), self.log_level)?;
        let (name, options) = (bounds::name(runner.backend_name().to_owned()), runner.options());
        self.runner = Some(runner);
        Ok(Reply::Loaded { name, options })
    }

    fn runner(&mut self) -> Result<&mut Box<dyn WorkloadRunner>, RunnerError> {
        let missing = || RunnerError::new(ErrorKind::Internal, "no runner has been loaded");
        self.runner.as_mut().ok_or_else(missing)
    }

    fn probe(&mut self) -> Result<Reply, Failure> {
        Ok(Reply::Probed { availability: bounds::availability(self.runner()?.is_available()) })
    }

    fn setup(&mut self, request: &SetupRequest, folders: Folders) -> Result<Reply, Failure> {
        let context = SetupContext::new(Arc::clone(&self.host), folders.data_dir, folders.log_dir);
        self.runner()?.setup(request, &context)?;
        Ok(Reply::Done)
    }

    fn open(&mut self, session: &Session) -> Result<Reply, Failure> {
        self.runner()?.open(session)?;
        Ok(Reply::Done)
    }

    fn run(
        &mut self,
        spec: &WorkloadSpec,
        library: &LibraryFile,
        folders: Folders,
        timeout_seconds: Option<f64>,
    ) -> Result<Reply, Failure> {
        let (workload, spec) = self.started(spec, library)?;
        let timeout = timeout_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let Folders { data_dir, log_dir } = folders;
        let context = RunContext::new(workload, Arc::clone(&self.host), data_dir, log_dir, deadline);
        let runner = self.runner()?;
        let started = Instant::now();
        let result = runner.run(&spec, &context);
        let duration = started.elapsed();
        Ok(Reply::Finished(Box::new(finished(result?, duration)?)))
    }

    /// The workload, opened. In an open loop all processes that take part must know when the run starts: a moment ahead, so
    /// that those which open the workload by themselves have done so.
    fn started(
        &mut self,
        spec: &WorkloadSpec,
        library: &LibraryFile,
    ) -> Result<(WorkloadHandle, WorkloadSpec), Failure> {
        let opening = Instant::now();
        let workload = self.workload(spec, library)?;
        if !workload.plan().open_loop {
            return Ok((workload, spec.clone()));
        }
        let ahead = START_AHEAD + 2 * opening.elapsed();
        let start_nanos = Some(monotonic_nanos().saturating_add(ahead.as_nanos() as u64));
        let spec = WorkloadSpec { start_nanos, ..spec.clone() };
        Ok((self.workload(&spec, library)?, spec))
    }

    fn close(&mut self) -> Result<Reply, Failure> {
        self.runner()?.close()?;
        Ok(Reply::Done)
    }

    fn catalogue(&mut self, library: &LibraryFile) -> Result<Reply, Failure> {
        Ok(Reply::Catalogue { entries: self.library(library)?.catalogue()? })
    }

    fn expect(&mut self, spec: &WorkloadSpec, library: &LibraryFile) -> Result<Reply, Failure> {
        let outcome = self.workload(spec, library)?.expected()?;
        Ok(Reply::Outcome { outcome })
    }

    fn serial(&mut self, spec: &WorkloadSpec, library: &LibraryFile) -> Result<Reply, Failure> {
        let (workload, spec) = self.started(spec, library)?;
        Ok(Reply::Outcome { outcome: serial::run(&workload, spec.batch_size()?)? })
    }

    fn feed(&mut self, spec: &WorkloadSpec, library: &LibraryFile, rounds: u32) -> Result<Reply, Failure> {
        feed::feed(&self.workload(spec, library)?, rounds)?;
        Ok(Reply::Done)
    }

    fn judge(
        &mut self,
        spec: &WorkloadSpec,
        library: &LibraryFile,
        sink_state: &[u8],
    ) -> Result<Reply, Failure> {
        let outcome: Outcome = self.workload(spec, library)?.outcome(sink_state)?;
        Ok(Reply::Outcome { outcome })
    }

    fn time(
        &mut self,
        spec: &WorkloadSpec,
        library: &LibraryFile,
        stage: usize,
        seconds: f64,
    ) -> Result<Reply, Failure> {
        let workload = self.workload(spec, library)?;
        let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        Ok(Reply::Timed { cores: reference::time_calls(&workload, stage, duration)? })
    }

    fn library(&mut self, file: &LibraryFile) -> Result<&WorkloadLibrary, LoadError> {
        if !self.libraries.contains_key(&file.path) {
            let library = load::workloads(file)?;
            self.libraries.insert(file.path.clone(), library);
        }
        let refused = || LoadError::Symbol { path: file.path.clone(), symbol: "its workloads".into() };
        self.libraries.get(&file.path).ok_or_else(refused)
    }

    fn workload(&mut self, spec: &WorkloadSpec, library: &LibraryFile) -> Result<WorkloadHandle, Failure> {
        // The handle's own path is that of what was opened, which may be a copy.
        let same =
            |(path, opened): &&(PathBuf, WorkloadHandle)| opened.spec() == spec && *path == library.path;
        if let Some((_, opened)) = self.opened.as_ref().filter(same) {
            return Ok(opened.clone());
        }
        // The old one goes first: two tables at once would double the memory.
        self.opened = None;
        let opened = self.library(library)?.open(spec)?;
        self.opened = Some((library.path.clone(), opened.clone()));
        Ok(opened)
    }
}

fn divert(stdout: &Path) -> Result<Reply, Failure> {
    let cannot = |error: std::io::Error| RunnerError::new(ErrorKind::Internal, error.to_string());
    let file = std::fs::File::create(stdout).map_err(cannot)?;
    rustix::stdio::dup2_stdout(file).map_err(|error| cannot(error.into()))?;
    Ok(Reply::Done)
}

fn finished(result: RunResult, duration: Duration) -> Result<Finished, RunnerError> {
    let RunResult { backend, scheduler_name, elapsed_time, results_count, sink_state, metrics } = result;
    Ok(Finished {
        backend: bounds::name(backend),
        scheduler_name: bounds::name(scheduler_name),
        elapsed_time: elapsed_time.is_finite().then_some(elapsed_time),
        results_count,
        duration_seconds: duration.as_secs_f64(),
        sink_state: bounds::sink_state(sink_state)?,
        metrics: bounds::metrics(metrics),
    })
}
