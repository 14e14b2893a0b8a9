//! Files that a user names to be read: also pipes and terminals, which have an end when their writer says so, and devices, which have
//! none. Whom a wait is for is said, and an interrupt ends it.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::event::PollFlags;
use rustix::fs::OFlags;

use crate::other_process::{self, REPORTED_AFTER};
use crate::sandbox::Interrupt;
use crate::shell;

/// Whether this name stands for standard input.
pub(crate) fn is_standard_input(path: &Path) -> bool {
    ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"].iter().any(|name| path == Path::new(name))
}

/// The command of crossrun that does `verb` with what a user has named so.
pub(crate) fn about<'p>(verb: &str, named: impl IntoIterator<Item = &'p PathBuf>) -> String {
    let word = |path: &PathBuf| if path == Path::new("-") { path.clone() } else { shell::path(path) };
    let words = std::iter::once(PathBuf::from(verb)).chain(named.into_iter().map(word));
    shell::command("crossrun", words)
}

/// As [`about`], for what has been read. Standard input cannot be read again: the command would wait for a terminal.
pub(crate) fn about_read<'p>(verb: &str, named: impl IntoIterator<Item = &'p PathBuf>) -> String {
    let named: Vec<_> = named.into_iter().collect();
    match named.iter().find(|path| is_standard_input(path)) {
        Some(piped) => format!("crossrun {verb}, with the file itself in place of {}", piped.display()),
        None => about(verb, named),
    }
}

/// What the system says of the file at `path`, or of standard input.
///
/// # Errors
/// Those of the system.
pub(crate) fn status(path: &Path) -> io::Result<Metadata> {
    if is_standard_input(path) { standard_input()?.metadata() } else { path.metadata() }
}

/// By its descriptor: a socket has no name, and the pipe of another user may not be opened by it.
fn standard_input() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// A file that is being read.
#[derive(Debug)]
pub(crate) struct NamedFile {
    file: File,
    /// As messages name it.
    path: PathBuf,
    /// A regular file is never waited for.
    waits: bool,
    /// Whether it was read to its end, as its writer said it. A terminal would ask for more.
    ended: bool,
    reported: bool,
}

impl NamedFile {
    /// Opens the file at `path`. A pipe that nobody has opened for writing is waited for when it is read.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
        Self::of(file, path)
    }

    /// As [`NamedFile::open`], where some names are those of standard input.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn open_or_standard_input(path: &Path) -> io::Result<Self> {
        if !is_standard_input(path) {
            return Self::open(path);
        }
        Self::of(standard_input()?, Path::new("standard input"))
    }

    fn of(file: File, path: &Path) -> io::Result<Self> {
        let waits = !file.metadata()?.is_file();
        Ok(Self { file, path: path.into(), waits, ended: false, reported: false })
    }

    /// Waits until there is something to read, or the end.
    fn wait(&mut self) -> io::Result<()> {
        let Self { file, path, reported, .. } = self;
        // A pipe without a writer is at its end only after one has been there.
        other_process::await_ready(file, PollFlags::IN, |waited| {
            if Interrupt::has_come() {
                return Err(io::Error::other("interrupted, as nothing came from its writer"));
            }
            if waited > REPORTED_AFTER && !std::mem::replace(reported, true) {
                log::warn!("waiting for the writer of {}", path.display());
            }
            Ok(())
        })
    }
}

impl Read for NamedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.ended {
            if self.waits {
                if Interrupt::has_come() {
                    return Err(io::Error::other("interrupted"));
                }
                self.wait()?;
            }
            match self.file.read(buffer) {
                // Another reader of the same pipe was first.
                Err(error) if self.waits && error.kind() == io::ErrorKind::WouldBlock => {}
                read => {
                    self.ended = self.waits && !buffer.is_empty() && matches!(read, Ok(0));
                    return read;
                }
            }
        }
        Ok(0)
    }
}

/// The bytes of the file at `path`, which may have `most` of them.
///
/// # Errors
/// Those of the system, and [`io::ErrorKind::InvalidData`] for a longer file.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    whole(NamedFile::open(path)?, most)
}

/// What `file` has, which may be `most` bytes.
///
/// # Errors
/// As [`read`].
pub(crate) fn whole(file: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let why = format!("it has more than {} MiB", most >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_has_no_end_is_read_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "text").unwrap();
        assert_eq!(read(&file, 4).unwrap(), b"text");
        for path in [&file, Path::new("/dev/zero")] {
            assert_eq!(read(path, 3).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        assert_eq!(read(Path::new("/dev/null"), 3).unwrap(), b"");
        assert!(read(folder.path(), 3).is_err());
    }

    #[test]
    fn a_pipe_is_waited_for_until_its_writer_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let path = pipe.clone();
        let writer = std::thread::spawn(move || fs::write(path, "from a writer that comes later"));
        assert_eq!(read(&pipe, 100).unwrap(), b"from a writer that comes later");
        writer.join().unwrap().unwrap();
    }

    #[test]
    fn what_had_an_end_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let mut file = NamedFile::open(&pipe).unwrap();
        let mut text = Vec::new();
        fs::write(&pipe, "one").unwrap();
        file.read_to_end(&mut text).unwrap();
        fs::write(&pipe, "two").unwrap();
        file.read_to_end(&mut text).unwrap();
        assert_eq!(text, b"one");
    }
}
