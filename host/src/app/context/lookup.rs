//! Which plugin a name or a file means, and what is said where none does.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use plugin_api::metadata::is_name;

use super::{Context, may_be_name};
use crate::app::resolve;
use crate::app::{Exit, Problem};
use crate::plugin::discover::{PLUGIN_PATH, SearchOutcome, SearchedFolder};
use crate::plugin::inspect::{self, Inspected, Kind};
use crate::plugin::inventory::{Row, Status};
use crate::plugin::lock_file::LockedPlugin;
use crate::plugin::registry::GetError;
use crate::plugin::trust::Refusal;
use crate::plugin::{PLUGINS, PluginRef};
use crate::record::Library;
use crate::run::participants::Participant;
use crate::shell;
use crate::text::plural;

/// The command that lists the backends and the libraries of workloads.
const EVERY_PLUGIN: &str = "crossrun backends --no-probe";

impl Context {
    /// The backend that `name` leads to.
    pub(crate) fn runner(&self, name: &str) -> Result<PluginRef, Problem> {
        let plugin =
            self.inventory.runners.get(name).map_err(|error| match (&error, self.rejected(name)) {
                (GetError::Unknown { .. }, Some(row)) => rejected_backend(name, row),
                _ => self.no_backend(name, &error),
            })?;
        self.identify(plugin)
    }

    /// The problem that no backend, or not one alone, has this name.
    fn no_backend(&self, name: &str, error: &GetError) -> Problem {
        let lock = self.lock.as_ref().filter(|_| matches!(error, GetError::Unknown { .. }));
        let missing = lock.and_then(|lock| lock.missing("runner", name));
        missing.unwrap_or_else(|| self.not_found(error, "--backend", "crossrun backends"))
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
        let plugin = self.inventory.library_of(name).map_err(|error| {
            // A lock file does not name workloads. If a library that it lists is missing, the workload may be in that library.
            let is_unknown = matches!(error, GetError::Unknown { .. });
            let missing = self
                .missing_plugins()
                .into_iter()
                .find(|(listed, _)| is_unknown && listed.kind == "workloads");
            // What two files claim is no workload of either.
            let listing = if is_unknown { "crossrun workloads" } else { "crossrun backends" };
            let unknown = || self.not_found(&error, "--workload", listing);
            missing.map_or_else(unknown, |(_, problem)| problem)
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
        self.identify_as(plugin, false)
    }

    /// As [`identify`](Self::identify), of a plugin that was found, or whose file was `named`.
    fn identify_as(&self, plugin: &Inspected, named: bool) -> Result<PluginRef, Problem> {
        let known = || self.identified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(identified) = known().get(&plugin.path) {
            return Ok(identified.clone());
        }
        let identified = resolve::resolve(plugin, self.lock.as_ref(), named)?;
        known().insert(plugin.path.clone(), identified.clone());
        Ok(identified)
    }

    /// The file that `argument` means: that of the plugin with this name, also of a rejected backend, if there is one, and else the one at
    /// this path.
    ///
    /// # Errors
    /// As with [`runner`](Self::runner), but that the name which is spelled alike may also be that of a library of workloads.
    pub(crate) fn file_of(&self, argument: &Path) -> Result<PathBuf, Problem> {
        let Some(name) = may_be_name(argument) else { return Ok(argument.to_owned()) };
        let mut error = match self.inventory.runners.get(name) {
            Ok(plugin) => return Ok(plugin.path.clone()),
            Err(error) => error,
        };
        if let GetError::Unknown { near, .. } = &mut error {
            let library = match self.inventory.libraries.get(name) {
                Ok(plugin) => Some(&plugin.path),
                Err(GetError::Unknown { near: library, .. }) => {
                    *near = near.take().or(library);
                    None
                }
                Err(GetError::Clash { .. }) => None,
            };
            if let Some(path) = library.or_else(|| self.rejected(name).map(|row| &row.path)) {
                return Ok(path.clone());
            }
            if argument.symlink_metadata().is_ok() {
                return Ok(argument.to_owned());
            }
        }
        Err(self.no_backend(name, &error))
    }

    /// As [`file_of`](Self::file_of) of a library of workloads, whatever backend has the same name.
    pub(crate) fn library_file_of(&self, argument: &Path) -> Result<PathBuf, Problem> {
        let Some(name) = may_be_name(argument) else { return Ok(argument.to_owned()) };
        let error = match self.inventory.libraries.get(name) {
            Ok(plugin) => return Ok(plugin.path.clone()),
            Err(error) => error,
        };
        let no_library = || self.not_found(&error, "--workloads", EVERY_PLUGIN);
        match &error {
            // What is there instead, as a backend, is refused as that.
            GetError::Unknown { .. } => self.file_of(argument).map_err(|_| {
                let missing = self.lock.as_ref().and_then(|lock| lock.missing("workloads", name));
                missing.unwrap_or_else(no_library)
            }),
            GetError::Clash { .. } => Err(no_library()),
        }
    }

    /// The backend in `file`, which need not be in a plugin folder.
    pub(crate) fn runner_file(&self, file: &Path) -> Result<PluginRef, Problem> {
        if file.is_dir() {
            let message = format!("{}: is a folder, not a backend", file.display());
            return Err(Problem::new(Exit::Unavailable, message).with_remedy(resolve::plugins_in(file)));
        }
        let plugin = resolve::inspected(file, &self.trust)?;
        match plugin.metadata.kind {
            Kind::Runner => self.identify_as(&plugin, true),
            Kind::Workloads(_) => {
                let message = format!("{}: is a library of workloads, not a backend", file.display());
                Err(Problem::new(Exit::Unavailable, message).with_remedy(self.every_plugin()))
            }
        }
    }

    /// The command that lists what can be named in place of a plugin of the other kind.
    pub(crate) fn every_plugin(&self) -> String {
        self.in_folders(EVERY_PLUGIN.to_owned())
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
        let found = self.runner_file(Path::new(file));
        let plugin = found.map_err(|problem| self.without_file(&name, file, problem))?;
        Ok((name, Participant { plugin, from_file: true }))
    }

    /// The problem with `NAME=FILE` where there may be no such file: it may be meant as the name of a backend.
    fn without_file(&self, name: &str, file: &str, problem: Problem) -> Problem {
        if Path::new(file).exists() {
            return problem;
        }
        let message = format!("{}; what follows = in {name}={file} is a file", problem.message);
        let problem = Problem { message, ..problem };
        match self.inventory.runners.get(file) {
            Ok(meant) => problem.with_remedy(shell::quote(format!("{name}={}", meant.path.display()))),
            Err(_) => problem,
        }
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
            !matches!(
                looked.outcome,
                SearchOutcome::Searched { libraries: 0 } | SearchOutcome::Missing { .. }
            )
        });
        if found || !self.explicit.is_empty() {
            return None;
        }
        let folders = self.inventory.trace.iter().map(|looked| looked.folder.display().to_string());
        let plugins = self.data_dir.join(PLUGINS);
        let install =
            shell::command("install", ["-D", "-t"].map(OsStr::new).into_iter().chain([plugins.as_os_str()]));
        let library = format!("\"${{CARGO_TARGET_DIR:-target}}\"/release/{DLL_PREFIX}*{DLL_SUFFIX}");
        let command = format!("cargo build --release && {install} {library}");
        Some((folders.collect::<Vec<_>>().join(", "), command))
    }

    /// The problem that a name leads to nothing: where it was looked for, with the `option` that takes a name that is spelled alike, or else
    /// `listing`, the command that lists what there is.
    fn not_found(&self, error: &GetError, option: &str, listing: &str) -> Problem {
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
        let rejected_files = match rejected {
            0 => String::new(),
            count => format!("; {} there rejected", plural(count, "file")),
        };
        let message = format!("{error} (looked in {folders}{rejected_files}{})", self.not_there());
        let remedy = match error {
            GetError::Unknown { near: Some(name), .. } => format!("{option} {name}"),
            GetError::Unknown { .. } if refused.is_some() => refused.unwrap_or_default(),
            GetError::Unknown { what: "backend", .. } if rejected > 0 => {
                self.in_folders("crossrun backends".to_owned())
            }
            _ => self.in_folders(listing.to_owned()),
        };
        Problem::new(Exit::Unavailable, message).with_remedy(remedy)
    }

    /// The folders that the user names and that are not there, as of a build that went elsewhere.
    fn not_there(&self) -> String {
        let missing = SearchOutcome::Missing { named: true };
        let missing = self.inventory.trace.iter().filter(|looked| looked.outcome == missing);
        let told = |looked: &SearchedFolder| {
            format!("; {}, of {PLUGIN_PATH}, is not there", looked.folder.display())
        };
        missing.map(told).collect()
    }
}

fn rejected_backend(name: &str, row: &Row) -> Problem {
    let reason = row.reason.as_deref().unwrap_or_default();
    let message = format!("backend {name:?} was rejected: {}: {reason}", row.path.display());
    Problem::new(Exit::Unavailable, message).with_remedy(row.remedy.clone().unwrap_or_default())
}

/// A folder of the trace as an error names it; nothing for a folder that was not searched.
fn searched(looked: &SearchedFolder) -> Option<String> {
    let folder = looked.folder.display();
    match &looked.outcome {
        SearchOutcome::Missing { .. } | SearchOutcome::Ignored { .. } => None,
        SearchOutcome::Refused(why) => Some(format!("{folder}, which was not searched: {why}")),
        SearchOutcome::Searched { .. } | SearchOutcome::Unreadable { .. } => Some(folder.to_string()),
    }
}
