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
/// So many bytes the cache looks through for the end of a string.
const STRING: u64 = 4096;

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
        if self.budget.borrow().parts.contains(&(offset, size)) {
            return Ok(());
        }
        self.charge(size)?;
        self.budget.borrow_mut().parts.insert((offset, size));
        Ok(())
    }

    fn charge(&self, size: u64) -> Result<(), ()> {
        let mut budget = self.budget.borrow_mut();
        let bytes = budget.bytes.saturating_add(size.max(LEAST));
        if bytes > LIMIT {
            return Err(());
        }
        budget.bytes = bytes;
        Ok(())
    }

    /// Counts a string without an end, which is looked for anew each time.
    fn charge_endless(&self) {
        let mut budget = self.budget.borrow_mut();
        budget.bytes = budget.bytes.saturating_add(STRING).min(LIMIT);
    }
}

impl<'a> ReadRef<'a> for &'a BoundedReader {
    fn len(self) -> Result<u64, ()> {
        ReadRef::len(&self.cache)
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        if size == 0 {
            return Ok(&[]);
        }
        self.spend(offset, size)?;
        self.cache.read_bytes_at(offset, size)
    }

    /// The cache reads in small steps here, and gives up after [`STRING`]. It keeps what it has read, so that the least is counted before.
    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        // No part is empty: this is the string that begins here.
        let string = (range.start, 0);
        if self.budget.borrow().parts.contains(&string) {
            return self.cache.read_bytes_at_until(range, delimiter);
        }
        self.charge(LEAST)?;
        let read = self.cache.read_bytes_at_until(range, delimiter);
        let bytes = read.inspect_err(|()| self.charge_endless())?;
        let more = (bytes.len() as u64).saturating_sub(LEAST);
        if more > 0 {
            self.charge(more)?;
        }
        self.budget.borrow_mut().parts.insert(string);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom, Write as _};

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

    /// Whether a string at `start` is looked for in the file.
    fn is_sought(reader: &BoundedReader, mut file: &File, start: u64) -> bool {
        file.seek(SeekFrom::Start(7)).unwrap();
        let _ = reader.read_bytes_at_until(start..start + 8000, 0);
        file.stream_position().unwrap() != 7
    }

    #[test]
    fn no_string_is_read_beyond_the_limit() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(LIMIT * 2).unwrap();
        let reader = BoundedReader::new(file.try_clone().unwrap());
        assert!(is_sought(&reader, &file, 100) && !is_sought(&reader, &file, 100));
        assert!((&reader).read_bytes_at(0, LIMIT - LEAST).is_ok());
        assert!(!is_sought(&reader, &file, 200));
        assert_eq!((&reader).read_bytes_at_until(100..8100, 0), Ok(&b""[..]));
    }

    #[test]
    fn strings_without_an_end_are_not_sought_for_ever() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[b'x'; 9000]).unwrap();
        let reader = BoundedReader::new(file.try_clone().unwrap());
        assert!((0..LIMIT / STRING).any(|_| !is_sought(&reader, &file, 500)));
    }
}
