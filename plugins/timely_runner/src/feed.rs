//! Which worker makes which batch.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// How the slices of the source reach the workers. Timely itself leaves that to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandOut {
    /// A worker that is idle takes what is next: the load decides who does what.
    Shared,
    /// Slice k goes to worker k modulo their number.
    ByIndex,
}

impl HandOut {
    /// What it does, for people.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Shared => "idle workers pull",
            Self::ByIndex => "in order, by worker index",
        }
    }
}

/// The hand-out for a scheduler that was asked for.
pub(crate) struct Choice {
    pub(crate) hand_out: HandOut,
    /// The name under which the run is reported.
    pub(crate) name: &'static str,
    /// What the user should know of it.
    pub(crate) warning: Option<String>,
}

/// What the scheduler `asked` comes to here, or the default with a warning.
pub(crate) fn choose(asked: &str) -> Choice {
    let known = |hand_out, name| Choice { hand_out, name, warning: None };
    match asked {
        "default" => known(HandOut::Shared, "default"),
        "load_aware" => known(HandOut::Shared, "load_aware"),
        "fifo" => known(HandOut::ByIndex, "fifo"),
        _ => Choice {
            warning: Some(format!("scheduler {asked:?} is unknown to timely; it ran as \"default\"")),
            ..known(HandOut::Shared, "default")
        },
    }
}

/// The numbers of the batches that one worker is to make, ascending.
pub(crate) enum Feed {
    /// From the counter of `stage`, which all workers share.
    Shared { stage: usize, end: u64 },
    /// Every so many.
    ByIndex { next: u64, step: u64, end: u64 },
}

impl Feed {
    /// What the source of worker number `worker` of so many is to make.
    pub(crate) fn of_source(slices: Slices, hand_out: HandOut, worker: usize, workers: usize) -> Self {
        let end = slices.count();
        match hand_out {
            HandOut::Shared => Self::Shared { stage: 0, end },
            HandOut::ByIndex => Self::ByIndex { next: worker as u64, step: workers as u64, end },
        }
    }

    /// Numbers without an end, for what a reduction at `stage` emits.
    pub(crate) fn of_reduction(stage: usize) -> Self {
        Self::Shared { stage, end: u64::MAX }
    }

    /// The next number for this worker.
    pub(crate) fn next(&mut self, numbers: &[AtomicU64]) -> Option<u64> {
        match self {
            // Only the number matters; what it stands for was there before the workers were.
            Self::Shared { stage, end } => {
                Some(numbers[*stage].fetch_add(1, Ordering::Relaxed)).filter(|number| number < end)
            }
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

        #[test]
        fn by_index_every_number_goes_to_one_worker(workers in 1_u64..9, end in 0_u64..100) {
            let mut seen = Vec::new();
            for worker in 0..workers {
                let mut feed = Feed::ByIndex { next: worker, step: workers, end };
                let numbers: Vec<_> = std::iter::from_fn(|| feed.next(&[])).collect();
                prop_assert!(numbers.iter().all(|number| number % workers == worker));
                seen.extend(numbers);
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..end).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_shared_counter_ends_for_everyone() {
        let numbers = [AtomicU64::new(0)];
        let feed = || Feed::Shared { stage: 0, end: 3 };
        let (mut one, mut two) = (feed(), feed());
        let taken = [one.next(&numbers), two.next(&numbers), one.next(&numbers), two.next(&numbers)];
        assert_eq!(taken, [Some(0), Some(1), Some(2), None]);
        assert_eq!(one.next(&numbers), None);
    }

    #[test]
    fn an_unknown_scheduler_runs_as_the_default_and_says_so() {
        let choice = choose("x");
        assert_eq!((choice.hand_out, choice.name), (HandOut::Shared, "default"));
        assert_eq!(choice.warning.unwrap(), "scheduler \"x\" is unknown to timely; it ran as \"default\"");
        assert!(choose("fifo").warning.is_none());
    }
}
