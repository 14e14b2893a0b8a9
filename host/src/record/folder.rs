//! An output folder: whether records can be written into it, and who does.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::RecordError;
use super::journal::Access;

/// The free space that a run needs at least: its records are a few KiB long.
const ROOM: usize = 16 << 10;

/// Checks that records can be written into `folder`, and to those of `files` that it has, before anything is measured. It leaves
/// nothing behind.
///
/// # Errors
/// What the system says when the folder cannot be made, or a file in it cannot be written.
pub(super) fn check(folder: &Path, files: &[&str]) -> Result<(), RecordError> {
    let made = missing(folder);
    let checked = try_to_write(folder, files);
    // Fails for what was not made, and where another process has written meanwhile.
    made.iter().for_each(|folder| drop(fs::remove_dir(folder)));
    checked
}

/// The folders on the way to `folder` that do not exist, the innermost first.
fn missing(folder: &Path) -> Vec<PathBuf> {
    let on_the_way = folder.ancestors().filter(|path| !path.as_os_str().is_empty());
    on_the_way.take_while(|path| !path.exists()).map(Path::to_owned).collect()
}

fn try_to_write(folder: &Path, files: &[&str]) -> Result<(), RecordError> {
    fs::create_dir_all(folder).map_err(RecordError::file("make the folder", folder))?;
    for path in files.iter().map(|name| folder.join(name)) {
        match OpenOptions::new().read(true).append(true).open(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(RecordError::file("open", &path)(error));
            }
            _ => {}
        }
    }
    let written = tempfile::tempfile_in(folder).and_then(|mut file| {
        file.write_all(&[0; ROOM])?;
        file.sync_data()
    });
    written.map_err(RecordError::file("write into", folder))?;
    hold(folder, Access::Shared).map(drop)
}

/// Holds the folder against runs that would mix with this one, as long as the file is open. `None` where the file system cannot
/// lock a folder.
///
/// # Errors
/// [`RecordError::Busy`] when another run holds it.
pub(super) fn hold(folder: &Path, access: Access) -> Result<Option<File>, RecordError> {
    let Ok(file) = File::open(folder) else { return Ok(None) };
    let held = match access {
        Access::Exclusive => file.try_lock(),
        Access::Shared => file.try_lock_shared(),
    };
    match held {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(RecordError::Busy(folder.into())),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}
