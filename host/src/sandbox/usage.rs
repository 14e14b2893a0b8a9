//! What the processes of a tree used: CPU time and memory, daemons included.

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Seconds of CPU time, user and system together, of all processes that are or were in the tree. The system counts
    /// in steps of 10 ms or so.
    pub cpu_seconds: f64,
    /// The sum of the peaks of resident memory of the processes that are in the tree: at least what was resident at
    /// once. Pages that processes share count for each.
    pub peak_memory_bytes: u64,
}

impl Usage {
    /// What was used after `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self { cpu_seconds: (self.cpu_seconds - before.cpu_seconds).max(0.0), ..self }
    }
}
