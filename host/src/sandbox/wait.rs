//! Waits for sockets, until a deadline or an interrupt.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::failure::Failure;
use super::interrupt::Interrupt;
use super::stop::Deadline;

/// Waits until `socket` can be read or is closed.
pub(super) fn until_readable(socket: &UnixStream, deadline: Option<Deadline>) -> Result<(), Failure> {
    until_ready(&[(socket, PollFlags::IN)], None, deadline).map(drop)
}

/// Waits until at least one of `sockets` is ready or closed, and returns the indices of those.
pub(super) fn until_ready(
    sockets: &[(&UnixStream, PollFlags)],
    interrupt: Option<&Interrupt>,
    deadline: Option<Deadline>,
) -> Result<Vec<usize>, Failure> {
    loop {
        let mut polled: Vec<_> =
            sockets.iter().map(|(socket, flags)| PollFd::from_borrowed_fd(socket.as_fd(), *flags)).collect();
        let signal = interrupt.and_then(Interrupt::fd);
        polled.extend(signal.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let timeout = deadline.and_then(|deadline| Timespec::try_from(deadline.left()).ok());
        match poll(&mut polled, timeout.as_ref()) {
            Ok(0) if deadline.is_some_and(|deadline| !deadline.left().is_zero()) => {}
            Ok(0) => return Err(Failure::Deadline),
            Ok(_) if signal.is_some() && polled.last().is_some_and(|fd| !fd.revents().is_empty()) => {
                return Err(Failure::Interrupted);
            }
            Ok(_) => {
                let ready = |index: &usize| !polled[*index].revents().is_empty();
                return Ok((0..sockets.len()).filter(ready).collect());
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::System(error.into())),
        }
    }
}
