//! Names and what stands behind them: a plugin's file for the command line, a linked runner for embedders and tests.
//! Starts nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::discover::Location;

/// What became of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Registration {
    /// The name leads to it.
    Active,
    /// The name leads to what an earlier folder has, or to the same file elsewhere.
    Shadowed {
        /// That other file.
        by: PathBuf,
        same: bool,
    },
    /// Another file in the same folder has the name: it leads to neither.
    Clash {
        /// That other file.
        with: PathBuf,
    },
}

/// Why a name leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GetError {
    #[error("there is no {what} {name:?}; {}", there_is(.known))]
    Unknown {
        /// What was asked for: `backend` or `workload`.
        what: &'static str,
        name: String,
        /// The names that exist, sorted.
        known: Vec<String>,
        /// A name that exists and is spelled alike.
        near: Option<String>,
    },
    /// Two different files in one folder have this name.
    #[error("two files claim the {what} {name:?}: {} and {}; remove one of them", one.display(), other.display())]
    Clash {
        /// What was asked for: `backend` or `workload`.
        what: &'static str,
        name: String,
        one: PathBuf,
        other: PathBuf,
    },
}

fn there_is(names: &[String]) -> String {
    if names.is_empty() { "none was found".into() } else { format!("there is {}", names.join(", ")) }
}

/// Names, in lower case, and what each leads to.
#[derive(Debug)]
pub(crate) struct Registry<R> {
    what: &'static str,
    entries: BTreeMap<String, Entry<R>>,
}

#[derive(Debug)]
struct Entry<R> {
    item: R,
    location: Location,
    clash: Option<PathBuf>,
}

impl<R> Registry<R> {
    /// A registry of `what`, as messages call it: `backend` or `workload`.
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, entries: BTreeMap::new() }
    }

    /// Registers `item` as `name`. Whatever comes from an earlier folder must be registered earlier. `is_same` says
    /// whether two items of one name are the same, which it may take reading them whole to tell: it is only asked then.
    pub(crate) fn register(
        &mut self,
        name: &str,
        location: Location,
        item: R,
        is_same: impl FnOnce(&R, &R) -> bool,
    ) -> Registration {
        let name = name.to_lowercase();
        let Some(entry) = self.entries.get_mut(&name) else {
            self.entries.insert(name, Entry { item, location, clash: None });
            return Registration::Active;
        };
        let by = entry.location.path.clone();
        if is_same(&entry.item, &item) {
            return Registration::Shadowed { by, same: true };
        }
        if entry.location.folder != location.folder {
            return Registration::Shadowed { by, same: false };
        }
        entry.clash.get_or_insert(location.path);
        Registration::Clash { with: by }
    }

    /// What `name`, in upper or lower case, leads to.
    pub(crate) fn get(&self, name: &str) -> Result<&R, GetError> {
        let wanted = name.to_lowercase();
        let Some(entry) = self.entries.get(&wanted) else {
            let known = self.names();
            let near = nearest(&wanted, &known);
            return Err(GetError::Unknown { what: self.what, name: name.into(), known, near });
        };
        let Some(other) = entry.clash.clone() else { return Ok(&entry.item) };
        Err(GetError::Clash { what: self.what, name: wanted, one: entry.location.path.clone(), other })
    }

    /// The names that lead somewhere, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let usable = self.entries.iter().filter(|(_, entry)| entry.clash.is_none());
        usable.map(|(name, _)| name.clone()).collect()
    }

    /// What the names lead to, in the order of the names.
    pub(crate) fn items(&self) -> impl Iterator<Item = &R> {
        self.entries.values().filter(|entry| entry.clash.is_none()).map(|entry| &entry.item)
    }
}

fn nearest(name: &str, known: &[String]) -> Option<String> {
    let distances = known.iter().map(|candidate| (edits(name, candidate), candidate));
    distances.filter(|(edits, _)| *edits <= 2).min().map(|(_, candidate)| candidate.clone())
}

/// How many letters must be changed, put in or taken out (Levenshtein).
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, other_letter) in other.chars().enumerate() {
            let change = diagonal + usize::from(letter != other_letter);
            diagonal = row[column + 1];
            row[column + 1] = change.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests;
