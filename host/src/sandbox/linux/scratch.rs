//! The private temporary folder of a worker's tree. Untrusted code created its contents: removal follows no link, enters no
//! other file system, and handles any depth.

use std::collections::BTreeSet;
use std::ffi::{CString, OsString};
use std::fs::{DirEntry, Metadata, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Once;

use rustix::fs::{
    AtFlags, CWD, Dir, FlockOperation, Mode, OFlags, chmod, fchmod, flock, fstat, openat, readlinkat,
    renameat, unlinkat,
};
use rustix::io::Errno;

use crate::sandbox::temporary::temporary_folder;
use crate::unfinished::{self, LETTERS};

/// The maximum length of the folder's path: the path of a socket has at most 107 bytes, and some engines need 66 of them.
const MAX_PATH: usize = 41;
/// The parent of the folder if engines cannot use a path in the default place.
const SHORT: &str = "/tmp";
const PREFIX: &str = "xr-";
/// The length of the random part, with the letters of the machine.
const RANDOM: usize = 6;
/// The mode of a folder that its maker holds: no other program makes private folders with the sticky bit, which changes nothing for
/// their owner.
const HELD: Mode = Mode::RWXU.union(Mode::SVTX);
/// How many names of a folder are held in memory at once.
const NAMES: usize = 4096;

/// The temporary folder of a tree, which its processes may rename.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) path: PathBuf,
    handle: OwnedFd,
}

impl Scratch {
    pub(super) fn create() -> io::Result<Self> {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let parents = BTreeSet::from([temporary_folder(), SHORT.into()]);
            parents.iter().for_each(|parent| remove_left(parent));
        });
        Self::hold(create()?)
    }

    /// Holds the folder for as long as this process lives, and marks it as held: a folder with the mark that nobody holds was left.
    fn hold(path: PathBuf) -> io::Result<Self> {
        let opened = openat(CWD, &path, OFlags::RDONLY | FOLDER, Mode::empty());
        // What is not held has no mark, by which others would know that it was left.
        let handle = opened.inspect_err(|_| drop(std::fs::remove_dir(&path)))?;
        // Without locks, as on some network file systems, there is no mark, and the folder is not removed by others.
        if flock(&handle, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fchmod(&handle, HELD);
        }
        Ok(Self { path, handle })
    }

    /// Removes what is at the folder's path, and the folder itself where it is now. A missing folder is not an error.
    pub(super) fn remove(&self) -> io::Result<()> {
        remove(&self.path)?;
        let now = PathBuf::from(
            readlinkat(CWD, format!("/proc/self/fd/{}", self.handle.as_raw_fd()), Vec::new())
                .map(|path| OsString::from_vec(path.into_bytes()))
                .unwrap_or_default(),
        );
        let is_there = openat(CWD, &now, OFlags::PATH | FOLDER, Mode::empty())
            .and_then(|found| Ok(fstat(&found)?.st_ino == fstat(&self.handle)?.st_ino));
        if is_there == Ok(true) { remove(&now) } else { Ok(()) }
    }
}

/// Creates a folder that only this user can enter.
fn create() -> io::Result<PathBuf> {
    let default = temporary_folder();
    let short = (!suits_engines(&default)).then(|| create_in(Path::new(SHORT)).ok()).flatten();
    short.map_or_else(|| create_in(&default), Ok)
}

/// Whether engines can use a folder in `parent`. They take paths as text: some of them in UTF-8 only, and some in lists, which they divide
/// at commas or colons.
fn suits_engines(parent: &Path) -> bool {
    let length = parent.as_os_str().as_bytes().len() + 1 + PREFIX.len() + RANDOM;
    length <= MAX_PATH && parent.to_str().is_some_and(|path| !path.contains([',', ':']))
}

fn create_in(folder: &Path) -> io::Result<PathBuf> {
    let start = unfinished::start(PREFIX);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&start).rand_bytes(RANDOM - LETTERS).permissions(Permissions::from_mode(0o700));
    Ok(builder.tempdir_in(folder)?.keep())
}

/// Removes the folders in `parent` of this user's processes that were killed together with their supervisors, as a batch system or a
/// container engine does it.
fn remove_left(parent: &Path) {
    unfinished::remove_unheld(parent, PREFIX, is_marked, |path, _| remove(path));
}

fn is_marked(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let is_named = name.as_bytes().starts_with(PREFIX.as_bytes()) && name.len() == PREFIX.len() + RANDOM;
    let is_held = |found: Metadata| found.is_dir() && Mode::from_raw_mode(found.mode()) == HELD;
    is_named && entry.metadata().is_ok_and(is_held)
}

/// Removes the folder at `path` and its contents, when no process uses it any more. A missing folder is not an error.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match openat(CWD, path, OFlags::PATH | FOLDER, Mode::empty()) {
        Ok(handle) => {
            empty(&readable(&handle)?)?;
            unlinkat(CWD, path, AtFlags::REMOVEDIR)
        }
        // The folder was replaced by something else.
        Err(Errno::NOTDIR | Errno::LOOP) => unlinkat(CWD, path, AtFlags::empty()),
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The folder behind `handle`, which may have been made unreadable.
fn readable(handle: &OwnedFd) -> Result<OwnedFd, Errno> {
    // Through the handle, so that this folder's mode changes, and not that of another file with its name.
    // It keeps its mark: if this process is killed before all is removed, another one goes on.
    let mark = fstat(handle).map_or(Mode::empty(), |found| Mode::from_raw_mode(found.st_mode) & Mode::SVTX);
    let _ = chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), Mode::RWXU | mark);
    openat(handle, c".", OFlags::RDONLY | FOLDER, Mode::empty())
}

/// Removes everything in `top`. Nested folders are first moved up to `top`, so that no depth needs more descriptors or stack.
fn empty(top: &OwnedFd) -> Result<(), Errno> {
    let mut moved = 0_u64;
    loop {
        let names = names(top)?;
        if names.is_empty() {
            return Ok(());
        }
        let (mut failure, mut progress) = (Errno::NOTEMPTY, false);
        for name in names {
            match remove_entry(top, &name, &mut moved) {
                Ok(()) => progress = true,
                Err(error) => failure = error,
            }
        }
        if !progress {
            return Err(failure);
        }
    }
}

fn remove_entry(top: &OwnedFd, name: &CString, moved: &mut u64) -> Result<(), Errno> {
    match unlinkat(top, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        other => return other,
    }
    let handle = openat(top, name, OFlags::PATH | FOLDER, Mode::empty())?;
    if fstat(&handle)?.st_dev != fstat(top)?.st_dev {
        return Err(Errno::BUSY);
    }
    let folder = readable(&handle)?;
    for child in names(&folder)? {
        match unlinkat(&folder, &child, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => move_up(top, &folder, &child, moved)?,
            other => other?,
        }
    }
    match unlinkat(top, name, AtFlags::REMOVEDIR) {
        // It had more than `NAMES` entries: the next round goes on.
        Err(Errno::NOTEMPTY) => Ok(()),
        other => other,
    }
}

fn move_up(top: &OwnedFd, folder: &OwnedFd, child: &CString, moved: &mut u64) -> Result<(), Errno> {
    // Moving a folder requires write access to it.
    let handle = openat(folder, child, OFlags::PATH | FOLDER, Mode::empty())?;
    let _ = readable(&handle);
    loop {
        *moved += 1;
        // No other entry is lost: a folder can only replace an empty folder, which would be removed anyway.
        match renameat(folder, child, top, format!(".removed-{moved}")) {
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            other => return other,
        }
    }
}

/// The names in a folder, at most [`NAMES`] of them.
fn names(folder: impl AsFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
        if names.len() == NAMES {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_removal_that_was_cut_short_is_ended_by_the_next() {
        let parent = tempfile::tempdir().unwrap();
        let folder = create_in(parent.path()).unwrap();
        fs::write(folder.join("left"), "").unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o1500)).unwrap();
        let handle = openat(CWD, &folder, OFlags::PATH | FOLDER, Mode::empty()).unwrap();
        drop(readable(&handle).unwrap());
        remove_left(parent.path());
        assert!(!folder.exists());
    }

    #[test]
    fn it_is_private_and_its_path_is_short() {
        let folder = create().unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(folder.as_os_str().len() <= MAX_PATH || std::env::temp_dir().as_os_str().len() > 31);
        remove(&folder).unwrap();
        assert!(!folder.exists());
        remove(&folder).unwrap();
    }

    #[test]
    fn a_path_that_an_engine_would_not_read_as_it_is_does_not_suit() {
        let is_suitable = |path: &[u8]| suits_engines(Path::new(OsStr::from_bytes(path)));
        for path in ["/tmp", "/tmp/a b", "/tmp/\u{e9}"] {
            assert!(is_suitable(path.as_bytes()), "{path}");
        }
        for path in [&b"/tmp/a,b"[..], b"/tmp/a:b", b"/tmp/\xe9", &[b'/'; 32]] {
            assert!(!is_suitable(path), "{path:?}");
        }
    }

    #[test]
    fn only_a_marked_folder_that_nobody_holds_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let [held, left, foreign] = [(); 3].map(|()| create_in(parent.path()).unwrap());
        let holder = Scratch::hold(held.clone()).unwrap();
        let other = Scratch::hold(left.clone()).unwrap();
        flock(&other.handle, FlockOperation::Unlock).unwrap();
        fs::write(left.join("file"), "").unwrap();
        remove_left(parent.path());
        assert!(held.exists() && foreign.exists() && !left.exists());
        holder.remove().unwrap();
        assert!(!held.exists());
    }

    #[test]
    fn what_another_machine_left_is_removed_only_when_it_is_old() {
        let parent = tempfile::tempdir().unwrap();
        // No machine has capital letters.
        let foreign = parent.path().join("xr-ZZZ234");
        fs::create_dir(&foreign).unwrap();
        fs::set_permissions(&foreign, Permissions::from_mode(0o1700)).unwrap();
        remove_left(parent.path());
        assert!(foreign.exists());
        let eight_days = Duration::from_secs(8 * 24 * 3600);
        fs::File::open(&foreign).unwrap().set_modified(SystemTime::now() - eight_days).unwrap();
        remove_left(parent.path());
        assert!(!foreign.exists());
    }

    #[test]
    fn links_are_removed_and_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("precious"), "").unwrap();
        let (folder, replaced) = (create().unwrap(), create().unwrap());
        symlink(outside.path(), folder.join("link")).unwrap();
        fs::create_dir(folder.join("within")).unwrap();
        symlink(outside.path(), folder.join("within/link")).unwrap();
        symlink("nowhere", folder.join("dangling")).unwrap();
        fs::remove_dir(&replaced).unwrap();
        symlink(outside.path(), &replaced).unwrap();
        for path in [folder, replaced] {
            remove(&path).unwrap();
            assert!(fs::symlink_metadata(&path).is_err());
        }
        assert!(outside.path().join("precious").exists());
    }

    #[test]
    fn folders_that_may_not_be_read_or_written_are_removed() {
        let folder = create().unwrap();
        let within = folder.join("a/b/c");
        fs::create_dir_all(&within).unwrap();
        fs::write(within.join("file"), "").unwrap();
        for (path, mode) in [("a/b/c", 0o500), ("a/b", 0), ("a", 0o400), ("", 0o500)] {
            fs::set_permissions(folder.join(path), Permissions::from_mode(mode)).unwrap();
        }
        remove(&folder).unwrap();
        assert!(!folder.exists());
    }

    #[test]
    fn many_files_and_folders_deeper_than_any_path_are_removed() {
        let folder = create().unwrap();
        for number in 0..NAMES + 10 {
            fs::write(folder.join(number.to_string()), "").unwrap();
        }
        // A file with the name of a moved folder.
        fs::write(folder.join(".removed-1"), "").unwrap();
        let mut at = openat(CWD, &folder, OFlags::PATH | FOLDER, Mode::empty()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, c"deep", Mode::RWXU).unwrap();
            at = openat(&at, c"deep", OFlags::PATH | FOLDER, Mode::empty()).unwrap();
        }
        drop(at);
        remove(&folder).unwrap();
        assert!(!folder.exists());
    }
}
