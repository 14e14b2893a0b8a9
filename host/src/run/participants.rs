//! The participants of a measurement, and the libraries of its workloads.

use std::collections::BTreeMap;

use crate::plugin::PluginRef;

#[derive(Clone, Debug, Default)]
pub struct Participants {
    /// The backends, by the participant's name.
    pub backends: BTreeMap<String, Participant>,
    /// The library of each workload, by the workload's name.
    pub libraries: BTreeMap<String, PluginRef>,
}

/// A backend that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Its plugin. The plugin's own name differs from the participant's if the backend takes part twice or was given as a file.
    pub plugin: PluginRef,
    /// Whether it was given as a file, which need not be in a plugin folder.
    pub from_file: bool,
}
