//! What the output of an installer says of why it failed.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::error::{InstallError, VENV};
use super::running::Output;
use super::{IMPORT, Installation};
use crate::interpreter::Interpreter;
use crate::output::{ending, last_lines};
use crate::pip_settings;

impl Installation<'_> {
    /// Why a step failed, as far as its output shows.
    pub(super) fn reason(&self, command: &Command, status: ExitStatus, output: &Output<'_>) -> InstallError {
        let text = output.text.as_str();
        let mentions = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let (last, data_dir) = (output.last_error(), self.context.data_dir().to_owned());
        let Interpreter { executable: python, version, unusual, .. } = self.interpreter.clone();
        let no_module = |module: &str| InstallError::NoModule {
            python: python.clone(),
            version: version.minor(),
            module: module.to_owned(),
        };
        if mentions(NO_SPACE) {
            // Packages are unpacked among the temporary files, or are fetched there, which may be on another disk.
            let unpacks = command.get_args().any(|word| word == "install");
            no_space(data_dir, Some(std::env::temp_dir()).filter(|_| unpacks), room)
        } else if mentions(CACHE) {
            InstallError::Cache(last)
        } else if mentions(&["failed to map segment from shared object"]) {
            InstallError::NoExec(data_dir)
        } else if mentions(&[
            "No module named venv",
            "ensurepip is not available",
            "No module named ensurepip",
        ]) {
            no_module(VENV)
        } else if mentions(&["ssl module in Python is not available", "SSL module is not available"]) {
            no_module("ssl")
        } else if mentions(&["zlib not available"]) {
            no_module("zlib")
        } else if let Some(module) =
            BUILT_IN.iter().find(|name| mentions(&[&format!("No module named '{name}'")]))
        {
            no_module(module.trim_start_matches('_'))
        } else if command.get_args().any(|word| word.as_encoded_bytes().starts_with(IMPORT.as_bytes())) {
            InstallError::Import { python, last: last_lines(text, 1) }
        } else if mentions(NOT_VALID_NOW) {
            InstallError::NotValidNow(last)
        } else if mentions(OF_ANOTHER_HOST) {
            InstallError::OtherHost(last)
        } else if mentions(UNTRUSTED) {
            InstallError::Certificate(last)
        } else if mentions(PROXY) {
            InstallError::Proxy { variables: pip_settings::proxies(command), last }
        } else if mentions(&["DO NOT MATCH THE HASHES", "Hash mismatch"]) {
            InstallError::OtherFiles(last)
        } else if let Some(build) = unusual.filter(|_| mentions(NOTHING_FITS) && !mentions(UNREACHABLE)) {
            InstallError::NoBuild { python, build, last }
        } else if mentions(UNREACHABLE) || mentions(NOT_THERE) {
            InstallError::NoNetwork(last)
        } else {
            InstallError::Installer { ending: ending(status), last, log: output.log.clone() }
        }
    }
}

/// The device of a folder, and how many bytes are free there.
type Room = (u64, u64);

fn room(folder: &Path) -> Option<Room> {
    let status = rustix::fs::statvfs(folder).ok()?;
    Some((folder.metadata().ok()?.dev(), free(status.f_blocks, status.f_bavail, status.f_frsize)))
}

/// The bytes that are free in a file system of so many `blocks`, each of `size` bytes. One that does not say how many it has is not full.
fn free(blocks: u64, available: u64, size: u64) -> u64 {
    if blocks == 0 { u64::MAX } else { available.saturating_mul(size) }
}

/// Which of two folders has no space, where an installer does not say: of two disks, the one with less.
fn no_space(
    data_dir: PathBuf,
    temporary: Option<PathBuf>,
    room: impl Fn(&Path) -> Option<Room>,
) -> InstallError {
    let data = room(&data_dir);
    let has_less = |folder: &PathBuf| {
        room(folder).zip(data).is_some_and(|(here, there)| here.0 != there.0 && here.1 < there.1)
    };
    temporary.filter(has_less).map_or(InstallError::NoSpace(data_dir), InstallError::NoTemporarySpace)
}

/// Modules that a Python lacks if it was built on a machine without the libraries for them.
const BUILT_IN: &[&str] = &[
    "_ctypes", "ctypes", "_ssl", "ssl", "_sqlite3", "sqlite3", "_bz2", "bz2", "_lzma", "lzma", "zlib",
    "_hashlib",
];

/// The numbers are there in any language: pip speaks that of the user.
const NO_SPACE: &[&str] = &[
    "No space left on device",
    "[Errno 28]",
    "os error 28",
    "Disk quota exceeded",
    "[Errno 122]",
    "os error 122",
];

/// How uv says that it cannot write to its cache, which is in the home folder: a container need not have one. Earlier versions name the
/// file alone. pip does without its cache.
const CACHE: &[&str] = &["Failed to initialize cache at", "/.cache/uv`: ", "/.git`: "];

/// How pip, by the words of OpenSSL, and uv say that a certificate has expired, or begins to be valid later.
const NOT_VALID_NOW: &[&str] = &[
    "certificate has expired",
    "certificate is not yet valid",
    "certificate: Expired",
    "InvalidCertificate(Expired",
    "certificate expired:",
    "NotValidYet",
    "certificate not valid yet",
];

/// How they say that it is for other names than that of the index.
const OF_ANOTHER_HOST: &[&str] =
    &["Hostname mismatch", "IP address mismatch", "NotValidForName", "certificate not valid for name"];

/// How pip and uv say that they do not trust a certificate, or that there is no file with those that they trust.
const UNTRUSTED: &[&str] = &[
    "CERTIFICATE_VERIFY_FAILED",
    "certificate verify failed",
    "invalid peer certificate",
    "UnknownIssuer",
    "suitable TLS CA certificate bundle",
];

/// How they say that a proxy does not work.
const PROXY: &[&str] = &[
    "Missing dependencies for SOCKS support",
    "ProxyError",
    "Cannot connect to proxy",
    "Proxy Authentication Required",
    "Unable to determine SOCKS version",
    "proxy URL",
    "proxy connect",
    "socks connect",
    "SOCKSHTTP",
];

/// How pip and uv say that they did not get to an index.
const UNREACHABLE: &[&str] = &[
    "Failed to establish a new connection",
    "name resolution",
    "Connection refused",
    "ConnectTimeout",
    "Read timed out",
    "Max retries exceeded",
    "Failed to fetch",
    "error sending request",
    "dns error",
];

/// How they say that a package is not there, which they also say of an index that they did not get to.
const NOT_THERE: &[&str] =
    &["(from versions: none)", "not found in the package registry", "No solution found"];

/// How they say that no file of a package is for this Python.
const NOTHING_FITS: &[&str] = &["No matching distribution found", "No solution found"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_disks_the_one_with_less_space_is_full() {
        let full = |temporary: Option<&str>, room_of_temporary: Option<Room>| {
            let room =
                |folder: &Path| if folder == Path::new("/d") { Some((1, 500)) } else { room_of_temporary };
            no_space("/d".into(), temporary.map(PathBuf::from), room).to_string()
        };
        let (of_data, of_temporary) =
            ("no space is left in /d", "no space is left in /t, the folder for temporary files");
        assert_eq!(full(Some("/t"), Some((2, 400))), of_temporary);
        for room in [Some((2, 600)), Some((1, 400)), None] {
            assert_eq!(full(Some("/t"), room), of_data);
        }
        assert_eq!(full(None, Some((2, 400))), of_data);
        assert!(room(&std::env::temp_dir()).is_some());
        assert_eq!((free(9, 2, 512), free(9, 0, 512), free(0, 0, 512)), (1024, 0, u64::MAX));
    }
}
