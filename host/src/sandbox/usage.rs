//! CPU time and memory of all processes of a tree, daemons included.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Seconds of CPU time, user and system together, of all processes that are or were in the tree.
    pub cpu_seconds: f64,
    pub cpu_source: CpuSource,
    /// The sum of the peaks of resident memory of the processes in the tree: at least what was resident at one time. Pages that
    /// processes share count for each.
    pub peak_memory_bytes: u64,
}

/// How CPU time was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CpuSource {
    /// By the CPU clock of each process, in nanoseconds. The system gives the time of processes that have exited in ticks.
    ProcessClocks,
    /// In ticks of 10 ms or so, as at least one process had no clock that could be read.
    #[default]
    Ticks,
}

impl Usage {
    /// The usage after `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self { cpu_seconds: (self.cpu_seconds - before.cpu_seconds).max(0.0), ..self }
    }
}
