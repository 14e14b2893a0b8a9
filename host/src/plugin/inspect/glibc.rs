//! The version of the C library that a plugin needs, and the one of this machine. The message of the dynamic linker names only
//! the first.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use object::read::{ImportFlags, NameOrOrdinal, ReadRef};
use object::{Object, ObjectSection};

use super::bounded_reader::BoundedReader;
use super::rejection::Rejection;

/// The prefix of the names of versions.
const PREFIX: &[u8] = b"GLIBC_";
/// The most symbols that are told. A file may claim to have millions.
const MOST_SYMBOLS: usize = 1024;

/// A version. As numbers, 2.9 comes before 2.34.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Vec<u32>);

impl Version {
    fn parse(name: &[u8]) -> Option<Self> {
        let digits = std::str::from_utf8(name.strip_prefix(PREFIX)?).ok()?;
        digits.split('.').map(|number| number.parse().ok()).collect::<Option<_>>().map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

/// Checks that this machine's C library is new enough for `object`. A version that is not known is no reason to reject.
pub(super) fn check<'data, R: ReadRef<'data>>(object: &object::File<'data, R>) -> Result<(), Rejection> {
    let (Some(needed), Some(present)) = (newest(object), present()) else { return Ok(()) };
    if needed <= *present {
        return Ok(());
    }
    let reason = format!("needs glibc {needed}, but this machine has {present}");
    Err(Rejection::new(reason).with_remedy("rebuild it on this machine"))
}

/// The file of the C library in this process.
pub(super) fn path() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let paths = maps.lines().filter_map(|line| line.split_ascii_whitespace().nth(5));
    paths.map(PathBuf::from).find(|path| path.file_name().is_some_and(|name| name == "libc.so.6"))
}

/// The version of the C library of this process. It is read once, however many plugins are inspected.
pub(super) fn present() -> Option<&'static Version> {
    static PRESENT: OnceLock<Option<Version>> = OnceLock::new();
    let read = || {
        let reader = BoundedReader::new(File::open(path()?).ok()?);
        newest(&object::File::parse(&reader).ok()?)
    };
    PRESENT.get_or_init(read).as_ref()
}

/// The newest version that the library or program at `path` needs; `None` if it names none.
pub fn required_by(path: &Path) -> Result<Option<Version>, Rejection> {
    let reader = BoundedReader::new(File::open(path)?);
    let object = object::File::parse(&reader).map_err(|error| Rejection::new(error.to_string()))?;
    Ok(newest(&object))
}

/// The newest version among the strings of the dynamic section: for the C library itself the version that it provides, for
/// any other file the version that it needs.
pub(super) fn newest<'data, R: ReadRef<'data>>(object: &object::File<'data, R>) -> Option<Version> {
    let strings = object.section_by_name(".dynstr")?.data().ok()?;
    strings.split(|byte| *byte == 0).filter_map(Version::parse).max()
}

/// The symbols for which `object` needs the newest version, sorted: those that an author has to do without on an older machine. Of a
/// file that claims to have more, [`MOST_SYMBOLS`].
pub(super) fn newest_symbols<'data, R: ReadRef<'data>>(object: &object::File<'data, R>) -> Vec<String> {
    let versioned = |import: object::read::Import<'data>| match (import.flags(), import.name()) {
        (ImportFlags::Elf { version: Some(version), .. }, NameOrOrdinal::Name(name)) => {
            Some((Version::parse(version)?, name))
        }
        _ => None,
    };
    let imports = || object.imports().into_iter().flatten().map_while(Result::ok).filter_map(versioned);
    let newest = imports().map(|(version, _)| version).max();
    let of_newest = imports().filter(|(version, _)| Some(version) == newest.as_ref());
    let names: BTreeSet<_> = of_newest.map(|(_, name)| name).collect();
    names.into_iter().take(MOST_SYMBOLS).map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let version = |name: &str| Version::parse(name.as_bytes());
        assert!(version("GLIBC_2.9") < version("GLIBC_2.34"));
        assert!(version("GLIBC_2.2.5") < version("GLIBC_2.34"));
        assert_eq!(version("GLIBC_2.34").unwrap().to_string(), "2.34");
        assert_eq!((version("GLIBC_PRIVATE"), version("GCC_3.0")), (None, None));
    }

    #[test]
    fn the_symbols_of_the_newest_version_are_named() {
        let reader = BoundedReader::new(File::open(std::env::current_exe().unwrap()).unwrap());
        let object = object::File::parse(&reader).unwrap();
        let names = newest_symbols(&object);
        assert!(!names.is_empty() && names.is_sorted(), "{names:?}");
        assert!(!names.contains(&"malloc".to_owned()), "malloc is older than any other: {names:?}");
    }

    #[test]
    fn this_test_needs_no_newer_version_than_this_machine_has() {
        let needed = required_by(&std::env::current_exe().unwrap()).unwrap().unwrap();
        assert!(needed >= Version(vec![2, 17]) && needed <= *present().unwrap(), "{needed}");
        assert!(required_by(Path::new(file!())).is_err());
    }
}
