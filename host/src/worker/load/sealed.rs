//! Paths through descriptors, so that the bytes that are hashed are those that are loaded: of a sealed copy, which no process can
//! change, and of the file itself.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::plugin::inspect;

/// Copies the file at `path` into memory, seals the copy, and then hashes it, when it cannot change any more. Returns the path of the
/// copy, which is valid for all processes of this machine while this one lives, and its SHA-256.
///
/// # Errors
/// When the file cannot be read, or the system has no sealed copies.
pub fn sealed_copy(path: &Path) -> io::Result<(PathBuf, String)> {
    let (copy, path) = system::copy(path)?;
    let sha256 = inspect::sha256_of_file(&copy)?;
    system::keep(copy);
    Ok((path, sha256))
}

/// A path that leads to the open `file` at `path`, whatever `path` leads to from now on. If `in_folder`, that is the file's name in
/// its folder, which is held by a descriptor: a library that looks for others beside it finds them there. The path is valid for as
/// long as this process lives.
///
/// # Errors
/// When the folder cannot be opened, or this process has too many files open.
pub(super) fn pinned(path: &Path, file: File, in_folder: bool) -> io::Result<PathBuf> {
    match path.parent().zip(path.file_name()) {
        Some((folder, name)) if in_folder => system::held_folder(folder).map(|folder| folder.join(name)),
        _ => system::held(file.into()),
    }
}

#[cfg(all(target_os = "linux", not(crossrun_portable)))]
mod system {
    use std::io::{Seek as _, SeekFrom};
    use std::os::fd::{AsRawFd, IntoRawFd as _, OwnedFd};
    use std::sync::{Mutex, PoisonError};

    use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, SealFlags, openat};
    use rustix::io::Errno;

    use super::*;
    use crate::resource_limit::{self, Resource};

    /// The next descriptor. Plugins and engines use lower numbers. The dynamic linker identifies a library by its path, so that
    /// no number is used twice, even if somebody closed its descriptor.
    static NEXT: Mutex<Option<i32>> = Mutex::new(None);

    /// The first of them, where a process may have so many.
    const FIRST: i32 = 300;

    fn first() -> i32 {
        let most = resource_limit::of(Resource::OpenFiles).soft.and_then(|most| i32::try_from(most).ok());
        most.map_or(FIRST, |most| FIRST.min(most / 2))
    }

    /// A sealed copy, to be read from its start, and its path.
    pub(super) fn copy(path: &Path) -> io::Result<(File, PathBuf)> {
        let mut from = File::open(path)?;
        let most = resource_limit::of(Resource::FileSize).soft;
        if most.is_some_and(|most| from.metadata().is_ok_and(|file| file.len() > most)) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut copy = File::from(empty()?);
        io::copy(&mut from, &mut copy)?;
        rustix::fs::fcntl_add_seals(
            &copy,
            SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
        )?;
        copy.seek(SeekFrom::Start(0))?;
        let path = path_of(&copy);
        Ok((copy, path))
    }

    /// With the process id, as an engine's own processes read a copy too.
    fn path_of(descriptor: &impl AsRawFd) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), descriptor.as_raw_fd()).into()
    }

    /// The path of an open file or folder, which stays open.
    pub(super) fn held(descriptor: OwnedFd) -> io::Result<PathBuf> {
        let held = File::from(renumbered(&descriptor)?);
        let path = path_of(&held);
        keep(held);
        Ok(path)
    }

    pub(super) fn held_folder(folder: &Path) -> io::Result<PathBuf> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        held(openat(CWD, folder, flags, Mode::empty())?)
    }

    fn empty() -> io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let create = |more: MemfdFlags| rustix::fs::memfd_create("crossrun-plugin", flags | more);
        let made = match create(MemfdFlags::EXEC) {
            // Kernels before 6.3 do not know the flag and do not need it.
            Err(Errno::INVAL) => create(MemfdFlags::empty()),
            // By `vm.memfd_noexec`, no copy may be a program. A library need not be one.
            Err(Errno::ACCESS) => create(MemfdFlags::NOEXEC_SEAL),
            made => made,
        };
        let refused = |error: Errno| match error {
            Errno::NOSYS | Errno::PERM | Errno::ACCESS => {
                let why = "a file in a lock, or with a path that is not UTF-8, is loaded from a sealed copy, for which this system \
                           has no memfd_create";
                io::Error::new(io::ErrorKind::Unsupported, format!("{why} ({error})"))
            }
            error => error.into(),
        };
        renumbered(&made.map_err(refused)?)
    }

    fn renumbered(descriptor: &OwnedFd) -> io::Result<OwnedFd> {
        let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
        let moved = rustix::io::fcntl_dupfd_cloexec(descriptor, next.unwrap_or_else(first))?;
        *next = Some(moved.as_raw_fd() + 1);
        Ok(moved)
    }

    /// Keeps the descriptor open: the path is valid only as long.
    pub(super) fn keep(copy: File) {
        let _ = copy.into_raw_fd();
    }
}

#[cfg(not(all(target_os = "linux", not(crossrun_portable))))]
mod system {
    use super::*;

    pub(super) fn copy(_path: &Path) -> io::Result<(File, PathBuf)> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this system has no sealed copies, which --locked needs",
        ))
    }

    pub(super) fn keep(_copy: File) {}

    /// No such path: the dynamic linker opens the file by its name.
    pub(super) fn held(_descriptor: std::os::fd::OwnedFd) -> io::Result<PathBuf> {
        Ok(PathBuf::new())
    }

    pub(super) fn held_folder(_folder: &Path) -> io::Result<PathBuf> {
        Ok(PathBuf::new())
    }
}

#[cfg(all(test, target_os = "linux", not(crossrun_portable)))]
mod tests {
    use std::fs::{self, OpenOptions};

    use super::*;

    #[test]
    fn a_copy_outlives_its_file_and_cannot_be_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "old bytes").unwrap();
        let (copy, sha256) = sealed_copy(file.path()).unwrap();
        assert_eq!(sha256, inspect::sha256_of(file.path()).unwrap());
        fs::write(&file, "new bytes").unwrap();
        assert_eq!(fs::read(&copy).unwrap(), b"old bytes");
        // Also as root: the seal does not depend on permissions.
        let written = OpenOptions::new().write(true).open(&copy).and_then(|mut copy| {
            use std::io::Write as _;
            copy.write_all(b"X")
        });
        assert!(written.is_err());
        assert!(OpenOptions::new().write(true).truncate(true).open(&copy).is_err());
        assert_eq!(fs::read(&copy).unwrap(), b"old bytes");
    }

    #[test]
    fn no_two_copies_have_one_name_even_if_a_descriptor_was_closed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (closed, first) = system::copy(file.path()).unwrap();
        drop(closed);
        let (_open, second) = system::copy(file.path()).unwrap();
        assert_ne!(first, second);
    }
}
