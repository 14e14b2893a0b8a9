//! The context of a command: folders, the plugins that were found in them, and how workers are started.

use std::collections::HashMap;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use plugin_api::metadata::is_name;
use plugin_api::workload::CatalogueEntry;

use super::limits::{self, LimitArguments};
use super::logs;
use super::resolve::{self, Lock};
use super::{Exit, GlobalArguments, Problem};
use crate::app::ui::Ui;
use crate::plugin::discover::{Environment, SearchOutcome, SearchPath, SearchedFolder};
use crate::plugin::inspect::{self, Inspected, Kind};
use crate::plugin::inventory::{Inventory, Row, Status};
use crate::plugin::lock_file::LockedPlugin;
use crate::plugin::registry::GetError;
use crate::plugin::trust::{Refusal, Trust, has_raised_privileges};
use crate::plugin::{PLUGINS, PluginRef};
use crate::record::format::timestamp;
use crate::record::{Library, MeasurementLock, RecordError, clock, file_lock, measurement_lock};
use crate::regular_file;
use crate::run::backend::Backend;
use crate::run::executor::{Executor, Setting, log_file};
use crate::run::judge::Judge;
use crate::run::participants::{Participant, Participants};
use crate::run::session::{CallError, Isolation, Launch, WorkerSession};
use crate::sandbox::{Cores, Interrupt};
use crate::shell;
use crate::stats::WarmUp;
use crate::text::{plural, with_remedy};
use crate::worker::protocol::{Folders, LibraryFile};

/// Without `/proc`, this program does not find itself.
const MOUNT_PROC: &str = "sudo mount -t proc proc /proc";

const WRITABLE: &str = "export CROSSRUN_DATA_DIR=DIR, with a folder that you may write to";

pub(crate) struct Context {
    pub(crate) data_dir: PathBuf,
    /// The plugin folders that the command line names, as absolute paths.
    pub(crate) explicit: Vec<PathBuf>,
    pub(crate) launch: Launch,
    limits: LimitArguments,
    pub(crate) inventory: Inventory,
    pub(crate) trust: Trust,
    pub(crate) lock: Option<Lock>,
    /// The plugins that were identified so far, by their files: computing a hash reads the whole file.
    identified: Mutex<HashMap<PathBuf, PluginRef>>,
    /// The log folders that this process uses, with the mark of each.
    in_use: Mutex<HashMap<PathBuf, File>>,
}

impl Context {
    pub(crate) fn new(global: &GlobalArguments, isolation: Isolation, ui: &mut Ui) -> Result<Self, Problem> {
        let data_dir = data_dir()?;
        let executable = std::env::current_exe()
            .map_err(|error| Problem::unexpected(&error).with_remedy(shell::as_root(MOUNT_PROC)))?;
        let trust = Trust::of_this_process(global.allow_untrusted);
        check_own_folder(&data_dir, &trust)?;
        let lock = Lock::of(global, &data_dir, &trust)?;
        let inventory = inventory(global, &data_dir, &executable, &trust);
        for looked in &inventory.trace {
            if let SearchOutcome::Ignored { why } = &looked.outcome {
                ui.warning(&format!("{:?} is not searched for plugins: {why}", looked.folder));
            }
        }
        let explicit = global.plugin_dir.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>();
        let explicit = explicit.map_err(|error| Problem::usage(format!("--plugin-dir: {error}")))?;
        if !explicit.is_empty() {
            check_explicit(&inventory)?;
        }
        let interrupt = Interrupt::install().map_err(|error| Problem::unexpected(&error))?;
        limits::check_namespaces()?;
        let limits = limits::of_environment()?;
        let launch = Launch {
            isolation,
            executable: running(&executable),
            log_level: ui.log_level(),
            limits: limits.limits(),
            deadlines: limits::deadlines()?,
            interrupt,
            cores: None,
        };
        let (identified, in_use) = (Mutex::default(), Mutex::default());
        Ok(Self { data_dir, explicit, launch, limits, inventory, trust, lock, identified, in_use })
    }

    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.launch.interrupt
    }

    /// Sets the limits of workers to those of the command line, or else of the environment, and returns them.
    pub(crate) fn apply_limits(&mut self, arguments: &LimitArguments) -> LimitArguments {
        self.set_limits(arguments.or(self.limits));
        self.limits
    }

    /// Sets the limits of workers, whatever the environment says.
    pub(crate) fn set_limits(&mut self, limits: LimitArguments) {
        self.limits = limits;
        self.launch.limits = limits.limits();
    }

    /// Pins all workers, and the processes that they start, to `count` cores.
    pub(crate) fn pin_to(&mut self, count: u32) -> Result<(), Problem> {
        let cores = Cores::choose(count as usize).map_err(|there_are| {
            let there_are = there_are as u64;
            Problem::usage(format!("--cores {count}: this process may use {}", plural(there_are, "core")))
                .with_remedy(format!("--cores {there_are}"))
        })?;
        self.launch.cores = Some(cores);
        Ok(())
    }

    /// The numbers of the cores that workers are pinned to.
    pub(crate) fn cores(&self) -> Option<Vec<usize>> {
        self.launch.cores.as_ref().map(|cores| cores.numbers().to_vec())
    }

    /// The backend that `name` leads to.
    pub(crate) fn runner(&self, name: &str) -> Result<PluginRef, Problem> {
        let plugin =
            self.inventory.runners.get(name).map_err(|error| match (&error, self.rejected(name)) {
                (GetError::Unknown { .. }, Some(row)) => rejected_backend(name, row),
                (GetError::Unknown { .. }, None) => {
                    let missing = self.lock.as_ref().and_then(|lock| lock.missing("runner", name));
                    missing.unwrap_or_else(|| self.not_found(&error, "crossrun backends"))
                }
                _ => self.not_found(&error, "crossrun backends"),
            })?;
        self.identify(plugin)
    }

    /// The workload `name`, by the name that its library gives it, and that library.
    pub(crate) fn workload(&self, name: &str) -> Result<(String, PluginRef), Problem> {
        let library = self.workload_library(name)?;
        let Kind::Workloads(names) = &library.metadata.kind else { return Ok((name.to_owned(), library)) };
        let own = names.iter().find(|own| own.eq_ignore_ascii_case(name));
        Ok((own.map_or(name, String::as_str).to_owned(), library))
    }

    /// The library that has the workload `name`.
    pub(crate) fn workload_library(&self, name: &str) -> Result<PluginRef, Problem> {
        let plugin = self.inventory.workloads.get(name).map_err(|error| {
            // A lock file does not name workloads. If a library that it lists is missing, the workload may be in that library.
            let missing = self.missing_plugins().into_iter().find(|(listed, _)| listed.kind == "workloads");
            missing.map_or_else(|| self.not_found(&error, "crossrun workloads"), |(_, problem)| problem)
        })?;
        self.identify(plugin)
    }

    /// The plugins that the lock file lists, but that were not found, each with the problem that this is.
    pub(crate) fn missing_plugins(&self) -> Vec<(LockedPlugin, Problem)> {
        let (runners, libraries) = (self.inventory.runners.names(), self.inventory.libraries.names());
        let is_found = |kind: &str, name: &String| match kind {
            "runner" => runners.contains(name),
            _ => libraries.contains(name),
        };
        self.lock.as_ref().map_or_else(Vec::new, |lock| lock.missing_plugins(is_found))
    }

    /// Identifies `plugin` by its hash. If there is a lock file, it must list the plugin.
    pub(crate) fn identify(&self, plugin: &Inspected) -> Result<PluginRef, Problem> {
        let known = || self.identified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(identified) = known().get(&plugin.path) {
            return Ok(identified.clone());
        }
        let identified = resolve::resolve(plugin, self.lock.as_ref())?;
        known().insert(plugin.path.clone(), identified.clone());
        Ok(identified)
    }

    /// The file that `argument` means: that of the plugin with this name, also of a rejected backend, if there is one, and else the one at
    /// this path.
    pub(crate) fn file_of(&self, argument: &Path) -> Result<PathBuf, Problem> {
        let Some(name) = may_be_name(argument) else { return Ok(argument.to_owned()) };
        let error = match self.inventory.runners.get(name) {
            Ok(plugin) => return Ok(plugin.path.clone()),
            Err(error) => error,
        };
        if let GetError::Unknown { .. } = &error {
            let library = self.inventory.libraries.get(name).ok().map(|plugin| &plugin.path);
            if let Some(path) = library.or_else(|| self.rejected(name).map(|row| &row.path)) {
                return Ok(path.clone());
            }
            if argument.symlink_metadata().is_ok() {
                return Ok(argument.to_owned());
            }
            if let Some(missing) = self.lock.as_ref().and_then(|lock| lock.missing("runner", name)) {
                return Err(missing);
            }
        }
        Err(Problem::new(Exit::Unavailable, error.to_string()).with_remedy("crossrun backends"))
    }

    /// The backend in `file`, which need not be in a plugin folder.
    pub(crate) fn runner_file(&self, file: &Path) -> Result<PluginRef, Problem> {
        if file.is_dir() {
            let message = format!("{}: is a folder, not a backend", file.display());
            return Err(Problem::new(Exit::Unavailable, message).with_remedy("NAME=FILE"));
        }
        let plugin = resolve::inspected(file, &self.trust)?;
        match plugin.metadata.kind {
            Kind::Runner => self.identify(&plugin),
            Kind::Workloads(_) => {
                let message = format!("{}: is a library of workloads, not a backend", file.display());
                Err(Problem::new(Exit::Unavailable, message))
            }
        }
    }

    /// The backend that a name leads to, or the library that `NAME=FILE` names. Returns the name under which it takes part.
    pub(crate) fn participant(&self, argument: &str) -> Result<(String, Participant), Problem> {
        let Some((name, file)) = argument.split_once('=') else {
            let participant = Participant { plugin: self.runner(argument)?, from_file: false };
            return Ok((argument.to_lowercase(), participant));
        };
        let name = name.to_lowercase();
        if !is_name(&name) {
            let message = format!("{argument:?}: a name has 1 to 64 of: letters, digits, _ -");
            return Err(Problem::usage(message).with_remedy("NAME=FILE"));
        }
        if file.is_empty() {
            let message = format!("{argument:?}: the file has no name");
            return Err(Problem::usage(message).with_remedy("NAME=FILE"));
        }
        Ok((name, Participant { plugin: self.runner_file(Path::new(file))?, from_file: true }))
    }

    /// The plugin of a recorded run, if its file is unchanged and may still be loaded. The inner error says what changed.
    ///
    /// # Errors
    /// When the file may not be loaded.
    pub(crate) fn recorded(&self, library: &Library) -> Result<Result<PluginRef, String>, Problem> {
        let path = library.file();
        let real = match self.trust.file(&path) {
            Ok(real) => real,
            Err(Refusal::Unreadable(error)) => return Ok(Err(format!("{}: {error}", path.display()))),
            Err(Refusal::Distrust(why)) => return Err(resolve::rejected(path.display(), why)),
        };
        self.lock.as_ref().map_or(Ok(()), |lock| lock.check_recorded(library))?;
        match inspect::sha256_of(&real) {
            Ok(now) if now == library.sha256 => {}
            Ok(_) => return Ok(Err(format!("{} has changed", path.display()))),
            Err(error) => return Ok(Err(format!("{}: {error}", path.display()))),
        }
        let plugin = inspect::inspect(&real).and_then(|plugin| plugin.identify());
        let plugin = plugin.map_err(|rejection| resolve::rejected(path.display(), rejection))?;
        Ok(Ok(PluginRef { locked_by: library.locked_by.as_ref().map(PathBuf::from), ..plugin }))
    }

    /// The rejected file that by its file name would be the backend `name`.
    fn rejected(&self, name: &str) -> Option<&Row> {
        let file = format!("{DLL_PREFIX}{}_runner{DLL_SUFFIX}", name.to_lowercase());
        let named = |row: &&Row| row.path.file_name().is_some_and(|found| found == file.as_str());
        self.inventory.rows.iter().filter(|row| row.status == Status::Rejected).find(named)
    }

    /// The folders that were searched, and a command that installs plugins; nothing if there is any library. An executable that
    /// was installed alone has no plugins.
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

    fn not_found(&self, error: &GetError, listing: &str) -> Problem {
        if let Some((folders, command)) = self.without_plugins() {
            let message = format!(
                "{error}: there are no plugins in {folders}; they come with an archive of crossrun, or are built from its source"
            );
            return Problem::new(Exit::Unavailable, message).with_remedy(command);
        }
        let folders: Vec<_> = self.inventory.trace.iter().filter_map(searched).collect();
        let folders =
            if folders.is_empty() { "no folder that exists".to_owned() } else { folders.join(", ") };
        let refused = self.inventory.trace.iter().find_map(|looked| match &looked.outcome {
            SearchOutcome::Refused(why) => why.remedy.clone(),
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
            GetError::Unknown { what: "backend", .. } if rejected > 0 => "crossrun backends".to_owned(),
            _ => listing.to_owned(),
        };
        Problem::new(Exit::Unavailable, message).with_remedy(remedy)
    }

    /// A remedy of a plugin, which does not know where it was found: commands of crossrun find it in the folders that were named.
    pub(crate) fn in_folders(&self, remedy: String) -> String {
        let is_command = ["crossrun setup ", "crossrun run "].iter().any(|command| remedy.contains(command));
        let folders = self.explicit.iter().filter(|_| is_command);
        folders.fold(remedy, |line, folder| line + " --plugin-dir " + &shell::quote(folder))
    }

    /// The folders of a run. Its log folder is created, and is in use until [`tidy`](Self::tidy); old log folders are removed.
    pub(crate) fn folders(&self, run_id: &str) -> Result<Folders, Problem> {
        let now = SystemTime::now();
        if !clock::is_credible(now) {
            let why = format!(
                "the clock of this machine says {}, which the records will have too; its history is not kept",
                timestamp(now)
            );
            log::warn!("{}", with_remedy(&why, Some(&shell::as_root("sudo date --set TIME"))));
        }
        let (log_dir, in_use) = self.enter_logs(run_id)?;
        // It may have been made by somebody else since the start, who could put other engines and other logs into it.
        check_own_folder(&log_dir, &self.trust)?;
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner).insert(log_dir.clone(), in_use);
        Ok(Folders { data_dir: self.data_dir.clone(), log_dir })
    }

    /// Creates the log folder of a run. A data folder that is there and takes no files is that of an image into which engines were
    /// installed, or one that root made for all users: then the logs are elsewhere.
    fn enter_logs(&self, run_id: &str) -> Result<(PathBuf, File), Problem> {
        let all = self.data_dir.join("logs");
        let error = match logs::enter(&all, run_id) {
            Ok(entered) => return Ok(entered),
            Err(error) => error,
        };
        if logs::is_refused(&error) && self.data_dir.is_dir() {
            let elsewhere = logs::elsewhere();
            check_own_folder(&elsewhere, &self.trust)?;
            if let Ok(entered) = logs::enter(&elsewhere, run_id) {
                let (data, place) = (self.data_dir.display(), elsewhere.display());
                log::warn!("the data folder {data} takes no files ({error}): the logs are in {place}");
                return Ok(entered);
            }
        }
        let message = format!("cannot create the folder {}: {error}", all.join(run_id).display());
        Err(Problem::of_file(&error, message, WRITABLE))
    }

    /// Ends the use of a log folder, and removes empty logs.
    pub(crate) fn tidy(&self, folders: &Folders) {
        let mark = self.in_use.lock().unwrap_or_else(PoisonError::into_inner).remove(&folders.log_dir);
        if let Some(mark) = mark {
            logs::tidy(&folders.log_dir, &mark);
        }
    }

    /// Starts a worker, and loads a backend in it.
    pub(crate) fn load(&self, runner: &PluginRef, folders: &Folders) -> Result<Backend, CallError> {
        let log = log_file(&folders.log_dir, runner.name());
        Backend::load(&self.launch, &LibraryFile::from(runner), runner.name(), &log)
    }

    /// Starts a judge with a library of workloads.
    pub(crate) fn judge(&self, library: &PluginRef, folders: &Folders) -> Result<Judge, Problem> {
        let session = WorkerSession::start(&self.launch, &log_file(&folders.log_dir, "judge"), false)?;
        Ok(Judge::new(session, LibraryFile::from(library)))
    }

    /// The workloads of a library.
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

    /// An executor whose workers are started in this context.
    pub(crate) fn executor(
        &self,
        participants: Participants,
        folders: &Folders,
        timeout: Duration,
        warm_up: WarmUp,
    ) -> Executor {
        let (launch, folders) = (self.launch.clone(), folders.clone());
        Executor::new(Setting { launch, participants, folders, timeout, warm_up })
    }

    /// Waits for the measurement lock, if it is `wanted`. Where the system has none, that is reported, and the measurement goes on.
    pub(crate) fn measurement_lock(
        &self,
        wanted: bool,
        ui: &mut Ui,
    ) -> Result<Option<MeasurementLock>, Problem> {
        if !wanted {
            return Ok(None);
        }
        // Said also by --quiet: nothing else tells for what such a command waits.
        let waiting =
            |holder: &str| ui.warning(&format!("waiting until no other measurement runs ({holder})"));
        let path = measurement_lock::path();
        match MeasurementLock::acquire_waiting(&path, waiting, || self.interrupt().is_set()) {
            Ok(Some(lock)) => Ok(Some(lock)),
            Ok(None) => Err(Problem::new(Exit::Interrupted, "interrupted while another measurement ran")),
            Err(error) => {
                let why = match error {
                    RecordError::File { path, error, .. } => format!("{}: {error}", path.display()),
                    other => other.to_string(),
                };
                let why = format!(
                    "there is no measurement lock, and another measurement may run at the same time: {why}"
                );
                ui.warning(&with_remedy(&why, Some("export CROSSRUN_LOCK_FILE=FILE")));
                Ok(None)
            }
        }
    }

    /// Waits for the lock on the set-up of `name`: two set-ups of one backend at once would write the same files.
    pub(crate) fn setup_lock(&self, name: &str) -> Result<File, Problem> {
        let path = self.data_dir.join(format!("setup-{name}.lock"));
        let cannot = |error: std::io::Error| {
            let message = format!("cannot lock {}: {error}", path.display());
            Problem { exit: Exit::SetupFailed, ..Problem::of_file(&error, message, WRITABLE) }
        };
        let file = regular_file::open(&path, File::options().append(true).create(true)).map_err(cannot)?;
        let (since, mut said) = (Instant::now(), false);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) if file_lock::has_no_locks(&error) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(cannot(error)),
                Err(TryLockError::WouldBlock) if self.interrupt().is_set() => {
                    return Err(Problem::new(Exit::Interrupted, "interrupted while another set-up ran"));
                }
                Err(TryLockError::WouldBlock) => {
                    if since.elapsed() > Duration::from_secs(1) && !std::mem::replace(&mut said, true) {
                        log::warn!(
                            "waiting until another set-up of {name} has ended ({})",
                            file_lock::holder(&file)
                        );
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }
}

/// An argument that may be the name of a plugin: a word without a slash or a point.
pub(crate) fn may_be_name(argument: &Path) -> Option<&str> {
    argument.to_str().filter(|word| !word.contains(['/', '.']))
}

fn rejected_backend(name: &str, row: &Row) -> Problem {
    let reason = row.reason.as_deref().unwrap_or_default();
    let message = format!("backend {name:?} was rejected: {}: {reason}", row.path.display());
    Problem::new(Exit::Unavailable, message).with_remedy(row.remedy.clone().unwrap_or_default())
}

/// The workload `name` of a judge's library.
pub(crate) fn entry(judge: &mut Judge, name: &str) -> Result<CatalogueEntry, Problem> {
    let entries = judge.catalogue()?;
    let missing = || {
        let message =
            format!("the metadata of the library names the workload {name:?}, but its catalogue does not");
        Problem::new(Exit::Unavailable, message)
    };
    entries.into_iter().find(|entry| entry.name.eq_ignore_ascii_case(name)).ok_or_else(missing)
}

/// The executable that is running, by a path that still leads to it after its file was moved or replaced.
fn running(executable: &Path) -> PathBuf {
    let own = Path::new("/proc/self/exe");
    if own.exists() { own } else { executable }.to_owned()
}

/// Searches the plugin folders of the command line, or else of the environment.
fn inventory(global: &GlobalArguments, data_dir: &Path, executable: &Path, trust: &Trust) -> Inventory {
    if !global.plugin_dir.is_empty() {
        return Inventory::of(&SearchPath::explicit(global.plugin_dir.clone()), trust);
    }
    // The path as it was given, not made absolute: a relative path must not lead to a search below the current folder.
    let named = std::env::var_os(plugin_api::data_dir::VARIABLE).filter(|folder| !folder.is_empty());
    let named = named.map_or_else(|| data_dir.to_owned(), PathBuf::from);
    let environment = Environment {
        plugin_path: global.plugin_path.as_deref(),
        data_dir: &named,
        raised: has_raised_privileges(),
    };
    Inventory::of(&SearchPath::usual(environment, executable), trust)
}

/// A folder of the trace as an error names it; nothing for a folder that was not searched.
fn searched(looked: &SearchedFolder) -> Option<String> {
    let folder = looked.folder.display();
    match &looked.outcome {
        SearchOutcome::Missing | SearchOutcome::Ignored { .. } => None,
        SearchOutcome::Refused(why) => Some(format!("{folder}, which was not searched: {why}")),
        SearchOutcome::Searched { .. } | SearchOutcome::Unreadable { .. } => Some(folder.to_string()),
    }
}

/// The user's data folder. Its path must be UTF-8, because plugins receive it as text.
pub(crate) fn data_dir() -> Result<PathBuf, Problem> {
    let remedy = "export CROSSRUN_DATA_DIR=DIR";
    let named = std::env::var_os(plugin_api::data_dir::VARIABLE).map(PathBuf::from);
    // A container or a service manager has set it, and no shell: it would be a folder of that name in the current one.
    if let Some(below) = named.as_deref().and_then(|folder| folder.strip_prefix("~").ok()) {
        let message = "CROSSRUN_DATA_DIR begins with ~, which only a shell replaces by the home folder";
        let remedy = format!("export CROSSRUN_DATA_DIR=\"$HOME\"/{}", shell::quote(below));
        return Err(Problem::usage(message).with_remedy(remedy));
    }
    let folder = plugin_api::data_dir().ok_or_else(|| {
        Problem::usage("there is no home directory for the data folder").with_remedy(remedy)
    })?;
    if folder.to_str().is_none() {
        let message = format!("the path of the data folder {} is not UTF-8", folder.display());
        return Err(Problem::usage(message).with_remedy(format!("{remedy}, with a path in UTF-8")));
    }
    Ok(folder)
}

/// Programs are started from the data folder, and logs are written there.
fn check_own_folder(folder: &Path, trust: &Trust) -> Result<(), Problem> {
    let refused = |why| resolve::rejected(format_args!("the data folder {}", folder.display()), why);
    trust.check_folder(folder).map_err(refused)
}

/// A folder that the command line names must exist.
fn check_explicit(inventory: &Inventory) -> Result<(), Problem> {
    for looked in &inventory.trace {
        let why = match &looked.outcome {
            // A refused folder is reported by the listing, and with a name that is not found.
            SearchOutcome::Searched { .. } | SearchOutcome::Ignored { .. } | SearchOutcome::Refused(_) => {
                continue;
            }
            SearchOutcome::Missing => "there is no such folder",
            SearchOutcome::Unreadable { why } => why,
        };
        return Err(Problem::usage(format!("--plugin-dir {}: {why}", looked.folder.display())));
    }
    Ok(())
}
