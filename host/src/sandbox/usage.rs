//! CPU time and memory of all processes of a tree, daemons included.

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Seconds of CPU time, user and system together, of all processes that are or were in the tree. The system counts
    /// in steps of 10 ms or so.
    pub cpu_seconds: f64,
    /// The sum of the peaks of resident memory of the processes in the tree: at least what was resident at one time. Pages that
    /// processes share count for each.
    pub peak_memory_bytes: u64,
}

impl Usage {
    /// The usage after `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self { cpu_seconds: (self.cpu_seconds - before.cpu_seconds).max(0.0), ..self }
    }
}
