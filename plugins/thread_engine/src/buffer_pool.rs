//! Buffers that a worker uses again, so that it does not allocate memory for each batch.

use plugin_api::{Buffer, WorkloadHandle};

/// The buffers of one worker that hold no batch in use.
pub struct BufferPool {
    capacity: usize,
    free: Vec<Buffer>,
}

impl BufferPool {
    /// An empty pool that keeps at most `capacity` buffers.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, free: Vec::new() }
    }

    /// A buffer to fill: one of the pool, or a new one of `workload`.
    pub fn take(&mut self, workload: &WorkloadHandle) -> Buffer {
        self.free.pop().unwrap_or_else(|| workload.buffer())
    }

    /// Takes back a buffer whose batch is not needed any more. A full pool frees it.
    pub fn put(&mut self, buffer: Buffer) {
        if self.free.len() < self.capacity {
            self.free.push(buffer);
        }
    }
}
