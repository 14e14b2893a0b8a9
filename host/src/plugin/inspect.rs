//! What a file is, by its bytes alone: inspection runs no code of the file and never opens it with the dynamic linker.

mod bounded_reader;
pub(crate) mod description;
pub(crate) mod glibc;
pub(crate) mod metadata;
mod needed;
mod object_file;
mod rejection;
pub(crate) mod static_tls;
mod symbols;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::plugin_ref::PluginRef;
use crate::regular_file;
use bounded_reader::BoundedReader;
pub(crate) use metadata::{Kind, Metadata, RunnerAbi};
use object_file::ObjectFile;
pub use rejection::Rejection;

/// A file that is a plugin, by the parts of it that were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// The file, with every link on the way to it resolved.
    pub path: PathBuf,
    /// Its metadata section.
    pub metadata: Metadata,
    version: FileVersion,
}

/// Values that change when a file is replaced or written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileVersion {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileVersion {
    pub(crate) fn of(status: &fs::Metadata) -> Self {
        Self {
            device: status.dev(),
            inode: status.ino(),
            size: status.len(),
            modified: (status.mtime(), status.mtime_nsec()),
            changed: (status.ctime(), status.ctime_nsec()),
        }
    }
}

impl Inspected {
    /// Reads the whole file for its hash, which loading and recording need, and a listing does not.
    ///
    /// # Errors
    /// [`Rejection`] when the file cannot be read, or is no longer the file that was inspected.
    pub fn identify(&self) -> Result<PluginRef, Rejection> {
        let file = regular_file::open(&self.path, File::options().read(true))?;
        let sha256 = sha256_of_file(&file)?;
        if FileVersion::of(&file.metadata()?) != self.version {
            let reason = "replaced while it was inspected";
            return Err(Rejection::new(reason).with_remedy("run the command again"));
        }
        let Self { path, metadata, version } = self.clone();
        Ok(PluginRef { path, size: version.size, sha256, metadata, locked_by: None })
    }

    /// Whether both are one file, or two files with the same bytes. The files are read only if their sizes are equal.
    pub fn is_same_file(&self, other: &Self) -> bool {
        let id = |version: &FileVersion| (version.device, version.inode);
        if id(&self.version) == id(&other.version) {
            return true;
        }
        let hashes = || Some((sha256_of(&self.path).ok()?, sha256_of(&other.path).ok()?));
        self.version.size == other.version.size && hashes().is_some_and(|(one, other)| one == other)
    }
}

/// Inspects the file at `path`, which has no links: whoever trusts a file has resolved its path.
///
/// # Errors
/// [`Rejection`] when it is not a plugin for this host.
pub fn inspect(path: &Path) -> Result<Inspected, Rejection> {
    let status = path.metadata()?;
    // Checked before the file is opened: to open a pipe would wait for a writer.
    if !status.is_file() {
        return Err(Rejection::new("not a regular file"));
    }
    if status.len() == 0 {
        return Err(Rejection::new("the file is empty"));
    }
    let file = File::open(path)?;
    check_mount(&file)?;
    let version = FileVersion::of(&file.metadata()?);
    let metadata = inspect_open(file, path.parent())?;
    Ok(Inspected { path: path.into(), metadata, version })
}

/// Rejects a file on a file system from which nothing may be run.
fn check_mount(file: &File) -> Result<(), Rejection> {
    #[cfg(target_os = "linux")]
    if rustix::fs::fstatvfs(file)
        .is_ok_and(|status| status.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC))
    {
        return Err(Rejection::new("its file system is mounted noexec, so that nothing on it can be loaded")
            .with_remedy("copy it to a folder on another file system, or mount this one without noexec"));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
    Ok(())
}

/// Inspects a file that is open already, and whether the libraries that it needs are there, if its folder is given.
pub(crate) fn inspect_open(file: File, folder: Option<&Path>) -> Result<Metadata, Rejection> {
    let length = file.metadata()?.len();
    let reader = BoundedReader::new(file);
    let file = ObjectFile::parse(&reader)?;
    file.check_machine()?;
    file.check_length(length)?;
    let metadata = file.metadata()?;
    symbols::check(&file, &metadata)?;
    glibc::check(&file.object)?;
    check_version(&metadata)?;
    static_tls::check(&file)?;
    folder.map_or(Ok(()), |folder| needed::check(&file, &metadata.target, folder))?;
    Ok(metadata)
}

/// Whether a library may ask in which folder it is, for the libraries that it needs or for other files. True if that cannot be told.
pub(crate) fn asks_for_its_folder(file: File) -> bool {
    let reader = BoundedReader::new(file);
    let file = ObjectFile::parse(&reader).ok();
    file.and_then(|file| file.has_string(&[b"$ORIGIN", b"${ORIGIN}", b"dladdr"])).unwrap_or(true)
}

/// The SHA-256 of the file at `path`, in hex.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    sha256_of_file(&regular_file::open(path, File::options().read(true))?)
}

/// The SHA-256 of `file` from its current position to its end, in hex.
pub(crate) fn sha256_of_file(mut file: &File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 256 * 1024];
    while let length @ 1.. = file.read(&mut chunk)? {
        hash.update(&chunk[..length]);
    }
    Ok(hex::encode(hash.finalize()))
}

/// Rejects a plugin of another major version of plugin-api.
fn check_version(metadata: &Metadata) -> Result<(), Rejection> {
    let (theirs, ours) = (&metadata.api, plugin_api::API_VERSION);
    if theirs.split('.').next() == ours.split('.').next() {
        return Ok(());
    }
    Err(Rejection::rebuild(format!("built against plugin-api {theirs}, but this host has {ours}")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, bytes).unwrap();
        file
    }

    #[test]
    fn a_file_that_cannot_be_a_library_is_rejected_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let [dangling, pipe] = ["libdangling.so", "libpipe.so"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
        // To open a pipe would wait for a writer.
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let program = std::env::current_exe().unwrap();
        for (path, words) in [
            (written(b"").path(), "the file is empty"),
            (dangling.as_path(), "cannot be read: "),
            (&pipe, "not a regular file"),
            (&program, ""),
        ] {
            let reason = inspect(path).unwrap_err().reason;
            assert!(!reason.is_empty() && reason.starts_with(words), "{}: {reason}", path.display());
        }
    }

    #[test]
    fn another_major_version_is_rejected() {
        let of = |api: &str| Metadata { api: api.into(), ..metadata::tests::example() };
        assert!(check_version(&of(plugin_api::API_VERSION)).is_ok());
        assert!(check_version(&of("1.99.0")).is_ok());
        assert!(check_version(&of("2.0.0")).unwrap_err().reason.contains("plugin-api 2.0.0"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_damaged_library_is_rejected(changes in prop::collection::vec((0_usize..4096, any::<u8>()), 1..20)) {
            let mut bytes = fs::read(super::glibc::path().unwrap()).unwrap();
            let length = bytes.len();
            for (at, to) in changes {
                // The headers at the start, and the table of sections at the end.
                bytes[at] = to;
                bytes[length - 1 - at] = to;
            }
            prop_assert!(inspect(written(&bytes).path()).is_err());
        }
    }
}
