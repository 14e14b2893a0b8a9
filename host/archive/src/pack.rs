//! Packs files. The same files give the same bytes, wherever and whenever they are packed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::failure::Failure;

/// The modification time of all entries, unless `SOURCE_DATE_EPOCH` gives another one: the first second of 2000.
const CHANGED: u64 = 946_684_800;

/// The modification time of everything that is packed.
pub(crate) fn changed() -> u64 {
    std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|epoch| epoch.parse().ok()).unwrap_or(CHANGED)
}

/// A file to pack.
pub(crate) struct Entry {
    /// The path in the folder.
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    pub(crate) file: PathBuf,
}

/// All files below a folder, in an order that does not depend on the file system.
pub(crate) fn entries(folder: &Path) -> std::io::Result<Vec<Entry>> {
    let files = all(folder)?.into_iter().filter(|path| !path.is_dir());
    let entry = |file: PathBuf| {
        let executable = std::fs::metadata(&file)?.permissions().mode() & 0o100 != 0;
        let path = file.strip_prefix(folder).map_err(std::io::Error::other)?.to_owned();
        Ok(Entry { path, mode: if executable { 0o755 } else { 0o644 }, file })
    };
    files.map(entry).collect()
}

/// Writes a package and, beside it, its hash. Returns the hash.
pub(crate) fn write(package: &Path, bytes: &[u8]) -> Result<String, Failure> {
    let beside = package.parent().unwrap_or(package);
    std::fs::create_dir_all(beside).map_err(Failure::file("cannot make", beside))?;
    let sha256 = hex::encode(Sha256::digest(bytes));
    let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
    std::fs::write(package, bytes).map_err(Failure::file("cannot write", package))?;
    let sum = package.with_file_name(format!("{name}.sha256"));
    // As `sha256sum --check` reads it.
    std::fs::write(&sum, format!("{sha256}  {name}\n")).map_err(Failure::file("cannot write", &sum))?;
    Ok(sha256)
}

/// The bytes of an archive of `folder`, under its own name.
pub(crate) fn pack(folder: &Path) -> Result<Vec<u8>, Failure> {
    packed(folder).map_err(Failure::file("cannot pack", folder))
}

fn packed(folder: &Path) -> std::io::Result<Vec<u8>> {
    let mut tar = Tar::new();
    let name = Path::new(folder.file_name().unwrap_or_default());
    for path in all(folder)?.into_iter().filter(|path| path.is_dir()) {
        tar.add_folder(&name.join(path.strip_prefix(folder).map_err(std::io::Error::other)?))?;
    }
    for Entry { path, mode, file } in entries(folder)? {
        tar.add_file(&name.join(path), mode, &std::fs::read(file)?)?;
    }
    tar.finish()
}

/// A compressed tar archive without names of users.
pub(crate) struct Tar(Builder<GzEncoder<Vec<u8>>>);

impl Tar {
    pub(crate) fn new() -> Self {
        // Neither a name nor a time in the header.
        Self(Builder::new(GzBuilder::new().mtime(0).write(Vec::new(), Compression::best())))
    }

    pub(crate) fn add_folder(&mut self, path: &Path) -> std::io::Result<()> {
        let mut header = header(EntryType::Directory, 0o755, 0);
        self.0.append_data(&mut header, path.join(""), std::io::empty())
    }

    pub(crate) fn add_file(&mut self, path: &Path, mode: u32, bytes: &[u8]) -> std::io::Result<()> {
        self.0.append_data(&mut header(EntryType::Regular, mode, bytes.len() as u64), path, bytes)
    }

    pub(crate) fn finish(self) -> std::io::Result<Vec<u8>> {
        self.0.into_inner()?.finish()
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mtime(changed());
    header.set_uid(0);
    header.set_gid(0);
    header.set_mode(mode);
    header.set_size(size);
    header
}

/// The folder and everything in it, in an order that does not depend on the file system.
fn all(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = vec![folder.to_owned()];
    for path in crate::folder::entries(folder).map_err(std::io::Error::other)? {
        if path.is_dir() { found.extend(all(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(place: &Path, order: [&str; 2]) -> (Vec<u8>, String) {
        let folder = place.join("it");
        std::fs::create_dir_all(folder.join("plugins")).unwrap();
        for name in order {
            std::fs::write(folder.join(name), name).unwrap();
        }
        std::fs::set_permissions(folder.join("plugins/a"), PermissionsExt::from_mode(0o775)).unwrap();
        let archive = place.join("it.tar.gz");
        let sha256 = write(&archive, &pack(&folder).unwrap()).unwrap();
        (std::fs::read(archive).unwrap(), sha256)
    }

    #[test]
    fn the_same_files_make_the_same_archive_in_any_place_and_order() {
        let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (bytes, sha256) = made(one.path(), ["plugins/a", "b"]);
        assert_eq!((bytes.clone(), sha256.clone()), made(other.path(), ["b", "plugins/a"]));
        let beside = std::fs::read_to_string(one.path().join("it.tar.gz.sha256")).unwrap();
        assert_eq!(beside, format!("{sha256}  it.tar.gz\n"));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            let owner = (header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap());
            assert_eq!(owner, (0, 0, CHANGED));
            (entry.path().unwrap().display().to_string(), header.mode().unwrap())
        });
        let entries: Vec<_> = entries.collect();
        let expected = [("it/", 0o755), ("it/plugins/", 0o755), ("it/b", 0o644), ("it/plugins/a", 0o755)];
        assert_eq!(entries, expected.map(|(name, mode)| (name.to_owned(), mode)));
    }
}
