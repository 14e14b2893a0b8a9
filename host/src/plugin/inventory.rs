//! Everything that a search found, in registries, and a row for each library that cannot be used.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use plugin_api::Availability;
use serde::Serialize;
use serde_json::{Map, Value};

use super::registry::{GetError, Registration, Registry};
use crate::plugin::discover::{Location, Scan, SearchOutcome, SearchPath, SearchedFolder, right_name};
use crate::plugin::inspect::{self, Inspected, Kind, Rejection};
use crate::plugin::trust::Trust;
use crate::shell;
use crate::text::{or_else, serialize_path};

/// Whether a library can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// A plugin that is set up and can start, as far as its probe can tell.
    Available,
    /// A plugin that was not probed.
    Found,
    /// A plugin that cannot start here.
    Unavailable,
    /// Not a plugin, or one that this host cannot load.
    #[default]
    Rejected,
    /// A plugin whose name leads to another file.
    Shadowed,
}

/// One library.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Row {
    /// The name in its metadata; null if that is not known.
    pub name: Option<String>,
    /// `runner` or `workloads`; null if that is not known.
    pub kind: Option<&'static str>,
    pub status: Status,
    pub version: Option<String>,
    #[serde(serialize_with = "serialize_path")]
    pub path: PathBuf,
    pub reason: Option<String>,
    /// What to do about the reason: a command to paste, if there is one.
    pub remedy: Option<String>,
    pub description: Option<String>,
    /// The SHA-256 of the file, in hex; null if nothing needed it.
    pub sha256: Option<String>,
    pub build: Map<String, Value>,
    /// The words of what a backend can do beyond the stages of API 1.0; null if it was not probed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports: Option<Vec<String>>,
}

impl Row {
    /// A library that this host rejects.
    pub(crate) fn rejected(path: PathBuf, rejection: Rejection) -> Self {
        let Rejection { reason, remedy } = rejection;
        Self { path, status: Status::Rejected, reason: Some(reason), remedy, ..Self::default() }
    }

    /// A plugin and its status.
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
            supports: None,
        }
    }

    /// A plugin that was probed.
    pub(crate) fn probed(plugin: &Inspected, availability: Availability) -> Self {
        match availability {
            Availability::Available => Self::of(plugin, Status::Available, None, None),
            Availability::Unavailable { reason, remedy } => {
                let remedy = Some(remedy).filter(|remedy| !remedy.is_empty());
                let reason = or_else(reason, NO_REASON);
                Self::of(plugin, Status::Unavailable, Some(reason), remedy)
            }
        }
    }
}

/// The reason of a backend that is not available and gives none.
pub(crate) const NO_REASON: &str = "it gives no reason";

#[derive(Debug)]
pub(crate) struct Inventory {
    pub runners: Registry<Inspected>,
    /// For each workload the library that has it.
    pub workloads: Registry<Inspected>,
    pub libraries: Registry<Inspected>,
    /// The libraries and folders that are rejected or shadowed.
    pub rows: Vec<Row>,
    /// Files that are used in place of one with the same name in an earlier folder, and why that one is rejected.
    pub substitutes: Vec<(PathBuf, Row)>,
    /// Each folder of the search path, and what came of searching it.
    pub trace: Vec<SearchedFolder>,
}

impl Inventory {
    /// Searches the folders of `search`, and inspects each library that only users whom `trust` covers can write. Only files that
    /// share a name and a size are read whole.
    pub(crate) fn of(search: &SearchPath, trust: &Trust) -> Self {
        let Scan { candidates, misnamed, trace } = search.scan(trust);
        let mut inventory = Self {
            runners: Registry::new("backend"),
            workloads: Registry::new("workload"),
            libraries: Registry::new("workload library"),
            rows: Vec::new(),
            substitutes: Vec::new(),
            trace,
        };
        inventory.rows.extend(inventory.trace.iter().filter_map(refused_folder));
        inventory.rows.extend(misnamed.into_iter().filter_map(|path| misnamed_plugin(path, trust)));
        let mut clashing = HashSet::new();
        for candidate in candidates {
            let trusted = trust.file(&candidate.path).map_err(Rejection::from);
            match trusted.and_then(|real| inspect::inspect(&real)) {
                Ok(plugin) => inventory.register(&candidate, plugin, &mut clashing),
                Err(rejection) => inventory.rows.push(Row::rejected(candidate.path, rejection)),
            }
        }
        inventory
    }

    fn register(&mut self, candidate: &Location, plugin: Inspected, clashing: &mut HashSet<PathBuf>) {
        let location = Location { folder: candidate.folder, path: plugin.path.clone() };
        let name = plugin.metadata.name.clone();
        let registry = match plugin.metadata.kind {
            Kind::Runner => &mut self.runners,
            Kind::Workloads(_) => &mut self.libraries,
        };
        let registration =
            registry.register(&name, location.clone(), plugin.clone(), Inspected::is_same_file);
        let row_of = |plugin: &Inspected, status, reason: String| Row::of(plugin, status, Some(reason), None);
        match registration {
            Registration::Active => {
                let replaced = self.rejected_as(&candidate.path).cloned();
                self.substitutes.extend(replaced.map(|row| (candidate.path.clone(), row)));
                self.register_workloads(&plugin, &location);
            }
            Registration::Shadowed { by, same } => {
                let what = if same { "the same file as" } else { "an earlier folder has that name in" };
                let reason = format!("{what} {}", by.display());
                self.rows
                    .push(Row { path: candidate.path.clone(), ..row_of(&plugin, Status::Shadowed, reason) });
            }
            Registration::Clash { with } => {
                let reason = |other: &PathBuf| format!("{} has the same name", other.display());
                let remedy = Some("remove one of the two".to_owned());
                // The first file gets one row, however many others have its name.
                if clashing.insert(with.clone()) {
                    let first = inspect::inspect(&with).unwrap_or_else(|_| plugin.clone());
                    let row = row_of(&first, Status::Rejected, reason(&plugin.path));
                    self.rows.push(Row { path: with.clone(), remedy: remedy.clone(), ..row });
                }
                self.rows.push(Row { remedy, ..row_of(&plugin, Status::Rejected, reason(&with)) });
            }
        }
    }

    /// The rejected file, in a folder that was searched so far, that is called as this one.
    fn rejected_as(&self, path: &Path) -> Option<&Row> {
        let is_called_so =
            |row: &&Row| row.status == Status::Rejected && row.path.file_name() == path.file_name();
        self.rows.iter().find(is_called_so)
    }

    /// The library that has the workload `name`. One of two that claim one name is none: it may be the older one.
    pub(crate) fn library_of(&self, name: &str) -> Result<&Inspected, GetError> {
        let library = self.workloads.get(name)?;
        self.libraries.get(&library.metadata.name).map(|_| library)
    }

    /// Registers each workload of a library. A later library may add workloads that no earlier one has.
    fn register_workloads(&mut self, library: &Inspected, location: &Location) {
        let Kind::Workloads(names) = &library.metadata.kind else { return };
        for name in names {
            self.workloads.register(name, location.clone(), library.clone(), Inspected::is_same_file);
        }
    }
}

/// The row of a plugin whose file is not searched for because of its name.
fn misnamed_plugin(path: PathBuf, trust: &Trust) -> Option<Row> {
    let right = right_name(path.file_name()?)?;
    let file = trust.file(&path).ok()?;
    let name = inspect::inspect(&file).ok()?.metadata.name;
    let place = path.with_file_name(&right);
    // A library with a version in its name, and a link to it: it is used by the name of the link.
    if place.canonicalize().is_ok_and(|found| found == file) {
        return None;
    }
    let reason = format!("it has the plugin {name}, but its file must be called {right} to be used");
    let remedy = match place.symlink_metadata() {
        // Moving it there would remove another file.
        Ok(_) => format!("another folder, as there is a {right} in this one"),
        Err(_) => shell::command("mv", [&path, &place].map(|path| shell::path(path))),
    };
    Some(Row::rejected(path, Rejection { reason, remedy: Some(remedy) }))
}

/// The row of a folder that is not searched because other users can write to it.
fn refused_folder(searched: &SearchedFolder) -> Option<Row> {
    let SearchOutcome::Refused(why) = &searched.outcome else { return None };
    Some(Row::rejected(searched.folder.clone(), why.clone()))
}
