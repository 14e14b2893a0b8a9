//! How much longer than on a quiet machine work takes just now, as others are at work too. A time that the contract gives is
//! one of a quiet machine.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How much processor time the work of each thread takes: many turns of a scheduler, and too little to be waited for.
const WORK: Duration = Duration::from_millis(40);

/// How many threads work at once. A check asks a backend for as many.
const THREADS: usize = 2;

/// What a quiet machine shows, too.
const NOISE: f64 = 1.1;

/// No load excuses more: there is a time after which a backend that does nothing is told from one that is slow.
pub(crate) const MOST: f64 = 4.0;

/// How many times as long as on a quiet machine work takes just now: the elapsed time of a busy loop over its processor
/// time, from 1 to [`MOST`].
pub(crate) fn slowdown() -> f64 {
    let ratios: Vec<f64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    within_bounds(ratios.iter().sum::<f64>() / ratios.len().max(1) as f64)
}

/// A time that is given on a quiet machine. A busy one is measured when the time is over, and given longer.
pub(crate) struct Patience {
    given: Duration,
    allowed: Option<Duration>,
}

impl Patience {
    /// Nothing is measured yet.
    pub(crate) fn new(given: Duration) -> Self {
        Self { given, allowed: None }
    }

    /// Whether `elapsed` is too long.
    pub(crate) fn is_over(&mut self, elapsed: Duration) -> bool {
        elapsed > self.given && elapsed > *self.allowed.get_or_insert_with(|| self.given.mul_f64(slowdown()))
    }
}

/// What all processors did so far by the text of `/proc/stat`, in ticks: the time that other machines took, and all of it.
pub(crate) fn ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.lines().next()?.split_ascii_whitespace();
    let is_all = fields.next() == Some("cpu");
    // User, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
    let times: Vec<u64> = fields.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    is_all.then_some((*times.get(7)?, times.iter().sum()))
}

/// The part of the time between the two that other machines took.
pub(crate) fn stolen_part(before: (u64, u64), after: (u64, u64)) -> Option<f64> {
    let all = after.1.checked_sub(before.1).filter(|all| *all > 0)?;
    Some(after.0.saturating_sub(before.0) as f64 / all as f64)
}

fn within_bounds(ratio: f64) -> f64 {
    if ratio < NOISE { 1.0 } else { ratio.min(MOST) }
}

/// Elapsed time over processor time.
fn work() -> f64 {
    let (started, begun) = (Instant::now(), processor_time());
    loop {
        black_box((0..black_box(4096)).fold(1_u64, |acc, _| acc * 139 % 2_147_483_647));
        let worked = processor_time().saturating_sub(begun);
        if worked >= WORK {
            return started.elapsed().as_secs_f64() / worked.as_secs_f64();
        }
    }
}

/// What this thread has had of a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_quiet_machine_is_as_fast_as_itself_and_no_load_excuses_everything() {
        assert_eq!([0.9, 1.05, 2.5, 100.0].map(within_bounds), [1.0, 1.0, 2.5, MOST]);
    }

    #[test]
    fn what_was_stolen_is_a_part_of_the_time_that_was_watched() {
        let of = |line: &str| ticks(line).unwrap();
        let (before, after) = (of("cpu 100 0 100 700 0 0 0 0 0 0"), of("cpu 140 0 100 750 0 0 0 10 0 0"));
        assert_eq!(stolen_part(before, after), Some(0.1));
        assert_eq!(stolen_part(before, before), None);
        assert_eq!(ticks("intr 1 2 3"), None);
    }

    #[test]
    fn patience_ends_on_any_machine_and_not_before_its_time() {
        let mut patience = Patience::new(Duration::from_secs(2));
        assert!(!patience.is_over(Duration::from_secs(2)));
        assert!(patience.is_over(Duration::from_secs(9)));
    }

    #[test]
    fn a_machine_with_more_to_do_than_it_has_cores_is_slower() {
        let (over, cores) = (AtomicBool::new(false), thread::available_parallelism().map_or(1, usize::from));
        let slowdown = thread::scope(|scope| {
            for _ in 0..4 * cores {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        black_box(0);
                    }
                });
            }
            let slowdown = slowdown();
            over.store(true, Ordering::Relaxed);
            slowdown
        });
        assert!(slowdown > 1.5, "{slowdown}");
    }
}
