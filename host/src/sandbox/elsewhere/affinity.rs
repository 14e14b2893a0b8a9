//! It is known how many cores there are, and no more.

use std::io;

/// As many as this process may use.
pub(in crate::sandbox) fn allowed() -> Vec<usize> {
    (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
}

/// Which threads share a core is not known.
pub(in crate::sandbox) fn place_among_siblings(_core: usize) -> usize {
    0
}

/// No thread can be kept to a core.
pub(in crate::sandbox) fn keep(_cores: &[usize]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
