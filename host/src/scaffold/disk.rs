//! Writes the files of a project, all or none.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::error::ScaffoldError;
use crate::{path_walk, unfinished};

/// Writes the files, whose paths are relative, into a folder that is empty or does not exist. If that fails, nothing of it stays.
pub(super) fn write(folder: &Path, files: &[(String, String)]) -> Result<(), ScaffoldError> {
    let above = folder.parent().unwrap_or(folder);
    let missing = above.ancestors().take_while(|path| !path.exists());
    let missing: Vec<_> = missing.collect();
    make(folder, above, files).inspect_err(|_| {
        for made in missing {
            let _ = fs::remove_dir(made);
        }
    })
}

fn make(folder: &Path, above: &Path, files: &[(String, String)]) -> Result<(), ScaffoldError> {
    let exists = is_empty_folder(folder)?;
    // The files are written here first, and then renamed: it must be on the same file system.
    let parent = if exists { folder } else { above };
    path_walk::make_folder(parent).map_err(failed("create the folder", parent))?;
    let temporary = unfinished::folder_in(parent).map_err(failed("create a folder in", parent))?;
    // A folder below it, because the temporary folder itself is only for this user.
    let made = temporary.path().join("made");
    for (name, text) in files {
        put(&made.join(name), text)?;
    }
    if exists {
        fill(folder, &made)
    } else {
        rename(&made, folder).map_err(failed("create the folder", folder))
    }
}

/// Whether the folder exists and is empty; false if it does not exist.
fn is_empty_folder(folder: &Path) -> Result<bool, ScaffoldError> {
    // Of a project that was killed while it was written.
    unfinished::remove_left(folder);
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

/// Gives a file or a folder a name that nothing has.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system, or the kernel, has only the other call.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if to.symlink_metadata().is_err() => {
            fs::rename(from, to)
        }
        renamed => Ok(renamed?),
    }
}

/// Moves all files into the existing folder, which may be the current one of a shell. Moves them back if one cannot be moved.
fn fill(folder: &Path, made: &Path) -> Result<(), ScaffoldError> {
    let entries = fs::read_dir(made).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let entries = entries.map_err(failed("read", made))?;
    for (done, entry) in entries.iter().enumerate() {
        let place = folder.join(entry.file_name());
        if let Err(error) = rename(&entry.path(), &place) {
            let back = |moved: &fs::DirEntry| fs::rename(folder.join(moved.file_name()), moved.path());
            return Err(match entries[..done].iter().try_for_each(back) {
                Ok(()) => failed("write", &place)(error),
                Err(error) => ScaffoldError::Partial { folder: folder.to_owned(), error },
            });
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
    use crate::unfinished::tests::names_in as names;

    fn files() -> Vec<(String, String)> {
        [("a", "1"), ("b/c", "2")].map(|(name, text)| (name.to_owned(), text.to_owned())).into()
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
    fn a_failed_write_leaves_nothing_and_no_folder_that_it_made() {
        let place = tempfile::tempdir().unwrap();
        let clash = [files(), vec![("a/below".into(), String::new())]].concat();
        for folder in ["x", "x/y/z"] {
            let error = write(&place.path().join(folder), &clash).unwrap_err().to_string();
            assert!(error.contains("cannot"), "{error}");
            assert_eq!(names(place.path()), Vec::<String>::new());
        }
    }

    #[test]
    fn a_name_that_another_program_has_taken_is_not_overwritten_and_all_is_moved_back() {
        let place = tempfile::tempdir().unwrap();
        let [folder, made] = ["folder", "made"].map(|name| place.path().join(name));
        for taken in ["a", "b"] {
            let _ = fs::remove_dir_all(&folder);
            let _ = fs::remove_dir_all(&made);
            fs::create_dir(&folder).unwrap();
            files().iter().for_each(|(name, text)| put(&made.join(name), text).unwrap());
            fs::write(folder.join(taken), "mine").unwrap();
            let error = fill(&folder, &made).unwrap_err().to_string();
            assert!(error.contains("nothing of the project stays"), "{error}");
            assert_eq!(
                (names(&folder), names(&made)),
                (vec![taken.to_owned()], vec!["a".into(), "b".into()])
            );
            assert_eq!(fs::read_to_string(folder.join(taken)).unwrap(), "mine");
        }
        // Nor is an empty folder that another program has just made.
        fs::create_dir(place.path().join("taken")).unwrap();
        assert!(rename(&made, &place.path().join("taken")).is_err());
    }

    #[test]
    fn a_folder_with_nothing_but_what_a_killed_process_left_is_empty() {
        let place = tempfile::tempdir().unwrap();
        let left = format!("{}dE3.tmp/made/a", unfinished::start(".crossrun-"));
        put(&place.path().join(left), "1").unwrap();
        write(place.path(), &files()).unwrap();
        assert_eq!(names(place.path()), ["a", "b"]);
    }
}
