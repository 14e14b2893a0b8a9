//! The buffers of callers.

/// Bytes that the library allocated. The caller sets all fields to zero first. A buffer that is passed again keeps its
/// memory, which only `buffer_free` frees. After a status other than [`OK`](super::status::OK) it holds the message, in UTF-8.
#[repr(C)]
#[derive(Debug)]
pub struct RawBuffer {
    /// The bytes, or null.
    pub data: *mut u8,
    /// How many bytes there are.
    pub length: usize,
    /// How many bytes fit into the memory at `data`.
    pub capacity: usize,
}

impl RawBuffer {
    /// An empty buffer.
    pub const EMPTY: Self = Self { data: std::ptr::null_mut(), length: 0, capacity: 0 };

    /// # Safety
    /// The fields must be zero, or as [`RawBuffer::put`] of this library set them.
    pub(super) unsafe fn take(&mut self) -> Vec<u8> {
        let Self { data, length, capacity } = std::mem::replace(self, Self::EMPTY);
        if data.is_null() {
            return Vec::new();
        }
        // SAFETY: by this function's contract the parts are those of a vector that `put` took apart.
        unsafe { Vec::from_raw_parts(data, length, capacity) }
    }

    pub(super) fn put(&mut self, bytes: Vec<u8>) {
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        *self = Self { data: bytes.as_mut_ptr(), length: bytes.len(), capacity: bytes.capacity() };
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
