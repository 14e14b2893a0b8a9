//! Files that this program writes for itself. What stands in the place of one need not be one: a pipe would be waited for without end,
//! and a device may have no end.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::named_file;
use crate::text::without_mark;

/// Opens the regular file at `path`, and waits for nothing.
///
/// # Errors
/// Those of the system, and [`io::ErrorKind::InvalidInput`] for anything but a regular file.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let opened = options.custom_flags(OFlags::NONBLOCK.bits() as i32).open(path);
    opened.and_then(keeping).map_err(|error| match Errno::from_io_error(&error) {
        // A pipe without a reader.
        Some(Errno::NXIO) => not_regular(),
        _ => error,
    })
}

/// More than this is not read as a whole, in bytes: a file with holes may claim to be of any length.
const MOST: u64 = 256 << 20;

/// The bytes of the regular file at `path`.
///
/// # Errors
/// As [`open`], and [`io::ErrorKind::InvalidData`] for a file that is too long to be kept in memory.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    named_file::whole(open(path, OpenOptions::new().read(true))?, MOST)
}

/// Reads the JSON of such a file. One of another version need not have the keys of this one.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8], version: u32) -> Result<T, String> {
    let text = without_mark(text);
    // Its values would be taken for those of the keys, in their order, and the version not be looked at.
    if text.trim_ascii_start().starts_with(b"[") {
        return Err("it is a list of JSON, and no object".to_owned());
    }
    // As `T` is read: of a key that neither knows, neither looks at the value, as at text that is no UTF-8.
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let found = serde_json::from_slice::<Versioned>(text).ok().map(|it| it.version);
    if let Some(found) = found.filter(|found| *found != u64::from(version)) {
        return Err(format!("it has version {found}, this crossrun knows {version}"));
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// Refuses what stands at `path`, if there is anything but a regular file: it would not be replaced, but written to.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`].
pub(crate) fn check(path: &Path) -> io::Result<()> {
    if path.metadata().is_ok_and(|found| !found.is_file()) { Err(not_regular()) } else { Ok(()) }
}

/// The file, if it is a regular one, which keeps what is written to it.
pub(crate) fn keeping(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

/// What tells a file from all others that are there: its device and its inode, the same for each name that it has.
pub(crate) fn identity(status: &Metadata) -> (u64, u64) {
    (status.dev(), status.ino())
}

/// Whether the open file is the one at `path`: another process may have removed or replaced that.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let found = fs::symlink_metadata(path);
    file.metadata().is_ok_and(|own| found.is_ok_and(|found| identity(&own) == identity(&found)))
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_holes_is_not_read_into_memory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(10 << 30).unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("more than 256 MiB"));
    }

    #[test]
    fn a_list_is_no_file_of_any_version() {
        #[derive(Debug, Deserialize)]
        struct Listed {
            version: u32,
            #[serde(default)]
            names: Vec<String>,
        }
        let read = |text: &str| parse::<Listed>(text.as_bytes(), 1).map(|it| (it.version, it.names.len()));
        assert_eq!(read(r#" {"version": 1, "names": ["a"]}"#), Ok((1, 1)));
        assert!(read(" [2, []]").unwrap_err().contains("a list"));
    }

    #[test]
    fn a_pipe_and_a_device_are_refused_at_once_and_a_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let [file, pipe, link] = ["file", "pipe", "link"].map(|name| folder.path().join(name));
        fs::write(&file, "text").unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&file, &link] {
            assert_eq!(read(path).unwrap(), b"text");
        }
        for path in [pipe.as_path(), Path::new("/dev/zero"), folder.path()] {
            assert!(read(path).is_err(), "{}", path.display());
            assert!(open(path, OpenOptions::new().append(true)).is_err(), "{}", path.display());
        }
    }
}
