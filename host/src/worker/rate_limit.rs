//! Limits the rate of progress reports and log records that the worker passes on to the host.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Milliseconds between two reports of progress.
const PROGRESS_INTERVAL: u64 = 20;
/// How many log records may come in a burst.
const BURST: u64 = 500;
/// Milliseconds between two log records after a burst.
const RECORD_INTERVAL: u64 = 20;

/// The state of both limits. Any thread may report at any time. All times are milliseconds after `origin`.
#[derive(Debug)]
pub(super) struct RateLimit {
    origin: Instant,
    /// When progress may be reported again.
    progress: AtomicU64,
    /// When the records so far would have come at one for each interval.
    records: AtomicU64,
    dropped: AtomicU64,
}

impl RateLimit {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { origin: Instant::now(), progress: zero(), records: zero(), dropped: zero() }
    }

    pub(super) fn allows_progress(&self) -> bool {
        self.progress_at(self.now())
    }

    fn progress_at(&self, now: u64) -> bool {
        let due = self.progress.load(Ordering::Relaxed);
        let next = now + PROGRESS_INTERVAL;
        now >= due && self.progress.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(super) fn allows_record(&self) -> bool {
        self.record_at(self.now())
    }

    fn record_at(&self, now: u64) -> bool {
        let next = |records: u64| {
            let next = records.max(now) + RECORD_INTERVAL;
            (next <= now + BURST * RECORD_INTERVAL).then_some(next)
        };
        let allowed = self.records.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok();
        if !allowed {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        allowed
    }

    /// How many records were dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_passes_once_in_each_interval() {
        let limit = RateLimit::new();
        let passed: Vec<u64> = (0..100).filter(|now| limit.progress_at(*now)).collect();
        assert_eq!(passed, [0, 20, 40, 60, 80]);
    }

    #[test]
    fn a_burst_of_records_is_let_through_and_a_flood_is_not() {
        let limit = RateLimit::new();
        assert_eq!((0..1000).filter(|_| limit.record_at(0)).count(), 500);
        assert_eq!((limit.take_dropped(), limit.take_dropped()), (500, 0));
        assert!(!limit.record_at(19));
        assert!(limit.record_at(20));
        assert_eq!((0..1000).filter(|_| limit.record_at(60_000)).count(), 500);
    }
}
