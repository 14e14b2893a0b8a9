//! Which scheduler runs, and how the units of a fused phase reach its workers.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::turns::TurnsLane;

/// How work reaches the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheduler {
    /// A worker that is idle takes what is next: the load decides who does what.
    Pull,
    /// Everything is handed out in order, to each worker in turn, into short queues. A full queue holds up all that
    /// comes after.
    RoundRobin,
}

impl Scheduler {
    /// What it does, for people.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Pull => "idle workers pull",
            Self::RoundRobin => "in order, round-robin",
        }
    }
}

/// The scheduler for a name that was asked for.
pub(crate) struct Choice {
    pub(crate) scheduler: Scheduler,
    /// The name under which the run is reported.
    pub(crate) name: &'static str,
    /// What the user should know of it.
    pub(crate) warning: Option<String>,
}

/// The scheduler that `asked` names, or the default one with a warning.
pub(crate) fn choose(asked: &str) -> Choice {
    let known = |scheduler, name| Choice { scheduler, name, warning: None };
    match asked {
        "default" => known(Scheduler::Pull, "default"),
        "load_aware" => known(Scheduler::Pull, "load_aware"),
        "fifo" => known(Scheduler::RoundRobin, "fifo"),
        _ => Choice {
            warning: Some(format!("scheduler {asked:?} is unknown to native; it ran as \"default\"")),
            ..known(Scheduler::Pull, "default")
        },
    }
}

/// The numbers of the units that one worker is to do, as they are handed to it.
pub(crate) enum Feed<'a> {
    /// One counter for all workers: whoever is idle takes the next number.
    Shared { next: &'a AtomicU64, end: u64 },
    /// To each worker in turn.
    InTurn(TurnsLane<'a, Range<u64>>),
}

impl Iterator for Feed<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        match self {
            // Only the number matters; what it stands for was there before the workers were.
            Self::Shared { next, end } => {
                Some(next.fetch_add(1, Ordering::Relaxed)).filter(|unit| unit < end)
            }
            Self::InTurn(lane) => lane.next(|_| {}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_scheduler_runs_as_the_default_and_says_so() {
        let choice = choose("x");
        assert_eq!((choice.scheduler, choice.name), (Scheduler::Pull, "default"));
        assert_eq!(choice.warning.unwrap(), "scheduler \"x\" is unknown to native; it ran as \"default\"");
        assert!(choose("fifo").warning.is_none());
    }

    #[test]
    fn a_shared_counter_ends_for_everyone() {
        let next = AtomicU64::new(0);
        let feed = || Feed::Shared { next: &next, end: 3 };
        let (mut one, mut two) = (feed(), feed());
        assert_eq!(
            [one.next(), two.next(), one.next(), two.next(), one.next()],
            [Some(0), Some(1), Some(2), None, None]
        );
    }
}
