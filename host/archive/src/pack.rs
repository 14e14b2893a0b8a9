//! Packs the archive. The same files give the same bytes, wherever and whenever they are packed.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::failure::Failure;
use crate::folder::entries;

/// The modification time of all entries, unless `SOURCE_DATE_EPOCH` gives another one: the first second of 2000.
const CHANGED: u64 = 946_684_800;

/// Packs `folder`, under its own name, and writes the hash to a file beside the archive. Returns the hash.
pub(crate) fn pack(folder: &Path, archive: &Path) -> Result<String, Failure> {
    let bytes = packed(folder).map_err(Failure::file("cannot pack", folder))?;
    let beside = archive.parent().unwrap_or(archive);
    std::fs::create_dir_all(beside).map_err(Failure::file("cannot make", beside))?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let sum = archive.with_file_name(format!("{name}.sha256"));
    File::create(archive)
        .and_then(|mut file| file.write_all(&bytes))
        .map_err(Failure::file("cannot write", archive))?;
    // As `sha256sum --check` reads it.
    std::fs::write(&sum, format!("{sha256}  {name}\n")).map_err(Failure::file("cannot write", &sum))?;
    Ok(sha256)
}

fn packed(folder: &Path) -> std::io::Result<Vec<u8>> {
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|epoch| epoch.parse().ok());
    // Neither a name nor a time in the header.
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let mut archive = Builder::new(gzip);
    let root = folder.parent().unwrap_or(folder);
    for path in all(folder)? {
        let name = path.strip_prefix(root).map_err(std::io::Error::other)?;
        let mut header = Header::new_gnu();
        let status = std::fs::metadata(&path)?;
        header.set_mtime(epoch.unwrap_or(CHANGED));
        header.set_uid(0);
        header.set_gid(0);
        if status.is_dir() {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            archive.append_data(&mut header, name.join(""), std::io::empty())?;
        } else {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(if status.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 });
            header.set_size(status.len());
            archive.append_data(&mut header, name, File::open(&path)?)?;
        }
    }
    archive.into_inner()?.finish()
}

/// The folder and everything in it, in an order that does not depend on the file system.
fn all(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = vec![folder.to_owned()];
    for path in entries(folder).map_err(std::io::Error::other)? {
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
        let sha256 = pack(&folder, &archive).unwrap();
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
        let expected = [("it/", 0o755), ("it/b", 0o644), ("it/plugins/", 0o755), ("it/plugins/a", 0o755)];
        assert_eq!(entries, expected.map(|(name, mode)| (name.to_owned(), mode)));
    }
}
