//! Files that are there whole or not at all.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Seek as _, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;
use tempfile::{NamedTempFile, PersistError};

use crate::other_process::{self, AT_ONCE, REPORTED_AFTER};
use crate::path_walk::{self, PathWalk, is_descriptor};
use crate::sandbox::Interrupt;
use crate::{to_disk, unfinished};

/// How long the wait for a reader goes on before it looks again.
const POLL: Duration = Duration::from_millis(100);

/// Puts a new file at `path`, in the place of an old one if there is one: whoever reads sees one of the two, also after the
/// machine has crashed. `mode` is of a new file, but for what the umask takes away; an old one keeps its mode. The folder must be
/// there.
///
/// A path that ends in a slash is that of a folder, and no file is made of it.
///
/// A link stays, and the file that it leads to is replaced, or made. A device, a pipe and an open file of `/proc` get what is
/// written. A file whose folder takes no other file, as one that is mounted by itself, is written over in place, but not on a full disk.
///
/// # Errors
/// What `write` says, or the system; and [`io::ErrorKind::PermissionDenied`] for what another user has put into a folder that is
/// everybody's, as the file or as a link to a folder on the way. Then `path` is as it was, except for a file that is written over in
/// place.
pub(crate) fn replace(path: &Path, mode: u32, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let path = &target(path)?;
    let old = path.metadata().ok();
    if old.as_ref().is_some_and(Metadata::is_dir) {
        return Err(of_folder());
    }
    if is_descriptor(path) || old.as_ref().is_some_and(|old| !old.is_file()) {
        return write_in_place(path, old.as_ref(), write);
    }
    let folder = folder_of(path);
    let file = match unfinished::file_in(folder, mode) {
        // Not on a full disk: to write over the old file there would lose it.
        Err(error) if old.is_some() && !is_full(&error) => unfinished::file_in(&std::env::temp_dir(), mode),
        made => made,
    }?;
    write(file.as_file())?;
    if let Some(old) = &old {
        take_after(file.as_file(), old)?;
    }
    to_disk::all(file.as_file())?;
    match file.persist(path) {
        Ok(file) => {
            release(&file);
            Ok(())
        }
        Err(PersistError { file, error }) if old.is_some() && !is_full(&error) => {
            write_over(path, file.path())
        }
        Err(error) => Err(error.error),
    }
}

/// Gives a file the mode of the one that it replaces, and its owner.
fn take_after(file: &File, old: &Metadata) -> io::Result<()> {
    let mode = |found: &Metadata| found.mode() & 0o7777;
    // A file system of Windows has one mode for all files, and takes no other.
    if mode(&file.metadata()?) != mode(old) {
        file.set_permissions(Permissions::from_mode(mode(old)))?;
    }
    // Only root may.
    let _ = std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()));
    Ok(())
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Puts a new file at `path`, where no file may be, and at which nobody sees a part of it, also if this process is killed. The
/// folder must be there.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if there is one, what `write` says, or the system. Then `path` is as it was.
pub(crate) fn create(path: &Path, mode: u32, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let file = unfinished::file_in(folder_of(path), mode)?;
    write(file.as_file())?;
    to_disk::all(file.as_file())?;
    match file.persist_noclobber(path) {
        Ok(file) => release(&file),
        Err(PersistError { error, .. }) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        Err(PersistError { file, .. }) => release(&take_name(file, path)?),
    }
    Ok(())
}

/// Gives a file the name `path` where the file system has neither links nor a rename that replaces nothing, as a folder that a virtual
/// machine or a cloud shares. An empty file takes the name first, which is seen if this process is killed in between.
fn take_name(file: NamedTempFile, path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)?;
    file.persist(path).map_err(|error| {
        let _ = std::fs::remove_file(path);
        error.error
    })
}

/// Unlocks a file that has its name: a process that is just being started has it open too, and would hold the lock.
fn release(file: &File) {
    let _ = file.unlock();
}

/// Refuses the path of a folder, which need not be there: the walk along it has no place for the last slash.
///
/// # Errors
/// [`io::ErrorKind::IsADirectory`].
pub(crate) fn refuse_folder(path: &Path) -> io::Result<()> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let is_of_folder = bytes.ends_with(b"/") || bytes.ends_with(b"/.") || path.is_dir();
    if is_of_folder { Err(of_folder()) } else { Ok(()) }
}

/// In other words than those of the system, which says *Is a directory* also of a path at which there is nothing.
fn of_folder() -> io::Error {
    let why = "this is the path of a folder, and that of a file is expected";
    io::Error::new(io::ErrorKind::IsADirectory, why)
}

/// What the links of a path lead to: a file, which need not exist, or an open file of `/proc`.
fn target(path: &Path) -> io::Result<PathBuf> {
    refuse_folder(path)?;
    let mut walk = PathWalk::along(path)?;
    while let Some(entry) = walk.next_entry() {
        let is_last = walk.is_at_end();
        let status = match entry.symlink_metadata() {
            Err(error) if is_last && error.kind() == io::ErrorKind::NotFound => {
                walk.enter(entry);
                break;
            }
            status => status?,
        };
        if is_last || status.is_symlink() {
            path_walk::refuse_planted(walk.place(), &entry, &status)?;
        }
        // A link to an open file can lead to a file that has no name.
        if status.is_symlink() && !(is_last && is_descriptor(&entry)) {
            walk.follow(&entry)?;
        } else {
            walk.enter(entry);
        }
    }
    let found = walk.place();
    found.file_name().ok_or_else(of_folder)?;
    Ok(found.to_owned())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes to what is no file of its own to replace. An open file is appended to, as its opener writes there too.
fn write_in_place(
    path: &Path,
    old: Option<&Metadata>,
    write: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    let kind = old.map(Metadata::file_type);
    if kind.is_some_and(|kind| kind.is_block_device()) {
        return Err(io::Error::other("it is a disk"));
    }
    if kind.is_none_or(|kind| !kind.is_fifo()) {
        return write(&File::options().append(true).open(path)?);
    }
    // Made before, so that only this module waits for a reader.
    let mut made = tempfile::tempfile().or_else(|_| tempfile::tempfile_in(folder_of(path)))?;
    write(&made)?;
    made.rewind()?;
    let copied = Pipe::open(path).and_then(|mut pipe| io::copy(&mut made, &mut pipe));
    match copied {
        // Its reader has read what it wants.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        copied => copied.map(drop),
    }
}

/// A pipe that is written to. Its reader is waited for by name, until an interrupt.
struct Pipe<'p> {
    end: File,
    path: &'p Path,
    reported: bool,
}

impl<'p> Pipe<'p> {
    fn open(path: &'p Path) -> io::Result<Self> {
        let (since, mut reported) = (Instant::now(), false);
        let mut options = File::options();
        options.append(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
        loop {
            match options.open(path) {
                // Whoever opened it had a reader, which has ended.
                Err(error) if is_without_reader(&error) && is_descriptor(path) => {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                // Nobody has opened it for reading.
                Err(error) if is_without_reader(&error) => {
                    Interrupt::install_for_wait();
                    tell(path, since.elapsed(), &mut reported)?;
                    thread::sleep(POLL);
                }
                opened => return Ok(Self { end: opened?, path, reported }),
            }
        }
    }
}

fn is_without_reader(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NXIO)
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { end, path, reported } = self;
        loop {
            other_process::await_ready(&*end, PollFlags::OUT, |waited| tell(path, waited, reported))?;
            match end.write(&bytes[..bytes.len().min(AT_ONCE)]) {
                // Another writer to the same pipe was first.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says for whom it is waited, once, and ends the wait after an interrupt.
fn tell(path: &Path, waited: Duration, reported: &mut bool) -> io::Result<()> {
    if Interrupt::has_come() {
        return Err(io::Error::other("interrupted, as its reader did not read"));
    }
    if waited > REPORTED_AFTER && !std::mem::replace(reported, true) {
        log::warn!("waiting for the reader of {}", path.display());
    }
    Ok(())
}

fn write_over(path: &Path, with: &Path) -> io::Result<()> {
    let mut file = File::options().write(true).truncate(true).open(path)?;
    io::copy(&mut File::open(with)?, &mut file)?;
    to_disk::all(&file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_with_the_mode_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for (text, mode) in [("one", 0o600), ("two", 0o644)] {
            replace(&path, mode, |mut file| file.write_all(text.as_bytes())).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o700, 0o600);
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o133, 0);
        }
    }

    #[test]
    fn a_link_stays_and_a_pipe_is_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "before").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        replace(&link, 0o644, |mut file| file.write_all(b"after")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "after");
        // A link that leads nowhere yet, too, and one in another folder.
        fs::remove_file(&target).unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        let other = folder.path().join("below/other");
        std::os::unix::fs::symlink("../link", &other).unwrap();
        replace(&other, 0o644, |mut file| file.write_all(b"made")).unwrap();
        assert!(link.is_symlink() && other.is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "made");

        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe).unwrap()
        });
        replace(&pipe, 0o644, |mut file| file.write_all(b"through")).unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(!pipe.metadata().unwrap().is_file());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_open_file_is_appended_to_by_its_descriptor() {
        use std::os::fd::AsRawFd as _;

        let (folder, mut file) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        file.write_all(b"first ").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(format!("/proc/self/fd/{}", file.as_raw_fd()), &link).unwrap();
        replace(&link, 0o644, |mut file| file.write_all(b"second")).unwrap();
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "first second");
    }

    #[test]
    fn a_new_file_appears_whole_and_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        create(&path, 0o644, |mut file| {
            file.write_all(b"one")?;
            assert!(!path.exists());
            Ok(())
        })
        .unwrap();
        let again = create(&path, 0o644, |mut file| file.write_all(b"two"));
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_path_of_a_folder_is_not_taken_for_that_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "before").unwrap();
        for name in ["new/", "new/.", "file/", "file/.", "./", "."] {
            let written = replace(&folder.path().join(name), 0o644, |mut file| file.write_all(b"after"));
            let error = written.unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string()),
                (io::ErrorKind::IsADirectory, of_folder().to_string()),
                "{name}"
            );
        }
        assert_eq!(
            replace(folder.path(), 0o644, |_| panic!("nothing is to be written")).unwrap_err().to_string(),
            of_folder().to_string()
        );
        assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "before").unwrap();
        let failed = replace(&path, 0o644, |mut file| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
