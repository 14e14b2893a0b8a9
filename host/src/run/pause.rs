//! The pause between two sessions. What a backend leaves behind must not slow the next one: pages that are still to be written,
//! processes that are ending, a hot processor.

use std::thread;
use std::time::{Duration, Instant};

use crate::sandbox::Interrupt;
use crate::slowdown::CpuTicks;

/// A pause takes at most this share of the session before it: a short session leaves little behind, and a comparison takes at most
/// this much longer.
const PART: f64 = 0.05;
/// And at most so long: what still runs then is not left over, but other work.
const LONGEST: Duration = Duration::from_secs(2);
/// How long the processors are watched at a time: ten ticks of each.
const WATCH: Duration = Duration::from_millis(100);
/// The machine is as quiet as before if the busy share of its processors is higher by at most this.
const TOLERANCE: f64 = 0.1;

/// The pauses of a run.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// The busy share of the processors before the first session, from 0 to 1; `None` where the system does not say.
    quiet: Option<Option<f64>>,
    /// How long the session took after which no pause has been yet.
    pub(super) session: Option<Duration>,
    /// The seconds of the last pause; `None` before the first.
    pub(super) last: Option<f64>,
}

impl Pauses {
    /// Watches how busy the machine is, unless there has been a session already.
    pub(super) fn watch_once(&mut self) {
        self.quiet.get_or_insert_with(|| busy_share(WATCH));
    }

    /// Waits after a session, if there has been one since the last pause, until the machine is as quiet as it was before the first one,
    /// or the user interrupts.
    pub(super) fn after_session(&mut self, interrupt: &Interrupt) {
        let Some(session) = self.session.take() else { return };
        let started = Instant::now();
        let watch = |time| if interrupt.is_set() { Some(0.0) } else { busy_share(time) };
        wait(LONGEST.min(session.mul_f64(PART)), self.quiet.flatten(), watch);
        self.last = Some(started.elapsed().as_secs_f64());
    }
}

/// Waits so long, or until the user interrupts.
pub(super) fn wait_unless_interrupted(limit: Duration, interrupt: &Interrupt) {
    wait(limit, None, |time| {
        if !interrupt.is_set() {
            thread::sleep(time);
        }
        None
    });
}

/// Calls `watch` with times of [`WATCH`] or less until one shows that the machine is quiet, for `limit` in all. Returns that time. A
/// shorter time than [`WATCH`] shows nothing, and is only waited for.
fn wait(limit: Duration, quiet: Option<f64>, mut watch: impl FnMut(Duration) -> Option<f64>) -> Duration {
    let mut waited = Duration::ZERO;
    while waited < limit {
        let time = WATCH.min(limit - waited);
        let busy = watch(time);
        waited += time;
        if time == WATCH && quiet.zip(busy).is_some_and(|(quiet, busy)| busy <= quiet + TOLERANCE) {
            break;
        }
    }
    waited
}

/// The busy share of all processors over so long.
fn busy_share(time: Duration) -> Option<f64> {
    let before = CpuTicks::now();
    thread::sleep(time);
    before?.busy_share(CpuTicks::now()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a pause is in which the processors are as busy as `shares` say, in turn and then for ever, and how often one looks.
    fn waited(limit: u64, quiet: Option<f64>, shares: &[f64]) -> (u64, usize) {
        let mut looks = 0;
        let watch = |_| {
            looks += 1;
            shares.get(looks - 1).or(shares.last()).copied()
        };
        let waited = wait(Duration::from_millis(limit), quiet, watch);
        (waited.as_millis() as u64, looks)
    }

    #[test]
    fn a_pause_lasts_until_the_machine_is_as_quiet_as_before_and_no_longer_than_its_limit() {
        assert_eq!(waited(2000, Some(0.1), &[0.15]), (100, 1));
        assert_eq!(waited(2000, Some(0.1), &[0.9, 0.5, 0.2]), (300, 3));
        assert_eq!(waited(1950, Some(0.1), &[0.9]), (1950, 20));
        // What the system does not say is waited for.
        assert_eq!(waited(250, Some(0.1), &[]), (250, 3));
        assert_eq!(waited(250, None, &[0.0]), (250, 3));
        // A short look shows nothing.
        assert_eq!(waited(30, Some(0.1), &[0.0]), (30, 1));
        assert_eq!(waited(0, Some(0.1), &[0.0]), (0, 0));
    }
}
