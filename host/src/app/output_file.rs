//! The file that a user names for an output: what keeps it from being there, and what to do about that.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::Problem;
use super::output::is_standard_output;
use crate::atomic_file;
use crate::shell;

/// Refuses a path at which no file can be made, whatever is written: that of a folder, or one in a folder that is not there. What else
/// keeps a file from being written is known when it is tried.
pub(super) fn check(path: &Path) -> Result<(), Problem> {
    if is_standard_output(path) {
        return Ok(());
    }
    let possible = atomic_file::refuse_folder(path).and_then(|()| find_folder(path));
    possible.map_err(|error| {
        let message = format!("cannot write {}: {error}", path.display());
        Problem::usage(message).with_remedy(remedy(path, &error))
    })
}

fn find_folder(path: &Path) -> io::Result<()> {
    // With a last part, as a file in the place of a folder is there, too.
    let folder = shell::folder_of(path).map(|folder| folder.join(".").metadata());
    match folder {
        Some(Err(error)) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// What to do about a file that cannot be written.
pub(crate) fn remedy(path: &Path, error: &io::Error) -> String {
    let missing = shell::folder_of(path).filter(|folder| can_be_made(folder));
    match (error.kind(), missing) {
        (ErrorKind::IsADirectory, _) => in_place_of(path),
        (ErrorKind::NotFound, Some(folder)) => {
            shell::command("mkdir", [PathBuf::from("-p"), shell::path(folder)])
        }
        _ => "another file, on a disk with free space, in a folder that you may write to".to_owned(),
    }
}

/// Whether a folder is missing, and no link that leads to nothing is on the way to it.
fn can_be_made(folder: &Path) -> bool {
    let mut there = folder.ancestors().filter(|above| above.symlink_metadata().is_ok());
    !folder.exists() && there.all(Path::is_dir)
}

/// The path of a file in place of that of a folder, which need not be there.
fn in_place_of(folder: &Path) -> String {
    if folder.is_dir() {
        return format!("{}, with the name of a file", shell::quote(shell::path(&folder.join("FILE"))));
    }
    let file = shell::free_path(folder.components().as_path());
    format!("{}, without a slash at its end", shell::quote(shell::path(&file)))
}
