//! What a worker holds between requests, and why one failed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use log::LevelFilter;
use plugin_api::workload::WorkloadLibrary;
use plugin_api::{ErrorKind, HostServices, RunnerError, WorkloadHandle, WorkloadRunner, WorkloadSpec};

use super::load::{self, LoadError};
use super::protocol::{LibraryFile, Refusal};

/// What a worker holds between requests.
pub struct Worker {
    pub(super) host: Arc<dyn HostServices>,
    pub(super) log_level: LevelFilter,
    pub(super) runner: Option<Box<dyn WorkloadRunner>>,
    libraries: HashMap<PathBuf, WorkloadLibrary>,
    /// The workload of the last run and the file of its library: opening one may cost as much as a run, and runs repeat.
    opened: Option<(PathBuf, WorkloadHandle)>,
}

pub(super) struct Failure {
    pub(super) error: RunnerError,
    /// For what the file was refused, if it was.
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
            _ => Refusal::Other,
        };
        let error = RunnerError::new(ErrorKind::Unavailable, error.to_string());
        Self { error, refused: Some(refusal) }
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

    /// The backend, once one has been loaded.
    pub(super) fn runner(&mut self) -> Result<&mut Box<dyn WorkloadRunner>, RunnerError> {
        let missing = || RunnerError::new(ErrorKind::Internal, "no runner has been loaded");
        self.runner.as_mut().ok_or_else(missing)
    }

    /// A library, loaded once.
    pub(super) fn library(&mut self, file: &LibraryFile) -> Result<&WorkloadLibrary, LoadError> {
        if !self.libraries.contains_key(&file.path) {
            let library = load::workloads(file)?;
            self.libraries.insert(file.path.clone(), library);
        }
        let refused = || LoadError::Symbol { path: file.path.clone(), symbol: "its workloads".into() };
        self.libraries.get(&file.path).ok_or_else(refused)
    }

    /// A workload, opened once for as long as the same one is asked for.
    pub(super) fn workload(
        &mut self,
        spec: &WorkloadSpec,
        library: &LibraryFile,
    ) -> Result<WorkloadHandle, Failure> {
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
