//! Reads the parts of a file that a parser asks for, and no more than a limit: a file that claims to have tables of gigabytes
//! must not take gigabytes of memory.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;

use object::read::{ReadCache, ReadRef};

/// The most that is read of one file, and hence kept in memory. The tables of a library with full debug information of
/// 500 MB come to a small part of it.
pub(super) const LIMIT: u64 = 128 << 20;
/// The least that any read counts, in bytes: many small reads take time too.
const LEAST: u64 = 256;

/// A file that is read in parts.
pub(super) struct BoundedReader {
    cache: ReadCache<File>,
    budget: RefCell<Budget>,
}

#[derive(Default)]
struct Budget {
    bytes: u64,
    /// The parts in the cache, which are not counted again.
    parts: HashSet<(u64, u64)>,
}

impl BoundedReader {
    pub(super) fn new(file: File) -> Self {
        Self { cache: ReadCache::new(file), budget: RefCell::default() }
    }

    fn spend(&self, offset: u64, size: u64) -> Result<(), ()> {
        let mut budget = self.budget.borrow_mut();
        if budget.parts.contains(&(offset, size)) {
            return Ok(());
        }
        let bytes = budget.bytes.saturating_add(size.max(LEAST));
        if bytes > LIMIT {
            return Err(());
        }
        budget.bytes = bytes;
        budget.parts.insert((offset, size));
        Ok(())
    }
}

impl<'a> ReadRef<'a> for &'a BoundedReader {
    fn len(self) -> Result<u64, ()> {
        ReadRef::len(&self.cache)
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        self.spend(offset, size)?;
        self.cache.read_bytes_at(offset, size)
    }

    /// The cache reads in small steps here, and gives up after a few thousand bytes.
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
        let reader = BoundedReader::new(file);
        assert!((&reader).read_bytes_at(0, LIMIT + 1).is_err());
        assert_eq!((&reader).read_bytes_at(0, 4096).unwrap().len(), 4096);
        // A part that was read before is not counted again.
        for _ in 0..LIMIT / 4096 + 1 {
            assert!((&reader).read_bytes_at(0, 4096).is_ok());
        }
        let parts = (0..LIMIT / LEAST + 1).map(|part| (&reader).read_bytes_at(part, 1));
        assert!(parts.into_iter().any(|part| part.is_err()));
    }
}
