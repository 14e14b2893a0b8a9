//! An open loop: items arrive when they are due, whether or not the system is ready for them.
//!
//! The source waits until each item is due, and stamps it with the times at which it was due and at which it was made. The
//! stamp follows the item's bytes, and the sink reads it. Operators do not see the stamp, and the checksum leaves it out,
//! as it has readings of a clock. What a keyed reduction makes of many items has a stamp of its own, without a time at which it
//! was made.

use std::time::Duration;

use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::Timespec;
use serde_json::Value;

use super::batch::BatchBuilder;
use super::error::WorkloadError;
use crate::clock::monotonic_nanos;

/// The source wakes so long before an item is due, and then reads the clock until it is due. Waking takes about so long;
/// without this the item would be late by it.
const WAKE_UP: Duration = Duration::from_micros(60);

/// When an item was due and when it was made, in nanoseconds from the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) due: u64,
    /// `None` for what a keyed reduction made of many items.
    pub(super) made: Option<u64>,
    /// Whether the item was requested before it was due, so that the source waited.
    pub(super) awaited: bool,
}

impl Stamp {
    /// How many bytes it has.
    pub(super) const LENGTH: usize = 16;
    /// The bit of `made` that is set if the source waited for the item.
    const AWAITED: u64 = 1 << 63;
    /// Stands for no time at which an item was made.
    const NOT_MADE: u64 = !Self::AWAITED;

    /// That of what a keyed reduction makes of many items.
    pub(super) fn of_result(due: u64) -> Self {
        Self { due, made: None, awaited: false }
    }

    pub(super) fn encode(self) -> [u8; Self::LENGTH] {
        let made = self.made.map_or(Self::NOT_MADE, |made| made & !Self::AWAITED);
        let made = made | if self.awaited { Self::AWAITED } else { 0 };
        (u128::from(made) << 64 | u128::from(self.due)).to_le_bytes()
    }

    /// Its times, for the description of an item.
    pub(super) fn described(self) -> impl Iterator<Item = (String, Value)> {
        let made = self.made.map(|made| ("made_nanos", made));
        [Some(("due_nanos", self.due)), made]
            .into_iter()
            .flatten()
            .map(|(name, nanos)| (name.to_owned(), nanos.into()))
    }

    /// An item's own bytes, and its stamp.
    pub(super) fn split(item: &[u8]) -> Result<(&[u8], Self), WorkloadError> {
        let Some((content, stamp)) = item.split_last_chunk::<{ Self::LENGTH }>() else {
            return Err(WorkloadError::Malformed("an item of an open loop has no stamp"));
        };
        let both = u128::from_le_bytes(*stamp);
        let (due, made) = (both as u64, (both >> 64) as u64);
        let (awaited, made) = (made & Self::AWAITED != 0, made & !Self::AWAITED);
        Ok((content, Self { due, made: Some(made).filter(|made| *made != Self::NOT_MADE), awaited }))
    }

    /// Adds all items of `made` to `out`, each with this stamp.
    pub(super) fn push_all(self, made: &BatchBuilder, out: &mut BatchBuilder) -> Result<(), WorkloadError> {
        made.check_fits()?;
        made.as_batch().iter().for_each(|item| self.push(item, out));
        out.check_fits()
    }

    /// Adds an item to `out`, with this stamp.
    pub(super) fn push(self, item: &[u8], out: &mut BatchBuilder) {
        out.push_with(|bytes| {
            bytes.extend_from_slice(item);
            bytes.extend_from_slice(&self.encode());
        });
    }
}

/// The clock of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunClock {
    /// In nanoseconds of the machine's monotonic clock.
    start: u64,
}

impl RunClock {
    /// For a run that started at `start`.
    pub(super) fn of(start: u64) -> Self {
        Self { start }
    }

    /// Nanoseconds since the start.
    pub(super) fn now(self) -> u64 {
        monotonic_nanos().saturating_sub(self.start)
    }

    /// Waits until an item is due, and stamps it.
    pub(super) fn await_due(self, due: Duration) -> Stamp {
        let due = u64::try_from(due.as_nanos()).unwrap_or(u64::MAX);
        let asked = self.now();
        let awaited = asked < due;
        if awaited {
            let wake = self.start.saturating_add(due).saturating_sub(WAKE_UP.as_nanos() as u64);
            sleep_until(wake);
            while self.now() < due {
                std::hint::spin_loop();
            }
        }
        Stamp { due, made: Some(self.now()), awaited }
    }
}

/// Sleeps until the monotonic clock shows `nanos`.
fn sleep_until(nanos: u64) {
    const SECOND: u64 = 1_000_000_000;
    // Both fit: the quotient of a u64 by a billion, and the remainder.
    let until = Timespec { tv_sec: (nanos / SECOND) as _, tv_nsec: (nanos % SECOND) as _ };
    while monotonic_nanos() < nanos {
        // A signal may end it early.
        let _ = clock_nanosleep_absolute(ClockId::Monotonic, &until);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_stamp_comes_back_with_the_item(content: Vec<u8>, due: u64, made in 0..u64::MAX / 2, awaited: bool, is_result: bool) {
            let of_item = Stamp { due, made: Some(made), awaited };
            let stamp = if is_result { Stamp::of_result(due) } else { of_item };
            let item = [content.as_slice(), &stamp.encode()].concat();
            prop_assert_eq!(Stamp::split(&item), Ok((content.as_slice(), stamp)));
        }
    }

    #[test]
    fn an_item_without_a_stamp_is_refused() {
        assert!(Stamp::split(&[0; Stamp::LENGTH - 1]).is_err());
    }

    #[test]
    fn an_item_is_not_made_before_it_is_due_and_a_late_one_is_not_awaited() {
        // On a busy machine this thread may wait for a core until an item is due.
        let asked_in_time = [10, 500, 5000, 20_000].into_iter().find_map(|milliseconds| {
            let clock = RunClock::of(monotonic_nanos());
            let stamp = clock.await_due(Duration::from_millis(milliseconds));
            assert!(stamp.made >= Some(milliseconds * 1_000_000), "{stamp:?}");
            stamp.awaited.then_some((clock, stamp))
        });
        let (clock, stamp) = asked_in_time.unwrap();
        let late = clock.await_due(Duration::from_millis(1));
        assert!(!late.awaited && late.made >= stamp.made, "{late:?}");
    }

    #[test]
    fn a_start_that_is_to_come_is_awaited() {
        // No machine lets this thread wait for a core for so long.
        let to_come = RunClock::of(monotonic_nanos() + 600_000_000_000);
        assert_eq!(to_come.now(), 0);
        let clock = RunClock::of(monotonic_nanos() + 500_000_000);
        assert!(clock.await_due(Duration::from_millis(5)).made >= Some(5_000_000));
    }
}
