//! Commands that do again what was done, as lines that can be pasted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::context::Context;
use super::limits::LimitArguments;
use super::options::{push, seconds};
use crate::record::{Conditions, SystemProfile};
use crate::run::participants::{Participant, Participants};
use crate::run::session::Isolation;
use crate::run::trial::TrialSpec;
use crate::shell;
use crate::worker::protocol::Folders;

/// The backend as the command line names it.
pub(crate) fn backend_word(name: &str, participant: &Participant) -> String {
    if participant.from_file {
        return format!("{name}={}", participant.plugin.path.display());
    }
    participant.plugin.name().to_owned()
}

/// The options that decide which plugins may be loaded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guards {
    pub(crate) allow_untrusted: bool,
    pub(crate) locked_by: Option<PathBuf>,
}

impl Guards {
    pub(crate) fn of(context: &Context) -> Self {
        Self {
            allow_untrusted: context.trust.is_anyone(),
            locked_by: context.lock.as_ref().map(|lock| lock.path.clone()),
        }
    }

    pub(crate) fn push(&self, words: &mut Vec<String>) {
        if self.allow_untrusted {
            words.push("--allow-untrusted".into());
        }
        if let Some(path) = &self.locked_by {
            words.push(format!("--locked={}", path.display()));
        }
    }
}

/// The command that runs one trial alone, on the same data, with every default written out.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunCommand {
    pub(crate) participants: Participants,
    pub(crate) timeout: Duration,
    pub(crate) limits: LimitArguments,
    pub(crate) cores: Option<usize>,
    pub(crate) guards: Guards,
    /// Only where it is not said by default.
    pub(crate) output_dir: Option<PathBuf>,
    pub(crate) isolation: Option<Isolation>,
    /// The folders of plugins; nothing for those of the plugins that take part in the trial.
    pub(crate) plugin_folders: Option<Vec<PathBuf>>,
}

impl RunCommand {
    /// What all trials have in common that this runs again.
    pub(crate) fn conditions(
        self,
        system_profile: SystemProfile,
        context: &Context,
        folders: &Folders,
        locked: bool,
    ) -> Conditions {
        Conditions {
            participants: self.participants.clone(),
            system_profile,
            isolation: self.isolation.unwrap_or(Isolation::Process),
            locked,
            cores: context.cores(),
            log_dir: folders.log_dir.clone(),
            command: Box::new(move |trial| self.of(trial)),
        }
    }

    pub(crate) fn of(&self, trial: &TrialSpec) -> String {
        let (spec, participant) = (&trial.cell.spec, self.participants.backends.get(&trial.backend.name));
        let mut words: Vec<String> = vec!["run".into()];
        let own_name = || trial.backend.runs.clone();
        let backend = participant.map_or_else(own_name, |it| backend_word(&trial.backend.name, it));
        push(&mut words, "backend", backend);
        push(&mut words, "workload", &spec.name);
        push(&mut words, "items", spec.total_items);
        push(&mut words, "parallelism", spec.parallelism);
        push(&mut words, "scheduler", &spec.scheduler_name);
        push(&mut words, "seed", trial.data_seed);
        push(&mut words, "nodes", trial.nodes);
        for (key, value) in &spec.extra {
            push(&mut words, "extra", format!("{key}={value}"));
        }
        if let Some(folder) = &self.output_dir {
            push(&mut words, "output-dir", folder.display());
        }
        push(&mut words, "timeout", seconds(self.timeout));
        self.limits.push(&mut words);
        if let Some(isolation) = self.isolation {
            push(&mut words, "isolation", isolation.label());
        }
        if let Some(cores) = self.cores {
            push(&mut words, "cores", cores);
        }
        for folder in self.folders(trial, participant) {
            push(&mut words, "plugin-dir", folder.display());
        }
        self.guards.push(&mut words);
        shell::command("crossrun", words)
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

/// The folders that participants are found in, where the command line names folders at all.
pub(crate) fn push_plugin_folders(words: &mut Vec<String>, participants: &Participants, context: &Context) {
    if context.explicit.is_empty() {
        return;
    }
    let backends = participants.backends.values().filter(|it| !it.from_file).map(|it| &it.plugin);
    let plugins = backends.chain(participants.libraries.values());
    let folders: BTreeSet<_> = plugins.filter_map(|plugin| plugin.path.parent()).collect();
    for folder in folders {
        push(words, "plugin-dir", folder.display());
    }
}
