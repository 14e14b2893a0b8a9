//! Times in which this process stood still and no signal told it so: its control group was frozen, as by `docker pause`, its virtual
//! machine was paused, or it was sent SIGSTOP. What a clock says of such a time is neither work nor waiting.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often it is looked.
const TICK: Duration = Duration::from_millis(250);
/// A shorter time is not told: a machine that swaps, or whose processor is another's, keeps a process for as long.
const LEAST: Duration = Duration::from_secs(1);
/// How long a look is waited for that is overdue.
const SETTLE: Duration = Duration::from_secs(5);
/// What the system says of the thread that reads it.
const SCHEDSTAT: &str = "/proc/thread-self/schedstat";

/// When it was last looked; `None` if nobody looks.
static LAST: Mutex<Option<Instant>> = Mutex::new(None);

/// What the clocks say at a moment.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Instant,
    /// How long the thread has waited for a processor so far.
    waited: Duration,
    /// For how long this process is known to have been stopped.
    stopped: Duration,
}

/// Calls `noticed` with each such time from now on, and `look_on` each time that it looks. `stopped` returns for how long this process
/// is known to have been stopped so far: that is not told again. Where the system does not say how long a thread waits for a processor,
/// nothing is noticed.
pub(super) fn watch(stopped: fn() -> Duration, noticed: fn(Duration), look_on: fn()) {
    let look = move || Some(Moment { at: Instant::now(), waited: waited()?, stopped: stopped() });
    let watching = thread::Builder::new().name("standstill".into()).spawn(move || {
        let mut before = look();
        while let Some(last) = before {
            *last_look() = Some(last.at);
            thread::sleep(TICK);
            let now = look();
            if let Some(lost) = now.and_then(|now| lost(last, now)) {
                noticed(lost);
            }
            look_on();
            before = now;
        }
        *last_look() = None;
    });
    if let Err(error) = watching {
        log::info!("it is not noticed when this process stands still: {error}");
    }
}

/// Waits until the time up to now was looked at. After a standstill, all threads go on at once.
pub(super) fn settle() {
    let since = Instant::now();
    while last_look().is_some_and(|last| since.saturating_duration_since(last) > TICK + LEAST / 2)
        && since.elapsed() < SETTLE
    {
        thread::sleep(Duration::from_millis(5));
    }
}

fn last_look() -> std::sync::MutexGuard<'static, Option<Instant>> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long this process stood still between two looks, if that is worth telling.
fn lost(before: Moment, now: Moment) -> Option<Duration> {
    let known = TICK + now.waited.saturating_sub(before.waited) + now.stopped.saturating_sub(before.stopped);
    let lost = now.at.saturating_duration_since(before.at).saturating_sub(known);
    (lost >= LEAST).then_some(lost)
}

/// How long the thread that calls this has waited for a processor so far: the second number of `1234567 89012 34`, in nanoseconds.
/// `None` where the system does not say.
fn waited() -> Option<Duration> {
    let numbers = fs::read_to_string(SCHEDSTAT).ok()?;
    numbers.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// Makes a call, and says for how many seconds the thread waited for a processor meanwhile; 0 where the system does not say.
pub(crate) fn with_waits<T>(call: impl FnOnce() -> T) -> (T, f64) {
    let before = waited();
    let answer = call();
    let waits = before.zip(waited()).map(|(before, after)| after.saturating_sub(before));
    (answer, waits.unwrap_or_default().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::affinity;

    #[test]
    fn only_time_that_nothing_explains_is_lost() {
        let moment = |at: Instant, waited: u64, stopped: u64| Moment {
            at,
            waited: Duration::from_secs(waited),
            stopped: Duration::from_secs(stopped),
        };
        let start = Instant::now();
        let after = |seconds: u64| start + TICK + Duration::from_secs(seconds);
        let since = |now: Moment| lost(moment(start, 5, 7), now);
        assert_eq!(since(moment(after(0), 5, 7)), None);
        assert_eq!(since(moment(after(10), 5, 7)), Some(Duration::from_secs(10)));
        assert_eq!(since(moment(after(10), 15, 7)), None);
        assert_eq!(since(moment(after(10), 5, 17)), None);
        assert_eq!(since(moment(after(10), 8, 10)), Some(Duration::from_secs(4)));
    }

    #[test]
    fn how_long_a_thread_waits_is_known_where_the_system_says_so() {
        let is_said = std::path::Path::new(SCHEDSTAT).exists();
        assert_eq!(waited().is_some(), is_said);
    }

    #[test]
    fn what_a_thread_waits_for_a_processor_in_a_call_is_counted() {
        let until = Instant::now() + Duration::from_millis(500);
        let spin = || {
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        };
        // More threads than processors, so that each waits for others.
        let ((), seconds) = with_waits(|| {
            thread::scope(|scope| {
                for _ in 0..4 * affinity::cores().len() {
                    scope.spawn(spin);
                }
                spin();
            });
        });
        // Without the file nothing is known, and a kernel may have it and count nothing, not even how long a thread ran.
        let is_counted = fs::read_to_string(SCHEDSTAT).is_ok_and(|numbers| !numbers.starts_with("0 "));
        assert_eq!(seconds > 0.0, is_counted, "{seconds}");
    }
}
