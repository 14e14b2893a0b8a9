//! The portable backend of the sandbox, for a system without the features of Linux: a worker runs in a process group.

pub(super) mod tree;

pub(super) mod affinity {
    use std::io;

    /// As many cores as this process may use.
    pub(in crate::sandbox) fn allowed() -> Vec<usize> {
        (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
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
