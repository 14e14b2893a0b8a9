//! The CPU clock of another process.

// The compiler cannot check that the system call writes to the given place only.
#![allow(unsafe_code)]

use std::time::Duration;

/// The CPU time of all threads of a process so far, those that have exited included, in nanoseconds. Its children do not
/// count. `None` once the process was reaped, and where the system does not allow reading the clock.
pub(super) fn of(pid: i32) -> Option<Duration> {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: `clock` is valid for one write, and the function takes any number as a process id.
    if unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) } != 0 {
        return None;
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for one write, and the function takes any number as a clock.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return None;
    }
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_this_process_runs_and_one_that_does_not_exist_is_none() {
        let own = std::process::id() as i32;
        let before = of(own).unwrap();
        let mut sum = 0u64;
        while of(own).unwrap() < before + Duration::from_millis(2) {
            sum = std::hint::black_box(sum + 1);
        }
        // No process has a higher number than 2²².
        assert_eq!(of((1 << 22) + 1), None);
    }
}
