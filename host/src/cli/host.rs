//! What every verb stands on: the folders, what was found in them, and workers.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};

use plugin_api::workload::CatalogueEntry;

use super::limits::{self, LimitArguments};
use super::{Exit, GlobalArguments, Problem};
use crate::discover::{Outcome, Search};
use crate::dispatch::{self, Backend};
use crate::inspect::Inspected;
use crate::isolate::{Cores, Interrupt};
use crate::judge::Judge;
use crate::protocol::{Folders, LibraryFile};
use crate::record::Library;
use crate::registry::GetError;
use crate::registry::survey::{Row, Status, Survey};
use crate::session::{CallError, Deaf, Isolation, Launch, WorkerSession};
use crate::ui::{Ui, plural};

/// What every verb stands on.
pub(super) struct Host {
    data_dir: PathBuf,
    explicit: Vec<PathBuf>,
    launch: Launch,
    survey: Survey,
}

impl Host {
    pub(super) fn new(global: &GlobalArguments, isolation: Isolation, ui: &Ui) -> Result<Self, Problem> {
        let data_dir = data_dir()?;
        let executable = std::env::current_exe().map_err(|error| Problem::unexpected(&error))?;
        let search = if global.plugin_dir.is_empty() {
            Search::usual(global.plugin_path.as_deref(), &executable, &data_dir)
        } else {
            Search::explicit(global.plugin_dir.clone())
        };
        let survey = Survey::of(&search);
        let explicit = absolute(&global.plugin_dir)?;
        if !explicit.is_empty() {
            check_explicit(&survey)?;
        }
        let interrupt = Interrupt::install().map_err(|error| Problem::unexpected(&error))?;
        let (limits, deadlines) = (limits::of_environment()?, limits::deadlines()?);
        let log_level = ui.log_level();
        let launch = Launch { isolation, executable, log_level, limits, deadlines, interrupt, cores: None };
        Ok(Self { data_dir, explicit, launch, survey })
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(super) fn interrupt(&self) -> &Interrupt {
        &self.launch.interrupt
    }

    /// What workers may take, as far as the command line says so.
    pub(super) fn limit(&mut self, arguments: &LimitArguments) {
        arguments.apply(&mut self.launch.limits);
    }

    pub(super) fn launch(&self) -> &Launch {
        &self.launch
    }

    pub(super) fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Keeps all workers, and what they start, to `count` cores.
    pub(super) fn keep_to(&mut self, count: u32) -> Result<(), Problem> {
        let cores = Cores::choose(count as usize).map_err(|there_are| {
            let there_are = there_are as u64;
            Problem::usage(format!("--cores {count}: this process may use {}", plural(there_are, "core")))
                .with_remedy(format!("--cores {there_are}"))
        })?;
        self.launch.cores = Some(cores);
        Ok(())
    }

    /// The numbers of the cores that workers are kept to.
    pub(super) fn cores(&self) -> Option<Vec<usize>> {
        self.launch.cores.as_ref().map(|cores| cores.numbers().to_vec())
    }

    /// The folders that were named on the command line, for a command that can be run from anywhere.
    pub(super) fn explicit_folders(&self) -> &[PathBuf] {
        &self.explicit
    }

    /// The file of the backend `name`.
    pub(super) fn runner(&self, name: &str) -> Result<Inspected, Problem> {
        self.survey.runners.get(name).cloned().map_err(|error| match (&error, self.rejected(name)) {
            (GetError::Unknown { .. }, Some(row)) => rejected_backend(name, row),
            _ => self.nowhere(&error, "crossrun backends"),
        })
    }

    /// The file of the library that has the workload `name`.
    pub(super) fn workload_library(&self, name: &str) -> Result<Inspected, Problem> {
        self.survey.workloads.get(name).cloned().map_err(|error| self.nowhere(&error, "crossrun workloads"))
    }

    /// The file that would be the backend `name` by its own name, but was rejected.
    fn rejected(&self, name: &str) -> Option<&Row> {
        let file = format!("{DLL_PREFIX}{}_runner{DLL_SUFFIX}", name.to_lowercase());
        let rejected = self.survey.rows.iter().filter(|row| row.status == Status::Rejected);
        rejected.into_iter().find(|row| row.path.file_name().is_some_and(|found| found == file.as_str()))
    }

    fn nowhere(&self, error: &GetError, listing: &str) -> Problem {
        let folders = self.survey.trace.iter().filter(|looked| looked.outcome != Outcome::Missing);
        let folders: Vec<_> = folders.map(|looked| looked.folder.display().to_string()).collect();
        let folders =
            if folders.is_empty() { "no folder that exists".to_owned() } else { folders.join(", ") };
        let rejected = self.survey.rows.iter().filter(|row| row.status == Status::Rejected).count() as u64;
        let rejected = match rejected {
            0 => String::new(),
            count => format!("; {} there rejected", plural(count, "file")),
        };
        let message = format!("{error} (looked in {folders}{rejected})");
        let remedy = match error {
            GetError::Unknown { what: "backend", near: Some(near), .. } => format!("--backend {near}"),
            GetError::Unknown { near: Some(near), .. } => format!("--workload {near}"),
            _ => listing.to_owned(),
        };
        Problem::new(Exit::Unavailable, message).with_remedy(remedy)
    }

    /// The folders of a run, made.
    pub(super) fn folders(&self, run_id: &str) -> Result<Folders, Problem> {
        let log_dir = self.data_dir.join("logs").join(run_id);
        std::fs::create_dir_all(&log_dir).map_err(|error| {
            let message = format!("cannot make the folder {}: {error}", log_dir.display());
            Problem::new(Exit::Unexpected, message)
                .with_remedy("export CROSSRUN_DATA_DIR=DIR, with a folder that you may write to")
        })?;
        Ok(Folders { data_dir: self.data_dir.clone(), log_dir })
    }

    /// Removes the logs that stayed empty.
    pub(super) fn tidy(&self, folders: &Folders) {
        for entry in std::fs::read_dir(&folders.log_dir).into_iter().flatten().flatten() {
            if entry.metadata().is_ok_and(|status| status.is_file() && status.len() == 0) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        // Only if nothing is left in it.
        let _ = std::fs::remove_dir(&folders.log_dir);
    }

    /// Starts a worker with the runner in it.
    pub(super) fn load(&self, runner: &Inspected, folders: &Folders) -> Result<Backend, CallError> {
        let name = &runner.metadata.name;
        let log = dispatch::log_file(&folders.log_dir, name);
        Backend::load(&self.launch, &library_file(runner), name, &log)
    }

    /// Starts a judge over a library of workloads.
    pub(super) fn judge(&self, library: &Inspected, folders: &Folders) -> Result<Judge, Problem> {
        let session = WorkerSession::start(&self.launch, &dispatch::log_file(&folders.log_dir, "judge"))?;
        Ok(Judge::new(session, library_file(library), &self.data_dir))
    }

    /// The workloads of a library.
    pub(super) fn catalogue(
        &self,
        library: &Inspected,
        folders: &Folders,
    ) -> Result<Vec<CatalogueEntry>, Problem> {
        let mut judge = self.judge(library, folders)?;
        let entries = judge.catalogue(&mut Deaf);
        judge.end();
        Ok(entries?)
    }

    /// Waits for the right to set up `name`: two set-ups of one backend at once would write the same files.
    pub(super) fn setup_lock(&self, name: &str) -> Result<std::fs::File, Problem> {
        let path = self.data_dir.join(format!("setup-{name}.lock"));
        let cannot = |error: std::io::Error| {
            Problem::new(Exit::SetupFailed, format!("cannot lock {}: {error}", path.display()))
        };
        let file = std::fs::File::create(&path).map_err(cannot)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::Error(error)) => return Err(cannot(error)),
                Err(std::fs::TryLockError::WouldBlock) if self.interrupt().is_set() => {
                    return Err(Problem::new(Exit::Interrupted, "interrupted while another set-up ran"));
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    std::thread::sleep(std::time::Duration::from_millis(100))
                }
            }
        }
    }
}

fn rejected_backend(name: &str, row: &Row) -> Problem {
    let reason = row.reason.as_deref().unwrap_or_default();
    let message = format!("backend {name:?} was rejected: {}: {reason}", row.path.display());
    Problem::new(Exit::Unavailable, message).with_remedy(row.remedy.clone().unwrap_or_default())
}

/// One workload of a judge's library.
pub(super) fn entry(judge: &mut Judge, name: &str) -> Result<CatalogueEntry, Problem> {
    let entries = judge.catalogue(&mut Deaf)?;
    let missing = || {
        let message =
            format!("the library has a workload {name:?} by its metadata, but not in its catalogue");
        Problem::new(Exit::Unavailable, message)
    };
    entries.into_iter().find(|entry| entry.name.eq_ignore_ascii_case(name)).ok_or_else(missing)
}

pub(super) fn library_file(library: &Inspected) -> LibraryFile {
    LibraryFile { path: library.path.clone(), sha256: library.sha256.clone() }
}

/// A library as records have it.
pub(super) fn library_record(library: &Inspected) -> Library {
    let mut record = Library::new(&library.path, &library.sha256);
    record.version = Some(library.metadata.version.clone());
    record.build = library.metadata.build();
    record
}

fn data_dir() -> Result<PathBuf, Problem> {
    plugin_api::data_dir().ok_or_else(|| {
        Problem::usage("there is no home directory to keep data in")
            .with_remedy("export CROSSRUN_DATA_DIR=DIR")
    })
}

fn absolute(folders: &[PathBuf]) -> Result<Vec<PathBuf>, Problem> {
    let absolute = folders.iter().map(std::path::absolute).collect::<Result<_, _>>();
    absolute.map_err(|error| Problem::usage(format!("--plugin-dir: {error}")))
}

/// A folder that was named must be there.
fn check_explicit(survey: &Survey) -> Result<(), Problem> {
    for looked in &survey.trace {
        let why = match &looked.outcome {
            Outcome::Searched { .. } => continue,
            Outcome::Missing => "there is no such folder",
            Outcome::Unreadable { why } => why,
        };
        return Err(Problem::usage(format!("--plugin-dir {}: {why}", looked.folder.display())));
    }
    Ok(())
}
