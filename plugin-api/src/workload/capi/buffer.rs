//! The buffers of callers.

/// Set in the `capacity` of a buffer whose bytes begin after a gap in their memory. The four bytes before them hold the length of the
/// gap, in units of four bytes.
const AFTER_GAP: usize = 1 << (usize::BITS - 1);
const UNIT: usize = size_of::<u32>();

/// The memory of a buffer, of which callers read what begins at `start`: 0, or a multiple of four.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) bytes: Vec<u8>,
    pub(super) start: usize,
}

/// Bytes that the library allocated. The caller sets all fields to zero first. A buffer that is passed again keeps its
/// memory, which only `buffer_free` frees. After a status other than [`OK`](super::status::OK) it holds the message, in UTF-8.
#[repr(C)]
#[derive(Debug)]
pub struct RawBuffer {
    /// The bytes, or null.
    pub data: *mut u8,
    /// How many bytes there are.
    pub length: usize,
    /// The library's own: what it needs to find and free the memory.
    pub capacity: usize,
}

impl RawBuffer {
    /// An empty buffer.
    pub const EMPTY: Self = Self { data: std::ptr::null_mut(), length: 0, capacity: 0 };

    /// The memory, whose content has no meaning any more.
    ///
    /// # Safety
    /// The fields must be zero, or as [`RawBuffer::put`] of this library set them.
    pub(super) unsafe fn take(&mut self) -> Vec<u8> {
        let Self { data, length, capacity } = std::mem::replace(self, Self::EMPTY);
        if data.is_null() {
            return Vec::new();
        }
        let start = if capacity & AFTER_GAP == 0 {
            0
        } else {
            // SAFETY: by this function's contract `put` left a length there, before the bytes of the same memory.
            UNIT * unsafe { data.cast::<u32>().sub(1).read_unaligned() } as usize
        };
        // SAFETY: the same contract: the parts are those of a vector that `put` took apart.
        unsafe { Vec::from_raw_parts(data.sub(start), start + length, capacity & !AFTER_GAP) }
    }

    pub(super) fn put(&mut self, memory: Memory) {
        let Memory { mut bytes, mut start } = memory;
        if let Some(before) = start.checked_sub(UNIT) {
            match u32::try_from(start / UNIT) {
                Ok(units) => bytes[before..start].copy_from_slice(&units.to_ne_bytes()),
                Err(_) => {
                    bytes.drain(..start);
                    start = 0;
                }
            }
        }
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        // The capacity of a vector is at most `isize::MAX`.
        let gap = if start == 0 { 0 } else { AFTER_GAP };
        let (length, capacity) = (bytes.len() - start, bytes.capacity() | gap);
        // SAFETY: `start` is at most the length of the vector.
        let data = unsafe { bytes.as_mut_ptr().add(start) };
        *self = Self { data, length, capacity };
    }
}

/// # Safety
/// As the `buffer_free` of `ABI.md`.
pub unsafe fn buffer_free(buffer: *mut RawBuffer) {
    // SAFETY: by the caller's contract null, or a buffer that keeps the contract of `RawBuffer`.
    if let Some(buffer) = unsafe { buffer.as_mut() } {
        // SAFETY: the same; `take` leaves it empty, so a second call frees nothing.
        drop(unsafe { buffer.take() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_finds_its_memory_again_with_and_without_a_gap() {
        for start in [0, 4, 8, 40] {
            let bytes: Vec<u8> = (0..100).collect();
            let (base, capacity) = (bytes.as_ptr(), bytes.capacity());
            let mut buffer = RawBuffer::EMPTY;
            buffer.put(Memory { bytes, start });
            assert_eq!(buffer.length, 100 - start);
            // SAFETY: `put` set both.
            let read = unsafe { std::slice::from_raw_parts(buffer.data, buffer.length) };
            assert_eq!(read.first().map(|first| usize::from(*first)), Some(start));
            // SAFETY: `put` set the fields.
            let memory = unsafe { buffer.take() };
            assert_eq!((memory.as_ptr(), memory.len(), memory.capacity()), (base, 100, capacity));
            // SAFETY: `take` left an empty buffer.
            assert!(unsafe { buffer.take() }.is_empty());
        }
    }
}
