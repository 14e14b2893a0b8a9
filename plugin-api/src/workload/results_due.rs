//! When the results of keyed reductions are due, in an open loop.
//!
//! A result that ends at some time cannot be known before an item is there after which nothing earlier comes. So it is due with the
//! item before the first one whose watermark reaches that end, or with the last item if there is none. That depends on the items
//! alone: not on which item a backend had when it closed, or a late backend would move its own deadline.

use super::author::Workload;
use super::closing::NEVER;

/// The times of one state, which asks for the same end again and again.
pub(super) struct ResultsDue {
    total_items: u64,
    /// The last end that was asked for, and when its results are due.
    last: Option<(u64, u64)>,
}

impl ResultsDue {
    pub(super) fn new(total_items: u64) -> Self {
        Self { total_items, last: None }
    }

    /// When what ends at `end` is due, in nanoseconds from the start of the run.
    pub(super) fn nanos(&mut self, workload: &impl Workload, end: u64) -> u64 {
        if let Some((_, nanos)) = self.last.filter(|(known, _)| *known == end) {
            return nanos;
        }
        let due = workload.due(self.item(workload, end)).unwrap_or_default();
        let nanos = u64::try_from(due.as_nanos()).unwrap_or(u64::MAX);
        self.last = Some((end, nanos));
        nanos
    }

    /// The item with which the results are due.
    fn item(&self, workload: &impl Workload, end: u64) -> u64 {
        let (mut from, mut to) = (0, self.total_items);
        if end == NEVER {
            from = to;
        }
        // A watermark never falls. No item has the number `total_items`, and what ends with the input is due with the last.
        while from < to {
            let middle = from.midpoint(to);
            if workload.watermark(middle) >= end { to = middle } else { from = middle + 1 }
        }
        from.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::spec::WorkloadSpec;
    use crate::workload::{BatchBuilder, Parameters, Plan, WorkloadError};

    /// Its items come in groups of ten, each of a time that is ten later; one is due each second.
    struct Groups;

    impl Workload for Groups {
        const NAME: &'static str = "groups";
        const DESCRIPTION: &'static str = "";

        fn open(_: &WorkloadSpec, _: &Parameters) -> Result<Self, WorkloadError> {
            Ok(Self)
        }

        fn plan(&self) -> Plan {
            Plan::new()
        }

        fn source(&self, _: u64, _: &mut BatchBuilder) -> Result<(), WorkloadError> {
            Ok(())
        }

        fn due(&self, index: u64) -> Option<Duration> {
            Some(Duration::from_secs(index))
        }

        fn apply(&self, _: usize, _: &[u8], _: &mut BatchBuilder) -> Result<(), WorkloadError> {
            Ok(())
        }

        fn watermark(&self, index: u64) -> u64 {
            index - index % 10
        }

        fn oracle(&self, _: &mut dyn FnMut(&[u8])) {}
    }

    #[test]
    fn a_result_is_due_with_the_item_before_the_first_whose_watermark_reaches_its_end() {
        let mut due = ResultsDue::new(35);
        // An end; and the item with which it is due, of 35.
        let table =
            [(0, 0), (1, 9), (10, 9), (11, 19), (20, 19), (30, 29), (31, 34), (1000, 34), (NEVER, 34)];
        for (end, item) in table.into_iter().chain([(10, 9)]) {
            assert_eq!(due.nanos(&Groups, end), item * 1_000_000_000, "{end}");
        }
        assert_eq!(ResultsDue::new(0).nanos(&Groups, 5), 0);
    }
}
