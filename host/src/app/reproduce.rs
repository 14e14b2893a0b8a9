//! Commands that repeat a trial or a run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command_line::{self, CommandLine, Variables};
use super::context::Context;
use super::limits::LimitArguments;
use crate::plugin::PluginRef;
use crate::plugin::inspect::Inspected;
use crate::plugin::inventory::Inventory;
use crate::plugin::registry::GetError;
use crate::record::names::RESULTS;
use crate::record::{Conditions, Library, MeasurementLock, SystemProfile};
use crate::run::participants::{Participant, Participants};
use crate::run::session::Isolation;
use crate::run::trial::TrialSpec;
use crate::text::word;
use crate::worker::protocol::Folders;

/// A backend as `--backend` and `--backends` name it; `file` is the library, if the backend was given as a file.
pub(crate) fn backend_argument(name: &str, file: Option<&Path>) -> String {
    file.map_or_else(|| name.to_owned(), |file| format!("{name}={}", file.display()))
}

/// The options that decide which plugins may be loaded.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadingOptions {
    pub(crate) allow_untrusted: bool,
    pub(crate) locked_by: Option<PathBuf>,
}

impl LoadingOptions {
    pub(crate) fn of(context: &Context) -> Self {
        Self {
            allow_untrusted: context.trust.is_anyone(),
            locked_by: context.lock.as_ref().map(|lock| lock.path.clone()),
        }
    }

    /// Those of a run that is recorded with its `libraries`.
    pub(crate) fn of_recorded(allow_untrusted: bool, libraries: &BTreeMap<String, Library>) -> Self {
        let locked_by = libraries.values().find_map(|library| library.locked_by.as_ref());
        Self { allow_untrusted, locked_by: locked_by.map(Into::into) }
    }

    pub(crate) fn add_to(&self, command: &mut CommandLine) {
        command.flag("allow-untrusted", self.allow_untrusted);
        if let Some(path) = &self.locked_by {
            command.joined("locked", path);
        }
    }
}

/// Whether a folder is that of a run for which no option names another one.
pub(crate) fn is_default_folder(folder: &Path, run: &str) -> bool {
    folder == Path::new(RESULTS).join(run)
}

/// The command that resumes the comparison `run` in `folder`, under the `variables` with which it began, as far as these are known.
pub(crate) fn resume_command(
    run: &str,
    folder: &Path,
    variables: Option<&Variables>,
    no_lock: bool,
    loading: &LoadingOptions,
) -> String {
    let variables = variables.cloned().unwrap_or_else(command_line::set_variables);
    let mut command = CommandLine::under(&["compare"], &variables);
    let output = Some(folder).filter(|_| !is_default_folder(folder, run));
    command.option("resume", run).paths("output-dir", output).flag("no-lock", no_lock);
    loading.add_to(&mut command);
    command.to_string()
}

/// The command that runs one trial alone on the same data. It names every option, also those with default values.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunCommand {
    pub(crate) participants: Participants,
    pub(crate) timeout: Duration,
    pub(crate) limits: LimitArguments,
    pub(crate) cores: Option<u32>,
    /// Whether other measurements may run at the same time.
    pub(crate) no_lock: bool,
    pub(crate) loading: LoadingOptions,
    /// Only where it is not the default folder.
    pub(crate) output_dir: Option<PathBuf>,
    pub(crate) isolation: Option<Isolation>,
    /// The plugin folders; if nothing is given, the folders of the plugins that the trial uses.
    pub(crate) plugin_folders: Option<Vec<PathBuf>>,
}

impl RunCommand {
    /// The conditions of a run whose trials this command repeats.
    pub(crate) fn conditions(
        self,
        system_profile: SystemProfile,
        context: &Context,
        folders: &Folders,
        lock: Option<&MeasurementLock>,
    ) -> Conditions {
        Conditions {
            participants: self.participants.clone(),
            system_profile,
            isolation: self.isolation.unwrap_or(Isolation::Process),
            locked: lock.is_some(),
            lock_file: lock.map(|lock| lock.path.display().to_string()),
            cores: context.cores(),
            log_dir: folders.log_dir.clone(),
            command: Box::new(move |trial| self.of(trial)),
            full_command: None,
            data_seed_chosen: false,
            sweeps: None,
        }
    }

    fn of(&self, trial: &TrialSpec) -> String {
        let spec = &trial.cell.spec;
        let participant = self.participants.backends.get(&trial.backend.name);
        let backend = match participant {
            Some(Participant { plugin, from_file: true }) => {
                backend_argument(&trial.backend.name, Some(&plugin.path))
            }
            _ => trial.backend.runs.clone(),
        };
        let mut command = CommandLine::measuring(&["run"]);
        command
            .option("backend", backend)
            .option("workload", &spec.name)
            .option("items", spec.total_items)
            .option("parallelism", spec.parallelism)
            .option("scheduler", &spec.scheduler_name)
            .option("seed", trial.data_seed)
            .option("nodes", trial.nodes)
            .extra(&spec.extra)
            .paths("output-dir", &self.output_dir)
            .duration("timeout", self.timeout);
        self.limits.add_to(&mut command);
        command
            .options("isolation", self.isolation.map(word))
            .options("cores", self.cores)
            .flag("no-lock", self.no_lock)
            .paths("plugin-dir", self.folders(trial, participant));
        self.loading.add_to(&mut command);
        command.to_string()
    }

    fn folders(&self, trial: &TrialSpec, participant: Option<&Participant>) -> Vec<PathBuf> {
        if let Some(folders) = &self.plugin_folders {
            return folders.clone();
        }
        let backend = participant.filter(|it| !it.from_file).map(|it| &it.plugin);
        let plugins = backend.into_iter().chain(self.participants.libraries.get(&trial.cell.spec.name));
        let mut folders: Vec<_> =
            plugins.filter_map(|plugin| plugin.path.parent().map(Path::to_owned)).collect();
        folders.dedup();
        folders
    }
}

/// Adds the folders of the participants, if the user named plugin folders, now or when a run was begun that is resumed: then the names
/// lead to other files, or to none.
pub(crate) fn add_plugin_folders(command: &mut CommandLine, participants: &Participants, context: &Context) {
    let is_found = |found: Result<&Inspected, GetError>, plugin: &PluginRef| {
        found.is_ok_and(|found| found.path == plugin.path)
    };
    let Inventory { runners, .. } = &context.inventory;
    let named = || participants.backends.values().filter(|it| !it.from_file).map(|it| &it.plugin);
    let mut libraries = participants.libraries.iter();
    if context.explicit.is_empty()
        && named().all(|plugin| is_found(runners.get(plugin.name()), plugin))
        && libraries.all(|(name, plugin)| is_found(context.inventory.library_of(name), plugin))
    {
        return;
    }
    let plugins = named().chain(participants.libraries.values());
    let folders: BTreeSet<_> = plugins.filter_map(|plugin| plugin.path.parent()).collect();
    command.paths("plugin-dir", folders);
}
