//! Keeps from the host what comes too fast to be of use: progress more often than anyone can see, log records without end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Between two reports of progress, in milliseconds.
const PROGRESS: u64 = 20;
/// So many log records may come at once.
const RECORDS: u64 = 500;
/// After how many milliseconds there may be one more.
const RECORD: u64 = 20;

/// How much of each has come lately. Any thread may report at any time.
#[derive(Debug)]
pub(super) struct RateLimit {
    origin: Instant,
    /// When progress may be reported again.
    progress: AtomicU64,
    /// When the records that have come will be made up for: each takes its time.
    records: AtomicU64,
    left_out: AtomicU64,
}

impl RateLimit {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { origin: Instant::now(), progress: zero(), records: zero(), left_out: zero() }
    }

    pub(super) fn allows_progress(&self) -> bool {
        self.progress_at(self.now())
    }

    fn progress_at(&self, now: u64) -> bool {
        let due = self.progress.load(Ordering::Relaxed);
        let exchange =
            |due| self.progress.compare_exchange(due, now + PROGRESS, Ordering::Relaxed, Ordering::Relaxed);
        now >= due && exchange(due).is_ok()
    }

    pub(super) fn allows_record(&self) -> bool {
        self.record_at(self.now())
    }

    fn record_at(&self, now: u64) -> bool {
        let next = |made_up: u64| {
            let next = made_up.max(now) + RECORD;
            (next <= now + RECORDS * RECORD).then_some(next)
        };
        let allowed = self.records.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok();
        if !allowed {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        allowed
    }

    /// Says how many records were left out since it was last asked, if any were.
    pub(super) fn tell(&self, say: impl FnOnce(u64)) {
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            say(left_out);
        }
    }

    fn now(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_as_often_as_it_can_be_seen() {
        let limit = RateLimit::new();
        let told: Vec<u64> = (0..100).filter(|now| limit.progress_at(*now)).collect();
        assert_eq!(told, [0, 20, 40, 60, 80]);
    }

    #[test]
    fn a_burst_of_records_is_let_through_and_a_flood_is_not() {
        let limit = RateLimit::new();
        assert_eq!((0..1000).filter(|_| limit.record_at(0)).count(), 500);
        let mut left_out = 0;
        limit.tell(|count| left_out = count);
        assert_eq!(left_out, 500);
        limit.tell(|_| panic!("it was told before"));
        assert!(!limit.record_at(19));
        assert!(limit.record_at(20));
        assert_eq!((0..1000).filter(|_| limit.record_at(60_000)).count(), 500);
    }
}
