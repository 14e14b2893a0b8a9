//! Waits until what was written is on the disk, as far as the file system can say.

use std::fs::File;
use std::io;

use rustix::io::Errno;

/// Returns when a file is on the disk, with what the system knows about it.
///
/// # Errors
/// Those of the system.
pub(crate) fn all(file: &File) -> io::Result<()> {
    if_it_can(file.sync_all())
}

/// Returns when the content of a file is on the disk.
///
/// # Errors
/// Those of the system.
pub(crate) fn content(file: &File) -> io::Result<()> {
    if_it_can(file.sync_data())
}

/// A file system that a program or another machine serves need not know the call. It keeps what is written in its own way.
fn if_it_can(synced: io::Result<()>) -> io::Result<()> {
    let without = [Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL];
    let lacks = |error: &io::Error| Errno::from_io_error(error).is_some_and(|errno| without.contains(&errno));
    synced.or_else(|error| if lacks(&error) { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn what_no_disk_keeps_is_not_waited_for_and_other_errors_count() {
        let (_reader, writer) = io::pipe().unwrap();
        let pipe = File::from(OwnedFd::from(writer));
        assert!(pipe.sync_all().is_err());
        all(&pipe).unwrap();
        content(&pipe).unwrap();
        assert!(if_it_can(Err(io::ErrorKind::StorageFull.into())).is_err());
        assert!(if_it_can(Err(Errno::IO.into())).is_err());
    }
}
