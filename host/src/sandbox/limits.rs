//! What a worker's tree may take of the machine.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::machine::memory;

/// What a worker's tree may take of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Resident memory of all its processes together; pages that they share count once.
    pub memory_bytes: u64,
    /// How many processes there may be at once.
    pub processes: u32,
    /// How large a log may become before its beginning is left out.
    pub log_bytes: u64,
}

/// The share of the memory that a tree may have when nothing else is said.
const SHARE_PERCENT: u64 = 80;
/// More than an engine starts on a machine of several hundred cores, and less than what stops a machine.
const PROCESSES: u32 = 1024;
/// More than anyone reads.
const LOG_BYTES: u64 = 64 << 20;

impl Limits {
    /// What holds when nothing else is said: most of the memory that this machine has, or this process's group of it.
    pub fn usual() -> Self {
        let memory_bytes = memory::available().map_or(u64::MAX, |bytes| bytes / 100 * SHARE_PERCENT);
        Self { memory_bytes, processes: PROCESSES, log_bytes: LOG_BYTES }
    }
}

/// What a tree had too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// So many MiB of memory were resident.
    Memory(u32),
    Processes(u32),
}

impl Excess {
    /// In one word, for records.
    pub fn word(self) -> &'static str {
        match self {
            Self::Memory(_) => "memory_limit",
            Self::Processes(_) => "process_limit",
        }
    }

    /// What happened, beside what was allowed.
    pub fn beside(self, limits: &Limits) -> String {
        match self {
            Self::Memory(mib) => {
                let (had, may) = (Bytes(u64::from(mib) << 20), Bytes(limits.memory_bytes));
                format!("its processes had {had} of memory, but may have {may}")
            }
            Self::Processes(count) => {
                format!("it had {count} processes, but may have {}", limits.processes)
            }
        }
    }

    /// What allows more.
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
            None => write!(formatter, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_limit_of_memory_is_one() {
        let usual = Limits::usual();
        assert!(usual.memory_bytes > 64 << 20 && usual.memory_bytes < 1 << 50, "{usual:?}");
    }

    #[test]
    fn an_excess_says_the_limit_and_the_option() {
        let limits = Limits { memory_bytes: 300 << 20, processes: 64, log_bytes: 1 };
        let memory = Excess::Memory(1536);
        assert_eq!(memory.beside(&limits), "its processes had 1.5 GiB of memory, but may have 300 MiB");
        assert_eq!(memory.remedy(&limits), "--memory-limit with more than 300 MiB");
        assert_eq!(Excess::Processes(70).beside(&limits), "it had 70 processes, but may have 64");
        assert_eq!(Bytes(12).to_string(), "12 bytes");
    }
}
