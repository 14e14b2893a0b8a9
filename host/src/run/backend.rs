//! A backend that is loaded in its worker, before its engine starts.

use std::path::Path;
use std::time::Instant;

use plugin_api::workload::CatalogueEntry;
use plugin_api::{Availability, Parameter, Session, SetupRequest, WorkloadSpec};
use serde_json::{Map, Value};

use super::engine::{Engine, teardown_warnings};
use super::event::{Event, Listener, Phase, forward};
use super::reports::call_apart;
use super::session::{CallError, Launch, NO_PLUGIN, START, WorkerSession};
use super::trial::Phases;
use crate::first_seen::distinct;
use crate::sandbox::stop::{self, Stopped};
use crate::worker::cheat::{Cheat, NAME};
use crate::worker::protocol::{Folders, LibraryFile, Loaded, Request};

/// The key of `extra` that limits the time of a single run, which the host reads.
pub(crate) const MAX_WAIT: &str = "max_wait_seconds";

/// A backend that is loaded in its worker. All that it is asked for fails with its own error, or when it crashes, hangs, or its file is
/// refused.
pub(crate) struct Backend {
    pub(crate) session: WorkerSession,
    /// The name in its metadata, in lower case.
    pub(crate) name: String,
    pub(crate) loaded: Loaded,
    /// Seconds from starting the worker until the library was loaded.
    pub(super) load_seconds: f64,
}

impl Backend {
    /// Starts a worker and loads the runner in `library`, which must report the name `name`.
    pub(crate) fn load(
        launch: &Launch,
        library: &LibraryFile,
        name: &str,
        log: &Path,
    ) -> Result<Self, CallError> {
        let backend = Self::load_any_name(launch, library, name, log, None)?;
        let reported = &backend.loaded.reported_name;
        if reported.to_lowercase() == name {
            return Ok(backend);
        }
        let error = CallError::other_name(&library.path, name, reported);
        backend.end();
        Err(error)
    }

    /// As [`load`](Self::load), whatever name the runner reports. Standard output goes to the file at `stdout`, or to the log
    /// without one.
    pub(crate) fn load_any_name(
        launch: &Launch,
        library: &LibraryFile,
        name: &str,
        log: &Path,
        stdout: Option<&Path>,
    ) -> Result<Self, CallError> {
        let started = Instant::now();
        let mut session = WorkerSession::start(launch, log, true)?;
        match load_in(&mut session, library, stdout) {
            Ok(loaded) => {
                let (name, load_seconds) = (name.to_owned(), started.elapsed().as_secs_f64());
                Ok(Self { session, name, loaded, load_seconds })
            }
            Err(error) => {
                session.discard();
                Err(error)
            }
        }
    }

    /// Starts a worker with the cheating backend.
    pub(crate) fn cheating(launch: &Launch, cheat: Cheat, log: &Path) -> Result<Self, CallError> {
        let mut session = WorkerSession::start(launch, log, true)?;
        session.ask::<()>("load", Request::Cheat { cheat }, launch.deadlines.load)?;
        Ok(Self { session, name: NAME.into(), loaded: Loaded::default(), load_seconds: 0.0 })
    }

    /// A warning for each key of `extra` that neither the workload nor the backend reads.
    pub(crate) fn unknown_options(&self, spec: &WorkloadSpec, workload: &CatalogueEntry) -> Vec<String> {
        let parameters = workload.parameters.iter().chain(&self.loaded.options);
        without_effect(&spec.extra, read_in_runs(parameters), "the workload and the backend read")
    }

    /// Fails if the backend does not support a word of what a workload needs.
    pub(crate) fn check_supports(&self, needs: &[String]) -> Result<(), CallError> {
        check_supports(&self.loaded.supports, needs)
    }

    /// Whether the backend could start.
    pub(crate) fn probe(&mut self) -> Result<Availability, CallError> {
        let deadline = self.session.deadlines.probe;
        self.session.ask("probe", Request::Probe, deadline)
    }

    /// Lets the backend install or remove what it needs. There is no deadline: a download may take any time, and the user can
    /// interrupt.
    pub(crate) fn setup(
        &mut self,
        request: SetupRequest,
        folders: Folders,
        listener: Listener<'_>,
    ) -> Result<(), CallError> {
        let request = Request::Setup { request, folders };
        self.session.call("setup", request, None, &mut forward(listener)).map(|_| ())
    }

    /// Starts the engine.
    ///
    /// # Errors
    /// The backend's error, or how it died, and the warnings of the end of its worker.
    pub(crate) fn open(
        mut self,
        session: Session,
        listener: Listener<'_>,
    ) -> Result<Engine, (CallError, Vec<String>)> {
        listener(&Event::Phase(Phase::Opening));
        let (stops, request) = (stop::Since::now(), Request::Open { session });
        let deadline = self.session.deadlines.open;
        match call_apart(&mut self.session, "open", &request, deadline, &mut forward(listener)) {
            Ok((_, seconds)) => {
                // A time in which this machine or crossrun was stopped says nothing.
                let open_seconds = matches!(stops.stopped(), Stopped::Nothing).then_some(seconds);
                let load_seconds = Some(self.load_seconds);
                let phases = Phases { load_seconds, open_seconds, ..Phases::default() };
                Ok(Engine::new(self.session, self.name, self.loaded, phases))
            }
            Err(error) => Err((error, teardown_warnings(self.session.end()))),
        }
    }

    /// Ends the worker.
    pub(crate) fn end(self) {
        self.session.discard();
    }
}

/// Fails if a word of what a workload needs is not among those that a backend supports.
pub(super) fn check_supports(supports: &[String], needs: &[String]) -> Result<(), CallError> {
    let lacking = needs.iter().find(|word| !supports.contains(word));
    lacking.map_or(Ok(()), |word| Err(CallError::unsupported(word)))
}

fn load_in(
    session: &mut WorkerSession,
    library: &LibraryFile,
    stdout: Option<&Path>,
) -> Result<Loaded, CallError> {
    if let Some(stdout) = stdout {
        let redirect = Request::Redirect { stdout: stdout.into() };
        session.ask::<()>(START, redirect, NO_PLUGIN)?;
    }
    let (started, deadline) = (Instant::now(), session.deadlines.load);
    let request = Request::LoadRunner { library: library.clone() };
    let loaded: Loaded = session.ask("load", request, deadline)?;
    Ok(Loaded { took: started.elapsed(), ..loaded })
}

/// The keys of `extra` that a trial reads: `parameters`, and those that every backend reads.
pub(crate) fn read_in_trials<'a>(
    parameters: impl Iterator<Item = &'a Parameter>,
) -> impl Iterator<Item = &'a str> {
    parameters.map(|parameter| parameter.name.as_str()).chain(["batch_size", "fusion"])
}

/// The keys that `crossrun run` reads.
pub(crate) fn read_in_runs<'a>(
    parameters: impl Iterator<Item = &'a Parameter>,
) -> impl Iterator<Item = &'a str> {
    read_in_trials(parameters).chain([MAX_WAIT])
}

/// A warning for each key of `extra` that is none of those `known`, with who `reads` these.
pub(crate) fn without_effect<'a>(
    extra: &Map<String, Value>,
    known: impl Iterator<Item = &'a str>,
    reads: &str,
) -> Vec<String> {
    let known = distinct(known);
    let unknown = extra.keys().filter(|key| !known.contains(&key.as_str()));
    let names = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    unknown.map(|key| format!("extra.{key} has no effect: {reads} {names}")).collect()
}
