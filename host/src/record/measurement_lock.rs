//! Allows one measurement at a time on a machine: two at once would disturb each other. All users of a machine share one file, as
//! far as they see the same folder for it; a container has folders of its own.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{OFlags, StatVfsMountFlags};

use super::{RecordError, file_lock};
use crate::{regular_file, shell};

/// The environment variable that names another file.
const VARIABLE: &str = "CROSSRUN_LOCK_FILE";

/// The name of the file.
const FILE: &str = "crossrun-measurement.lock";

/// The folders for it. The first in which every user may create files, and none may remove those of others, is taken, unless it is mounted
/// so that nobody can create the file there.
const FOLDERS: [&str; 2] = ["/run/lock", "/tmp"];

/// The first word of a description of the holder.
const HOLDER: &str = "process ";

/// How long a waiting measurement pauses before it tries again.
const POLL: Duration = Duration::from_millis(100);

/// A held measurement lock. Dropping it releases the lock, and so does the kernel when the process dies. The file stays.
#[derive(Debug)]
pub(crate) struct MeasurementLock {
    file: File,
    /// The file that is locked: the lock excludes all who use the same one.
    pub(crate) path: PathBuf,
    /// Whether another process held it first.
    pub(crate) waited: bool,
}

/// The file of this machine's lock, or the one that the environment names.
pub(crate) fn path() -> PathBuf {
    let named = std::env::var_os(VARIABLE).filter(|file| !file.is_empty());
    let path = named.map_or_else(|| folder().join(FILE), PathBuf::from);
    // The record names the file for readers in other folders.
    std::path::absolute(&path).unwrap_or(path)
}

fn folder() -> PathBuf {
    let mut folders = FOLDERS.into_iter().map(Path::new);
    let found = folders.find(|folder| is_shared(folder) && has_place(folder));
    found.map_or_else(std::env::temp_dir, Path::to_owned)
}

fn is_shared(folder: &Path) -> bool {
    const SHARED: u32 = 0o1002;
    fs::metadata(folder).is_ok_and(|it| it.is_dir() && it.mode() & SHARED == SHARED)
}

/// Whether the file is in the folder, or can be made there. What this user may do does not count: all users must find the same folder.
fn has_place(folder: &Path) -> bool {
    let status = rustix::fs::statvfs(folder);
    let is_read_only = status.is_ok_and(|status| status.f_flag.contains(StatVfsMountFlags::RDONLY));
    !is_read_only || folder.join(FILE).exists()
}

impl MeasurementLock {
    /// Takes the lock on the file at `path` if it is free, and writes its holder into the file. The inner error describes the process
    /// that holds it.
    fn acquire(path: &Path) -> Result<Result<Self, String>, RecordError> {
        loop {
            let mut file = open(path).map_err(RecordError::file("open", path))?;
            match file.try_lock() {
                // Somebody may have removed the file, and another process may have made a new one.
                Ok(()) if !regular_file::is_at(&file, path) => {}
                Ok(()) => {
                    // Of a file of another user, nobody else learns the holder.
                    let _ = write_holder(&mut file);
                    return Ok(Ok(Self { file, path: path.to_owned(), waited: false }));
                }
                Err(TryLockError::WouldBlock) => return Ok(Err(holder(&file))),
                Err(TryLockError::Error(error)) => return Err(RecordError::file("lock", path)(error)),
            }
        }
    }

    /// Whether another process holds the lock on the file at `path` just now.
    pub(crate) fn is_held(path: &Path) -> bool {
        matches!(Self::acquire(path), Ok(Err(_)))
    }

    /// Takes the lock, and waits until it is free. If it has to wait, it calls `on_wait` once with the holder. Returns `None` if
    /// `interrupted` returns true before the lock is free.
    pub(crate) fn acquire_waiting(
        path: &Path,
        on_wait: impl FnOnce(&str),
        interrupted: impl Fn() -> bool,
    ) -> Result<Option<Self>, RecordError> {
        let mut on_wait = Some(on_wait);
        loop {
            match Self::acquire(path)? {
                Ok(mut lock) => {
                    lock.waited = on_wait.is_none();
                    return Ok(Some(lock));
                }
                Err(holder) => {
                    if let Some(on_wait) = on_wait.take() {
                        on_wait(&holder);
                    }
                }
            }
            if interrupted() {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for MeasurementLock {
    fn drop(&mut self) {
        // A leftover would be shown as the holder until the next one has written its own description.
        if is_ours(&self.file) {
            let _ = self.file.set_len(0);
        }
        let _ = self.file.unlock();
    }
}

/// Opens the file, and creates it if it is missing. Other users put files into the same folder: no link is followed, nothing but a
/// regular file is taken, and a file of another user is only read.
fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits() as i32;
    let existing = |write: bool| OpenOptions::new().read(true).write(write).custom_flags(flags).open(path);
    let file = match existing(true) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made =
                OpenOptions::new().read(true).write(true).create_new(true).custom_flags(flags).open(path);
            match made {
                Ok(file) => {
                    // Others must be able to read it, whatever the umask says. Not every file system has modes.
                    let _ = file.set_permissions(fs::Permissions::from_mode(0o644));
                    Ok(file)
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    existing(true).or_else(|_| existing(false))
                }
                Err(error) => Err(error),
            }
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            existing(false)
        }
        opened => opened,
    }?;
    regular_file::keeping(file)
}

/// Whether the file is this user's and nothing but a lock file, so that its content may be replaced.
fn is_ours(file: &File) -> bool {
    let text = content(file);
    let owned =
        file.metadata().is_ok_and(|it| it.uid() == rustix::process::geteuid().as_raw() && it.nlink() == 1);
    owned && (text.is_empty() || text.starts_with(HOLDER))
}

/// Writes the holder of the lock into the file: process id and command.
fn write_holder(file: &mut File) -> io::Result<()> {
    if !is_ours(file) {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let command = shell::command(program, arguments);
    file.set_len(0)?;
    file.write_all_at(format!("{HOLDER}{}: {command}\n", std::process::id()).as_bytes(), 0)
}

/// What the system says is of now. The text may be that of a process that was killed, in a file that its successor may not write.
fn holder(file: &File) -> String {
    let now = file_lock::holder(file);
    let text = content(file);
    match text.lines().next().unwrap_or_default() {
        line if now == file_lock::UNKNOWN && line.starts_with(HOLDER) => line.to_owned(),
        _ => now,
    }
}

/// The beginning of the file. An error here changes nothing: the lock counts, and not the text.
fn content(file: &File) -> String {
    let mut bytes = [0; 1024];
    let length = file.read_at(&mut bytes, 0).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn held(path: &Path) -> MeasurementLock {
        MeasurementLock::acquire(path).unwrap().unwrap()
    }

    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        (folder, path)
    }

    #[test]
    fn only_one_holds_the_lock_and_the_other_learns_the_holder() {
        let (_folder, path) = file();
        let lock = held(&path);
        let holder = MeasurementLock::acquire(&path).unwrap().unwrap_err();
        assert!(holder.starts_with(&format!("process {}: ", std::process::id())), "{holder}");
        // A file that was removed meanwhile does not let a third one in beside the next holder.
        drop(lock);
        fs::remove_file(&path).unwrap();
        drop(held(&path));
        held(&path);
    }

    #[test]
    fn the_holder_of_now_is_named_and_not_one_that_was_killed() {
        let (_folder, path) = file();
        // What a process wrote that was killed stays in the file, if its successor may not write to it.
        fs::write(&path, "process 1: killed\n").unwrap();
        let successor = File::open(&path).unwrap();
        successor.lock().unwrap();
        let holder = MeasurementLock::acquire(&path).unwrap().unwrap_err();
        let now = file_lock::holder(&successor);
        let expected = if now == file_lock::UNKNOWN { "process 1: killed" } else { now.as_str() };
        assert_eq!(holder, expected);
        assert!(now == file_lock::UNKNOWN || now.starts_with(&format!("process {}", std::process::id())));
    }

    #[test]
    fn a_waiting_measurement_gets_the_lock_when_it_is_free_and_is_told_once() {
        let (_folder, path) = file();
        let (waits, attempts) = (Cell::new(0), Cell::new(0));
        let lock = Cell::new(Some(held(&path)));
        let waited = MeasurementLock::acquire_waiting(
            &path,
            |_| waits.set(waits.get() + 1),
            || {
                attempts.set(attempts.get() + 1);
                // The holder releases the lock after the second attempt.
                if attempts.get() == 2 {
                    drop(lock.take());
                }
                false
            },
        );
        assert!(waited.unwrap().unwrap().waited);
        assert_eq!((waits.get(), attempts.get()), (1, 2));
    }

    #[test]
    fn only_waiting_for_the_lock_can_be_interrupted() {
        let (_folder, path) = file();
        let acquire = |on_wait: fn(&str)| MeasurementLock::acquire_waiting(&path, on_wait, || true).unwrap();
        let free = acquire(|holder| panic!("{holder}"));
        assert!(free.as_ref().is_some_and(|lock| !lock.waited));
        assert!(acquire(|_| ()).is_none());
    }

    #[test]
    fn what_is_no_lock_file_is_neither_followed_nor_written() {
        let (folder, path) = file();
        let other = folder.path().join("other");
        fs::write(&other, "dear diary").unwrap();
        drop(held(&other));
        assert_eq!(fs::read_to_string(&other).unwrap(), "dear diary");
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(MeasurementLock::acquire(&path).is_err());
        assert!(MeasurementLock::acquire(folder.path()).is_err());
    }
}
