//! A registry from names to items: plugin files for the command line, runners that are linked into the program for tests.
//! Starts nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::discover::Location;
use crate::text::nearest;

/// What came of registering an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Registration {
    /// The name leads to it.
    Active,
    /// The name leads to the item of an earlier folder, or to the same file elsewhere.
    Shadowed {
        /// The other file.
        by: PathBuf,
        same: bool,
    },
    /// Another file in the same folder has the name, so that the name leads to neither.
    Clash {
        /// The other file.
        with: PathBuf,
    },
}

/// Why a name leads to no item.
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

    /// Registers `item` as `name`. Items of an earlier folder must be registered earlier. `is_same` says whether two items
    /// are the same. It may read both files whole, and is called only for two items of one name.
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

    /// The item that `name`, in upper or lower case, leads to.
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

    /// The names that lead to an item, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let usable = self.entries.iter().filter(|(_, entry)| entry.clash.is_none());
        usable.map(|(name, _)| name.clone()).collect()
    }

    /// The items that the names lead to, in the order of the names.
    pub(crate) fn items(&self) -> impl Iterator<Item = &R> {
        self.entries.values().filter(|entry| entry.clash.is_none()).map(|entry| &entry.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn not_called(_: &&str, _: &&str) -> bool {
        panic!("items of different names are compared")
    }

    fn registry(names: &[&'static str]) -> Registry<&'static str> {
        let mut registry = Registry::new("backend");
        for name in names {
            let location = Location { folder: 0, path: name.into() };
            let registration = registry.register(name, location, *name, not_called);
            assert_eq!(registration, Registration::Active);
        }
        registry
    }

    #[test]
    fn each_name_leads_to_its_item_in_upper_and_lower_case() {
        let registry = registry(&["MoCk", "other"]);
        for (name, item) in [("mock", "MoCk"), ("MOCK", "MoCk"), ("Mock", "MoCk"), ("other", "other")] {
            assert_eq!(registry.get(name).unwrap(), &item);
        }
    }

    #[test]
    fn the_listing_is_in_lower_case_and_sorted_and_may_be_empty() {
        assert_eq!(registry(&["B", "c", "a"]).names(), ["a", "b", "c"]);
        assert!(registry(&[]).names().is_empty());
    }

    #[test]
    fn the_error_for_an_unknown_name_lists_the_known_names_and_suggests_one() {
        for (names, name, message, suggestion) in [
            (["native", "word_count"].as_slice(), "natvie", "there is native, word_count", Some("native")),
            (&["native", "word_count"], "wordcount", "there is native, word_count", Some("word_count")),
            (&["native"], "spark", "there is native", None),
            (&[], "x", "none was found", None),
        ] {
            let error = registry(names).get(name).unwrap_err();
            assert_eq!(error.to_string(), format!("there is no backend {name:?}; {message}"));
            let GetError::Unknown { near, .. } = error else { panic!("{error}") };
            assert_eq!(near.as_deref(), suggestion);
        }
    }
}
