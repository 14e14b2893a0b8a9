//! A data folder for the sessions of a check.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::unfinished;

/// How many levels of the data folder are compared.
pub(super) const DEPTH: usize = 3;

/// The files of the host in the data folder. Older versions kept answers in `oracle`, which nothing reads any more.
pub(super) const HOST_FILES: [&str; 3] = ["logs", "oracle", "plugins.lock"];

/// A copy of the user's data folder that no other process writes to, so that everything new in it is the session's. The levels
/// that are compared are folders of the copy; what is below them is linked.
pub(super) fn own_data(data_dir: &Path) -> io::Result<unfinished::Folder> {
    let folder = unfinished::folder_in(&std::env::temp_dir())?;
    mirror(data_dir, folder.path(), DEPTH)?;
    Ok(folder)
}

fn mirror(original: &Path, copy: &Path, depth: usize) -> io::Result<()> {
    // A file that disappears meanwhile belongs to another process.
    for entry in fs::read_dir(original).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if depth == DEPTH && HOST_FILES.iter().any(|file| name == *file) {
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
    fn existing_files_are_found_and_later_files_of_others_are_not() {
        let data = tempfile::tempdir().unwrap();
        let deep = data.path().join("environments/engine/one/bin");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("python"), "python").unwrap();
        fs::create_dir(data.path().join("logs")).unwrap();
        let own = own_data(data.path()).unwrap();
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
