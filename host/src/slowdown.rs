//! How many times longer than on a quiet machine work takes now, because other processes use the processor too. The times
//! in the contract hold for a quiet machine.

use std::fs;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The processor time that each thread uses: many time slices of the scheduler, but short enough not to delay a check.
const WORK: Duration = Duration::from_millis(40);

/// How many threads work at once: the parallelism that checks ask a backend for.
const THREADS: usize = 2;

/// A ratio below this counts as 1: a quiet machine shows it too.
const NOISE: f64 = 1.1;

/// The largest slowdown that is assumed, so that a backend that hangs fails on any machine.
pub(crate) const MAX: f64 = 4.0;

/// Measures the slowdown: the elapsed time of a busy loop divided by its processor time, from 1 to [`MAX`]. Where no more threads
/// can be started, those that can are enough, and this one if there are none.
pub(crate) fn measure() -> f64 {
    let ratios: Vec<f64> = thread::scope(|scope| {
        let others = (1..THREADS).map(|_| thread::Builder::new().spawn_scoped(scope, work).ok());
        let others: Vec<_> = others.collect();
        let own = work();
        let others = others.into_iter().flatten().filter_map(|thread| thread.join().ok());
        others.chain([own]).collect()
    });
    within_bounds(ratios.iter().sum::<f64>() / ratios.len().max(1) as f64)
}

/// The same without what a process tree of this program uses meanwhile, which must not excuse itself by keeping `cores` busy, or by using
/// up a quota of so many. `used` gives the CPU seconds of the tree so far, and when its newest process began. A tree that starts processes
/// meanwhile may have used all that there was: the system keeps nothing of one that ends while its parent ignores that.
pub(crate) fn measure_beside(used: impl Fn() -> Option<(f64, u64)>, cores: f64) -> f64 {
    let (before, started) = (used(), Instant::now());
    let slowdown = measure();
    let left = left_for_others(started.elapsed(), cores);
    match before.zip(used()) {
        Some(((_, newest), (_, newer))) if newer > newest => 1.0,
        Some(((before, _), (after, _))) => by_others(slowdown, after - before, left, when_quiet(cores)),
        None => slowdown,
    }
}

/// The slowdown that a quiet machine shows where the measurement has more threads than there are cores.
pub(crate) fn when_quiet(cores: f64) -> f64 {
    (THREADS as f64 / cores).max(1.0)
}

/// The CPU seconds that a measurement of this length leaves.
fn left_for_others(elapsed: Duration, cores: f64) -> f64 {
    elapsed.as_secs_f64() * cores - WORK.as_secs_f64() * THREADS as f64
}

/// A slowdown without the part of a tree that used `own` of the CPU seconds that the measurement `left`. What there is of it on a `quiet`
/// machine stays: on few cores, or under a small quota, the measurement leaves hardly more than what an idle engine uses.
fn by_others(slowdown: f64, own: f64, left: f64, quiet: f64) -> f64 {
    let others = if left > 0.0 { (1.0 - own / left).clamp(0.0, 1.0) } else { 1.0 };
    let quiet = quiet.min(slowdown);
    quiet + (slowdown - quiet) * others
}

/// A time limit for a quiet machine. When the limit is reached, the slowdown is measured once and extends it.
pub(crate) struct ScaledLimit {
    limit: Duration,
    scaled: Option<Duration>,
}

impl ScaledLimit {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, scaled: None }
    }

    /// Whether `elapsed` is longer than the limit.
    pub(crate) fn is_exceeded_by(&mut self, elapsed: Duration) -> bool {
        elapsed > self.limit && elapsed > *self.scaled.get_or_insert_with(|| self.limit.mul_f64(measure()))
    }
}

/// The time of all processors since boot, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuTicks {
    all: u64,
    idle: u64,
    stolen: u64,
}

impl CpuTicks {
    /// `None` where the system does not say.
    pub(crate) fn now() -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// Reads the text of `/proc/stat`.
    pub(crate) fn of(stat: &str) -> Option<Self> {
        let mut fields = stat.lines().next()?.split_ascii_whitespace();
        let is_all = fields.next() == Some("cpu");
        // User, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
        let times: Vec<u64> = fields.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
        let all = times.iter().sum();
        is_all.then_some(Self { all, idle: *times.get(3)?, stolen: *times.get(7)? })
    }

    /// The share of the time until `after` that was stolen by other virtual machines.
    pub(crate) fn steal_share(self, after: Self) -> Option<f64> {
        self.share(after, after.stolen.saturating_sub(self.stolen))
    }

    /// The share of the time until `after` in which the processors worked, or waited for a disk.
    pub(crate) fn busy_share(self, after: Self) -> Option<f64> {
        self.share(after, after.idle.saturating_sub(self.idle)).map(|idle| (1.0 - idle).max(0.0))
    }

    fn share(self, after: Self, part: u64) -> Option<f64> {
        let all = after.all.checked_sub(self.all).filter(|all| *all > 0)?;
        Some(part as f64 / all as f64)
    }
}

fn within_bounds(ratio: f64) -> f64 {
    if ratio < NOISE { 1.0 } else { ratio.min(MAX) }
}

/// Elapsed time over processor time.
fn work() -> f64 {
    let (started, begun) = (Instant::now(), thread_time());
    loop {
        black_box((0..black_box(4096)).fold(1_u64, |acc, _| acc * 139 % 2_147_483_647));
        let worked = thread_time().saturating_sub(begun);
        if worked >= WORK {
            return started.elapsed().as_secs_f64() / worked.as_secs_f64();
        }
    }
}

/// The processor time that this thread has used.
pub(crate) fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_slowdown_is_at_least_one_and_bounded() {
        assert_eq!([0.9, 1.05, 2.5, 100.0].map(within_bounds), [1.0, 1.0, 2.5, MAX]);
        assert_eq!([1.0, 1.6, 2.0, 64.0].map(when_quiet), [2.0, 1.25, 1.0, 1.0]);
    }

    #[test]
    fn a_tree_that_keeps_the_cores_busy_has_itself_to_blame() {
        let others = [(3.0, 0.0, 0.5), (3.0, 0.25, 0.5), (3.0, 0.5, 0.5), (3.0, 0.9, 0.5), (3.0, 0.5, 0.0)];
        let slowdowns = others.map(|(slowdown, own, left)| by_others(slowdown, own, left, 1.0));
        assert_eq!(slowdowns, [3.0, 2.0, 1.0, 1.0, 3.0]);
        // It uses up a quota of two of 64 cores, which is most of what that leaves, and nearly nothing of what the machine has.
        let used_up = |cores| {
            by_others(3.0, 0.4, left_for_others(Duration::from_millis(200), cores), when_quiet(cores))
        };
        assert!(used_up(2.0) == 1.0 && used_up(64.0) > 2.9);
    }

    #[test]
    fn an_idle_engine_under_a_small_quota_is_as_slow_as_that_makes_it() {
        // Both threads share one core, and the engine uses the 5 ms that they leave.
        let left = left_for_others(Duration::from_millis(85), 1.0);
        assert_eq!([2.1, 1.2].map(|slowdown| by_others(slowdown, 0.006, left, when_quiet(1.0))), [2.0, 1.2]);
    }

    #[test]
    fn shares_are_relative_to_the_time_between_the_readings() {
        let of = |line: &str| CpuTicks::of(line).unwrap();
        let (before, after) = (of("cpu 100 0 100 700 0 0 0 0 0 0"), of("cpu 140 0 100 750 0 0 0 10 0 0"));
        assert_eq!((before.steal_share(after), before.busy_share(after)), (Some(0.1), Some(0.5)));
        assert_eq!((before.steal_share(before), before.busy_share(before)), (None, None));
        assert_eq!(CpuTicks::of("intr 1 2 3"), None);
    }

    #[test]
    fn a_scaled_limit_is_exceeded_on_any_machine_but_not_early() {
        let mut limit = ScaledLimit::new(Duration::from_secs(2));
        assert!(!limit.is_exceeded_by(Duration::from_secs(2)));
        assert!(limit.is_exceeded_by(Duration::from_secs(9)));
    }

    #[test]
    fn a_machine_with_more_threads_than_cores_is_slower() {
        let (over, cores) = (AtomicBool::new(false), thread::available_parallelism().map_or(1, usize::from));
        let newest = Cell::new(0);
        let (slowdown, beside) = thread::scope(|scope| {
            for _ in 0..4 * cores {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        black_box(0);
                    }
                });
            }
            let slowdown = measure();
            // A tree that starts a process meanwhile.
            let beside = measure_beside(|| Some((0.0, newest.replace(newest.get() + 1))), cores as f64);
            over.store(true, Ordering::Relaxed);
            (slowdown, beside)
        });
        assert!(slowdown > 1.5, "{slowdown}");
        assert_eq!(beside, 1.0);
    }
}
