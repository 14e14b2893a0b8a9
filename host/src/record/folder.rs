//! An output folder: whether records can be written into it, and who does.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;

use super::RecordError;
use super::journal::Access;
use crate::regular_file::keeping;
use crate::{path_walk, to_disk, unfinished};

/// The free space that a run needs at least: its records are a few KiB long.
const ROOM: usize = 16 << 10;

/// Checks that records can be written into `folder`, and to those of `files` that it has, before anything is measured. It leaves
/// nothing behind.
///
/// # Errors
/// What the system says when the folder cannot be made, or a file in it cannot be written; and [`RecordError::Busy`] when a run holds
/// the folder against this access.
pub(super) fn check(folder: &Path, files: &[&str], access: Access) -> Result<(), RecordError> {
    path_walk::check_links(folder).map_err(RecordError::file("make the folder", folder))?;
    if folder.exists() {
        make(folder)?;
        can_open(folder, files)?;
        try_to_write(folder, folder)?;
        return hold(folder, access).map(drop);
    }
    // Not made and removed again: another process may be about to write into it.
    let (above, missing) = split(folder);
    refuse_dangling(above, missing).map_err(RecordError::file("make the folder", folder))?;
    let probe = unfinished::folder_in(above).and_then(|probe| {
        fs::create_dir_all(probe.path().join(missing))?;
        Ok(probe)
    });
    match probe {
        Ok(probe) => try_to_write(&probe.path().join(missing), folder),
        // Fails for the same reason, and the error does not name the probe.
        Err(_) => make(folder),
    }
}

/// Makes the folder, with those that lead to it.
pub(super) fn make(folder: &Path) -> Result<(), RecordError> {
    path_walk::make_folder(folder).map_err(RecordError::file("make the folder", folder))
}

/// The innermost folder on the way that exists, and the rest of the way.
fn split(folder: &Path) -> (&Path, &Path) {
    let above = folder.ancestors().find(|path| path.exists()).filter(|path| !path.as_os_str().is_empty());
    match above {
        Some(above) => (above, folder.strip_prefix(above).unwrap_or(folder)),
        None => (Path::new("."), folder),
    }
}

/// Fails if a link stands where the folder is to be made, and leads to nothing or to itself.
fn refuse_dangling(above: &Path, missing: &Path) -> io::Result<()> {
    let Some(first) = missing.iter().next().map(|name| above.join(name)) else { return Ok(()) };
    if first.is_symlink() {
        let why = format!("{} is a link that leads nowhere", first.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    Ok(())
}

fn can_open(folder: &Path, files: &[&str]) -> Result<(), RecordError> {
    for path in files.iter().map(|name| folder.join(name)) {
        match OpenOptions::new().read(true).append(true).open(&path).and_then(keeping) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(RecordError::file("open", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes into `place` what a run needs at least; `folder` is the one that an error names.
fn try_to_write(place: &Path, folder: &Path) -> Result<(), RecordError> {
    let written = tempfile::tempfile_in(place).and_then(|mut file| {
        file.write_all(&[0; ROOM])?;
        to_disk::content(&file)
    });
    written.map_err(RecordError::file("write into", folder))
}

/// A folder that is held. Dropping it releases the folder, also if a process that is just being started has its descriptor too.
#[derive(Debug)]
pub(super) struct Hold(File);

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Holds the folder against runs that would mix with this one. `None` where the file system cannot lock a folder.
///
/// # Errors
/// [`RecordError::Busy`] when another run holds it.
pub(super) fn hold(folder: &Path, access: Access) -> Result<Option<Hold>, RecordError> {
    let Ok(file) = File::open(folder) else { return Ok(None) };
    let held = match access {
        Access::Exclusive => file.try_lock(),
        Access::Shared => file.try_lock_shared(),
    };
    match held {
        Ok(()) => Ok(Some(Hold(file))),
        Err(TryLockError::WouldBlock) => Err(RecordError::Busy(folder.into())),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}
