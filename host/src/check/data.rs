//! A data folder for the sessions of a check alone.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

/// How deep into the data folder is looked.
pub(super) const DEPTH: usize = 3;

/// What the host itself keeps in the data folder.
pub(super) const OURS: [&str; 3] = ["logs", "oracle", "plugins.lock"];

/// What is in the user's data folder, in a folder into which nobody else writes: what is new in it is the session's. As deep
/// as it is looked at there are folders of its own, and below them links.
pub(super) struct OwnData(TempDir);

impl OwnData {
    pub(super) fn of(data_dir: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("crossrun-check-").tempdir()?;
        mirror(data_dir, folder.path(), DEPTH)?;
        Ok(Self(folder))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

fn mirror(original: &Path, copy: &Path, depth: usize) -> io::Result<()> {
    // What is gone again was another process's, on its way.
    for entry in fs::read_dir(original).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if depth == DEPTH && OURS.iter().any(|ours| name == *ours) {
            continue;
        }
        let (path, place) = (entry.path(), copy.join(&name));
        if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            fs::create_dir(&place)?;
            mirror(&path, &place, depth - 1)?;
        } else {
            symlink(std::path::absolute(path)?, place)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_and_what_others_write_meanwhile_is_not() {
        let data = tempfile::tempdir().unwrap();
        let deep = data.path().join("environments/engine/one/bin");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("python"), "python").unwrap();
        fs::create_dir(data.path().join("logs")).unwrap();
        let own = OwnData::of(data.path()).unwrap();
        fs::create_dir_all(data.path().join("drivers/.partial-1")).unwrap();
        fs::create_dir(data.path().join("environments/engine/two")).unwrap();
        let read = |path: &str| fs::read_to_string(own.path().join(path));
        assert_eq!(read("environments/engine/one/bin/python").unwrap(), "python");
        for absent in ["logs", "drivers", "environments/engine/two"] {
            assert!(!own.path().join(absent).exists(), "{absent}");
        }
        fs::write(own.path().join("environments/engine/mine"), "").unwrap();
        assert!(!data.path().join("environments/engine/mine").exists());
    }
}
