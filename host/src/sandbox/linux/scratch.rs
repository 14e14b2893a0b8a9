//! The private temporary folder of a worker's tree. Everything in it was made by a stranger: removing it follows no link,
//! enters no other file system, and takes any depth.

use std::ffi::CString;
use std::fs::Permissions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, chmod, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// The most bytes of a folder's path: the path of a socket has at most 107, and some engines want 66 of them.
const LONGEST: usize = 41;
/// Where the folder is made if the path of the usual place is too long.
const SHORT: &str = "/tmp";
const PREFIX: &str = "xr-";
const RANDOM: usize = 6;
/// How many names of a folder are held at once.
const AT_ONCE: usize = 4096;

/// Makes a folder that only this user can enter.
pub(super) fn make() -> io::Result<PathBuf> {
    let usual = std::env::temp_dir();
    let length = usual.as_os_str().as_bytes().len() + 1 + PREFIX.len() + RANDOM;
    let short = if length <= LONGEST { Err(io::ErrorKind::Other.into()) } else { make_in(Path::new(SHORT)) };
    short.or_else(|_| make_in(&usual))
}

fn make_in(folder: &Path) -> io::Result<PathBuf> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).rand_bytes(RANDOM).permissions(Permissions::from_mode(0o700));
    Ok(builder.tempdir_in(folder)?.keep())
}

/// Removes the folder at `path` and all that is in it, when nobody is at work in it any more. A folder that is gone is
/// no error.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match openat(CWD, path, OFlags::PATH | FOLDER, Mode::empty()) {
        Ok(handle) => {
            empty(&readable(&handle)?)?;
            unlinkat(CWD, path, AtFlags::REMOVEDIR)
        }
        // Somebody put another thing in its place.
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
    // Through the handle, so that it is this folder's mode and not that of whatever has its name by now.
    let _ = chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), Mode::RWXU);
    openat(handle, c".", OFlags::RDONLY | FOLDER, Mode::empty())
}

/// Removes everything in `top`. What is found in a folder within is moved up to `top` first, so that no depth needs more
/// descriptors or more stack.
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
        // It had more than was looked at: the next round goes on.
        Err(Errno::NOTEMPTY) => Ok(()),
        other => other,
    }
}

fn move_up(top: &OwnedFd, folder: &OwnedFd, child: &CString, moved: &mut u64) -> Result<(), Errno> {
    // Moving a folder writes to it, too.
    let handle = openat(folder, child, OFlags::PATH | FOLDER, Mode::empty())?;
    let _ = readable(&handle);
    loop {
        *moved += 1;
        // No other entry is overwritten: a folder replaces an empty folder at most, which was to go anyway.
        match renameat(folder, child, top, format!(".removed-{moved}")) {
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            other => return other,
        }
    }
}

/// Some of the names in a folder: all of them, unless there are very many.
fn names(folder: impl AsFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
        if names.len() == AT_ONCE {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn it_is_private_and_its_path_is_short() {
        let folder = make().unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(folder.as_os_str().len() <= LONGEST || std::env::temp_dir().as_os_str().len() > 31);
        remove(&folder).unwrap();
        assert!(!folder.exists());
        remove(&folder).unwrap();
    }

    #[test]
    fn links_are_removed_and_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("precious"), "").unwrap();
        let folder = make().unwrap();
        symlink(outside.path(), folder.join("link")).unwrap();
        fs::create_dir(folder.join("within")).unwrap();
        symlink(outside.path(), folder.join("within/link")).unwrap();
        symlink("nowhere", folder.join("dangling")).unwrap();
        remove(&folder).unwrap();
        assert!(!folder.exists());
        assert!(outside.path().join("precious").exists());
    }

    #[test]
    fn a_link_in_its_place_is_removed_alone() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("precious"), "").unwrap();
        let folder = make().unwrap();
        fs::remove_dir(&folder).unwrap();
        symlink(outside.path(), &folder).unwrap();
        remove(&folder).unwrap();
        assert!(fs::symlink_metadata(&folder).is_err());
        assert!(outside.path().join("precious").exists());
    }

    #[test]
    fn folders_that_may_not_be_read_or_written_are_removed() {
        let folder = make().unwrap();
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
        let folder = make().unwrap();
        for number in 0..AT_ONCE + 10 {
            fs::write(folder.join(number.to_string()), "").unwrap();
        }
        // A name of its own kind is no obstacle.
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
