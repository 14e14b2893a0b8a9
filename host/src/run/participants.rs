//! Who takes part in a measurement, and in what.

use std::collections::BTreeMap;

use crate::plugin::PluginRef;

#[derive(Clone, Debug, Default)]
pub struct Participants {
    /// The backends, by the name under which each takes part.
    pub backends: BTreeMap<String, Participant>,
    /// The library of each workload, by the workload's name.
    pub libraries: BTreeMap<String, PluginRef>,
}

/// A backend that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Its plugin, whose own name is another if the backend takes part twice, or was given as a file.
    pub plugin: PluginRef,
    /// Whether it was given as a file, which the plugin folders need not hold.
    pub from_file: bool,
}
