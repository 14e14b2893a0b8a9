//! Whether this machine has the libraries that a file needs, by the rules of glibc's dynamic linker. A library that could be anywhere
//! is no reason to reject.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use object::Object as _;

use super::glibc;
use super::object_file::ObjectFile;
use super::rejection::Rejection;

/// The file in which the dynamic linker keeps the names of the libraries in the system's folders.
const CACHE: &str = "/etc/ld.so.cache";
/// Folders that are searched last.
const SYSTEM: [&str; 4] = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"];

/// `DT_RPATH` and `DT_RUNPATH`.
const SEARCH_PATHS: [usize; 2] = [15, 29];

/// More libraries than any file needs, and the longest search path that is followed, in bytes. A file may claim to have millions.
const MOST_NAMES: usize = 512;
const LONGEST_PATH: usize = 16 << 10;

/// The names of the libraries that the file needs, each once.
pub(super) fn names(file: &ObjectFile<'_>) -> Vec<String> {
    let libraries = file.object.import_libraries().into_iter().flatten().map_while(Result::ok);
    let mut seen = HashSet::new();
    let names = libraries.map(|library| library.name()).filter(|name| seen.insert(*name));
    names.take(MOST_NAMES).map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// Rejects a file in `folder` that was built for another C library, or that needs a library which is not there.
pub(super) fn check(file: &ObjectFile<'_>, target: &str, folder: &Path) -> Result<(), Rejection> {
    // Other dynamic linkers have other rules.
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return Ok(());
    }
    let names = names(file);
    if is_musl(target, &names) {
        let reason = "built for musl, but this host uses glibc, and one process cannot have both";
        return Err(Rejection::new(reason)
            .with_remedy(format!("rebuild it for {}-unknown-linux-gnu", std::env::consts::ARCH)));
    }
    let Some(search) = Search::of(file, folder) else { return Ok(()) };
    match names.into_iter().find(|name| !search.finds(name)) {
        None => Ok(()),
        Some(name) => Err(Rejection::new(format!("needs {name}, which the dynamic linker does not find"))
            .with_remedy("export LD_LIBRARY_PATH=FOLDER, with the folder of that library")),
    }
}

fn is_musl(target: &str, names: &[String]) -> bool {
    // The C library of glibc is `libc.so.6`.
    target.contains("musl") || names.iter().any(|name| name == "libc.so" || name.starts_with("libc.musl-"))
}

/// Where the dynamic linker looks.
struct Search {
    folders: Vec<PathBuf>,
    cached: &'static HashSet<OsString>,
}

impl Search {
    /// Nothing if that cannot be told.
    fn of(file: &ObjectFile<'_>, folder: &Path) -> Option<Self> {
        let mut folders = Vec::new();
        for path in search_paths(file) {
            if path.len() > LONGEST_PATH {
                return None;
            }
            for entry in path.split(|byte| *byte == b':').filter(|entry| !entry.is_empty()) {
                folders.push(expanded(entry, folder)?);
            }
        }
        // Without a value the dynamic linker looks nowhere, and not in the current folder, which an empty entry stands for.
        let variable = std::env::var_os("LD_LIBRARY_PATH").filter(|paths| !paths.is_empty());
        for entry in variable.iter().flat_map(|paths| paths.as_bytes().split(|byte| b":;".contains(byte))) {
            // A variable in it is replaced by what the dynamic linker knows of the program, and not of the library.
            if entry.contains(&b'$') {
                return None;
            }
            folders.push(OsStr::from_bytes(entry).into());
        }
        folders.extend(SYSTEM.map(PathBuf::from));
        folders.extend(glibc::path().and_then(|libc| libc.parent().map(Path::to_owned)));
        Some(Self { folders, cached: cached()? })
    }

    fn finds(&self, name: &str) -> bool {
        name.contains('/')
            || self.cached.contains(OsStr::new(name))
            || is_preloaded(name)
            || self
                .folders
                .iter()
                .any(|folder| folder.join(name).is_file() || is_for_newer_processors(folder, name))
    }
}

/// Whether the library is loaded before any plugin.
fn is_preloaded(name: &str) -> bool {
    let preloaded = std::env::var_os("LD_PRELOAD").unwrap_or_default();
    let mut paths = preloaded.as_bytes().split(|byte| b": ".contains(byte));
    paths.any(|path| Path::new(OsStr::from_bytes(path)).file_name() == Some(OsStr::new(name)))
}

/// Whether the library is in one of the folders in `folder` that the dynamic linker looks through first on newer processors.
fn is_for_newer_processors(folder: &Path, name: &str) -> bool {
    let levels = std::fs::read_dir(folder.join("glibc-hwcaps")).into_iter().flatten().flatten();
    levels.into_iter().any(|level| level.path().join(name).is_file())
}

/// A folder of a search path; nothing if it has a variable whose value only the dynamic linker knows.
fn expanded(entry: &[u8], folder: &Path) -> Option<PathBuf> {
    let text = String::from_utf8_lossy(entry);
    let origin = folder.to_string_lossy();
    let plain = text.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin);
    // The folder itself may have one.
    (!text.replace("${ORIGIN}", "").replace("$ORIGIN", "").contains('$')).then(|| plain.into())
}

/// The strings of the cache, among them the names of all libraries in it. It is read once, however many plugins are inspected.
fn cached() -> Option<&'static HashSet<OsString>> {
    static CACHED: OnceLock<Option<HashSet<OsString>>> = OnceLock::new();
    let strings = |bytes: Vec<u8>| {
        bytes.split(|byte| *byte == 0).map(|text| OsStr::from_bytes(text).to_owned()).collect()
    };
    CACHED.get_or_init(|| std::fs::read(CACHE).ok().map(strings)).as_ref()
}

/// The search paths in the dynamic section. Of several of a kind the last one counts.
fn search_paths<'a>(file: &ObjectFile<'a>) -> Vec<&'a [u8]> {
    let Some(strings) = file.section(".dynstr") else { return Vec::new() };
    let entries = file.dynamic();
    let last = |kind| entries.iter().rfind(|[tag, _]| *tag == kind).map(|[_, at]| *at);
    let text = |at: usize| strings.get(at..)?.split(|byte| *byte == 0).next();
    SEARCH_PATHS.into_iter().filter_map(last).filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_a_variable_of_the_dynamic_linker_is_unknown() {
        let folder = Path::new("/a$b");
        assert_eq!(expanded(b"$ORIGIN/lib", folder), Some("/a$b/lib".into()));
        assert_eq!(expanded(b"${ORIGIN}", folder), Some("/a$b".into()));
        assert_eq!(expanded(b"/opt/$LIB", folder), None);
    }

    #[test]
    fn musl_is_known_by_the_target_and_by_its_library() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(is_musl("x86_64-unknown-linux-musl", &[]));
        assert!(is_musl("x86_64-unknown-linux", &names(&["libc.so"])));
        assert!(is_musl("x86_64-unknown-linux", &names(&["libm.so.6", "libc.musl-x86_64.so.1"])));
        assert!(!is_musl("x86_64-unknown-linux-gnu", &names(&["libc.so.6", "libcrypto.so.3"])));
    }
}
