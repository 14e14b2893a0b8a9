//! Bytes that a library allocated.

use std::ops::Deref;

use super::table::WorkloadFunctions;
use crate::answer;
use crate::json_error::explain;
use crate::workload::capi::{RawBuffer, status};
use crate::workload::error::WorkloadError;

impl RawBuffer {
    /// What a library left in a buffer that belongs to the caller of this function.
    fn bytes(&self) -> &[u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: the library left `length` initialised bytes there, and the buffer is not passed to it during the borrow.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }
}

/// How many items the batch in these bytes has, without checking the rest of it.
pub fn item_count(batch: &[u8]) -> u64 {
    batch.first_chunk::<4>().map_or(0, |count| u64::from(u32::from_le_bytes(*count)))
}

/// The most bytes that are read of an error message: hosts show less.
const MAX_MESSAGE: usize = 64 << 10;

/// Bytes that a workload library allocated: most often an encoded batch.
pub struct Buffer {
    functions: &'static WorkloadFunctions,
    raw: RawBuffer,
}

// SAFETY: a buffer owns its memory, and the library's allocator is good for any thread.
unsafe impl Send for Buffer {}
// SAFETY: a shared buffer is only read.
unsafe impl Sync for Buffer {}

impl Buffer {
    pub(super) fn new(functions: &'static WorkloadFunctions) -> Self {
        Self { functions, raw: RawBuffer::EMPTY }
    }

    pub(super) fn raw_mut(&mut self) -> *mut RawBuffer {
        &raw mut self.raw
    }

    /// The buffer for a call of the library with these functions. Memory of another library is given back to that library
    /// first, as no other may grow or free it.
    pub(super) fn raw_for(&mut self, functions: &'static WorkloadFunctions) -> *mut RawBuffer {
        if !std::ptr::fn_addr_eq(self.functions.buffer_free, functions.buffer_free) {
            *self = Self::new(functions);
        }
        self.raw_mut()
    }

    /// Turns a status into an error with the message that this buffer then holds.
    pub(super) fn check(&self, code: i32) -> Result<(), WorkloadError> {
        if code == status::OK {
            return Ok(());
        }
        let message = &self[..self.len().min(MAX_MESSAGE)];
        Err(WorkloadError::of_call(code, &String::from_utf8_lossy(message)))
    }

    pub(super) fn json<T: serde::de::DeserializeOwned>(&self, code: i32) -> Result<T, WorkloadError> {
        self.check(code)?;
        let malformed = |message| WorkloadError::Call { status: status::MALFORMED, message };
        if let Some(excess) = answer::excess(self.len()) {
            return Err(malformed(format!("an answer of the workload library has {excess}")));
        }
        serde_json::from_slice(self).map_err(|error| {
            malformed(format!(
                "the workload library answered with JSON that this version cannot read: {}",
                explain(&error, self)
            ))
        })
    }

    /// How many items the batch in this buffer has, without checking the rest of it.
    pub fn item_count(&self) -> u64 {
        item_count(self)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.raw.bytes()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the buffer is of this library, and is not used afterwards.
        unsafe { (self.functions.buffer_free)(&raw mut self.raw) };
    }
}

/// The parts of a batch that was split: one encoded batch for each partition.
pub struct Parts {
    functions: &'static WorkloadFunctions,
    raw: Vec<RawBuffer>,
}

// SAFETY: as of a buffer.
unsafe impl Send for Parts {}

impl Parts {
    pub(super) fn new(functions: &'static WorkloadFunctions, partitions: u32) -> Self {
        Self { functions, raw: (0..partitions).map(|_| RawBuffer::EMPTY).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.raw.len()
    }

    /// As [`Buffer::raw_for`], for all parts.
    pub(super) fn raw_for(&mut self, functions: &'static WorkloadFunctions) -> *mut RawBuffer {
        if !std::ptr::fn_addr_eq(self.functions.buffer_free, functions.buffer_free) {
            *self = Self { functions, raw: self.raw.iter().map(|_| RawBuffer::EMPTY).collect() };
        }
        self.raw.as_mut_ptr()
    }

    pub(super) fn into_buffers(mut self) -> Vec<Buffer> {
        let functions = self.functions;
        std::mem::take(&mut self.raw).into_iter().map(|raw| Buffer { functions, raw }).collect()
    }

    /// The batches, in the order of the partitions.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.raw.iter().map(RawBuffer::bytes)
    }

    /// How many items a partition has; 0 if there is no such partition.
    pub fn item_count(&self, partition: usize) -> u64 {
        self.raw.get(partition).map_or(0, |part| item_count(part.bytes()))
    }

    /// Puts the batch of a partition into `buffer`, whose memory is for the next split. It does nothing if there is no such
    /// partition.
    pub fn swap(&mut self, partition: usize, buffer: &mut Buffer) {
        let _ = buffer.raw_for(self.functions);
        if let Some(part) = self.raw.get_mut(partition) {
            std::mem::swap(part, &mut buffer.raw);
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for part in &mut self.raw {
            // SAFETY: the buffer is of this library, and is not used afterwards.
            unsafe { (self.functions.buffer_free)(part) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::table;
    use super::*;

    #[test]
    fn an_answer_that_is_too_large_is_refused_before_it_is_read_and_a_long_error_is_cut() {
        unsafe extern "C-unwind" fn keep(_buffer: *mut RawBuffer) {}
        let functions = Box::leak(Box::new(WorkloadFunctions {
            buffer_free: keep,
            ..table(size_of::<WorkloadFunctions>())
        }));
        let mut bytes = vec![b' '; answer::MAX_ANSWER + 1];
        let raw = RawBuffer { data: bytes.as_mut_ptr(), length: bytes.len(), capacity: bytes.len() };
        let buffer = Buffer { functions, raw };
        let refused = buffer.json::<serde_json::Value>(status::OK).unwrap_err().to_string();
        assert!(refused.ends_with("has 67108865 bytes of JSON, but may have 64 MiB"), "{refused}");
        assert_eq!(buffer.check(status::OPERATOR).unwrap_err().to_string().len(), MAX_MESSAGE);
    }
}
