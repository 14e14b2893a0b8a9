//! Whether the clock of this machine can be believed. One that can not dates records wrongly, and decides over the age of nothing.

use std::time::{Duration, SystemTime};

/// The beginning of 2026, before which this program did not exist, in seconds since 1970.
const EARLIEST: Duration = Duration::from_secs(1_767_225_600);
/// The beginning of 2200.
const LATEST: Duration = Duration::from_secs(7_258_118_400);

/// Whether a clock that is right can show `now`.
pub(crate) fn is_credible(now: SystemTime) -> bool {
    now.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| (EARLIEST..LATEST).contains(&since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_of_this_program_is_credible() {
        let at = |seconds: i64| match u64::try_from(seconds) {
            Ok(seconds) => SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap(),
            Err(_) => {
                SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(seconds.unsigned_abs())).unwrap()
            }
        };
        for wrong in [i64::MIN, -1, 0, 1_767_225_599, 7_258_118_400, i64::MAX] {
            assert!(!is_credible(at(wrong)), "{wrong}");
        }
        assert!(is_credible(at(1_767_225_600)) && is_credible(SystemTime::now()));
    }
}
