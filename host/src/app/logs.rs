//! The log folders, one for each run: creates them, marks them as in use, and removes old ones.
//!
//! A folder is removed only if crossrun marked it and no process uses it, because the data directory may hold logs of other
//! programs too.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use crate::record::{clock, file_lock};
use crate::{path_walk, regular_file};

/// The file that marks a folder as created by crossrun. A process that uses the folder holds a lock on the file; the system
/// releases the lock when the process ends.
const MARK: &str = ".crossrun-logs";
const NOTE: &str = "The folder of this file holds logs of crossrun, which removes it when it is old.\n";

/// How often creating a folder is tried when another process removes it at the same time.
const TRIES: usize = 10;

/// How long logs are kept: those of the newest [`NEWEST`] folders, and those of all others.
const KEPT: Duration = Duration::from_hours(30 * 24);
const NEWEST: usize = 200;
const KEPT_OTHERS: Duration = Duration::from_hours(24);

/// The folder of all logs where the data folder takes none: one of this user's among the temporary files. Plugins get it as text.
pub(super) fn elsewhere() -> PathBuf {
    let temporary = Some(std::env::temp_dir()).filter(|path| path.is_absolute() && path.to_str().is_some());
    let user = rustix::process::geteuid().as_raw();
    temporary.unwrap_or_else(|| "/tmp".into()).join(format!("crossrun-logs-{user}"))
}

/// Whether the system does not let this user write there.
pub(super) fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Creates the folder `logs/name` and removes old folders beside it. The folder is in use until the file is dropped.
pub(super) fn enter(logs: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    let folder = logs.join(name);
    let mark = mark(&folder)?;
    let now = SystemTime::now();
    if clock::is_credible(now) {
        prune(logs, now);
    }
    Ok((folder, mark))
}

/// Creates `folder`, and marks it as created by crossrun and in use.
fn mark(folder: &Path) -> io::Result<File> {
    for _ in 0..TRIES {
        path_walk::make_private_folder(folder)?;
        let path = folder.join(MARK);
        let flags = OFlags::NOFOLLOW.bits() as i32;
        let opened = OpenOptions::new().read(true).append(true).create(true).custom_flags(flags).open(&path);
        let mut mark = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        if mark.metadata()?.len() == 0 {
            mark.write_all(NOTE.as_bytes())?;
        }
        // If the file system has no locks, only its age protects a folder.
        let _ = file_lock::shared(&mark, &path);
        // Another process may have removed the folder in the meantime.
        if regular_file::is_at(&mark, &path) {
            return Ok(mark);
        }
    }
    Err(io::Error::other("other processes remove it each time that it is created"))
}

/// Removes the empty files in `folder`, of which this process holds the `mark`, and the folder itself if nothing else is in it. While
/// another process uses it, nothing is removed: its logs may be empty so far.
pub(super) fn tidy(folder: &Path, mark: &File) {
    if matches!(mark.try_lock(), Err(TryLockError::WouldBlock)) {
        return;
    }
    let mut left = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_empty = entry.metadata().is_ok_and(|status| status.is_file() && status.len() == 0);
        if entry.file_name() != MARK && !(is_empty && fs::remove_file(entry.path()).is_ok()) {
            left += 1;
        }
    }
    if left == 0 {
        let _ = fs::remove_file(folder.join(MARK));
        let _ = fs::remove_dir(folder);
    }
}

/// Removes the marked folders in `logs` that are too old at the time `now`. A folder that cannot be removed stays.
fn prune(logs: &Path, now: SystemTime) {
    let entries = fs::read_dir(logs).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let marked = folders.map(|entry| entry.path()).filter(|folder| folder.join(MARK).is_file());
    let mut aged: Vec<_> = marked.filter_map(|folder| Some((age(&folder, now)?, folder))).collect();
    aged.sort();
    for (place, (age, folder)) in aged.into_iter().enumerate() {
        let kept = if place < NEWEST { KEPT } else { KEPT_OTHERS };
        if age > kept
            && let Err(error) = remove(&folder)
        {
            log::info!("cannot remove the old logs in {}: {error}", folder.display());
        }
    }
}

/// The time since anything was last written in `folder` or below it; nothing if it cannot be determined.
fn age(folder: &Path, now: SystemTime) -> Option<Duration> {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut unseen = vec![folder.to_owned()];
    while let Some(path) = unseen.pop() {
        let status = fs::symlink_metadata(&path).ok()?;
        newest = newest.max(status.modified().ok()?);
        if status.is_dir() {
            for entry in fs::read_dir(&path).ok()? {
                unseen.push(entry.ok()?.path());
            }
        }
    }
    Some(now.duration_since(newest).unwrap_or_default())
}

/// The mark of a folder, to be locked: NFS locks only files that were opened for writing.
fn open_mark(folder: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW.bits() as i32;
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(folder.join(MARK))
}

/// Removes `folder` unless a process uses it. The mark is removed last, so that a later call can finish an interrupted one.
fn remove(folder: &Path) -> io::Result<()> {
    let mark = open_mark(folder)?;
    mark.try_lock().map_err(io::Error::from)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            // Does not follow links.
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != MARK {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_file(folder.join(MARK))?;
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    /// Ends the use of a folder, as the end of a process does. A child that another test is just starting has the open file too, and
    /// holds the lock with it.
    fn release(mark: &File) {
        mark.unlock().unwrap();
    }

    /// A folder that was used, with a log and a plugin's folder in it.
    fn used(logs: &Path, name: &str) -> PathBuf {
        let (folder, mark) = enter(logs, name).unwrap();
        fs::write(folder.join("native.log"), "text").unwrap();
        fs::create_dir(folder.join("ray")).unwrap();
        fs::write(folder.join("ray/worker.out"), "text").unwrap();
        release(&mark);
        folder
    }

    /// Makes everything in `folder` look `days` old.
    fn make_old(folder: &Path, days: u32) {
        let then = SystemTime::now() - DAY * days;
        let entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        let (folders, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(|path| path.is_dir());
        folders.iter().for_each(|below| make_old(below, days));
        for path in files.iter().map(PathBuf::as_path).chain([folder]) {
            File::open(path).unwrap().set_modified(then).unwrap();
        }
    }

    #[test]
    fn old_logs_are_removed_when_a_run_starts_and_others_stay() {
        let place = tempfile::tempdir().unwrap();
        let [old, recent] = ["old", "recent"].map(|name| used(place.path(), name));
        let written = used(place.path(), "written");
        make_old(&old, 31);
        make_old(&recent, 29);
        make_old(&written, 31);
        fs::write(written.join("native.log"), "more").unwrap();
        let (new, _mark) = enter(place.path(), "new").unwrap();
        assert!(!old.exists());
        assert!(recent.exists() && written.exists() && new.exists());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn where_nobody_may_write_logs_are_elsewhere() {
        // Nobody makes folders there, root included.
        assert!(is_refused(&enter(Path::new("/sys/logs"), "run").unwrap_err()));
        assert!(elsewhere().is_absolute() && elsewhere().to_str().is_some());
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("logs"), "").unwrap();
        assert!(!is_refused(&enter(&place.path().join("logs"), "run").unwrap_err()));
    }

    #[test]
    fn marks_are_opened_in_a_way_in_which_every_file_system_locks_them() {
        let place = tempfile::tempdir().unwrap();
        let (folder, mark) = enter(place.path(), "run").unwrap();
        for mark in [mark, open_mark(&folder).unwrap()] {
            let flags = rustix::fs::fcntl_getfl(&mark).unwrap();
            assert!(flags.contains(OFlags::RDWR), "{flags:?}");
        }
    }

    #[test]
    fn the_logs_of_a_run_in_progress_stay_however_old_they_are() {
        let place = tempfile::tempdir().unwrap();
        let (running, mark) = enter(place.path(), "running").unwrap();
        make_old(&running, 100);
        prune(place.path(), SystemTime::now());
        assert!(running.join(MARK).exists());
        release(&mark);
        prune(place.path(), SystemTime::now());
        assert!(!running.exists());
    }

    #[test]
    fn folders_of_other_programs_are_not_touched() {
        let place = tempfile::tempdir().unwrap();
        let (logs, elsewhere) = (place.path().join("logs"), used(place.path(), "elsewhere"));
        let theirs = logs.join("theirs");
        fs::create_dir_all(&theirs).unwrap();
        fs::write(theirs.join("access.log"), "text").unwrap();
        fs::write(logs.join("file.log"), "text").unwrap();
        std::os::unix::fs::symlink(&elsewhere, logs.join("link")).unwrap();
        let ours = used(&logs, "ours");
        std::os::unix::fs::symlink(&elsewhere, ours.join("ray/link")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, ours.join("link")).unwrap();
        let later = SystemTime::now() + DAY * 100;
        prune(&logs, later);
        assert!(!ours.exists());
        assert!(theirs.join("access.log").exists() && logs.join("file.log").exists());
        assert!(logs.join("link").exists() && elsewhere.join("ray/worker.out").exists());
    }

    #[test]
    fn folders_beyond_the_newest_are_kept_for_a_day() {
        let place = tempfile::tempdir().unwrap();
        for number in 0..NEWEST + 3 {
            release(&mark(&place.path().join(number.to_string())).unwrap());
        }
        let count = || fs::read_dir(place.path()).unwrap().count();
        prune(place.path(), SystemTime::now());
        assert_eq!(count(), NEWEST + 3);
        prune(place.path(), SystemTime::now() + DAY * 2);
        assert_eq!(count(), NEWEST);
    }

    #[test]
    fn a_folder_without_logs_is_removed_at_once() {
        let place = tempfile::tempdir().unwrap();
        let (empty, mark) = enter(place.path(), "empty").unwrap();
        fs::write(empty.join("native.log"), "").unwrap();
        tidy(&empty, &mark);
        assert!(!empty.exists());
        used(place.path(), "full");
        let (full, mark) = enter(place.path(), "full").unwrap();
        tidy(&full, &mark);
        assert!(full.join("native.log").exists() && full.join(MARK).exists());
    }

    #[test]
    fn what_another_process_has_begun_to_log_stays() {
        let place = tempfile::tempdir().unwrap();
        let (folder, own) = enter(place.path(), "shared").unwrap();
        let (_, other) = enter(place.path(), "shared").unwrap();
        fs::write(folder.join("native.log"), "").unwrap();
        tidy(&folder, &own);
        assert!(folder.join("native.log").exists() && folder.join(MARK).exists());
        release(&own);
        tidy(&folder, &other);
        assert!(!folder.exists());
    }
}
