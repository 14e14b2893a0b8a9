//! What a file is, from its bytes alone: nothing of it is run, and it is never opened with the dynamic linker.

pub(crate) mod description;
mod exported;
mod image;
pub(crate) mod glibc;
pub(crate) mod metadata;
mod rejection;
mod source;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::plugin_ref::PluginRef;
use image::Image;
pub(crate) use metadata::{Kind, Metadata, RunnerAbi};
pub use rejection::Rejection;
use source::Source;

/// A file that is a plugin, as far as the part of it tells that had to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// The file, with every link on the way to it resolved.
    pub path: PathBuf,
    /// What it says of itself.
    pub metadata: Metadata,
    version: FileVersion,
}

/// What changes when a file is replaced or written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileVersion {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileVersion {
    fn of(status: &fs::Metadata) -> Self {
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
    /// Reads the whole file, for its hash: needed of what is loaded or recorded, not of what is listed.
    ///
    /// # Errors
    /// [`Rejection`] when it cannot be read, or is not the file any more that was inspected.
    pub fn identify(&self) -> Result<PluginRef, Rejection> {
        let file = File::open(&self.path)?;
        let sha256 = sha256_of_file(&file)?;
        if FileVersion::of(&file.metadata()?) != self.version {
            return Err(
                Rejection::new("replaced while it was looked at").with_remedy("run the command again")
            );
        }
        let Self { path, metadata, version } = self.clone();
        Ok(PluginRef { path, size: version.size, sha256, metadata, locked_by: None })
    }

    /// Whether both are one file, or two of the same bytes. What is in them is read only if they are of one size.
    pub fn is_same_file(&self, other: &Self) -> bool {
        let place = |version: &FileVersion| (version.device, version.inode);
        if place(&self.version) == place(&other.version) {
            return true;
        }
        let hashes = || Some((sha256_of(&self.path).ok()?, sha256_of(&other.path).ok()?));
        self.version.size == other.version.size && hashes().is_some_and(|(one, other)| one == other)
    }
}

/// Says what the file at `path` is.
pub fn inspect(path: &Path) -> Result<Inspected, Rejection> {
    let path = path.canonicalize()?;
    let status = path.metadata()?;
    // Looked at before it is opened: opening a pipe would wait for a writer.
    if !status.is_file() {
        return Err(Rejection::new("not a regular file"));
    }
    if status.len() == 0 {
        return Err(Rejection::new("the file is empty"));
    }
    let file = File::open(&path)?;
    let version = FileVersion::of(&file.metadata()?);
    let metadata = inspect_open(file)?;
    Ok(Inspected { path, metadata, version })
}

/// Says what a file that is open already is.
pub(crate) fn inspect_open(file: File) -> Result<Metadata, Rejection> {
    let length = file.metadata()?.len();
    let source = Source::new(file);
    let image = Image::parse(&source)?;
    image.check_machine()?;
    image.check_length(length)?;
    let metadata = image.metadata()?;
    exported::check(&image, &metadata)?;
    glibc::check(&image.object)?;
    check_version(&metadata)?;
    Ok(metadata)
}

/// The SHA-256 of the file at `path`, in hex.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    sha256_of_file(&File::open(path)?)
}

/// The SHA-256 of what is left to read of `file`, in hex.
pub(crate) fn sha256_of_file(mut file: &File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 256 * 1024];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex::encode(hash.finalize())),
            length => hash.update(&chunk[..length]),
        }
    }
}

/// A plugin of another major version of the API is for another host.
fn check_version(metadata: &Metadata) -> Result<(), Rejection> {
    let (theirs, ours) = (&metadata.api, plugin_api::API_VERSION);
    if major(theirs) == major(ours) {
        return Ok(());
    }
    let reason = format!("built against plugin-api {theirs}, but this host speaks {ours}");
    Err(Rejection::new(reason).with_remedy(format!("rebuild it against plugin-api {ours}")))
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn reason(path: &Path) -> String {
        inspect(path).unwrap_err().reason
    }

    fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, bytes).unwrap();
        file
    }

    #[test]
    fn what_is_no_library_is_rejected_with_what_it_is() {
        assert_eq!(reason(written(b"").path()), "the file is empty");
        assert_eq!(reason(written(b"hello\n").path()), "not a shared library");
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(reason(folder.path()), "not a regular file");
        let dangling = folder.path().join("libx.so");
        std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
        assert!(reason(&dangling).starts_with("cannot be read: "));
    }

    #[test]
    fn a_pipe_does_not_keep_anyone_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libpipe.so");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert_eq!(reason(&path), "not a regular file");
    }

    #[test]
    fn a_program_is_no_plugin() {
        let program = std::env::current_exe().unwrap();
        assert!(!reason(&program).is_empty());
    }

    #[test]
    fn a_library_that_is_not_ours_is_told_from_one_that_was_cut_short() {
        let libc = super::glibc::path().unwrap();
        assert_eq!(reason(&libc), "not a crossrun plugin: it has no metadata section");
        let bytes = fs::read(libc).unwrap();
        let cut = written(&bytes[..bytes.len() / 2]);
        assert!(reason(cut.path()).contains("cut short or damaged"), "{}", reason(cut.path()));
    }

    #[test]
    fn another_major_version_is_for_another_host() {
        let of = |api: &str| Metadata { api: api.into(), ..metadata::tests::example() };
        assert!(check_version(&of(plugin_api::API_VERSION)).is_ok());
        assert!(check_version(&of("1.99.0")).is_ok());
        assert!(check_version(&of("2.0.0")).unwrap_err().reason.contains("plugin-api 2.0.0"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_bytes_hurt(bytes: Vec<u8>) {
            prop_assert!(inspect(written(&bytes).path()).is_err());
        }

        #[test]
        fn no_change_to_a_library_hurts(changes in prop::collection::vec((0_usize..4096, any::<u8>()), 1..20)) {
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
