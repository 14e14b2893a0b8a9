//! `plugins.lock`: the plugins that may be loaded, each with the hash of its file.

use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::plugin::PluginRef;
use crate::text::without_mark;
use crate::{atomic_file, named_file, path_walk, regular_file};

/// The default name of the file.
pub(crate) const FILE: &str = "plugins.lock";
const VERSION: u32 = 1;
/// No lock file is as long as that, in bytes.
const LONGEST: u64 = 16 << 20;

/// The plugins that may be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockFile {
    pub version: u32,
    /// The plugins, sorted by kind and name.
    pub plugins: Vec<LockedPlugin>,
}

/// A plugin that may be loaded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LockedPlugin {
    /// `runner` or `workloads`.
    pub kind: String,
    /// The backend's or library's name.
    pub name: String,
    /// The SHA-256 of the file, in hex.
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
    /// Where it was when the lock file was written. The file may be moved: only its hash is compared.
    pub source: String,
}

/// That there is no lock file at `path`, or why it cannot be read, as a sentence.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let file = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no lock file {file}"),
        _ => format!("the lock file {file} cannot be read: {error}"),
    }
}

/// A difference between the plugins that were found and those that a lock file lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `runner` or `workloads`.
    pub kind: String,
    pub name: String,
    pub change: Change,
    /// Where it is, or was if it is missing.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It has another hash.
    Changed,
    /// It is listed, but was not found.
    Missing,
    /// It was found, but is not listed.
    Unlisted,
}

impl LockedPlugin {
    fn of(plugin: &PluginRef) -> Self {
        let PluginRef { path, size, sha256, metadata, .. } = plugin;
        Self {
            kind: metadata.kind.as_str().into(),
            name: metadata.name.clone(),
            sha256: sha256.clone(),
            size: *size,
            source: path.to_string_lossy().into_owned(),
        }
    }

    fn difference(&self, change: Change) -> Difference {
        let Self { kind, name, source, .. } = self.clone();
        Difference { kind, name, change, path: source }
    }
}

impl LockFile {
    pub fn of<'a>(plugins: impl IntoIterator<Item = &'a PluginRef>) -> Self {
        let mut plugins: Vec<_> = plugins.into_iter().map(LockedPlugin::of).collect();
        plugins.sort();
        Self { version: VERSION, plugins }
    }

    /// Reads the file at `path`. The error is a sentence.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = named_file::read(path, LONGEST).map_err(|error| unreadable(path, &error))?;
        Self::parse(&text).map_err(|why| format!("the lock file {} cannot be read: {why}", path.display()))
    }

    /// Parses the text of a lock file.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let lock: Self = regular_file::parse(text, VERSION)?;
        let mut names = std::collections::HashSet::new();
        match lock.plugins.iter().find(|listed| !names.insert((&listed.kind, &listed.name))) {
            Some(twice) => Err(format!("it lists {} {} twice", twice.kind, twice.name)),
            None => Ok(lock),
        }
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Writes the file at `path`, whole or not at all.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        path_walk::make_folder(path.parent().unwrap_or(path))?;
        let text = self.text()?;
        atomic_file::replace(path, 0o644, |mut file| file.write_all(text.as_bytes()))
    }

    pub fn find(&self, kind: &str, name: &str) -> Option<&LockedPlugin> {
        self.plugins.iter().find(|listed| listed.kind == kind && listed.name == name)
    }

    /// Whether a file with this hash is listed under any name.
    pub fn lists(&self, sha256: &str) -> bool {
        self.plugins.iter().any(|listed| listed.sha256 == sha256)
    }

    /// The differences between this lock file and `now`, sorted by kind and name.
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let here = now.plugins.iter().filter_map(|listed| match self.find(&listed.kind, &listed.name) {
            None => Some(listed.difference(Change::Unlisted)),
            Some(before) if before.sha256 != listed.sha256 => Some(listed.difference(Change::Changed)),
            Some(_) => None,
        });
        let gone = self.plugins.iter().filter(|listed| now.find(&listed.kind, &listed.name).is_none());
        let mut differences: Vec<_> =
            here.chain(gone.map(|listed| listed.difference(Change::Missing))).collect();
        differences.sort_by(|one, other| (&one.kind, &one.name).cmp(&(&other.kind, &other.name)));
        differences
    }
}

/// Whether `path` leads to a file that was not written as a lock file, of this version or another one, or that cannot be read.
pub(crate) fn is_foreign(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let Ok(text) = regular_file::read(path) else { return true };
    let keys = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(without_mark(&text));
    let is_lock = keys.is_ok_and(|keys| {
        keys.get("version").is_some_and(serde_json::Value::is_u64) && keys.contains_key("plugins")
    });
    !text.is_empty() && !is_lock
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(plugins: &[(&str, &str, &str)]) -> LockFile {
        let listed = |(kind, name, sha256): &(&str, &str, &str)| LockedPlugin {
            kind: (*kind).into(),
            name: (*name).into(),
            sha256: (*sha256).into(),
            size: 1,
            source: format!("/plugins/{name}"),
        };
        LockFile { version: VERSION, plugins: plugins.iter().map(listed).collect() }
    }

    #[test]
    fn a_written_file_is_read_back_and_replaces_an_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/plugins.lock");
        let first = lock(&[("runner", "a", "1")]);
        first.write(&path).unwrap();
        assert_eq!(LockFile::read(&path).unwrap(), first);
        let second = lock(&[("runner", "a", "2"), ("workloads", "a", "3")]);
        second.write(&path).unwrap();
        assert_eq!(LockFile::read(&path).unwrap(), second);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("{\n  \"version\": 1,\n  \"plugins\": [") && text.ends_with("}\n"),
            "{text}"
        );
    }

    /// The text of a key that nobody reads is looked at by nobody.
    #[test]
    fn a_later_version_is_told_also_beside_text_that_is_no_utf_8() {
        let text = b"{\"plugins\": [], \"later\": \"\xc8\", \"version\": 2}";
        assert_eq!(LockFile::parse(text), Err("it has version 2, this crossrun knows 1".into()));
    }

    #[test]
    fn an_invalid_lock_file_is_reported_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let said = || LockFile::read(&path).unwrap_err();
        assert_eq!(said(), format!("there is no lock file {}", path.display()));
        for (text, words) in [
            ("rubbish", "cannot be read: "),
            ("{\"version\": 2, \"plugins\": []}", "it has version 2, this crossrun knows 1"),
            ("{\"version\": 2, \"files\": {}}", "it has version 2, this crossrun knows 1"),
            ("{\"version\": 1}", "missing field `plugins`"),
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(said().contains(words) && said().lines().count() == 1, "{}", said());
        }
        let twice = lock(&[("runner", "a", "1"), ("runner", "a", "2")]);
        std::fs::write(&path, "rubbish").unwrap();
        assert!(is_foreign(&path));
        std::fs::remove_file(&path).unwrap();
        twice.write(&path).unwrap();
        assert!(said().ends_with("it lists runner a twice"), "{}", said());
    }
}
