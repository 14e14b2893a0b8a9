//! Writes the files of a project, all or none.

use std::fs;
use std::io;
use std::path::Path;

use super::error::ScaffoldError;

/// Writes the files, whose paths are relative, into a folder that is empty or does not exist.
pub(super) fn write(folder: &Path, files: &[(String, String)]) -> Result<(), ScaffoldError> {
    let exists = is_empty_folder(folder)?;
    // The files are written here first, and then renamed: it must be on the same file system.
    let parent = if exists { folder } else { folder.parent().unwrap_or(folder) };
    fs::create_dir_all(parent).map_err(failed("create the folder", parent))?;
    let temporary = tempfile::Builder::new().prefix(".crossrun-new-").tempdir_in(parent);
    let temporary = temporary.map_err(failed("create a folder in", parent))?;
    // A folder below it, because the temporary folder itself is only for this user.
    let made = temporary.path().join("made");
    for (name, text) in files {
        put(&made.join(name), text)?;
    }
    if exists {
        fill(folder, &made)
    } else {
        fs::rename(&made, folder).map_err(failed("create the folder", folder))
    }
}

/// Whether the folder exists and is empty; false if it does not exist.
fn is_empty_folder(folder: &Path) -> Result<bool, ScaffoldError> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_symlink() => Ok(false),
        Ok(false) => Err(ScaffoldError::Taken(folder.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(ScaffoldError::Taken(folder.to_owned()))
        }
        Err(error) => Err(failed("read", folder)(error)),
    }
}

fn put(path: &Path, text: &str) -> Result<(), ScaffoldError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(failed("create the folder", folder))?;
    fs::write(path, text).map_err(failed("write", path))
}

/// Moves all files into the existing folder, which may be the current one of a shell. Moves them back if one cannot be moved.
fn fill(folder: &Path, made: &Path) -> Result<(), ScaffoldError> {
    let entries = fs::read_dir(made).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let entries = entries.map_err(failed("read", made))?;
    for (done, entry) in entries.iter().enumerate() {
        let place = folder.join(entry.file_name());
        if let Err(error) = fs::rename(entry.path(), &place) {
            for moved in &entries[..done] {
                let _ = fs::rename(folder.join(moved.file_name()), moved.path());
            }
            return Err(failed("write", &place)(error));
        }
    }
    Ok(())
}

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ScaffoldError + use<> {
    let path = path.to_owned();
    move |error| ScaffoldError::System { step, path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<(String, String)> {
        [("a", "1"), ("b/c", "2")].map(|(name, text)| (name.to_owned(), text.to_owned())).into()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_missing_folder_is_created_with_its_parents() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("x/y");
        write(&folder, &files()).unwrap();
        assert_eq!(names(&folder), ["a", "b"]);
        assert_eq!(fs::read_to_string(folder.join("b/c")).unwrap(), "2");
        assert_eq!(names(&place.path().join("x")), ["y"]);
    }

    #[test]
    fn an_empty_folder_is_filled_and_not_replaced() {
        use std::os::unix::fs::MetadataExt;
        let place = tempfile::tempdir().unwrap();
        let before = fs::metadata(place.path()).unwrap().ino();
        write(place.path(), &files()).unwrap();
        assert_eq!(names(place.path()), ["a", "b"]);
        assert_eq!(fs::metadata(place.path()).unwrap().ino(), before);
    }

    #[test]
    fn existing_files_are_left_alone() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("mine"), "kept").unwrap();
        for folder in [place.path().to_owned(), place.path().join("mine")] {
            let error = write(&folder, &files()).unwrap_err().to_string();
            assert!(error.contains("exists already"), "{error}");
        }
        let link = place.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(write(&link, &files()).is_err());
        assert_eq!(names(place.path()), ["link", "mine"]);
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("x");
        let clash = [files(), vec![("a/below".into(), String::new())]].concat();
        let error = write(&folder, &clash).unwrap_err().to_string();
        assert!(error.contains("cannot"), "{error}");
        assert_eq!(names(place.path()), Vec::<String>::new());
    }
}
