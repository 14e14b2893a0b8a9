//! A runner in its worker, before its engine runs.

use std::path::Path;
use std::time::Instant;

use plugin_api::{Availability, Parameter, Session, SetupRequest};

use super::engine::{Engine, leftovers};
use super::{Event, Events, Forward};
use crate::run::session::{CallError, Deaf, Launch, WorkerSession};
use crate::worker::liar::Lie;
use crate::worker::protocol::{Folders, LibraryFile, Reply, Request};

/// A runner in its worker.
pub(crate) struct Backend {
    session: WorkerSession,
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
                Ok(Self { session, options, load_seconds: started.elapsed().as_secs_f64() })
            }
            Ok(_) => Err(CallError::unexpected("load")),
            Err(error) => {
                session.dismiss();
                Err(error)
            }
        }
    }

    /// Starts a worker with the backend that lies.
    ///
    /// # Errors
    /// When no worker can be started.
    pub(crate) fn liar(launch: &Launch, lie: Lie, log: &Path) -> Result<Self, CallError> {
        let mut session = WorkerSession::start_backend(launch, log)?;
        let limit = Some(launch.deadlines.load);
        session.call("load", Request::Lie { lie }, limit, &mut Deaf)?;
        Ok(Self::linked(session))
    }

    /// A runner that a session already has, for embedders and tests.
    pub(crate) fn linked(session: WorkerSession) -> Self {
        Self { session, options: Vec::new(), load_seconds: 0.0 }
    }

    /// What it reads from `extra`.
    pub(crate) fn options(&self) -> &[Parameter] {
        &self.options
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
        events: Events<'_>,
    ) -> Result<(), CallError> {
        let request = Request::Setup { request, folders };
        self.session.call("setup", request, None, &mut Forward(events)).map(|_| ())
    }

    /// Starts the engine.
    ///
    /// # Errors
    /// What the backend says, or how it died; the worker is ended.
    pub(crate) fn open(mut self, session: Session, events: Events<'_>) -> Result<Engine, NotOpened> {
        events(Event::Opening);
        let started = Instant::now();
        let (request, deadline) = (Request::Open { session }, self.session.deadlines().open);
        match self.session.call("open", request, Some(deadline), &mut Forward(events)) {
            Ok(_) => Ok(Engine::new(self.session, self.load_seconds, started.elapsed().as_secs_f64())),
            Err(error) => Err(NotOpened { error, warnings: leftovers(self.session.end()) }),
        }
    }

    /// Ends the worker.
    pub(crate) fn end(self) {
        self.session.dismiss();
    }
}
