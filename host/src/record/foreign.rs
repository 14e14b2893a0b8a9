//! Files that are no records as they stand: they hold some in another form, as compressed, in another encoding or as one JSON value, or
//! are what a run writes beside its records.

use std::path::Path;

use super::names::{PLAN, REPORTS, TABLE, TRIALS};
use crate::named_file::is_standard_input;
use crate::shell;

/// How many bytes of a file are looked at.
pub(super) const START: usize = 64;

/// A form in which a file may hold records that cannot be read as lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) what: &'static str,
    /// The program and its arguments that print the file as lines.
    command: &'static [&'static str],
}

/// What a file begins with, what that says of it, and what makes lines of it.
const FORMS: [(&[u8], &str, &[&str]); 11] = [
    (b"\x1f\x8b", "it is compressed with gzip", &["gunzip", "-c"]),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd", &["zstd", "-dc"]),
    (b"\xfd7zXZ\0", "it is compressed with xz", &["xz", "-dc"]),
    (b"BZh", "it is compressed with bzip2", &["bzip2", "-dc"]),
    (b"PK\x03\x04", "it is a zip archive", &["unzip", "-p"]),
    (b"\xff\xfe", "it is UTF-16 and not UTF-8", &["iconv", "-f", "UTF-16", "-t", "UTF-8"]),
    (b"\xfe\xff", "it is UTF-16 and not UTF-8", &["iconv", "-f", "UTF-16", "-t", "UTF-8"]),
    (b"{\0", "it is UTF-16 and not UTF-8", &["iconv", "-f", "UTF-16LE", "-t", "UTF-8"]),
    (b"\0{", "it is UTF-16 and not UTF-8", &["iconv", "-f", "UTF-16BE", "-t", "UTF-8"]),
    (b"[", "it is one JSON array and not a record a line", &["jq", "-c", ".[]"]),
    (b"{\n", "its records are on several lines each", &["jq", "-c", "."]),
];

impl Form {
    /// The form of a file that begins so.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        let (begins, what, command) = FORMS.iter().find(|(begins, ..)| start.starts_with(begins))?;
        // An array of records. Any bytes may begin as one.
        let is_other = *begins == b"[" && !start[1..].trim_ascii_start().starts_with(b"{");
        (!is_other).then_some(Self { what, command })
    }

    /// A command that writes the records of the file at `path` as lines.
    pub(super) fn remedy(&self, path: &Path) -> String {
        let [program, arguments @ ..] = self.command else { return String::new() };
        // These programs read standard input where no file is named.
        let path = (!is_standard_input(path)).then(|| shell::path(path));
        let words = arguments.iter().map(AsRef::as_ref).chain(path.as_ref().map(|path| path.as_os_str()));
        // The shell empties a file that is there, and it may be the one that is read.
        let made = shell::free_path(Path::new("records.jsonl"));
        format!("{} > {}", shell::command(program, words), made.display())
    }
}

/// The command that reports the run that has written this file beside its trials, if that is no file of records.
pub(super) fn report_of_run(path: &Path) -> Option<String> {
    let is_such = REPORTS.iter().chain([&TABLE, &PLAN]).any(|name| path.ends_with(name));
    let folder = shell::folder_of(path).filter(|folder| is_such && folder.join(TRIALS).is_file())?;
    Some(shell::about("report", folder))
}
