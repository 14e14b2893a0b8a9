//! The portable backend of the sandbox, for a system without the features of Linux: a worker runs in a process group.

pub(super) mod tree;

pub(super) mod affinity {
    use std::io;

    /// As many cores as this process may use.
    pub(in crate::sandbox) fn allowed() -> Vec<usize> {
        (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
    }

    /// Unknown.
    pub(in crate::sandbox) fn capacity(_core: usize) -> Option<u64> {
        None
    }

    /// Unknown: it is not known which hardware threads share a core.
    pub(in crate::sandbox) fn place_among_siblings(_core: usize) -> usize {
        0
    }

    pub(in crate::sandbox) fn set(_cores: &[usize]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub(super) mod memory {
    pub(in crate::sandbox) fn available() -> Option<u64> {
        None
    }
}

pub(super) mod sender {
    use std::io::{self, Read as _};
    use std::os::unix::net::UnixStream;

    pub(in crate::sandbox) fn ask_for_senders(_socket: &UnixStream) -> io::Result<()> {
        Ok(())
    }

    /// Reads bytes, whose sender is not known.
    pub(in crate::sandbox) fn read(
        mut socket: &UnixStream,
        into: &mut [u8],
    ) -> io::Result<(usize, Option<i32>)> {
        Ok((socket.read(into)?, None))
    }
}

pub(super) mod signal_tree {
    use rustix::process::{Pid, Signal, kill_process_group};

    pub(in crate::sandbox) fn stop(group: u32) {
        signal(group, Signal::STOP);
    }

    pub(in crate::sandbox) fn resume(group: u32) {
        signal(group, Signal::CONT);
    }

    /// That is not known.
    pub(in crate::sandbox) fn stopped(_group: u32) -> (bool, bool) {
        (false, false)
    }

    fn signal(group: u32, signal: Signal) {
        let _ = Pid::from_raw(group as i32).map(|group| kill_process_group(group, signal));
    }
}
