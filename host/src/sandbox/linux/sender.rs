//! Who wrote the bytes on a channel: the kernel says so for each message, and no process can write as another one.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt};

/// Asks the kernel to add the sender to all that is written to `socket` from now on.
pub(in crate::sandbox) fn ask_for_senders(socket: &UnixStream) -> io::Result<()> {
    Ok(sockopt::set_socket_passcred(socket, true)?)
}

/// Reads bytes of one sender, and returns how many there are, and its process id.
pub(in crate::sandbox) fn read(socket: &UnixStream, into: &mut [u8]) -> io::Result<(usize, Option<i32>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    // Descriptors that somebody sends are closed when this buffer is dropped.
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let read = recvmsg(socket, &mut [IoSliceMut::new(into)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let sender = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmCredentials(sender) => Some(sender.pid.as_raw_nonzero().get()),
        _ => None,
    });
    Ok((read.bytes, sender))
}
