//! Which scheduler runs, and how the units of a fused phase reach its workers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

/// How work reaches the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheduler {
    /// A worker that is idle takes what is next: the load decides who does what.
    Pull,
    /// A dispatcher hands everything out in order, to each worker in turn, into short queues. A full queue holds up
    /// all that comes after.
    RoundRobin,
}

/// How many pieces of work wait at a worker under [`Scheduler::RoundRobin`].
pub(crate) const QUEUE_DEPTH: usize = 2;

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
    /// A queue that the dispatcher fills.
    Queue(Receiver<u64>),
}

impl Iterator for Feed<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        match self {
            // Only the number matters; what it stands for was there before the workers were.
            Self::Shared { next, end } => {
                Some(next.fetch_add(1, Ordering::Relaxed)).filter(|unit| unit < end)
            }
            Self::Queue(queue) => queue.recv().ok(),
        }
    }
}

/// Hands `units` numbers out in order, one to each queue in turn, until one of the workers has left.
pub(crate) fn hand_out(units: u64, queues: &[SyncSender<u64>]) {
    for (unit, queue) in (0..units).zip(queues.iter().cycle()) {
        if queue.send(unit).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

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

    #[test]
    fn handing_out_stops_when_a_worker_has_left() {
        let (first, kept) = sync_channel(8);
        let (second, left) = sync_channel(8);
        drop(left);
        hand_out(8, &[first, second]);
        assert_eq!(Feed::Queue(kept).collect::<Vec<_>>(), [0]);
    }
}
