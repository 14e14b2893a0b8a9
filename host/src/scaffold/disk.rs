//! Files come to disk all together or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskError {
    /// Something is there that is no empty folder.
    #[error("{} is there already, and is no empty folder", .0.display())]
    Taken(PathBuf),
    #[error("cannot {step} {}: {error}", path.display())]
    System { step: &'static str, path: PathBuf, error: io::Error },
}

/// Puts every file, by its place from there on, into a folder that is empty or not there.
pub(super) fn write(folder: &Path, files: &[(String, String)]) -> Result<(), DiskError> {
    let exists = is_empty_folder(folder)?;
    // Beside the place where everything goes, so that it can be renamed to there.
    let beside = if exists { folder } else { folder.parent().unwrap_or(folder) };
    fs::create_dir_all(beside).map_err(told("make the folder", beside))?;
    let nursery = tempfile::Builder::new().prefix(".crossrun-new-").tempdir_in(beside);
    let nursery = nursery.map_err(told("make a folder in", beside))?;
    // A folder of its own, as the one around it is for this user only.
    let made = nursery.path().join("made");
    for (name, text) in files {
        put(&made.join(name), text)?;
    }
    if exists {
        fill(folder, &made)
    } else {
        fs::rename(&made, folder).map_err(told("make the folder", folder))
    }
}

/// Whether there is an empty folder; nothing being there is fine as well.
fn is_empty_folder(folder: &Path) -> Result<bool, DiskError> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.is_symlink() => Ok(false),
        Ok(false) => Err(DiskError::Taken(folder.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(DiskError::Taken(folder.to_owned()))
        }
        Err(error) => Err(told("look into", folder)(error)),
    }
}

fn put(path: &Path, text: &str) -> Result<(), DiskError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(told("make the folder", folder))?;
    fs::write(path, text).map_err(told("write", path))
}

/// Moves everything that was made into a folder that somebody may stand in, and takes it away again if one part cannot be.
fn fill(folder: &Path, made: &Path) -> Result<(), DiskError> {
    let entries = fs::read_dir(made).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let entries = entries.map_err(told("look into", made))?;
    for (done, entry) in entries.iter().enumerate() {
        let place = folder.join(entry.file_name());
        if let Err(error) = fs::rename(entry.path(), &place) {
            for moved in &entries[..done] {
                let _ = fs::rename(folder.join(moved.file_name()), moved.path());
            }
            return Err(told("write", &place)(error));
        }
    }
    Ok(())
}

fn told(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError + use<> {
    let path = path.to_owned();
    move |error| DiskError::System { step, path, error }
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
    fn a_folder_that_is_not_there_is_made_with_those_above() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("x/y");
        write(&folder, &files()).unwrap();
        assert_eq!(names(&folder), ["a", "b"]);
        assert_eq!(fs::read_to_string(folder.join("b/c")).unwrap(), "2");
        assert_eq!(names(&place.path().join("x")), ["y"]);
    }

    #[test]
    fn an_empty_folder_stays_the_folder_that_it_is() {
        use std::os::unix::fs::MetadataExt;
        let place = tempfile::tempdir().unwrap();
        let before = fs::metadata(place.path()).unwrap().ino();
        write(place.path(), &files()).unwrap();
        assert_eq!(names(place.path()), ["a", "b"]);
        assert_eq!(fs::metadata(place.path()).unwrap().ino(), before);
    }

    #[test]
    fn what_is_there_already_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("mine"), "kept").unwrap();
        for folder in [place.path().to_owned(), place.path().join("mine")] {
            let error = write(&folder, &files()).unwrap_err().to_string();
            assert!(error.contains("is there already"), "{error}");
        }
        let link = place.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(write(&link, &files()).is_err());
        assert_eq!(names(place.path()), ["link", "mine"]);
    }

    #[test]
    fn what_cannot_be_written_whole_is_not_written() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("x");
        let clash = [files(), vec![("a/below".into(), String::new())]].concat();
        let error = write(&folder, &clash).unwrap_err().to_string();
        assert!(error.contains("cannot"), "{error}");
        assert_eq!(names(place.path()), Vec::<String>::new());
    }
}
