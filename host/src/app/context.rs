//! The context of a command: folders, the plugins that were found in them, and how workers are started.

mod locks;
mod lookup;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use plugin_api::workload::CatalogueEntry;

use super::limits::{self, LimitArguments};
use super::logs;
use super::resolve::{self, Lock};
use super::{Exit, GlobalArguments, Problem};
use crate::app::ui::Ui;
use crate::plugin::PluginRef;
use crate::plugin::discover::{Environment, SearchOutcome, SearchPath};
use crate::plugin::inventory::Inventory;
use crate::plugin::trust::{Trust, has_raised_privileges};
use crate::record::clock;
use crate::record::format::timestamp;
use crate::run::backend::Backend;
use crate::run::executor::{Executor, Setting, log_file};
use crate::run::judge::Judge;
use crate::run::participants::Participants;
use crate::run::session::{CallError, Isolation, Launch, WorkerSession};
use crate::run::shared_files::SharedFiles;
use crate::sandbox::{Cores, Interrupt};
use crate::shell;
use crate::stats::WarmUp;
use crate::text::{plural, with_remedy};
use crate::worker::protocol::{Folders, LibraryFile};

/// Without `/proc`, this program does not find itself.
const MOUNT_PROC: &str = "sudo mount -t proc proc /proc";

/// What is between two commands of a remedy.
const AND: &str = " && ";

/// Commands that look for plugins, as remedies name them.
const LOOKING_FOR_PLUGINS: [&str; 4] =
    ["crossrun setup ", "crossrun run ", "crossrun backends", "crossrun workloads"];

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
    /// The files that several backends use, as they were before any was loaded; for the next executor.
    shared_files: Mutex<SharedFiles>,
}

impl Context {
    pub(crate) fn new(global: &GlobalArguments, ui: &mut Ui) -> Result<Self, Problem> {
        let data_dir = data_dir()?;
        let executable = executable()?;
        let trust = Trust::of_this_process(global.allow_untrusted);
        check_own_folder(&data_dir, &trust)?;
        let lock = Lock::of(global, &data_dir, &trust)?;
        let inventory = inventory(global, &data_dir, &executable, &trust);
        for looked in &inventory.trace {
            // A plugin of the same name in a later folder would be measured in place of one in this.
            let why = match &looked.outcome {
                SearchOutcome::Ignored { why } => why,
                SearchOutcome::Refused(rejection) => &rejection.reason,
                SearchOutcome::Missing { named: true } => "there is no such folder",
                _ => continue,
            };
            ui.warning(&format!("{:?} is not searched for plugins: {why}", looked.folder));
        }
        for (used, row) in &inventory.substitutes {
            let (rejected, why) = (row.path.display(), row.reason.as_deref().unwrap_or_default());
            let message = format!("{rejected} is rejected, and {} takes its place: {why}", used.display());
            ui.warning(&with_remedy(&message, row.remedy.as_deref()));
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
            isolation: Isolation::Process,
            executable: running(&executable),
            log_level: ui.log_level(),
            limits: limits.limits(),
            deadlines: limits::deadlines()?,
            interrupt,
            cores: None,
        };
        let (identified, in_use, shared_files) = (Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Self {
            data_dir,
            explicit,
            launch,
            limits,
            inventory,
            trust,
            lock,
            identified,
            in_use,
            shared_files,
        })
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

    /// A remedy with commands that look for plugins, as one of a plugin, which does not know where it was found: each command looks in the
    /// folders that were named.
    pub(crate) fn in_folders(&self, remedy: String) -> String {
        let looks = |command: &str| {
            LOOKING_FOR_PLUGINS.iter().any(|looking| command.contains(looking))
                && !command.contains(" --plugin-dir ")
        };
        let folders: String =
            self.explicit.iter().map(|folder| format!(" --plugin-dir {}", shell::quote(folder))).collect();
        let command =
            |command: &str| if looks(command) { format!("{command}{folders}") } else { command.to_owned() };
        remedy.split(AND).map(command).collect::<Vec<_>>().join(AND)
    }

    /// The problem with such a remedy.
    pub(crate) fn problem_in_folders(&self, problem: Problem) -> Problem {
        Problem { remedy: problem.remedy.map(|remedy| self.in_folders(remedy)), ..problem }
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
        let entries = judge.catalogue().map(<[_]>::to_vec);
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
        let mut executor = Executor::new(Setting { launch, participants, folders, timeout, warm_up });
        executor.shared_files =
            std::mem::take(&mut *self.shared_files.lock().unwrap_or_else(PoisonError::into_inner));
        executor
    }

    /// Looks at the files that several backends use before any is loaded, so that the next executor can tell which have changed.
    pub(crate) fn look_at_shared_files(&self) {
        self.set_shared_files(SharedFiles::before_backends(&self.data_dir));
    }

    /// Has the next executor look at them itself: a set-up changes them by right, as one by another process does during a long wait.
    pub(crate) fn forget_shared_files(&self) {
        self.set_shared_files(SharedFiles::default());
    }

    fn set_shared_files(&self, files: SharedFiles) {
        *self.shared_files.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }
}

/// An argument that may be the name of a plugin: a word without a slash or a point.
pub(crate) fn may_be_name(argument: &Path) -> Option<&str> {
    argument.to_str().filter(|word| !word.contains(['/', '.']))
}

/// The workload `name` of a judge's library.
pub(crate) fn entry(judge: &mut Judge, name: &str) -> Result<CatalogueEntry, Problem> {
    let entries = judge.catalogue()?;
    let missing = || {
        let message =
            format!("the metadata of the library names the workload {name:?}, but its catalogue does not");
        Problem::new(Exit::Unavailable, message)
    };
    entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(name)).cloned().ok_or_else(missing)
}

/// The executable that is running, which workers are started from and plugins are looked for beside.
fn executable() -> Result<PathBuf, Problem> {
    let executable = std::env::current_exe()
        .map_err(|error| Problem::unexpected(&error).with_remedy(shell::as_root(MOUNT_PROC)))?;
    if !is_loader(&executable) {
        return Ok(executable);
    }
    let program = std::env::args_os().next().unwrap_or_else(|| "crossrun".into());
    let words = [OsStr::new("--set-interpreter"), executable.as_os_str(), program.as_os_str()];
    let remedy = format!(
        "start it by itself, after {} where the system does not start it",
        shell::command("patchelf", words)
    );
    let message = format!(
        "crossrun was started by the dynamic loader {}, and so cannot start its workers",
        executable.display()
    );
    Err(Problem::usage(message).with_remedy(remedy))
}

/// Whether a file is called as the loaders of glibc (`ld-linux-x86-64.so.2`, `ld64.so.2`) and of musl are. With a program as its argument,
/// such a loader is what the system takes for the executable.
fn is_loader(executable: &Path) -> bool {
    let name = executable.file_name().unwrap_or_default().to_string_lossy();
    name.contains(".so") && ["ld-", "ld.", "ld64.", "libc."].iter().any(|start| name.starts_with(start))
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
            SearchOutcome::Missing { .. } => "there is no such folder",
            SearchOutcome::Unreadable { why } => why,
        };
        let message = format!("--plugin-dir {}: {why}", looked.folder.display());
        return Err(Problem::usage(message).with_remedy(shell::look_beside(&looked.folder)));
    }
    Ok(())
}
