//! Where plugins are looked for: search folders, the candidates in them, and a trace of what was tried. Opens no file.

use std::collections::HashSet;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::trust::{Distrust, Trust};
use crate::text::serialize_path;

/// The folder beside the executable, and in the data directory, that is for plugins only.
pub(crate) const PLUGINS: &str = "plugins";

/// Where a package of the system puts plugins.
const SYSTEM: [&str; 2] = ["/usr/local/lib/crossrun/plugins", "/usr/lib/crossrun/plugins"];

/// Folders to look in; what an earlier one has shadows a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchPath {
    folders: Vec<PathBuf>,
    ignored: Vec<SearchedFolder>,
}

/// What the environment says of where plugins are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Environment<'a> {
    /// Folders, separated as in `PATH`.
    pub plugin_path: Option<&'a OsStr>,
    /// The user's data folder, as it was named or found.
    pub data_dir: &'a Path,
    /// Whether this process has rights that its caller, whose environment it is, does not have.
    pub raised: bool,
}

/// Where a library comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub path: PathBuf,
    /// The number of its folder in the search: an earlier folder shadows a later one.
    pub folder: usize,
}

/// A folder that was looked in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchedFolder {
    #[serde(serialize_with = "serialize_path")]
    pub folder: PathBuf,
    #[serde(flatten)]
    pub outcome: SearchOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum SearchOutcome {
    /// So many files are named as libraries.
    Searched {
        libraries: usize,
    },
    Missing,
    Unreadable {
        /// The system's words.
        why: String,
    },
    /// Somebody else could have put a library into it.
    Refused(Distrust),
    /// The environment names it, but may not.
    Ignored {
        why: String,
    },
}

impl SearchPath {
    /// These folders and no others.
    pub(crate) fn explicit(folders: Vec<PathBuf>) -> Self {
        Self { folders, ignored: Vec::new() }
    }

    /// The folders that the environment names, then the usual ones: `plugins` beside the executable, its own folder, the
    /// user's data folder, the system's. The current folder is none of them: a folder that the environment names must be
    /// absolute.
    pub(crate) fn usual(environment: Environment<'_>, executable: &Path) -> Self {
        let mut search = Self::explicit(Vec::new());
        // A variable without a folder in it is how one unsets it.
        let named = environment.plugin_path.filter(|path| !path.is_empty()).map(std::env::split_paths);
        for folder in named.into_iter().flatten() {
            search.add_named(folder, "CROSSRUN_PLUGIN_PATH", environment.raised);
        }
        if let Some(beside) = executable.parent() {
            search.folders.extend([beside.join(PLUGINS), beside.to_owned()]);
        }
        search.add_named(environment.data_dir.join(PLUGINS), "CROSSRUN_DATA_DIR or HOME", environment.raised);
        search.folders.extend(SYSTEM.map(PathBuf::from));
        search
    }

    /// Adds a folder that `variable` of the environment names, if it may.
    fn add_named(&mut self, folder: PathBuf, variable: &str, raised: bool) {
        let why = if raised {
            format!("{variable} is not heeded, as this process has more rights than its caller")
        } else if !folder.is_absolute() {
            format!("{variable} names it, which must name absolute folders; --plugin-dir may name any")
        } else {
            return self.folders.push(folder);
        };
        self.ignored.push(SearchedFolder { folder, outcome: SearchOutcome::Ignored { why } });
    }

    /// Looks in each folder once: by name only, in the order of folders and then of names. A folder into which somebody
    /// that `trust` does not cover could have put a library is not looked into.
    pub(crate) fn scan(&self, trust: &Trust) -> (Vec<Location>, Vec<SearchedFolder>) {
        let (mut candidates, mut seen) = (Vec::new(), HashSet::new());
        let mut trace = self.ignored.clone();
        for (number, folder) in self.folders.iter().enumerate() {
            let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            if !seen.insert(real) {
                continue;
            }
            let outcome = match trust.check_folder(folder).map(|()| libraries(folder)) {
                Ok(Ok(paths)) => {
                    let libraries = paths.len();
                    candidates.extend(paths.into_iter().map(|path| Location { path, folder: number }));
                    SearchOutcome::Searched { libraries }
                }
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => SearchOutcome::Missing,
                Ok(Err(error)) => SearchOutcome::Unreadable { why: error.to_string() },
                Err(distrust) => SearchOutcome::Refused(distrust),
            };
            trace.push(SearchedFolder { folder: folder.clone(), outcome });
        }
        (candidates, trace)
    }
}

/// What is named as a library in `folder`, sorted by name.
fn libraries(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(is_library_name))
        .collect();
    paths.sort();
    Ok(paths)
}

fn is_library_name(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let longer = name.len() > DLL_PREFIX.len() + DLL_SUFFIX.len();
    longer && name.starts_with(DLL_PREFIX.as_bytes()) && name.ends_with(DLL_SUFFIX.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn trust() -> Trust {
        Trust::of_this_process(false)
    }

    fn names(candidates: &[Location]) -> Vec<&str> {
        candidates.iter().filter_map(|candidate| candidate.path.file_name()?.to_str()).collect()
    }

    #[test]
    fn only_what_is_named_as_a_library_is_a_candidate_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["libb.so", "liba.so", "lib.so", "a.so", "libc.so.6", "libd.txt", "README"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let (candidates, trace) = SearchPath::explicit(vec![folder.path().into()]).scan(&trust());
        assert_eq!(names(&candidates), ["liba.so", "libb.so"]);
        assert_eq!(trace[0].outcome, SearchOutcome::Searched { libraries: 2 });
    }

    #[test]
    fn a_folder_is_looked_in_once_and_what_is_missing_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("liba.so"), "").unwrap();
        let again = folder.path().join(".");
        let missing = folder.path().join("missing");
        let (candidates, trace) = SearchPath::explicit(vec![folder.path().into(), again, missing]).scan(&trust());
        assert_eq!(candidates.len(), 1);
        let outcomes: Vec<_> = trace.into_iter().map(|looked| looked.outcome).collect();
        assert_eq!(outcomes, [SearchOutcome::Searched { libraries: 1 }, SearchOutcome::Missing]);
    }

    #[test]
    fn a_folder_that_others_can_write_is_not_looked_into() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("liba.so"), "").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let search = SearchPath::explicit(vec![folder.path().into()]);
        let (candidates, trace) = search.scan(&trust());
        assert!(candidates.is_empty());
        let SearchOutcome::Refused(distrust) = &trace[0].outcome else { panic!("{trace:?}") };
        assert_eq!(distrust.reason, "it can be written by everyone");
        assert_eq!(search.scan(&Trust::of_this_process(true)).0.len(), 1);
    }

    fn usual(plugin_path: &str, data_dir: &str, raised: bool) -> SearchPath {
        let (plugin_path, data_dir) = (Some(OsStr::new(plugin_path)), Path::new(data_dir));
        SearchPath::usual(Environment { plugin_path, data_dir, raised }, Path::new("/opt/crossrun"))
    }

    fn folders(search: &SearchPath) -> Vec<&str> {
        search.folders.iter().map(|folder| folder.to_str().unwrap()).collect()
    }

    #[test]
    fn the_usual_folders_come_after_those_of_the_environment() {
        let search = usual("/a:/b", "/data", false);
        assert_eq!(folders(&search)[..5], ["/a", "/b", "/opt/plugins", "/opt", "/data/plugins"]);
        assert_eq!(folders(&search)[5..], SYSTEM);
        assert!(search.ignored.is_empty());
        assert_eq!(usual("", "/data", false).ignored, []);
    }

    #[test]
    fn the_environment_cannot_name_the_current_folder() {
        let search = usual("/a::.:b:/c", "data", false);
        assert_eq!(folders(&search)[..4], ["/a", "/c", "/opt/plugins", "/opt"]);
        assert_eq!(folders(&search)[4..], SYSTEM);
        let (_, trace) = search.scan(&trust());
        let ignored = |looked: &&SearchedFolder| matches!(looked.outcome, SearchOutcome::Ignored { .. });
        let folders: Vec<_> =
            trace.iter().filter(ignored).map(|looked| looked.folder.as_os_str()).collect();
        assert_eq!(folders, ["", ".", "b", "data/plugins"]);
    }

    #[test]
    fn nothing_in_the_environment_counts_when_privileges_were_raised() {
        let search = usual("/a:/b", "/data", true);
        assert_eq!(folders(&search)[..2], ["/opt/plugins", "/opt"]);
        assert_eq!(folders(&search)[2..], SYSTEM);
        assert_eq!(search.ignored.len(), 3);
    }
}
