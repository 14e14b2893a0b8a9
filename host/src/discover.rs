//! Where plugins are looked for: search folders, the candidates in them, and a trace of what was tried. Opens no file.

use std::collections::HashSet;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The folder beside the executable, and in the data directory, that is for plugins only.
const PLUGINS: &str = "plugins";

/// Where a package of the system puts plugins.
const SYSTEM: [&str; 2] = ["/usr/local/lib/crossrun/plugins", "/usr/lib/crossrun/plugins"];

/// Folders to look in; what an earlier one has shadows a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    folders: Vec<PathBuf>,
}

/// A file that is named as a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it was found.
    pub path: PathBuf,
    /// The number of its folder in the search.
    pub folder: usize,
}

/// A folder that was looked in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Looked {
    /// Which.
    pub folder: PathBuf,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of looking in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// So many files are named as libraries.
    Searched {
        /// How many.
        libraries: usize,
    },
    /// There is no such folder.
    Missing,
    /// It cannot be read.
    Unreadable {
        /// The system's words.
        why: String,
    },
}

impl Search {
    /// These folders and no others.
    pub fn explicit(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// The folders of `plugin_path` (separated as in `PATH`), then the usual ones: `plugins` beside the executable, its
    /// own folder, the user's data directory, the system's.
    pub fn usual(plugin_path: Option<&OsStr>, executable: &Path, data_dir: &Path) -> Self {
        let named = plugin_path.map(std::env::split_paths).into_iter().flatten();
        let mut folders: Vec<PathBuf> = named.filter(|folder| !folder.as_os_str().is_empty()).collect();
        if let Some(beside) = executable.parent() {
            folders.extend([beside.join(PLUGINS), beside.to_owned()]);
        }
        folders.push(data_dir.join(PLUGINS));
        folders.extend(SYSTEM.map(PathBuf::from));
        Self { folders }
    }

    /// Looks in each folder once: by name only, in the order of folders and then of names.
    pub fn look(&self) -> (Vec<Candidate>, Vec<Looked>) {
        let (mut candidates, mut trace, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for (number, folder) in self.folders.iter().enumerate() {
            let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            if !seen.insert(real) {
                continue;
            }
            let outcome = match libraries(folder) {
                Ok(paths) => {
                    let libraries = paths.len();
                    candidates.extend(paths.into_iter().map(|path| Candidate { path, folder: number }));
                    Outcome::Searched { libraries }
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Outcome::Missing,
                Err(error) => Outcome::Unreadable { why: error.to_string() },
            };
            trace.push(Looked { folder: folder.clone(), outcome });
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

    fn names(candidates: &[Candidate]) -> Vec<&str> {
        candidates.iter().filter_map(|candidate| candidate.path.file_name()?.to_str()).collect()
    }

    #[test]
    fn only_what_is_named_as_a_library_is_a_candidate_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["libb.so", "liba.so", "lib.so", "a.so", "libc.so.6", "libd.txt", "README"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let (candidates, trace) = Search::explicit(vec![folder.path().into()]).look();
        assert_eq!(names(&candidates), ["liba.so", "libb.so"]);
        assert_eq!(trace[0].outcome, Outcome::Searched { libraries: 2 });
    }

    #[test]
    fn a_folder_is_looked_in_once_and_what_is_missing_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("liba.so"), "").unwrap();
        let again = folder.path().join(".");
        let missing = folder.path().join("missing");
        let (candidates, trace) = Search::explicit(vec![folder.path().into(), again, missing]).look();
        assert_eq!(candidates.len(), 1);
        let outcomes: Vec<_> = trace.into_iter().map(|looked| looked.outcome).collect();
        assert_eq!(outcomes, [Outcome::Searched { libraries: 1 }, Outcome::Missing]);
    }

    #[test]
    fn the_usual_folders_come_after_those_of_the_environment() {
        let search =
            Search::usual(Some(OsStr::new("/a::/b")), Path::new("/opt/crossrun"), Path::new("/data"));
        let folders: Vec<_> = search.folders.iter().map(|folder| folder.to_str().unwrap()).collect();
        assert_eq!(folders[..5], ["/a", "/b", "/opt/plugins", "/opt", "/data/plugins"]);
        assert_eq!(folders[5..], SYSTEM);
    }
}
