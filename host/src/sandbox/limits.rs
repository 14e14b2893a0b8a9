//! The limits of a worker's process tree.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::machine::memory;
use crate::text::plural;

/// The limits of a worker's process tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Resident memory of all its processes together; pages that they share count once.
    pub memory_bytes: u64,
    /// The number of processes at one time, each counted with all of its threads.
    pub processes: u32,
    /// The size of a log; the beginning of a larger one is left out.
    pub log_bytes: u64,
}

/// The default limit as a share of the available memory.
const MEMORY_PERCENT: u64 = 80;
/// More than an engine starts, whose processes may have a hundred threads each, and fewer than stop a machine.
const PROCESSES: u32 = 4096;
/// On a large machine an engine starts a process or more for each core.
const PROCESSES_PER_CORE: u32 = 64;
/// More than anyone reads.
const LOG_BYTES: u64 = 64 << 20;

impl Default for Limits {
    /// Most of the memory that this machine has, or that the control group of this process allows.
    fn default() -> Self {
        let memory_bytes = memory::available().map_or(u64::MAX, |bytes| bytes / 100 * MEMORY_PERCENT);
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        let processes = PROCESSES.max(cores.saturating_mul(PROCESSES_PER_CORE));
        Self { memory_bytes, processes, log_bytes: LOG_BYTES }
    }
}

/// The limit that a tree exceeded, and how much it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// Resident memory in MiB.
    Memory(u32),
    Processes(u32),
}

impl Excess {
    /// The label in records.
    pub fn label(self) -> &'static str {
        match self {
            Self::Memory(_) => "memory_limit",
            Self::Processes(_) => "process_limit",
        }
    }

    /// How much the tree had, and its limit.
    pub fn message(self, limits: &Limits) -> String {
        match self {
            Self::Memory(mib) => {
                let [had, may] =
                    [u64::from(mib) << 20, limits.memory_bytes].map(|bytes| Bytes(bytes).to_string());
                // What is beyond the limit may be less than the last digit.
                let had = if had == may { format!("more than {may}") } else { had };
                format!("its processes had {had} of memory, but may have {may}")
            }
            Self::Processes(count) => {
                format!("it had {count} processes and threads, but may have {}", limits.processes)
            }
        }
    }

    /// The option that raises the limit.
    pub fn remedy(self, limits: &Limits) -> String {
        match self {
            Self::Memory(_) => format!("--memory-limit with more than {}", Bytes(limits.memory_bytes)),
            Self::Processes(_) => format!("--process-limit with more than {}", limits.processes),
        }
    }
}

/// A number of bytes, for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match units.into_iter().find(|(_, size)| self.0 >= *size) {
            Some((unit, size)) if self.0.is_multiple_of(size) => {
                write!(formatter, "{} {unit}", self.0 / size)
            }
            Some((unit, size)) => write!(formatter, "{:.1} {unit}", self.0 as f64 / size as f64),
            None => formatter.write_str(&plural(self.0, "byte")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_memory_limit_is_a_part_of_what_a_machine_has() {
        let limits = Limits::default();
        assert!(limits.memory_bytes > 64 << 20 && limits.memory_bytes < 1 << 50, "{limits:?}");
    }

    #[test]
    fn an_excess_smaller_than_the_last_digit_is_told() {
        let limits = Limits { memory_bytes: 9564 << 20, processes: 1, log_bytes: 1 };
        let told = Excess::Memory(9565).message(&limits);
        assert_eq!(told, "its processes had more than 9.3 GiB of memory, but may have 9.3 GiB");
    }

    #[test]
    fn an_excess_says_the_limit_and_the_option() {
        let limits = Limits { memory_bytes: 300 << 20, processes: 64, log_bytes: 1 };
        let memory = Excess::Memory(1536);
        assert_eq!(memory.message(&limits), "its processes had 1.5 GiB of memory, but may have 300 MiB");
        assert_eq!(memory.remedy(&limits), "--memory-limit with more than 300 MiB");
        assert_eq!(
            Excess::Processes(70).message(&limits),
            "it had 70 processes and threads, but may have 64"
        );
        assert_eq!([1, 12].map(|bytes| Bytes(bytes).to_string()), ["1 byte", "12 bytes"]);
    }
}
