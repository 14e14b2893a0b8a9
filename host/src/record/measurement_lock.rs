//! Allows one measurement at a time on a machine: two at once would disturb each other.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::RecordError;
use crate::shell;

/// The file that is locked, in the data directory.
pub(crate) const FILE: &str = "measurement.lock";

/// How long a waiting measurement pauses before it tries again.
const POLL: Duration = Duration::from_millis(100);

/// A held measurement lock. Dropping it releases the lock, and so does the kernel when the process dies. The file stays.
#[derive(Debug)]
pub(crate) struct MeasurementLock {
    file: File,
}

#[derive(Debug)]
pub(crate) enum Attempt {
    Held(MeasurementLock),
    /// Another measurement holds it: a description of its process.
    Busy(String),
}

impl MeasurementLock {
    /// Takes the lock of `data_dir` if it is free, and writes its holder into the file.
    pub(crate) fn acquire(data_dir: &Path) -> Result<Attempt, RecordError> {
        fs::create_dir_all(data_dir).map_err(RecordError::file("make the folder", data_dir))?;
        let path = data_dir.join(FILE);
        // Not truncated here: the holder wrote its description into it.
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(RecordError::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => {
                write_holder(&mut file).map_err(RecordError::file("write to", &path))?;
                Ok(Attempt::Held(Self { file }))
            }
            Err(TryLockError::WouldBlock) => Ok(Attempt::Busy(holder(&mut file))),
            Err(TryLockError::Error(error)) => Err(RecordError::file("lock", &path)(error)),
        }
    }

    /// Takes the lock, and waits until it is free. If it has to wait, it calls `on_wait` once with the holder. Returns `None` if
    /// `interrupted` returns true before the lock is free.
    pub(crate) fn acquire_waiting(
        data_dir: &Path,
        on_wait: impl FnOnce(&str),
        interrupted: impl Fn() -> bool,
    ) -> Result<Option<Self>, RecordError> {
        let mut on_wait = Some(on_wait);
        loop {
            match Self::acquire(data_dir)? {
                Attempt::Held(lock) => return Ok(Some(lock)),
                Attempt::Busy(holder) => {
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
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// Writes the holder of the lock into the file: process id and command.
fn write_holder(file: &mut File) -> io::Result<()> {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let command = shell::command(program, arguments);
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "process {}: {command}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // An error here changes nothing: the file is known to be locked.
    let _ = file.read_to_string(&mut text);
    if text.trim().is_empty() { "another process".into() } else { text.trim().into() }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Instant;

    use super::*;

    fn held(data_dir: &Path) -> MeasurementLock {
        match MeasurementLock::acquire(data_dir).unwrap() {
            Attempt::Held(lock) => lock,
            Attempt::Busy(holder) => panic!("held by {holder}"),
        }
    }

    #[test]
    fn only_one_holds_the_lock_and_the_other_learns_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let lock = held(&data_dir);
        let Attempt::Busy(holder) = MeasurementLock::acquire(&data_dir).unwrap() else {
            panic!("held twice")
        };
        assert!(holder.starts_with(&format!("process {}: ", std::process::id())), "{holder}");
        drop(lock);
        drop(held(&data_dir));
        held(&data_dir);
    }

    #[test]
    fn a_waiting_measurement_gets_the_lock_when_it_is_free_and_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let (told, attempts) = (Cell::new(0), Cell::new(0));
        let lock = Cell::new(Some(held(folder.path())));
        let waited = MeasurementLock::acquire_waiting(
            folder.path(),
            |_| told.set(told.get() + 1),
            || {
                attempts.set(attempts.get() + 1);
                // The holder releases the lock after the second attempt.
                if attempts.get() == 2 {
                    drop(lock.take());
                }
                false
            },
        );
        assert!(waited.unwrap().is_some());
        assert_eq!((told.get(), attempts.get()), (1, 2));
    }

    #[test]
    fn only_waiting_for_the_lock_can_be_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let acquire =
            |on_wait: fn(&str)| MeasurementLock::acquire_waiting(folder.path(), on_wait, || true).unwrap();
        let free = acquire(|holder| panic!("{holder}"));
        assert!(free.is_some());
        assert!(acquire(|_| ()).is_none());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_kernel_releases_the_lock_when_its_holder_dies() {
        let folder = tempfile::tempdir().unwrap();
        // Another process takes the same lock and keeps it until it is killed.
        let mut command = std::process::Command::new("flock");
        let mut holder =
            command.arg("--no-fork").arg(folder.path().join(FILE)).args(["sleep", "600"]).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(300);
        while matches!(MeasurementLock::acquire(folder.path()).unwrap(), Attempt::Held(_)) {
            assert!(Instant::now() < deadline, "the other process never took the lock");
            thread::sleep(Duration::from_millis(20));
        }
        holder.kill().unwrap();
        holder.wait().unwrap();
        drop(held(folder.path()));
    }
}
