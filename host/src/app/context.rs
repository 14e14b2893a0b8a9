//! What every verb stands on: the folders, what was found in them, and workers.

use std::collections::HashMap;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use plugin_api::metadata::is_name;
use plugin_api::workload::CatalogueEntry;

use super::limits::{self, LimitArguments};
use super::logs;
use super::resolve::{self, Lock};
use super::{Exit, GlobalArguments, Problem};
use crate::app::ui::Ui;
use crate::plugin::PluginRef;
use crate::plugin::discover::{Environment, PLUGINS, SearchOutcome, SearchPath, SearchedFolder};
use crate::plugin::inspect::{self, Inspected, Kind};
use crate::plugin::inventory::{Inventory, Row, Status};
use crate::plugin::registry::GetError;
use crate::plugin::trust::Trust;
use crate::plugin::trust::has_raised_privileges;
use crate::record::{Library, MeasurementLock};
use crate::run::backend::Backend;
use crate::run::executor::log_file;
use crate::run::judge::Judge;
use crate::run::participants::Participant;
use crate::run::session::{CallError, Isolation, Launch, WorkerSession};
use crate::sandbox::{Cores, Interrupt};
use crate::shell;
use crate::text::plural;
use crate::worker::protocol::{Folders, LibraryFile};

/// What every verb stands on.
pub(crate) struct Context {
    pub(crate) data_dir: PathBuf,
    /// The folders that were named on the command line, for a command that can be run from anywhere.
    pub(crate) explicit: Vec<PathBuf>,
    pub(crate) launch: Launch,
    /// What is said of limits.
    limits: LimitArguments,
    pub(crate) inventory: Inventory,
    pub(crate) trust: Trust,
    /// The lock file that is gone by.
    pub(crate) lock: Option<Lock>,
    /// What was identified so far, by its file: a hash takes reading all of it.
    chosen: Mutex<HashMap<PathBuf, PluginRef>>,
    /// The marks of the folders of logs that this process uses.
    in_use: Mutex<Vec<File>>,
}

impl Context {
    pub(crate) fn new(global: &GlobalArguments, isolation: Isolation, ui: &mut Ui) -> Result<Self, Problem> {
        let data_dir = data_dir()?;
        let executable = std::env::current_exe().map_err(|error| Problem::unexpected(&error))?;
        let trust = Trust::of_this_process(global.allow_untrusted);
        let lock = Lock::of(global, &data_dir, &trust)?;
        let inventory = inventory(global, &data_dir, &executable, &trust);
        for (folder, why) in ignored_folders(&inventory) {
            ui.warning(&format!("{folder:?} is not searched for plugins: {why}"));
        }
        let explicit = absolute(&global.plugin_dir)?;
        if !explicit.is_empty() {
            check_explicit(&inventory)?;
        }
        let interrupt = Interrupt::install().map_err(|error| Problem::unexpected(&error))?;
        let (given, deadlines) = (limits::of_environment()?, limits::deadlines()?);
        let limits = given.limits();
        let log_level = ui.log_level();
        let launch = Launch { isolation, executable, log_level, limits, deadlines, interrupt, cores: None };
        let (chosen, in_use) = (Mutex::default(), Mutex::default());
        Ok(Self { data_dir, explicit, launch, limits: given, inventory, trust, lock, chosen, in_use })
    }

    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.launch.interrupt
    }

    /// What workers may take, as far as the command line or else the environment says so.
    pub(crate) fn limit(&mut self, arguments: &LimitArguments) -> LimitArguments {
        self.set_limits(arguments.or(self.limits));
        self.limits
    }

    /// What workers may take, whatever the environment says.
    pub(crate) fn set_limits(&mut self, limits: LimitArguments) {
        self.limits = limits;
        self.launch.limits = limits.limits();
    }

    /// Keeps all workers, and what they start, to `count` cores.
    pub(crate) fn keep_to(&mut self, count: u32) -> Result<(), Problem> {
        let cores = Cores::choose(count as usize).map_err(|there_are| {
            let there_are = there_are as u64;
            Problem::usage(format!("--cores {count}: this process may use {}", plural(there_are, "core")))
                .with_remedy(format!("--cores {there_are}"))
        })?;
        self.launch.cores = Some(cores);
        Ok(())
    }

    /// The numbers of the cores that workers are kept to.
    pub(crate) fn cores(&self) -> Option<Vec<usize>> {
        self.launch.cores.as_ref().map(|cores| cores.numbers().to_vec())
    }

    pub(crate) fn runner(&self, name: &str) -> Result<PluginRef, Problem> {
        let plugin =
            self.inventory.runners.get(name).map_err(|error| match (&error, self.rejected(name)) {
                (GetError::Unknown { .. }, Some(row)) => rejected_backend(name, row),
                (GetError::Unknown { .. }, None) => {
                    let missing = self.lock.as_ref().and_then(|lock| lock.missing("runner", name));
                    missing.unwrap_or_else(|| self.nowhere(&error, "crossrun backends"))
                }
                _ => self.nowhere(&error, "crossrun backends"),
            })?;
        self.choose(plugin)
    }

    /// The file of the library that has the workload `name`.
    pub(crate) fn workload_library(&self, name: &str) -> Result<PluginRef, Problem> {
        let plugin = self.inventory.workloads.get(name).map_err(|error| {
            // The lock has no workloads' names, but without a library that it lists some are bound to be missing.
            let found = self.inventory.libraries.names();
            let missing = self.lock.as_ref().and_then(|lock| lock.missing_libraries(&found));
            missing.unwrap_or_else(|| self.nowhere(&error, "crossrun workloads"))
        })?;
        self.choose(plugin)
    }

    /// Identifies `plugin`, which must be listed if a lock is gone by.
    pub(crate) fn choose(&self, plugin: &Inspected) -> Result<PluginRef, Problem> {
        let known = || self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chosen) = known().get(&plugin.path) {
            return Ok(chosen.clone());
        }
        let chosen = resolve::resolve(plugin, self.lock.as_ref())?;
        known().insert(plugin.path.clone(), chosen.clone());
        Ok(chosen)
    }

    /// The backend in `file`, which need not be in a plugin folder.
    pub(crate) fn runner_file(&self, file: &Path) -> Result<PluginRef, Problem> {
        if file.is_dir() {
            let message = format!("{}: a folder, not the file of a backend", file.display());
            return Err(Problem::new(Exit::Unavailable, message).with_remedy("NAME=FILE"));
        }
        let plugin = resolve::inspected(file, &self.trust)?;
        match plugin.metadata.kind {
            Kind::Runner => self.choose(&plugin),
            Kind::Workloads(_) => {
                let message = format!("{}: a library of workloads, not a backend", file.display());
                Err(Problem::new(Exit::Unavailable, message))
            }
        }
    }

    /// The backend that `name` leads to, or that `NAME=FILE` gives a name of its own.
    pub(crate) fn participant(&self, named: &str) -> Result<(String, Participant), Problem> {
        let Some((name, file)) = named.split_once('=') else {
            let participant = Participant { plugin: self.runner(named)?, from_file: false };
            return Ok((named.to_lowercase(), participant));
        };
        let name = name.to_lowercase();
        if !is_name(&name) {
            let message = format!("{named:?}: a name has 1 to 64 of: letters, digits, _ -");
            return Err(Problem::usage(message).with_remedy("NAME=FILE"));
        }
        Ok((name, Participant { plugin: self.runner_file(Path::new(file))?, from_file: true }))
    }

    /// A library that a run was begun with, if it is still the same file and may be loaded now.
    ///
    /// # Errors
    /// What changed, or why it may not be loaded.
    pub(crate) fn recorded(&self, library: &Library) -> Result<Result<PluginRef, String>, Problem> {
        let path = library.file();
        let trusted = self.trust.check_file(&path);
        trusted.map_err(|distrust| resolve::rejected(&path, distrust.into()))?;
        self.lock.as_ref().map_or(Ok(()), |lock| lock.check_recorded(library))?;
        match inspect::sha256_of(&path) {
            Ok(now) if now == library.sha256 => {}
            Ok(_) => return Ok(Err(format!("{} is another file now", path.display()))),
            Err(error) => return Ok(Err(format!("{}: {error}", path.display()))),
        }
        let plugin = resolve::inspected(&path, &self.trust)?;
        let plugin = plugin.identify().map_err(|rejection| resolve::rejected(&path, rejection))?;
        Ok(Ok(PluginRef { locked_by: library.locked_by.as_ref().map(PathBuf::from), ..plugin }))
    }

    /// The file that would be the backend `name` by its own name, but was rejected.
    fn rejected(&self, name: &str) -> Option<&Row> {
        let file = format!("{DLL_PREFIX}{}_runner{DLL_SUFFIX}", name.to_lowercase());
        let rejected = self.inventory.rows.iter().filter(|row| row.status == Status::Rejected);
        rejected.into_iter().find(|row| row.path.file_name().is_some_and(|found| found == file.as_str()))
    }

    /// Where plugins would be looked for, and a command that puts some there; nothing if there is any library at all. An
    /// executable that was installed by itself has none.
    pub(crate) fn without_plugins(&self) -> Option<(String, String)> {
        let found = self.inventory.trace.iter().any(|looked| {
            !matches!(looked.outcome, SearchOutcome::Searched { libraries: 0 } | SearchOutcome::Missing)
        });
        if found || !self.explicit.is_empty() {
            return None;
        }
        let folders = self.inventory.trace.iter().map(|looked| looked.folder.display().to_string());
        let plugins = self.data_dir.join(PLUGINS);
        let install =
            shell::command("install", ["-D", "-t"].map(OsStr::new).into_iter().chain([plugins.as_os_str()]));
        let library = format!("target/release/{DLL_PREFIX}*{DLL_SUFFIX}");
        let command = format!("cargo build --release && {install} {library}");
        Some((folders.collect::<Vec<_>>().join(", "), command))
    }

    fn nowhere(&self, error: &GetError, listing: &str) -> Problem {
        if let Some((folders, command)) = self.without_plugins() {
            let message = format!(
                "{error}: there is no plugin at all in {folders}; an archive of crossrun has them, and so has its source"
            );
            return Problem::new(Exit::Unavailable, message).with_remedy(command);
        }
        let folders: Vec<_> = self.inventory.trace.iter().filter_map(told).collect();
        let folders =
            if folders.is_empty() { "no folder that exists".to_owned() } else { folders.join(", ") };
        let refused = self.inventory.trace.iter().find_map(|looked| match &looked.outcome {
            SearchOutcome::Refused(distrust) => Some(distrust.remedy.clone()),
            _ => None,
        });
        let is_file = |row: &&Row| row.status == Status::Rejected && !row.path.is_dir();
        let rejected = self.inventory.rows.iter().filter(is_file).count() as u64;
        let message = match rejected {
            0 => format!("{error} (looked in {folders})"),
            count => format!("{error} (looked in {folders}; {} there rejected)", plural(count, "file")),
        };
        let remedy = match error {
            GetError::Unknown { what: "backend", near: Some(near), .. } => format!("--backend {near}"),
            GetError::Unknown { near: Some(near), .. } => format!("--workload {near}"),
            GetError::Unknown { .. } if refused.is_some() => refused.unwrap_or_default(),
            GetError::Unknown { .. } if rejected > 0 => "crossrun backends".to_owned(),
            _ => listing.to_owned(),
        };
        Problem::new(Exit::Unavailable, message).with_remedy(remedy)
    }

    /// The folders of a run, made. They are its own for as long as this process lives; old ones of others are removed.
    pub(crate) fn folders(&self, run_id: &str) -> Result<Folders, Problem> {
        let all = self.data_dir.join("logs");
        let (log_dir, in_use) = logs::enter(&all, run_id).map_err(|error| {
            let message = format!("cannot make the folder {}: {error}", all.join(run_id).display());
            Problem::new(Exit::Unexpected, message)
                .with_remedy("export CROSSRUN_DATA_DIR=DIR, with a folder that you may write to")
        })?;
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner).push(in_use);
        Ok(Folders { data_dir: self.data_dir.clone(), log_dir })
    }

    /// Removes the logs that stayed empty.
    pub(crate) fn tidy(&self, folders: &Folders) {
        logs::tidy(&folders.log_dir);
    }

    /// Starts a worker with the runner in it.
    pub(crate) fn load(&self, runner: &PluginRef, folders: &Folders) -> Result<Backend, CallError> {
        let log = log_file(&folders.log_dir, runner.name());
        Backend::load(&self.launch, &LibraryFile::from(runner), runner.name(), &log)
    }

    /// Starts a judge over a library of workloads.
    pub(crate) fn judge(&self, library: &PluginRef, folders: &Folders) -> Result<Judge, Problem> {
        let session = WorkerSession::start(&self.launch, &log_file(&folders.log_dir, "judge"))?;
        Ok(Judge::new(session, LibraryFile::from(library), &self.data_dir))
    }

    pub(crate) fn catalogue(
        &self,
        library: &PluginRef,
        folders: &Folders,
    ) -> Result<Vec<CatalogueEntry>, Problem> {
        let mut judge = self.judge(library, folders)?;
        let entries = judge.catalogue();
        judge.end();
        Ok(entries?)
    }

    /// Waits for the right to measure, if it is `wanted`.
    pub(crate) fn measurement_lock(
        &self,
        wanted: bool,
        ui: &mut Ui,
    ) -> Result<Option<MeasurementLock>, Problem> {
        if !wanted {
            return Ok(None);
        }
        let waiting = |holder: &str| ui.note(&format!("waiting until no other measurement runs ({holder})"));
        let lock = MeasurementLock::acquire_waiting(&self.data_dir, waiting, || self.interrupt().is_set())?;
        let interrupted = || Problem::new(Exit::Interrupted, "interrupted while another measurement ran");
        lock.map(Some).ok_or_else(interrupted)
    }

    /// Waits for the right to set up `name`: two set-ups of one backend at once would write the same files.
    pub(crate) fn setup_lock(&self, name: &str) -> Result<std::fs::File, Problem> {
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
pub(crate) fn entry(judge: &mut Judge, name: &str) -> Result<CatalogueEntry, Problem> {
    let entries = judge.catalogue()?;
    let missing = || {
        let message =
            format!("the library has a workload {name:?} by its metadata, but not in its catalogue");
        Problem::new(Exit::Unavailable, message)
    };
    entries.into_iter().find(|entry| entry.name.eq_ignore_ascii_case(name)).ok_or_else(missing)
}

/// Looks for plugins where the command line and the environment say.
fn inventory(global: &GlobalArguments, data_dir: &Path, executable: &Path, trust: &Trust) -> Inventory {
    if !global.plugin_dir.is_empty() {
        return Inventory::of(&SearchPath::explicit(global.plugin_dir.clone()), trust);
    }
    // As it was named: made absolute it would be below the current folder, which nobody meant to be searched.
    let named = std::env::var_os(plugin_api::data_dir::VARIABLE).filter(|folder| !folder.is_empty());
    let named = named.map_or_else(|| data_dir.to_owned(), PathBuf::from);
    let environment = Environment {
        plugin_path: global.plugin_path.as_deref(),
        data_dir: &named,
        raised: has_raised_privileges(),
    };
    Inventory::of(&SearchPath::usual(environment, executable), trust)
}

fn ignored_folders(inventory: &Inventory) -> impl Iterator<Item = (&Path, &str)> {
    inventory.trace.iter().filter_map(|looked| match &looked.outcome {
        SearchOutcome::Ignored { why } => Some((looked.folder.as_path(), why.as_str())),
        _ => None,
    })
}

/// A folder of the trace as an error names it; nothing if there was nothing to look into.
fn told(looked: &SearchedFolder) -> Option<String> {
    let folder = looked.folder.display();
    match &looked.outcome {
        SearchOutcome::Missing | SearchOutcome::Ignored { .. } => None,
        SearchOutcome::Refused(distrust) => Some(format!("{folder}, but not into it: {distrust}")),
        SearchOutcome::Searched { .. } | SearchOutcome::Unreadable { .. } => Some(folder.to_string()),
    }
}

/// The user's data folder. Plugins are told of it as text.
fn data_dir() -> Result<PathBuf, Problem> {
    let remedy = "export CROSSRUN_DATA_DIR=DIR";
    let folder = plugin_api::data_dir()
        .ok_or_else(|| Problem::usage("there is no home directory to keep data in").with_remedy(remedy))?;
    if folder.to_str().is_none() {
        let message = format!("the data folder {} has a name that is no UTF-8", folder.display());
        return Err(Problem::usage(message).with_remedy(format!("{remedy}, with a folder whose name is")));
    }
    Ok(folder)
}

fn absolute(folders: &[PathBuf]) -> Result<Vec<PathBuf>, Problem> {
    let absolute = folders.iter().map(std::path::absolute).collect::<Result<_, _>>();
    absolute.map_err(|error| Problem::usage(format!("--plugin-dir: {error}")))
}

/// A folder that was named must be there.
fn check_explicit(inventory: &Inventory) -> Result<(), Problem> {
    for looked in &inventory.trace {
        let why = match &looked.outcome {
            SearchOutcome::Searched { .. } | SearchOutcome::Ignored { .. } => continue,
            // Told where it matters: in the listing, and of a name that leads nowhere.
            SearchOutcome::Refused(_) => continue,
            SearchOutcome::Missing => "there is no such folder",
            SearchOutcome::Unreadable { why } => why,
        };
        return Err(Problem::usage(format!("--plugin-dir {}: {why}", looked.folder.display())));
    }
    Ok(())
}
