//! Locks on files. Another process may hold a lock for as long as it likes: no wait for one is without end, and each names the
//! holder.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{major, minor};

use crate::other_process;
use crate::sandbox::Interrupt;

/// How long a holder may keep a lock that is held for the time of a write.
const LIMIT: Duration = Duration::from_secs(60);
/// After this time the wait is reported.
const REPORTED_AFTER: Duration = Duration::from_secs(1);
/// The pauses between two attempts: a lock is mostly free again at once.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// Locks `file`, which has the path `path`, so that no other process holds a lock on it. On a file system without locks, such as
/// some of Lustre and NFS, that is reported once, and the caller goes on.
///
/// # Errors
/// When another process holds the lock for too long, or the user interrupts.
pub(crate) fn exclusive(file: &File, path: &Path) -> io::Result<()> {
    wait(file, path, File::try_lock, LIMIT)
}

/// As [`exclusive`], but others may hold the lock in this way too.
pub(crate) fn shared(file: &File, path: &Path) -> io::Result<()> {
    wait(file, path, File::try_lock_shared, LIMIT)
}

/// Releases the lock, if the file system has locks.
pub(crate) fn release(file: &File) -> io::Result<()> {
    file.unlock().or_else(|error| if has_no_locks(&error) { Ok(()) } else { Err(error) })
}

/// Whether this error says that the file system has no locks.
pub(crate) fn has_no_locks(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let without = [Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOLCK, Errno::INVAL];
    without.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn wait(
    file: &File,
    path: &Path,
    attempt: fn(&File) -> Result<(), TryLockError>,
    limit: Duration,
) -> io::Result<()> {
    let (since, mut reported) = (Instant::now(), false);
    loop {
        match attempt(file) {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) if has_no_locks(&error) => {
                warn_of_missing_locks(path, &error);
                return Ok(());
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let waited = since.elapsed();
        if Interrupt::has_come() {
            return Err(io::Error::other(format!("interrupted while {} held its lock", holder(file))));
        }
        if waited > limit {
            let why = format!("{} holds its lock for more than {} s", holder(file), limit.as_secs_f64());
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        if waited > REPORTED_AFTER && !std::mem::replace(&mut reported, true) {
            log::warn!("waiting for {}, whose lock {} holds", path.display(), holder(file));
        }
        thread::sleep(PAUSES[usize::from(waited > REPORTED_AFTER)]);
    }
}

fn warn_of_missing_locks(path: &Path, error: &io::Error) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::warn!(
            "the file system of {} has no locks ({error}): nothing keeps two processes from writing there at once",
            path.display()
        );
    });
}

/// The name of a holder of which the system says nothing.
pub(super) const UNKNOWN: &str = "another process";

/// The process that holds a lock on `file`, as far as the system says.
pub(crate) fn holder(file: &File) -> String {
    let found = file.metadata().ok().and_then(|status| {
        let (dev, ino) = (status.dev(), status.ino());
        let key = format!("{:02x}:{:02x}:{ino}", major(dev), minor(dev));
        let locks = fs::read_to_string("/proc/locks").ok()?;
        // `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`
        let of_file = |line: &str| {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            let held = words.iter().position(|word| *word == key)?.checked_sub(1)?;
            (words.get(1) != Some(&"->")).then(|| words[held].to_owned())
        };
        locks.lines().find_map(of_file)
    });
    let pid = found.and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0);
    pid.map_or_else(|| UNKNOWN.to_owned(), other_process::named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_held_for_too_long_is_an_error_that_names_the_holder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let held = File::open(file.path()).unwrap();
        held.lock().unwrap();
        let asked = File::open(file.path()).unwrap();
        let error = wait(&asked, file.path(), File::try_lock, Duration::from_millis(1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("holds its lock for more than 0.001 s"), "{error}");
    }

    #[test]
    fn the_holder_of_a_lock_is_known() {
        let file = tempfile::NamedTempFile::new().unwrap();
        exclusive(file.as_file(), file.path()).unwrap();
        // A system may hide the locks.
        let (named, expected) = (holder(file.as_file()), format!("process {}:", std::process::id()));
        assert!(named.starts_with(&expected) || named == UNKNOWN, "{named}");
        release(file.as_file()).unwrap();
    }
}
