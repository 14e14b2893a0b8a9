//! Batches: a count, offsets, and the bytes of all items.
//!
//! The encoding is contiguous and little-endian, so that it can be sent to another process as it is:
//!
//! | bytes | meaning |
//! |---|---|
//! | 0..4 | `count`, u32: how many items |
//! | 4..8 | flags, u32: 0 in this version; any other value is refused |
//! | 8..8+4·(count+1) | `count + 1` offsets, i32, ascending from 0: item i is `offsets[i]..offsets[i+1]` of the rest |
//! | the rest | the items' bytes; exactly as many as the last offset says |
//!
//! From the offsets on this is Arrow's binary layout, so an engine with Arrow uses it without a copy.

use super::error::WorkloadError;

const HEADER: usize = 8;
const OFFSET: usize = 4;

/// A checked view of an encoded batch.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    offsets: &'a [[u8; OFFSET]],
    items: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Checks every bound once, so that reading items cannot fail.
    ///
    /// # Errors
    /// [`WorkloadError::Malformed`] for bytes that [`BatchBuilder::encode`] cannot have written.
    pub fn parse(encoded: &'a [u8]) -> Result<Self, WorkloadError> {
        let malformed = |why| Err(WorkloadError::Malformed(why));
        let Some((header, rest)) = encoded.split_at_checked(HEADER) else {
            return malformed("a batch is shorter than its header of 8 bytes");
        };
        let (count, flags) = (read_u32(header, 0), read_u32(header, 4));
        if flags != 0 {
            return malformed("a batch has flags that this version does not know");
        }
        let Some((offsets, items)) = (count as usize)
            .checked_add(1)
            .and_then(|offsets| offsets.checked_mul(OFFSET))
            .and_then(|length| rest.split_at_checked(length))
        else {
            return malformed("a batch is shorter than its offsets");
        };
        let (offsets, _) = offsets.as_chunks::<OFFSET>();
        if !ascends_to(offsets, items.len()) {
            return malformed("a batch's offsets do not ascend from 0 to the length of its items");
        }
        Ok(Self { offsets, items })
    }

    /// How many items it has.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether it has no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes its items have together.
    pub fn byte_count(&self) -> usize {
        self.items.len()
    }

    /// The items in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let items = self.items;
        self.offsets.windows(2).map(move |pair| {
            let (start, end) = (i32::from_le_bytes(pair[0]) as usize, i32::from_le_bytes(pair[1]) as usize);
            &items[start..end]
        })
    }
}

/// Whether the offsets start at 0, never fall, and end at `length`.
fn ascends_to(offsets: &[[u8; OFFSET]], length: usize) -> bool {
    let ([[0, 0, 0, 0], after @ ..], Some(last)) = (offsets, offsets.last()) else { return false };
    // Each is compared with the one before in memory, and not in a variable: so the compiler compares several at once.
    let pairs = offsets.iter().zip(after);
    let ascending = pairs.fold(true, |ascending, (one, next)| {
        ascending & (i32::from_le_bytes(*one) <= i32::from_le_bytes(*next))
    });
    ascending && usize::try_from(i32::from_le_bytes(*last)) == Ok(length)
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// A batch to which items are added. It lies in memory as it is encoded, so that its encoding needs no copy.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    /// The header, offsets with room for more, and the items.
    bytes: Vec<u8>,
    /// Where the next offset is written. These are places in `bytes` and not counts, as every item needs them.
    next_offset: usize,
    /// Where the items begin, after all that is kept for offsets.
    items: usize,
    /// How many bytes the batch would have had with the last item that did not fit, if there was one.
    outgrown: Option<usize>,
}

/// [`BatchBuilder::MAX_BYTES`]; less in this crate's own tests, which cannot fill two gibibytes.
const LIMIT: usize = if cfg!(test) { 1 << 16 } else { BatchBuilder::MAX_BYTES };

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::within(Vec::new())
    }
}

impl BatchBuilder {
    /// The most bytes that the items of one batch may have together: the largest i32 offset.
    pub const MAX_BYTES: usize = i32::MAX as usize;

    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch in the memory of `bytes`.
    pub(super) fn within(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        let items = start_of_items(0);
        bytes.resize(items, 0);
        Self { bytes, next_offset: items, items, outgrown: None }
    }

    /// The memory of a batch that is not needed any more.
    pub(super) fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends one item. An item that does not fit is left out, and every use of the batch then fails as too large.
    #[inline]
    pub fn push(&mut self, item: &[u8]) {
        self.bytes.extend_from_slice(item);
        self.end_item();
    }

    /// Appends one item whose bytes `write` appends to its argument. Bytes that are in the vector before belong to
    /// earlier items. An item that does not fit is left out, as by [`push`](BatchBuilder::push).
    #[inline]
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.end_item();
    }

    #[inline]
    fn end_item(&mut self) {
        if self.next_offset == self.items {
            self.make_room((2 * self.len()).max(4));
        }
        let end = self.byte_count();
        if end > LIMIT {
            return self.leave_out_last();
        }
        let offset = self.next_offset..self.next_offset + OFFSET;
        self.next_offset = offset.end;
        // It fits, as the limit does.
        self.bytes[offset].copy_from_slice(&(end as u32).to_le_bytes());
    }

    /// How many bytes the items have, with the one that is being added.
    fn byte_count(&self) -> usize {
        self.bytes.len().saturating_sub(self.items)
    }

    /// Moves the items so that there is room for the offsets of `room` items, which are no fewer than now.
    #[cold]
    fn make_room(&mut self, room: usize) {
        let (from, to, end) = (self.items, start_of_items(room), self.bytes.len());
        self.bytes.resize(end + (to - from), 0);
        self.bytes.copy_within(from..end, to);
        self.items = to;
    }

    #[cold]
    fn leave_out_last(&mut self) {
        self.outgrown = Some(self.byte_count());
        let end = read_u32(&self.bytes, self.next_offset - OFFSET) as usize;
        self.bytes.truncate(self.items + end);
    }

    /// Checks that the batch has every item that was pushed.
    ///
    /// # Errors
    /// [`WorkloadError::TooLarge`] when one did not fit.
    // Workloads are in other crates, and call it for each item.
    #[inline]
    pub(super) fn check_fits(&self) -> Result<(), WorkloadError> {
        match self.outgrown {
            None => Ok(()),
            Some(bytes) => Err(WorkloadError::TooLarge { bytes }),
        }
    }

    /// How many items it has.
    pub fn len(&self) -> usize {
        (self.next_offset - HEADER) / OFFSET - 1
    }

    /// Whether it has no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reserves memory for `items` more items of `bytes` bytes together.
    pub fn reserve(&mut self, items: usize, bytes: usize) {
        let room = self.len() + items;
        let more = start_of_items(room).saturating_sub(self.items);
        self.bytes.reserve(more + bytes);
        if more > 0 {
            self.make_room(room);
        }
    }

    /// Removes all items and keeps the memory.
    pub fn clear(&mut self) {
        *self = Self::within(std::mem::take(&mut self.bytes));
    }

    /// A view of the items, without those that did not fit.
    pub fn as_batch(&self) -> Batch<'_> {
        let (before, items) = self.bytes.split_at(self.items);
        let (offsets, _) = before[HEADER..self.next_offset].as_chunks();
        Batch { offsets, items }
    }

    /// Replaces the content of `out` by the encoded batch.
    ///
    /// # Errors
    /// [`WorkloadError::TooLarge`] when it has more than [`BatchBuilder::MAX_BYTES`] of items or 2³² − 1 items.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WorkloadError> {
        let count = self.checked_count()?;
        let Batch { offsets, items } = self.as_batch();
        out.clear();
        out.reserve(self.next_offset + items.len());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(offsets.as_flattened());
        out.extend_from_slice(items);
        Ok(())
    }

    /// The encoded batch in the same memory, and where it begins there. No item is moved: if there was room for more items, the
    /// offsets are moved up to those that there are, as they are fewer bytes.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub(super) fn into_encoded(mut self) -> Result<(Vec<u8>, usize), WorkloadError> {
        let count = self.checked_count()?;
        let start = self.items - self.next_offset;
        if start > 0 {
            self.bytes.copy_within(HEADER..self.next_offset, start + HEADER);
        }
        let (count, flags) = (count.to_le_bytes(), [0; 4]);
        self.bytes[start..start + HEADER].copy_from_slice([count, flags].as_flattened());
        Ok((self.bytes, start))
    }

    fn checked_count(&self) -> Result<u32, WorkloadError> {
        self.check_fits()?;
        u32::try_from(self.len()).map_err(|_| WorkloadError::TooLarge { bytes: self.byte_count() })
    }
}

/// Where the items begin after the offsets of so many items.
fn start_of_items(count: usize) -> usize {
    HEADER + (count + 1) * OFFSET
}

impl<'a> FromIterator<&'a [u8]> for BatchBuilder {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(items: I) -> Self {
        let (items, mut builder) = (items.into_iter(), Self::new());
        builder.reserve(items.size_hint().0, 0);
        items.for_each(|item| builder.push(item));
        builder
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(builder: &BatchBuilder) -> Vec<u8> {
        let mut out = Vec::new();
        builder.encode(&mut out).unwrap();
        out
    }

    #[test]
    fn an_empty_batch_is_twelve_bytes() {
        let bytes = encoded(&BatchBuilder::new());
        assert_eq!(bytes, [0; 12]);
        assert!(Batch::parse(&bytes).unwrap().is_empty());
    }

    #[test]
    fn what_is_cut_short_or_has_flags_is_refused() {
        let bytes = encoded(&[b"ab".as_slice(), b"", b"c"].into_iter().collect());
        for length in 0..bytes.len() {
            assert!(Batch::parse(&bytes[..length]).is_err(), "{length} bytes of {}", bytes.len());
        }
        let mut flagged = bytes;
        flagged[4] = 1;
        assert!(Batch::parse(&flagged).is_err());
    }

    #[test]
    fn an_item_that_does_not_fit_is_left_out_and_the_batch_is_refused() {
        let (half, whole) = (vec![1; LIMIT / 2], vec![2; LIMIT]);
        let mut builder: BatchBuilder = [half.as_slice(), &half].into_iter().collect();
        assert_eq!(encoded(&builder).len(), HEADER + 3 * OFFSET + LIMIT);
        builder.push(b"x");
        builder.push_with(|bytes| bytes.extend_from_slice(&whole));
        builder.push(b"");
        assert!(builder.as_batch().iter().eq([half.as_slice(), &half, b""]));
        let too_large = WorkloadError::TooLarge { bytes: 2 * LIMIT };
        assert_eq!(builder.encode(&mut Vec::new()), Err(too_large));
        builder.clear();
        builder.push(&whole);
        assert_eq!(builder.encode(&mut Vec::new()), Ok(()));
    }

    #[test]
    fn a_count_beyond_all_memory_is_refused() {
        assert!(Batch::parse(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn any_items_come_back(items: Vec<Vec<u8>>, expected in 0_usize..9, memory: Vec<u8>) {
            let mut builder = BatchBuilder::within(memory);
            for item in &items {
                builder.reserve(expected, 0);
                builder.push(item);
            }
            let bytes = encoded(&builder);
            let (memory, start) = builder.into_encoded().unwrap();
            prop_assert_eq!(&memory[start..], &bytes);
            let back: Vec<_> = Batch::parse(&bytes).unwrap().iter().map(<[u8]>::to_vec).collect();
            prop_assert_eq!(back, items);
        }

        #[test]
        fn any_bytes_are_refused_or_read_within_bounds(bytes: Vec<u8>) {
            if let Ok(batch) = Batch::parse(&bytes) {
                prop_assert_eq!(batch.iter().count(), batch.len());
            }
        }

        #[test]
        fn a_changed_header_never_reads_out_of_bounds(
            items: Vec<Vec<u8>>, at in 0_usize..64, to: u8
        ) {
            let mut bytes = encoded(&items.iter().map(Vec::as_slice).collect());
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(batch) = Batch::parse(&bytes) {
                prop_assert!(batch.iter().all(|item| item.len() <= bytes.len()));
            }
        }
    }
}
