//! The state of a worker between requests, and the failure of a request.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use log::LevelFilter;
use plugin_api::workload::WorkloadLibrary;
use plugin_api::{ErrorKind, HostServices, RunnerError, WorkloadHandle, WorkloadRunner};

use super::load::{self, LoadError};
use super::protocol::{LibraryFile, Refusal, Work};

/// The state of a worker between requests.
pub(crate) struct Worker {
    pub(super) host: Arc<dyn HostServices>,
    pub(super) log_level: LevelFilter,
    runner: Option<Box<dyn WorkloadRunner>>,
    libraries: HashMap<PathBuf, WorkloadLibrary>,
    /// How many seconds loading each library took.
    loading: HashMap<PathBuf, f64>,
    /// The workload of the last run and the file of its library: opening a workload may cost as much as a run.
    opened: Option<(PathBuf, WorkloadHandle)>,
    /// Whether the cheating backend slows the clock.
    pub(super) has_slow_clock: bool,
}

pub(super) struct Failure {
    pub(super) error: RunnerError,
    /// Set if the file itself was refused.
    pub(super) refused: Option<Refusal>,
}

impl From<RunnerError> for Failure {
    fn from(error: RunnerError) -> Self {
        Self { error, refused: None }
    }
}

impl From<plugin_api::WorkloadError> for Failure {
    fn from(error: plugin_api::WorkloadError) -> Self {
        RunnerError::from(error).into()
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let refusal = match error {
            LoadError::Runner(error) => return error.into(),
            LoadError::Abi { .. } => Refusal::Abi,
            LoadError::Changed { .. } | LoadError::Unreadable { .. } => Refusal::Changed,
            _ => Refusal::Other,
        };
        let remedy = error.remedy();
        let error = RunnerError { remedy, ..RunnerError::new(ErrorKind::Unavailable, error.to_string()) };
        Self { error, refused: Some(refusal) }
    }
}

impl Worker {
    /// A worker that has loaded nothing and reports to `host`.
    pub(crate) fn new(host: Arc<dyn HostServices>, log_level: LevelFilter) -> Self {
        Self {
            host,
            log_level,
            runner: None,
            libraries: HashMap::new(),
            loading: HashMap::new(),
            opened: None,
            has_slow_clock: false,
        }
    }

    /// Sets the backend. A library that was loaded before is loaded anew, as its table gives answers.
    pub(super) fn set_runner(&mut self, runner: Box<dyn WorkloadRunner>) {
        self.opened = None;
        self.libraries.clear();
        self.runner = Some(runner);
    }

    /// The backend, once one has been loaded.
    pub(super) fn runner(&mut self) -> Result<&mut Box<dyn WorkloadRunner>, RunnerError> {
        let missing = || RunnerError::new(ErrorKind::Internal, "no runner has been loaded");
        self.runner.as_mut().ok_or_else(missing)
    }

    /// A library, loaded once. It gives its answers only to a judge: a worker without a backend.
    pub(super) fn library(&mut self, file: &LibraryFile) -> Result<&WorkloadLibrary, LoadError> {
        let is_judge = self.runner.is_none();
        Ok(match self.libraries.entry(file.path.clone()) {
            Entry::Occupied(library) => library.into_mut(),
            Entry::Vacant(place) => {
                let started = Instant::now();
                let library = if is_judge {
                    load::workloads_of_judge(file)?
                } else {
                    load::workloads_beside_backend(file).map_err(LoadError::beside_backend)?
                };
                self.loading.insert(file.path.clone(), started.elapsed().as_secs_f64());
                place.insert(if is_judge { library } else { library.without_answers() })
            }
        })
    }

    /// Opens a workload, even if it is open. Also returns how many seconds loading the library and opening took.
    pub(super) fn reopen(&mut self, work: &Work) -> Result<(WorkloadHandle, f64), Failure> {
        self.opened = None;
        self.library(&work.library)?;
        let started = Instant::now();
        let workload = self.workload(work)?;
        let loading = self.loading.get(&work.library.path).copied().unwrap_or_default();
        Ok((workload, loading + started.elapsed().as_secs_f64()))
    }

    /// A workload, which stays open until another one is asked for.
    pub(super) fn workload(&mut self, Work { spec, library }: &Work) -> Result<WorkloadHandle, Failure> {
        // The handle's own path may be that of a sealed copy.
        let same =
            |(path, opened): &&(PathBuf, WorkloadHandle)| opened.spec() == spec && *path == library.path;
        if let Some((_, opened)) = self.opened.as_ref().filter(same) {
            return Ok(opened.clone());
        }
        // The old workload is closed first: two of them would need twice the memory.
        self.opened = None;
        let opened = self.library(library)?.open(spec)?;
        self.opened = Some((library.path.clone(), opened.clone()));
        Ok(opened)
    }

    /// A workload, of which an open loop started with the machine: all of its items are due by now, and none is awaited, unless the loop is
    /// longer than the machine has been running.
    pub(super) fn begun_workload(&mut self, work: &Work) -> Result<WorkloadHandle, Failure> {
        let workload = self.workload(work)?;
        if !workload.plan().open_loop || workload.start(0)? {
            return Ok(workload);
        }
        let mut long_ago = work.clone();
        long_ago.spec.start_nanos = Some(0);
        self.workload(&long_ago)
    }
}
