//! A runner in its worker, before its engine runs.

use std::path::Path;
use std::time::Instant;

use plugin_api::workload::CatalogueEntry;
use plugin_api::{Availability, Parameter, Session, SetupRequest, WorkloadSpec};

use super::engine::{Engine, leftovers};
use super::event::{Event, Forward, Listener, Phase};
use crate::run::session::{CallError, Deaf, Launch, WorkerSession};
use crate::worker::cheating_backend::{Cheat, NAME};
use crate::worker::protocol::{Folders, LibraryFile, Reply, Request};

/// Keys of `extra` that every backend reads, or the host itself.
const COMMON_OPTIONS: [&str; 3] = ["batch_size", "fusion", "max_wait_seconds"];

/// A runner in its worker.
pub(crate) struct Backend {
    session: WorkerSession,
    /// Its own name, in lower case.
    name: String,
    options: Vec<Parameter>,
    load_seconds: f64,
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
        let started = Instant::now();
        let mut session = WorkerSession::start_backend(launch, log)?;
        let request = Request::LoadRunner { library: library.clone() };
        match session.call("load", request, Some(launch.deadlines.load), &mut Deaf) {
            Ok(Reply::Loaded { name: said, .. }) if said.to_lowercase() != name => {
                session.dismiss();
                Err(CallError::other_name(&library.path, name, &said))
            }
            Ok(Reply::Loaded { options, .. }) => {
                let (name, load_seconds) = (name.to_owned(), started.elapsed().as_secs_f64());
                Ok(Self { session, name, options, load_seconds })
            }
            Ok(_) => Err(CallError::unexpected("load")),
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
        Ok(Self { session, name: NAME.into(), options: Vec::new(), load_seconds: 0.0 })
    }

    /// Its own name, in lower case.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Keys of `extra` that nobody reads, as one warning each.
    pub(crate) fn unknown_options(&self, spec: &WorkloadSpec, workload: &CatalogueEntry) -> Vec<String> {
        let parameters = workload.parameters.iter().chain(&self.options);
        let known: Vec<_> =
            parameters.map(|parameter| parameter.name.as_str()).chain(COMMON_OPTIONS).collect();
        let unknown = spec.extra.keys().filter(|key| !known.contains(&key.as_str()));
        let names = known.join(", ");
        unknown
            .map(|key| format!("extra.{key} is read by nobody; workload and backend know {names}"))
            .collect()
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
