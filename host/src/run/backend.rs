//! A runner in its worker, before its engine runs.

use std::path::Path;
use std::time::{Duration, Instant};

use plugin_api::workload::CatalogueEntry;
use plugin_api::{Availability, Parameter, Session, SetupRequest, WorkloadSpec};

use super::engine::{Engine, leftovers};
use super::event::{Event, Forward, Listener, Phase};
use crate::run::session::{AT_ONCE, CallError, Deaf, Launch, WorkerSession};
use crate::worker::cheating_backend::{Cheat, NAME};
use crate::worker::protocol::{Folders, LibraryFile, Reply, Request, ResourceSnapshot};

/// Keys of `extra` that every backend reads, or the host itself.
const COMMON_OPTIONS: [&str; 3] = ["batch_size", "fusion", "max_wait_seconds"];

/// A runner in its worker.
pub(crate) struct Backend {
    session: WorkerSession,
    /// Its name by its metadata, in lower case.
    name: String,
    loaded: Loaded,
    load_seconds: f64,
}

/// What loading a backend showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loaded {
    /// What it calls itself.
    pub said_name: String,
    /// What it reads from `extra`.
    pub options: Vec<Parameter>,
    /// How long it took, in a worker that had started.
    pub took: Duration,
}

/// An engine that did not start.
#[derive(Debug)]
pub(crate) struct NotOpened {
    /// Why.
    pub error: CallError,
    /// What it left behind.
    pub warnings: Vec<String>,
}

impl Backend {
    /// Starts a worker and loads the runner in `library`, which must call itself `name`.
    ///
    /// # Errors
    /// When the file is refused, crashes, hangs, or says another name than its metadata.
    pub(crate) fn load(
        launch: &Launch,
        library: &LibraryFile,
        name: &str,
        log: &Path,
    ) -> Result<Self, CallError> {
        let backend = Self::load_any_name(launch, library, name, log, None)?;
        let said = &backend.loaded.said_name;
        if said.to_lowercase() == name {
            return Ok(backend);
        }
        let error = CallError::other_name(&library.path, name, said);
        backend.end();
        Err(error)
    }

    /// As [`load`](Self::load), whatever the runner calls itself. What is printed on standard output goes to the file at
    /// `stdout`, if one is given, and to the log otherwise.
    ///
    /// # Errors
    /// When the file is refused, crashes, or hangs.
    pub(crate) fn load_any_name(
        launch: &Launch,
        library: &LibraryFile,
        name: &str,
        log: &Path,
        stdout: Option<&Path>,
    ) -> Result<Self, CallError> {
        let started = Instant::now();
        let mut session = WorkerSession::start_backend(launch, log)?;
        match load_in(&mut session, library, stdout) {
            Ok(loaded) => {
                let (name, load_seconds) = (name.to_owned(), started.elapsed().as_secs_f64());
                Ok(Self { session, name, loaded, load_seconds })
            }
            Err(error) => {
                session.dismiss();
                Err(error)
            }
        }
    }

    /// Starts a worker with the backend that cheats.
    ///
    /// # Errors
    /// When no worker can be started.
    pub(crate) fn cheating(launch: &Launch, cheat: Cheat, log: &Path) -> Result<Self, CallError> {
        let mut session = WorkerSession::start_backend(launch, log)?;
        let limit = Some(launch.deadlines.load);
        session.call("load", Request::Cheat { cheat }, limit, &mut Deaf)?;
        Ok(Self { session, name: NAME.into(), loaded: Loaded::default(), load_seconds: 0.0 })
    }

    /// Its own name, in lower case.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Keys of `extra` that nobody reads, as one warning each.
    pub(crate) fn unknown_options(&self, spec: &WorkloadSpec, workload: &CatalogueEntry) -> Vec<String> {
        let parameters = workload.parameters.iter().chain(&self.loaded.options);
        let known: Vec<_> =
            parameters.map(|parameter| parameter.name.as_str()).chain(COMMON_OPTIONS).collect();
        let unknown = spec.extra.keys().filter(|key| !known.contains(&key.as_str()));
        let names = known.join(", ");
        unknown
            .map(|key| format!("extra.{key} is read by nobody; workload and backend know {names}"))
            .collect()
    }

    /// What loading it showed.
    pub(crate) fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// What the worker's process has before the engine is started.
    ///
    /// # Errors
    /// When the worker dies or hangs.
    pub(crate) fn snapshot(&mut self) -> Result<ResourceSnapshot, CallError> {
        self.session.snapshot()
    }

    /// Seconds from starting the worker until the library was loaded.
    pub(crate) fn load_seconds(&self) -> f64 {
        self.load_seconds
    }

    /// Whether the backend could start.
    ///
    /// # Errors
    /// When it crashes or hangs.
    pub(crate) fn probe(&mut self) -> Result<Availability, CallError> {
        let deadline = self.session.deadlines().probe;
        match self.session.call("probe", Request::Probe, Some(deadline), &mut Deaf)? {
            Reply::Probed { availability } => Ok(availability),
            _ => Err(CallError::unexpected("probe")),
        }
    }

    /// Lets the backend install or remove what it needs. Without a deadline: downloads take their time, and the user
    /// can interrupt.
    ///
    /// # Errors
    /// What the backend says, or how it died.
    pub(crate) fn setup(
        &mut self,
        request: SetupRequest,
        folders: Folders,
        listener: Listener<'_>,
    ) -> Result<(), CallError> {
        let request = Request::Setup { request, folders };
        self.session.call("setup", request, None, &mut Forward(listener)).map(|_| ())
    }

    /// Starts the engine.
    ///
    /// # Errors
    /// What the backend says, or how it died; the worker is ended.
    pub(crate) fn open(mut self, session: Session, listener: Listener<'_>) -> Result<Engine, NotOpened> {
        listener(&Event::Phase(Phase::Opening));
        let started = Instant::now();
        let (request, deadline) = (Request::Open { session }, self.session.deadlines().open);
        match self.session.call("open", request, Some(deadline), &mut Forward(listener)) {
            Ok(_) => {
                Ok(Engine::new(self.session, self.name, self.load_seconds, started.elapsed().as_secs_f64()))
            }
            Err(error) => Err(NotOpened { error, warnings: leftovers(self.session.end()) }),
        }
    }

    /// Ends the worker.
    pub(crate) fn end(self) {
        self.session.dismiss();
    }
}

fn load_in(
    session: &mut WorkerSession,
    library: &LibraryFile,
    stdout: Option<&Path>,
) -> Result<Loaded, CallError> {
    if let Some(stdout) = stdout {
        let redirect = Request::Redirect { stdout: stdout.into() };
        session.call("start", redirect, Some(AT_ONCE), &mut Deaf)?;
    }
    let (started, deadline) = (Instant::now(), session.deadlines().load);
    let request = Request::LoadRunner { library: library.clone() };
    match session.call("load", request, Some(deadline), &mut Deaf)? {
        Reply::Loaded { name, options } => Ok(Loaded { said_name: name, options, took: started.elapsed() }),
        _ => Err(CallError::unexpected("load")),
    }
}
