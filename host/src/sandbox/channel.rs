//! The host's end of the channel to a worker: a socket, and the frames that are read from it.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use rustix::event::PollFlags;

use super::failure::Failure;
use super::frame::{Frame, Incoming};
use super::machine::sender;
use super::stop::Deadline;
use super::wait;

/// How many bytes are read before the frames in them are parsed. Without a limit, the host would read for ever from a worker
/// that never stops sending, and use up its memory.
const READ_AT_ONCE: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) socket: UnixStream,
    /// Whether no more bytes will come.
    pub(super) closed: bool,
    incoming: Incoming,
    /// The process that wrote first, before it loaded any plugin: the worker.
    worker: Option<i32>,
    /// Whether another process wrote, such as one that the worker forked. What it wrote is left out.
    pub(super) has_strangers: bool,
}

impl Channel {
    /// A channel, and the worker's end of it.
    pub(super) fn pair() -> io::Result<(Self, UnixStream)> {
        let (socket, worker_end) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        sender::ask_for_senders(&socket)?;
        let incoming = Incoming::default();
        Ok((Self { socket, closed: false, incoming, worker: None, has_strangers: false }, worker_end))
    }

    /// Writes all of `rest`.
    ///
    /// # Errors
    /// [`Failure::Closed`] when the other end is closed, and [`Failure::Deadline`] when it does not read in time.
    pub(super) fn write(&mut self, mut rest: &[u8], deadline: Option<Deadline>) -> Result<(), Failure> {
        while !rest.is_empty() {
            match self.socket.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait::until_ready(&[(&self.socket, PollFlags::OUT)], None, deadline)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Failure::Closed),
            }
        }
        Ok(())
    }

    /// The next frame, if all of it has been read.
    pub(super) fn take(&mut self) -> Result<Option<Frame>, Failure> {
        self.incoming.take()
    }

    /// Reads the bytes that have come, up to a limit, and returns whether there were any.
    pub(super) fn read(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16 * 1024];
        let mut total = 0;
        loop {
            match sender::read(&self.socket, &mut chunk) {
                Ok((0, _)) => self.closed = true,
                Ok((length, sender)) => {
                    self.take_in(&chunk[..length], sender);
                    total += length;
                    if length == chunk.len() && total < READ_AT_ONCE {
                        continue;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => self.closed = true,
                Err(error) => return Err(error),
            }
            return Ok(total > 0);
        }
    }

    fn take_in(&mut self, bytes: &[u8], sender: Option<i32>) {
        self.worker = self.worker.or(sender);
        if sender == self.worker {
            self.incoming.extend(bytes);
        } else {
            self.has_strangers = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::frame;

    #[test]
    fn one_read_has_a_size_limit() {
        let (mut channel, worker_end) = Channel::pair().unwrap();
        let frames = frame::head(&[b'x'; 500], &[]).unwrap().repeat(4000);
        let sender = std::thread::spawn(move || drop((&worker_end).write_all(&frames)));
        let mut messages = 0;
        while messages < 4000 {
            wait::until_readable(&channel.socket, None).unwrap();
            channel.read().unwrap();
            assert!(channel.incoming.waiting() <= 2 * READ_AT_ONCE);
            while channel.take().unwrap().is_some() {
                messages += 1;
            }
        }
        sender.join().unwrap();
    }
}
