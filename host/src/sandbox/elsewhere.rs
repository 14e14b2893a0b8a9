//! The half of the sandbox for a system of which nothing is known but that it has process groups.

pub(super) mod tree;

pub(super) mod affinity {
    use std::io;

    /// As many as this process may use.
    pub(in crate::sandbox) fn allowed() -> Vec<usize> {
        (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
    }

    /// Which threads share a core is not known.
    pub(in crate::sandbox) fn place_among_siblings(_core: usize) -> usize {
        0
    }

    pub(in crate::sandbox) fn keep(_cores: &[usize]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub(super) mod memory {
    pub(in crate::sandbox) fn available() -> Option<u64> {
        None
    }
}
