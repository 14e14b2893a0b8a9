//! A phase: what lies between two keyed reductions, or between one and an end of the plan.

use plugin_api::{WorkloadError, WorkloadHandle};

use crate::keyed::{Partitions, Terminal};

/// The items of the source, cut into slices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slices {
    /// How many items there are.
    pub(crate) total: u64,
    /// How many a slice has; the last may have fewer.
    pub(crate) size: u64,
}

impl Slices {
    /// How many slices there are.
    pub(crate) fn count(self) -> u64 {
        self.total.div_ceil(self.size)
    }

    /// The first item of a slice, and how many it has.
    pub(crate) fn slice(self, number: u64) -> (u64, u64) {
        let first = number * self.size;
        (first, self.size.min(self.total - first))
    }
}

/// Where a phase gets its items from, in numbered units that are handed out to the workers.
pub(crate) enum Input {
    /// The source: a unit is a slice.
    Slices(Slices),
    /// The reduction that ended the phase before: a unit is a partition.
    Partitions(Partitions),
}

impl Input {
    /// How many units there are.
    pub(crate) fn units(&self) -> u64 {
        match self {
            Self::Slices(slices) => slices.count(),
            Self::Partitions(partitions) => partitions.count(),
        }
    }
}

/// One phase of a run: an input, a chain of stages, and the reduction or sink that takes what comes out.
pub(crate) struct Phase<'a> {
    pub(crate) workload: &'a WorkloadHandle,
    pub(crate) input: Input,
    /// The first stage after the input.
    pub(crate) from: usize,
    /// The reduction or sink.
    pub(crate) end: usize,
    pub(crate) threads: u32,
    /// Items that travel together.
    pub(crate) batch_size: u64,
}

impl<'a> Phase<'a> {
    /// A worker's own place to fold what reaches the end.
    ///
    /// # Errors
    /// When the workload cannot make a state.
    pub(crate) fn terminal(&self) -> Result<Terminal<'a>, WorkloadError> {
        Terminal::new(self.workload, self.end, self.threads)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slices_cover_every_item_once_and_in_order(total in 0_u64..2000, size in 1_u64..300) {
            let slices = Slices { total, size };
            let mut next = 0;
            for (first, count) in (0..slices.count()).map(|number| slices.slice(number)) {
                prop_assert_eq!(first, next);
                prop_assert!((1..=size).contains(&count));
                next += count;
            }
            prop_assert_eq!(next, total);
        }
    }
}
