//! The plugin that is checked, in a worker of its own.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use plugin_api::{Availability, Parameter, Session, WorkloadSpec};

use crate::plugin::PluginRef;
use crate::run::executor::log_file;
use crate::run::session::{CallError, Deaf, Launch, WorkerSession};
use crate::sandbox::Ending;
use crate::worker::protocol::{Finished, Folders, LibraryFile, Reply, Request, ResourceSnapshot};

/// When a run is ended.
pub(super) const TIMEOUT: Duration = Duration::from_secs(120);

/// How long a worker may take for what is no plugin's business.
const AT_ONCE: Duration = Duration::from_secs(10);

/// How much is looked at of what is printed.
const BEGINNING: u64 = 200;

/// A backend in its worker.
pub(super) struct Subject {
    session: WorkerSession,
    folders: Folders,
    stdout: PathBuf,
    /// What it calls itself.
    pub(super) name: String,
    /// What it reads from `extra`.
    pub(super) options: Vec<Parameter>,
    /// How long loading took, without starting the worker.
    pub(super) loading: Duration,
}

impl Subject {
    /// Starts the worker with this number, and loads the backend.
    pub(super) fn load(
        launch: &Launch,
        plugin: &PluginRef,
        folders: Folders,
        number: usize,
    ) -> Result<Self, CallError> {
        let log = log_file(&folders.log_dir, &format!("{}-{number}", plugin.metadata.name));
        let stdout = log.with_extension("stdout.log");
        let mut session = WorkerSession::start_backend(launch, &log)?;
        let redirect = Request::Redirect { stdout: stdout.clone() };
        let loaded = session.call("start", redirect, Some(AT_ONCE), &mut Deaf).and_then(|_| {
            let request = Request::LoadRunner { library: LibraryFile::from(plugin) };
            let started = Instant::now();
            let reply = session.call("load", request, Some(launch.deadlines.load), &mut Deaf)?;
            Ok((reply, started.elapsed()))
        });
        match loaded {
            Ok((Reply::Loaded { name, options }, loading)) => {
                Ok(Self { session, folders, stdout, name, options, loading })
            }
            Ok(_) => Err(CallError::unexpected("load")),
            Err(error) => {
                session.dismiss();
                Err(error)
            }
        }
    }

    pub(super) fn probe(&mut self) -> Result<Availability, CallError> {
        let deadline = self.session.deadlines().probe;
        match self.session.call("probe", Request::Probe, Some(deadline), &mut Deaf)? {
            Reply::Probed { availability } => Ok(availability),
            _ => Err(CallError::unexpected("probe")),
        }
    }

    /// Starts the engine for a first run of `spec`.
    pub(super) fn open(&mut self, spec: &WorkloadSpec) -> Result<(), CallError> {
        self.open_on(spec, 1)
    }

    /// As [`open`](Subject::open), on `nodes` machines.
    pub(super) fn open_on(&mut self, spec: &WorkloadSpec, nodes: u32) -> Result<(), CallError> {
        let session = Session {
            parallelism: spec.parallelism,
            nodes,
            options: spec.extra.clone(),
            data_dir: self.folders.data_dir.clone(),
            log_dir: self.folders.log_dir.clone(),
        };
        let deadline = self.session.deadlines().open;
        self.session.call("open", Request::Open { session }, Some(deadline), &mut Deaf).map(|_| ())
    }

    fn run_request(&self, spec: &WorkloadSpec, library: &LibraryFile) -> Request {
        Request::Run {
            spec: spec.clone(),
            library: library.clone(),
            folders: self.folders.clone(),
            timeout_seconds: Some(TIMEOUT.as_secs_f64()),
        }
    }

    /// What a run came to, and how long it took from request to reply.
    pub(super) fn run(
        &mut self,
        spec: &WorkloadSpec,
        library: &LibraryFile,
    ) -> Result<(Finished, f64), CallError> {
        let request = self.run_request(spec, library);
        let started = Instant::now();
        match self.session.call("run", request, Some(TIMEOUT), &mut Deaf)? {
            Reply::Finished(finished) => Ok((*finished, started.elapsed().as_secs_f64())),
            _ => Err(CallError::unexpected("run")),
        }
    }

    /// Asks a run to stop `after` it was begun, and gives it up when `grace` has passed from then on. How it ended, and how
    /// long after it was asked that was; nothing if it had ended before.
    pub(super) fn run_and_cancel(
        &mut self,
        spec: &WorkloadSpec,
        library: &LibraryFile,
        after: Duration,
        grace: Duration,
    ) -> Result<(Reply, Option<Duration>), CallError> {
        let request = self.run_request(spec, library);
        self.session.call_and_cancel("run", &request, after, grace)
    }

    /// Stops the engine, and says how long that took.
    pub(super) fn close(&mut self) -> Result<Duration, CallError> {
        let (started, deadline) = (Instant::now(), self.session.deadlines().close);
        self.session.call("close", Request::Close, Some(deadline), &mut Deaf)?;
        Ok(started.elapsed())
    }

    /// What the worker's process has.
    pub(super) fn snapshot(&mut self) -> Result<ResourceSnapshot, CallError> {
        match self.session.call("census", Request::Snapshot, Some(AT_ONCE), &mut Deaf)? {
            Reply::Snapshot(snapshot) => Ok(snapshot),
            _ => Err(CallError::unexpected("census")),
        }
    }

    /// The beginning of what was printed on standard output so far.
    pub(super) fn printed(&self) -> String {
        let mut bytes = Vec::new();
        if let Ok(file) = File::open(&self.stdout) {
            let _ = file.take(BEGINNING).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Ends the worker, and says how that went.
    pub(super) fn end(self) -> Option<Ending> {
        self.session.end()
    }

    /// Ends the worker.
    pub(super) fn dismiss(self) {
        self.session.dismiss();
    }
}
