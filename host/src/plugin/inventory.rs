//! Everything that was found, put into registries, and a row for each library that was looked at.

use std::collections::BTreeMap;
use std::path::PathBuf;

use plugin_api::Availability;
use serde::Serialize;
use serde_json::{Map, Value};

use super::registry::{Registry, Registration};
use crate::plugin::discover::{Location, SearchOutcome, SearchPath, SearchedFolder};
use crate::plugin::inspect::{self, Inspected, Kind, Rejection};
use crate::plugin::trust::{Distrust, Trust};
use crate::text::serialize_path;

/// What became of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Set up and startable, as far as can be told without starting anything.
    Available,
    /// A plugin that was not asked whether it could start.
    Found,
    /// A plugin, but not startable here.
    Unavailable,
    /// No plugin, or one that this host cannot load.
    Rejected,
    /// A plugin, but the name leads to another file.
    Shadowed,
}

/// One library that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    /// What it calls itself; null if that is not known.
    pub name: Option<String>,
    /// `runner` or `workloads`; null if that is not known.
    pub kind: Option<&'static str>,
    pub status: Status,
    pub version: Option<String>,
    #[serde(serialize_with = "serialize_path")]
    pub path: PathBuf,
    pub reason: Option<String>,
    /// What mends that: a command to paste, if there is one.
    pub remedy: Option<String>,
    pub description: Option<String>,
    /// The SHA-256 of the file, in hex; null if nothing needed it.
    pub sha256: Option<String>,
    pub build: Map<String, Value>,
}

impl Row {
    /// A library that is no plugin for this host.
    pub(crate) fn rejected(path: PathBuf, rejection: Rejection) -> Self {
        Self {
            name: None,
            kind: None,
            status: Status::Rejected,
            version: None,
            path,
            reason: Some(rejection.reason),
            remedy: rejection.remedy,
            description: None,
            sha256: None,
            build: Map::new(),
        }
    }

    /// A plugin, and what is known of it.
    pub(crate) fn of(
        plugin: &Inspected,
        status: Status,
        reason: Option<String>,
        remedy: Option<String>,
    ) -> Self {
        let Inspected { path, metadata, .. } = plugin;
        Self {
            name: Some(metadata.name.clone()),
            kind: Some(metadata.kind.as_str()),
            status,
            version: Some(metadata.version.clone()),
            path: path.clone(),
            reason,
            remedy,
            description: Some(metadata.description.clone()),
            sha256: None,
            build: metadata.build(),
        }
    }

    /// A plugin that was asked whether it could start.
    pub(crate) fn probed(plugin: &Inspected, availability: Availability) -> Self {
        match availability {
            Availability::Available => Self::of(plugin, Status::Available, None, None),
            Availability::Unavailable { reason, remedy } => {
                let remedy = Some(remedy).filter(|remedy| !remedy.is_empty());
                Self::of(plugin, Status::Unavailable, Some(reason), remedy)
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Inventory {
    pub runners: Registry<Inspected>,
    /// For each workload the library that has it.
    pub workloads: Registry<Inspected>,
    pub libraries: Registry<Inspected>,
    /// What is rejected or shadowed.
    pub rows: Vec<Row>,
    pub trace: Vec<SearchedFolder>,
}

impl Inventory {
    /// Looks in the folders of `search`, and inspects what is there, as far as it is by whom `trust` covers. No file is
    /// read whole, but for those that share a name.
    pub(crate) fn of(search: &SearchPath, trust: &Trust) -> Self {
        let (candidates, trace) = search.scan(trust);
        let mut inventory = Self {
            runners: Registry::new("backend"),
            workloads: Registry::new("workload"),
            libraries: Registry::new("workload library"),
            rows: Vec::new(),
            trace,
        };
        inventory.rows.extend(inventory.trace.iter().filter_map(refused_folder));
        let mut clashing = BTreeMap::new();
        for candidate in candidates {
            let trusted = trust.check_file(&candidate.path).map_err(Rejection::from);
            match trusted.and_then(|()| inspect::inspect(&candidate.path)) {
                Ok(plugin) => inventory.register(&candidate, plugin, &mut clashing),
                Err(rejection) => inventory.rows.push(Row::rejected(candidate.path, rejection)),
            }
        }
        inventory
    }

    fn register(&mut self, candidate: &Location, plugin: Inspected, clashing: &mut BTreeMap<PathBuf, ()>) {
        let location = Location { folder: candidate.folder, path: plugin.path.clone() };
        let name = plugin.metadata.name.clone();
        let registry = match plugin.metadata.kind {
            Kind::Runner => &mut self.runners,
            Kind::Workloads(_) => &mut self.libraries,
        };
        let registration = registry.register(&name, location.clone(), plugin.clone(), Inspected::is_same_file);
        let row_of = |plugin: &Inspected, status, reason: String| Row::of(plugin, status, Some(reason), None);
        match registration {
            Registration::Active => self.register_workloads(&plugin, &location),
            Registration::Shadowed { by, same } => {
                let what = if same { "the same file as" } else { "an earlier folder has that name in" };
                let reason = format!("{what} {}", by.display());
                self.rows
                    .push(Row { path: candidate.path.clone(), ..row_of(&plugin, Status::Shadowed, reason) });
            }
            Registration::Clash { with } => {
                let reason = |other: &PathBuf| format!("{} has the same name", other.display());
                let remedy = Some("remove one of the two".to_owned());
                // The first one's row is due once, however many have its name.
                if clashing.insert(with.clone(), ()).is_none() {
                    let first = inspect::inspect(&with).unwrap_or_else(|_| plugin.clone());
                    let row = row_of(&first, Status::Rejected, reason(&plugin.path));
                    self.rows.push(Row { path: with.clone(), remedy: remedy.clone(), ..row });
                }
                self.rows.push(Row { remedy, ..row_of(&plugin, Status::Rejected, reason(&with)) });
            }
        }
    }

    /// Registers each workload of a library. A library that comes later may still add workloads that no other has.
    fn register_workloads(&mut self, library: &Inspected, location: &Location) {
        let Kind::Workloads(names) = &library.metadata.kind else { return };
        for name in names {
            self.workloads.register(name, location.clone(), library.clone(), Inspected::is_same_file);
        }
    }
}

/// A folder with libraries that nobody looks at is listed beside the libraries.
fn refused_folder(looked: &SearchedFolder) -> Option<Row> {
    let SearchOutcome::Refused(distrust) = &looked.outcome else { return None };
    Some(Row::rejected(looked.folder.clone(), distrust.clone().into()))
}

impl From<Distrust> for Rejection {
    fn from(distrust: Distrust) -> Self {
        Self { reason: distrust.reason, remedy: Some(distrust.remedy) }
    }
}
