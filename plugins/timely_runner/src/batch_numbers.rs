//! Which worker makes which batch.

use thread_engine::{Counter, Scheduler, Slices};

/// The numbers of the batches that one worker is to make, ascending. Timely itself leaves that to the program.
pub(crate) enum BatchNumbers {
    /// From the counter of `stage`, which all workers share: the worker that is idle takes the next.
    Shared { stage: usize, end: u64 },
    /// Worker k of n makes the batches k, k + n, k + 2n, and so on.
    ByIndex { next: u64, step: u64, end: u64 },
}

impl BatchNumbers {
    /// What the source of worker number `worker` of so many is to make.
    pub(crate) fn of_source(slices: Slices, scheduler: Scheduler, worker: usize, workers: usize) -> Self {
        let end = slices.count();
        match scheduler {
            Scheduler::Pull => Self::Shared { stage: 0, end },
            Scheduler::InOrder => Self::ByIndex { next: worker as u64, step: workers as u64, end },
        }
    }

    /// Numbers without an end, for what a reduction at `stage` emits.
    pub(crate) fn of_reduction(stage: usize) -> Self {
        Self::Shared { stage, end: u64::MAX }
    }

    /// The next number for this worker. `counters` has one for each stage.
    pub(crate) fn next(&mut self, counters: &[Counter]) -> Option<u64> {
        match self {
            Self::Shared { stage, end } => counters[*stage].next_below(*end),
            Self::ByIndex { next, step, end } => {
                let number = Some(*next).filter(|number| number < end)?;
                *next += *step;
                Some(number)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn by_index_every_number_goes_to_one_worker(workers in 1_usize..9, end in 0_u64..100) {
            let mut seen = Vec::new();
            for worker in 0..workers {
                let slices = Slices { total: end, size: 1 };
                let mut numbers = BatchNumbers::of_source(slices, Scheduler::InOrder, worker, workers);
                let numbers: Vec<_> = std::iter::from_fn(|| numbers.next(&[])).collect();
                prop_assert!(numbers.iter().all(|number| number % workers as u64 == worker as u64));
                seen.extend(numbers);
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..end).collect::<Vec<_>>());
        }
    }

    #[test]
    fn workers_that_share_a_counter_share_its_numbers() {
        let counters = [Counter::default(), Counter::default()];
        let numbers =
            |worker| BatchNumbers::of_source(Slices { total: 3, size: 1 }, Scheduler::Pull, worker, 2);
        let (mut one, mut two) = (numbers(0), numbers(1));
        let taken = [one.next(&counters), two.next(&counters), one.next(&counters), two.next(&counters)];
        assert_eq!(taken, [Some(0), Some(1), Some(2), None]);
        assert_eq!(BatchNumbers::of_reduction(1).next(&counters), Some(0));
    }
}
