//! From a trial that is over to its record: what all trials of a run have in common, and the command that runs one again.

use std::collections::BTreeMap;
use std::path::Path;

use super::observe;
use super::participants::Part;
use super::reproduce::{push, push_guards, run_words};
use crate::record::{Conditions, Granularity, Kind, Library, SystemProfile, TrialRecord, command};
use crate::run::log_file;
use crate::run::rig::{Done, Purpose};
use crate::worker::protocol::Folders;

/// What all trials of a run have in common.
pub(crate) struct Circumstances<'a> {
    /// Who plays each part, by the name under which it takes part.
    pub(crate) backends: &'a BTreeMap<String, Part>,
    /// The library of each workload.
    pub(crate) libraries: &'a BTreeMap<String, Library>,
    pub(crate) machine: &'a SystemProfile,
    /// Whether plugins are loaded whoever could have written them.
    pub(crate) allow_untrusted: bool,
    pub(crate) locked: bool,
    /// The cores that backends are kept to, if they are.
    pub(crate) cores: Option<&'a [usize]>,
    pub(crate) folders: &'a Folders,
}

impl Circumstances<'_> {
    /// The record of a trial; `metg` if it belongs to a sweep.
    pub(crate) fn record(&self, done: Done<'_>, metg: Option<Granularity>) -> TrialRecord {
        let conditions = self.conditions(&done, metg);
        TrialRecord::new(&conditions, observe::observation(done.report))
    }

    fn conditions(&self, done: &Done<'_>, metg: Option<Granularity>) -> Conditions {
        let Done { block, session, cell, purpose, data_seed, started, .. } = done;
        let backend = &session.backend.name;
        let log = log_file(&self.folders.log_dir, backend);
        Conditions {
            backend: backend.clone(),
            run_id: cell.run_id.clone(),
            spec: cell.spec.clone(),
            data_seed: *data_seed,
            block: Some(block.index),
            nodes: session.nodes,
            kind: if *purpose == Purpose::Measured { Kind::Measured } else { Kind::Warmup },
            started: *started,
            plugin: self.backends.get(backend).map(|part| part.library.clone()),
            workload_library: self.libraries.get(&cell.spec.name).cloned(),
            system_profile: self.machine.clone(),
            command: self.reproduce(done),
            isolation: "process".into(),
            locked: self.locked,
            cores: self.cores.map(<[usize]>::to_vec),
            metg,
            log: log.metadata().is_ok_and(|status| status.len() > 0).then(|| log.display().to_string()),
        }
    }

    /// The command that runs this trial alone, on the same data.
    fn reproduce(&self, done: &Done<'_>) -> String {
        let Done { session, cell, data_seed, .. } = done;
        let mut words = run_words(&session.backend.runs, &cell.spec, *data_seed, session.nodes);
        if let Some(cores) = self.cores {
            push(&mut words, "cores", cores.len());
        }
        for folder in self.plugin_folders(&session.backend.name, &cell.spec.name) {
            push(&mut words, "plugin-dir", folder);
        }
        self.push_guards(&mut words);
        command::reproduce("crossrun", words)
    }

    /// The options that decide which plugins may be loaded.
    pub(crate) fn push_guards(&self, words: &mut Vec<String>) {
        let locked_by = self.libraries.values().find_map(|library| library.locked_by.as_deref());
        push_guards(words, self.allow_untrusted, locked_by.map(Path::new));
    }

    /// The folders of the two libraries that took part.
    fn plugin_folders(&self, backend: &str, workload: &str) -> Vec<String> {
        let plugin = self.backends.get(backend).map(|part| &part.library);
        let libraries = plugin.into_iter().chain(self.libraries.get(workload));
        let folder = |library: &Library| Some(Path::new(&library.path).parent()?.display().to_string());
        let mut folders: Vec<_> = libraries.filter_map(folder).collect();
        folders.dedup();
        folders
    }
}
