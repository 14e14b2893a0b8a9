//! The CPU time of processes that have exited where nobody has it any more: the system adds it to that of the parent which reaps one, but
//! a parent that ignores the ends of its children reaps none. Engines have such parents.

use std::collections::HashMap;

/// A process by its number and by when it began, as numbers are used again.
pub(super) type Identity = (i32, u64);

/// Seconds of CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Used {
    pub(super) own: f64,
    /// That of the children which it has reaped, and of theirs.
    pub(super) reaped: f64,
}

/// What processes had used when they were last read.
#[derive(Debug, Default)]
pub(super) struct Exited {
    last: HashMap<Identity, Used>,
    /// What is counted here of processes that are gone.
    counted: HashMap<Identity, f64>,
}

impl Exited {
    /// The seconds of processes that are gone, and which no process of `now` has reaped.
    pub(super) fn seconds(&mut self, now: HashMap<Identity, Used>) -> f64 {
        // Between the end of its parent and its adoption a process is in no tree for a moment.
        self.counted.retain(|process, _| !now.contains_key(process));
        let gone = self.last.iter().filter(|(process, _)| !now.contains_key(process));
        let gone: Vec<_> = gone.map(|(process, used)| (*process, used.own + used.reaped)).collect();
        let missing: f64 = gone.iter().map(|(_, seconds)| seconds).sum();
        // A process that began since may have been made the parent of any.
        let before = |process| self.last.get(process).map_or(0.0, |used| used.reaped);
        // Of one that ends while it is read, nothing was reaped.
        let reaped: f64 = now.iter().map(|(process, used)| (used.reaped - before(process)).max(0.0)).sum();
        if missing > reaped {
            let part = (missing - reaped) / missing;
            self.counted.extend(gone.into_iter().map(|(process, seconds)| (process, seconds * part)));
        }
        self.last = now;
        self.counted.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Processes with these numbers, what each has used, and what it has reaped.
    fn tree<const N: usize>(processes: [(i32, f64, f64); N]) -> HashMap<Identity, Used> {
        processes.into_iter().map(|(pid, own, reaped)| ((pid, 0), Used { own, reaped })).collect()
    }

    #[test]
    fn what_a_parent_reaps_is_not_counted_again_and_what_nobody_reaps_is() {
        let mut exited = Exited::default();
        assert_eq!(exited.seconds(tree([(1, 1.0, 0.0), (2, 4.0, 1.0), (3, 2.0, 0.0)])), 0.0);
        // The second was reaped with what it had reaped and what it used meanwhile.
        assert_eq!(exited.seconds(tree([(1, 1.5, 5.25), (3, 2.5, 0.0)])), 0.0);
        // The third was not reaped.
        assert_eq!(exited.seconds(tree([(1, 1.5, 5.25)])), 2.5);
        assert_eq!(exited.seconds(tree([(1, 1.75, 5.25), (4, 0.5, 0.0)])), 2.5);
        // The fourth was reaped by one that is new. The third is there again: its parent had ended.
        assert_eq!(exited.seconds(tree([(1, 1.75, 5.25), (5, 0.0, 0.5)])), 2.5);
        assert_eq!(exited.seconds(tree([(1, 1.75, 5.25), (5, 0.0, 0.5), (3, 2.5, 0.0)])), 0.0);
    }

    #[test]
    fn what_a_parent_has_reaped_and_cannot_be_read_does_not_count_for_others() {
        let mut exited = Exited::default();
        exited.seconds(tree([(1, 1.0, 8.0), (2, 2.0, 0.0)]));
        assert_eq!(exited.seconds(tree([(1, 1.0, 0.0)])), 2.0);
    }

    #[test]
    fn a_process_with_the_number_of_another_is_another() {
        let mut exited = Exited::default();
        exited.seconds(HashMap::from([((7, 100), Used { own: 3.0, reaped: 0.0 })]));
        assert_eq!(exited.seconds(HashMap::from([((7, 200), Used { own: 0.5, reaped: 0.0 })])), 3.0);
    }
}
