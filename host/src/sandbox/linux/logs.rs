//! Limits the size of logs: of a log that grew too large, only the end is kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::sandbox::limits::Bytes;

/// How many bytes of the end are kept at most. Of a small limit it is half, or the log would be cut again at once.
const KEPT: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Logs {
    own: Option<File>,
    /// A folder with logs that the worker's plugin writes.
    folder: Option<PathBuf>,
}

impl Logs {
    /// The log is this process's standard error.
    pub(super) fn of_this_process(folder: Option<PathBuf>) -> Self {
        Self { own: reopen(Path::new("/proc/self/fd/2")).ok(), folder }
    }

    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { own: None, folder: None }
    }

    #[cfg(test)]
    pub(super) fn of_folder(folder: &Path) -> Self {
        Self { own: None, folder: Some(folder.into()) }
    }

    /// Cuts every log that has more than `limit` bytes, and returns whether there was one.
    pub(super) fn cut(&self, limit: u64) -> bool {
        let own = self.own.as_ref().is_some_and(|log| cut(log, limit).unwrap_or_default());
        let mut folder = self.folder.as_deref().and_then(|folder| fs::read_dir(folder).ok());
        let others = folder.iter_mut().flatten().flatten().map(|entry| entry.path());
        let others = others.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        others.fold(own, |any, path| {
            // Most logs are small, and reading the size is cheaper than opening the file.
            let large = fs::symlink_metadata(&path).is_ok_and(|status| size_without_holes(&status) > limit);
            any | (large && reopen(&path).and_then(|log| cut(&log, limit)).unwrap_or_default())
        })
    }
}

/// Opens a log without following a link, and without waiting for the reader of a pipe.
fn reopen(path: &Path) -> io::Result<File> {
    let own = path.starts_with("/proc/self/fd");
    let flags = if own { OFlags::empty() } else { OFlags::NOFOLLOW };
    let flags = (flags | OFlags::NONBLOCK | OFlags::CLOEXEC).bits() as i32;
    OpenOptions::new().read(true).append(true).custom_flags(flags).open(path)
}

/// The bytes of a file without its holes: a process that goes on writing at its old offset after a cut leaves one. On disk a file
/// takes whole blocks, which a small one does not fill.
fn size_without_holes(status: &fs::Metadata) -> u64 {
    (status.blocks() * 512).min(status.len())
}

fn cut(mut log: &File, limit: u64) -> io::Result<bool> {
    let status = log.metadata()?;
    if !status.is_file() || size_without_holes(&status) <= limit {
        return Ok(false);
    }
    let start = status.len().saturating_sub(KEPT.min(limit / 2));
    let mut end = vec![0; (status.len() - start) as usize];
    let read = log.read_at(&mut end, start)?;
    log.set_len(0)?;
    let note = format!("[crossrun left out {} here: the log had more than {}]\n", Bytes(start), Bytes(limit));
    log.write_all(note.as_bytes())?;
    log.write_all(&end[..read])?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_large_log_is_kept_and_writers_go_on_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.driver.log");
        let mut writer = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let logs = Logs::of_folder(folder.path());
        writer.write_all(b"small\n").unwrap();
        assert!(!logs.cut(1 << 20));
        writer.write_all("line\n".repeat(1 << 19).as_bytes()).unwrap();
        assert!(logs.cut(1 << 20));
        writer.write_all(b"after\n").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("[crossrun left out 2.4 MiB here: the log had more than 1 MiB]\n"),
            "{text:.100}"
        );
        assert!(text.ends_with("line\nafter\n") && text.len() < 70_000);
        assert!(!logs.cut(1 << 20));
    }

    #[test]
    fn a_small_limit_holds_and_a_log_is_cut_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let logs = Logs::of_folder(folder.path());
        fs::write(&path, "small\n").unwrap();
        assert!(!logs.cut(1 << 10), "it takes a block, and is not larger");
        fs::write(&path, "line\n".repeat(1 << 12)).unwrap();
        assert!(logs.cut(1 << 10));
        let once = fs::read_to_string(&path).unwrap();
        assert!(once.starts_with("[crossrun left out 19.5 KiB here") && once.len() <= 1 << 10, "{once}");
        assert!(!logs.cut(1 << 10));
        assert_eq!(fs::read_to_string(&path).unwrap(), once);
    }

    #[test]
    fn other_files_are_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("precious");
        fs::write(&elsewhere, vec![b'x'; 1 << 20]).unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("link.log")).unwrap();
        fs::create_dir(folder.path().join("folder.log")).unwrap();
        let logs = Logs::of_folder(folder.path());
        assert!(!logs.cut(1000));
        assert_eq!(fs::metadata(&elsewhere).unwrap().len(), 1 << 20);
    }
}
