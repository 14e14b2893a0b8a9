//! The clock that all processes of a machine share.

use rustix::time::{ClockId, Timespec, clock_gettime};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds of the machine's monotonic clock. All processes of one machine read the same clock; readings of two
/// machines cannot be compared.
pub fn monotonic_nanos() -> u64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
    (tv_sec as u64).saturating_mul(NANOS_PER_SECOND).saturating_add(tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_as_the_clock_of_the_standard_library_does() {
        let (started, begun) = (std::time::Instant::now(), monotonic_nanos());
        std::thread::sleep(std::time::Duration::from_millis(5));
        let (slept, passed) = (monotonic_nanos() - begun, started.elapsed().as_nanos() as u64);
        assert!((5_000_000..=passed).contains(&slept), "{slept} of {passed} ns");
    }
}
