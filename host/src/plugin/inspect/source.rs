//! The bytes of a file as a parser asks for them. Only what is asked for is read, whatever the size of the file, and no
//! more than a limit: a file that claims to have tables of gigabytes must not cost gigabytes.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;

use object::read::{ReadCache, ReadRef};

/// The most that is read of one file, and hence kept in memory. The tables of a library with full debug information of
/// 500 MB come to a small part of it.
pub(super) const LIMIT: u64 = 128 << 20;
/// The least that any read costs: many small ones take their time too.
const LEAST: u64 = 256;

/// A file that is read piece by piece.
pub(super) struct Source {
    cache: ReadCache<File>,
    spent: RefCell<Spent>,
}

#[derive(Default)]
struct Spent {
    bytes: u64,
    /// What is in the cache costs nothing.
    pieces: HashSet<(u64, u64)>,
}

impl Source {
    pub(super) fn new(file: File) -> Self {
        Self { cache: ReadCache::new(file), spent: RefCell::default() }
    }

    fn spend(&self, offset: u64, size: u64) -> Result<(), ()> {
        let mut spent = self.spent.borrow_mut();
        if spent.pieces.contains(&(offset, size)) {
            return Ok(());
        }
        let bytes = spent.bytes.saturating_add(size.max(LEAST));
        if bytes > LIMIT {
            return Err(());
        }
        spent.bytes = bytes;
        spent.pieces.insert((offset, size));
        Ok(())
    }
}

impl<'a> ReadRef<'a> for &'a Source {
    fn len(self) -> Result<u64, ()> {
        ReadRef::len(&self.cache)
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.spend(offset, size)?;
        self.cache.read_bytes_at(offset, size)
    }

    /// The cache reads such a piece in small steps, and gives up after a few thousand bytes.
    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        let start = range.start;
        let bytes = self.cache.read_bytes_at_until(range, delimiter)?;
        self.spend(start, bytes.len() as u64)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_costs_more_than_the_limit() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(LIMIT * 4).unwrap();
        let source = Source::new(file);
        assert!((&source).read_bytes_at(0, LIMIT + 1).is_err());
        assert_eq!((&source).read_bytes_at(0, 4096).unwrap().len(), 4096);
        // Again costs nothing, so the limit is not reached by asking often.
        for _ in 0..LIMIT / 4096 + 1 {
            assert!((&source).read_bytes_at(0, 4096).is_ok());
        }
        let pieces = (0..LIMIT / LEAST + 1).map(|piece| (&source).read_bytes_at(piece, 1));
        assert!(pieces.into_iter().any(|piece| piece.is_err()));
    }
}
