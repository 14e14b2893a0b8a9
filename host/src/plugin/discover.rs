//! Where plugins are searched for: the folders, the candidates in them, and a trace of the search. Opens no file.

use std::collections::HashSet;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::PLUGINS;
use super::inspect::Rejection;
use super::trust::{Refusal, Trust};

/// The variable that names folders.
pub(crate) const PLUGIN_PATH: &str = "CROSSRUN_PLUGIN_PATH";

/// Where a package puts plugins, below the prefix that has the executable in `bin`.
const INSTALLED: &str = "lib/crossrun/plugins";

/// Where a package of the system puts plugins.
const SYSTEM: [&str; 2] = ["/usr/local/lib/crossrun/plugins", "/usr/lib/crossrun/plugins"];

/// The folders that are searched; a plugin in an earlier folder shadows one in a later folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchPath {
    folders: Vec<PathBuf>,
    /// How many of the first of them [`PLUGIN_PATH`] names.
    named: usize,
    ignored: Vec<SearchedFolder>,
}

/// What the environment says about where plugins are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Environment<'a> {
    /// Folders, separated as in `PATH`.
    pub plugin_path: Option<&'a OsStr>,
    /// The user's data folder, as it was named or found.
    pub data_dir: &'a Path,
    /// Whether this process has rights that its caller, who set the environment, does not have.
    pub raised: bool,
}

/// Where a library is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub path: PathBuf,
    /// The number of its folder in the search path.
    pub folder: usize,
}

/// A folder of the search path, and what came of searching it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchedFolder {
    pub folder: PathBuf,
    pub outcome: SearchOutcome,
}

/// What a search found.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The files with the name of a library.
    pub candidates: Vec<Location>,
    /// Files that are not searched, as their names are not quite those of libraries.
    pub misnamed: Vec<PathBuf>,
    pub trace: Vec<SearchedFolder>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SearchOutcome {
    /// The number of files with the name of a library.
    Searched { libraries: usize },
    Missing {
        /// Whether [`PLUGIN_PATH`] names it.
        named: bool,
    },
    Unreadable {
        /// The system's message.
        why: String,
    },
    /// Another user could have put a library into it.
    Refused(Rejection),
    /// The environment must not name it.
    Ignored { why: String },
}

impl SearchPath {
    /// These folders and no others.
    pub(crate) fn explicit(folders: Vec<PathBuf>) -> Self {
        Self { folders, named: 0, ignored: Vec::new() }
    }

    /// The folders that the environment names, then the usual ones: `plugins` beside the executable, the executable's own
    /// folder, that of the package that the executable is part of, `plugins` in the user's data folder, and the system's. The current folder is none of them: a folder that
    /// the environment names must be absolute.
    pub(crate) fn usual(environment: Environment<'_>, executable: &Path) -> Self {
        let mut search = Self::explicit(Vec::new());
        // An empty variable counts as unset.
        let named = environment.plugin_path.filter(|path| !path.is_empty()).map(std::env::split_paths);
        for folder in named.into_iter().flatten() {
            search.add_named(folder, PLUGIN_PATH, environment.raised);
        }
        search.named = search.folders.len();
        if let Some(beside) = executable.parent() {
            search.folders.extend([beside.join(PLUGINS), beside.to_owned()]);
            // Elsewhere the folder above may be anybody's.
            let prefix = beside.parent().filter(|_| beside.file_name() == Some(OsStr::new("bin")));
            search.folders.extend(prefix.map(|prefix| prefix.join(INSTALLED)));
        }
        search.add_named(environment.data_dir.join(PLUGINS), "CROSSRUN_DATA_DIR or HOME", environment.raised);
        search.folders.extend(SYSTEM.map(PathBuf::from));
        search
    }

    /// Adds a folder that `variable` of the environment names, unless it must not name it.
    fn add_named(&mut self, folder: PathBuf, variable: &str, raised: bool) {
        let why = if raised {
            format!("{variable} is ignored, as this process has more rights than its caller")
        } else if !folder.is_absolute() {
            format!("{variable} names it, but may name absolute folders only; --plugin-dir may name any")
        } else {
            return self.folders.push(folder);
        };
        self.ignored.push(SearchedFolder { folder, outcome: SearchOutcome::Ignored { why } });
    }

    /// Lists each folder once, and returns the files with the name of a library, in the order of folders and then of
    /// names. A folder into which a user whom `trust` does not cover could have put a library is not listed.
    pub(crate) fn scan(&self, trust: &Trust) -> Scan {
        let (mut candidates, mut seen) = (Vec::new(), HashSet::new());
        let (mut trace, mut misnamed) = (self.ignored.clone(), Vec::new());
        for (number, folder) in self.folders.iter().enumerate() {
            if !seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone())) {
                continue;
            }
            // What is not there has nothing that other users could have written, whoever may write to the folders above it.
            let there = folder.symlink_metadata().map_err(Refusal::from);
            let listed = there.and_then(|_| trust.folder(folder)).and_then(|real| Ok(libraries(&real)?));
            let outcome = match listed {
                Ok((names, others)) => {
                    let libraries = names.len();
                    misnamed.extend(others.into_iter().map(|name| folder.join(name)));
                    let locations =
                        names.into_iter().map(|name| Location { path: folder.join(name), folder: number });
                    candidates.extend(locations);
                    SearchOutcome::Searched { libraries }
                }
                Err(Refusal::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => {
                    SearchOutcome::Missing { named: number < self.named }
                }
                Err(Refusal::Unreadable(error)) => SearchOutcome::Unreadable { why: error.to_string() },
                Err(Refusal::Distrust(why)) => SearchOutcome::Refused(why),
            };
            trace.push(SearchedFolder { folder: folder.clone(), outcome });
        }
        Scan { candidates, misnamed, trace }
    }
}

/// The names of libraries among the files in `folder`, and nearly such names, each sorted.
fn libraries(folder: &Path) -> io::Result<(Vec<OsString>, Vec<OsString>)> {
    let mut names: Vec<_> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    let (libraries, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| is_library_name(name));
    Ok((libraries, others.into_iter().filter(|name| right_name(name).is_some()).collect()))
}

/// The name that a library must have to be found, of a file without the prefix or with a version at its end.
pub(crate) fn right_name(name: &OsStr) -> Option<String> {
    let name = name.to_str()?;
    let (stem, version) = name.split_once(DLL_SUFFIX)?;
    let is_version =
        version.strip_prefix('.').is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()));
    let stem = stem.strip_prefix(DLL_PREFIX).unwrap_or(stem);
    let right = format!("{DLL_PREFIX}{stem}{DLL_SUFFIX}");
    (!stem.is_empty() && right != name && (version.is_empty() || is_version)).then_some(right)
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

    #[test]
    fn files_named_as_libraries_are_found_in_order_and_each_folder_is_searched_once() {
        let place = tempfile::tempdir().unwrap();
        for name in ["libb.so", "liba.so", "lib.so", "a.so", "libc.so.6", "libd.txt", "README"] {
            fs::write(place.path().join(name), "").unwrap();
        }
        let folders = ["", ".", "missing"].map(|folder| place.path().join(folder));
        let Scan { candidates, trace, .. } =
            SearchPath::explicit(folders.into()).scan(&Trust::of_this_process(false));
        let names: Vec<_> = candidates.iter().filter_map(|found| found.path.file_name()).collect();
        assert_eq!(names, ["liba.so", "libb.so"]);
        let outcomes: Vec<_> = trace.into_iter().map(|searched| searched.outcome).collect();
        let missing = SearchOutcome::Missing { named: false };
        assert_eq!(outcomes, [SearchOutcome::Searched { libraries: 2 }, missing]);
    }

    #[test]
    fn the_environment_comes_first_and_must_name_absolute_folders_and_have_no_raised_rights() {
        for (plugin_path, data_dir, raised, folders, ignored) in [
            ("/a:/b", "/data", false, ["/a", "/b", "/opt/plugins", "/opt", "/data/plugins"].as_slice(), 0),
            ("", "/data", false, &["/opt/plugins", "/opt", "/data/plugins"], 0),
            ("/a::.:b:/c", "data", false, &["/a", "/c", "/opt/plugins", "/opt"], 4),
            ("/a:/b", "/data", true, &["/opt/plugins", "/opt"], 3),
        ] {
            let (path, data_dir) = (Some(OsStr::new(plugin_path)), Path::new(data_dir));
            let environment = Environment { plugin_path: path, data_dir, raised };
            let search = SearchPath::usual(environment, Path::new("/opt/crossrun"));
            let expected: Vec<_> = folders.iter().chain(&SYSTEM).map(PathBuf::from).collect();
            assert_eq!(search.folders, expected, "{plugin_path}");
            assert_eq!(search.ignored.len(), ignored, "{plugin_path}");
        }
    }

    #[test]
    fn a_package_has_its_plugins_below_its_prefix() {
        let environment = Environment { plugin_path: None, data_dir: Path::new("/data"), raised: false };
        let search = |executable| SearchPath::usual(environment, Path::new(executable)).folders;
        assert!(search("/home/me/env/bin/crossrun").contains(&"/home/me/env/lib/crossrun/plugins".into()));
        assert!(!search("/tmp/me/crossrun").contains(&"/tmp/lib/crossrun/plugins".into()));
    }
}
