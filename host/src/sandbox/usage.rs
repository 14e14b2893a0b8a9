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
    /// The same with shared pages counted once. Only after a run, as reading it takes time.
    pub memory: Option<Memory>,
    /// Whether a thread of the tree may use other cores than the tree was given. Only after a run, too.
    pub exceeds_cores: bool,
    /// When the newest process in the tree began, in ticks since the system did; 0 without one.
    pub newest: u64,
}

/// The memory of a process tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The sum of the peaks of resident memory, less what other processes hold of the pages that are shared now.
    pub bytes: u64,
    pub source: MemorySource,
}

/// How shared pages were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemorySource {
    /// Once: a page that n processes share is an nth for each of them.
    Proportional,
    /// For each process that has them, of at least one process, as the system does not say which it shares.
    Resident,
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
