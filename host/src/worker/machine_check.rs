//! Measures how fast this machine computes right now, and what makes it noisy. The check runs in a worker without a plugin,
//! before an engine is started, so that a slow moment of the machine is not taken for a slow engine.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::sandbox::affinity::{cores, keep_to, within_quota};
use crate::slowdown::CpuTicks;
use crate::text::number_of;
use crate::worker::protocol::MachineCheck;

/// Iterations between two reads of the clock: about 10 µs of work.
const ITERATIONS_PER_READ: u64 = 4096;

/// Computes on every core that this process may use for `duration`, or on as many as a quota leaves; on one core where no thread can be
/// started for the others.
pub(super) fn check(duration: Duration) -> MachineCheck {
    let before = CpuTicks::now();
    let cores = within_quota(cores());
    let measured = std::thread::scope(|scope| {
        let pinned = |core: &usize| {
            let core = *core;
            let work = move || {
                keep_to(&[core]);
                check_core(duration)
            };
            std::thread::Builder::new().spawn_scoped(scope, work).ok()
        };
        let threads: Vec<_> = cores.iter().filter_map(pinned).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
    });
    // This thread is not pinned: it does other work later.
    let measured = if measured.is_empty() { vec![check_core(duration)] } else { measured };
    MachineCheck {
        nanos_per_iteration: measured.iter().map(|(nanos, _)| *nanos).fold(0.0, f64::max),
        steal_share: before.zip(CpuTicks::now()).and_then(|(before, after)| before.steal_share(after)),
        preemptions: measured.iter().map(|(_, preemptions)| preemptions).sum(),
        pressure: pressure(),
        after_session: false,
        postponed: None,
    }
}

/// Nanoseconds for an iteration, and how often the thread lost its core.
fn check_core(duration: Duration) -> (f64, u64) {
    let preempted = preemptions();
    let (started, mut iterations, mut state) = (Instant::now(), 0, 1);
    // Once in any case: on a busy machine the thread may have no core for all of the time.
    let elapsed = loop {
        state = black_box(compute(state));
        iterations += ITERATIONS_PER_READ;
        let elapsed = started.elapsed();
        if elapsed >= duration {
            break elapsed;
        }
    };
    (elapsed.as_nanos() as f64 / iterations as f64, preemptions().saturating_sub(preempted))
}

/// The kernel of the workloads: each product depends on the one before.
fn compute(seed: u64) -> u64 {
    (0..ITERATIONS_PER_READ).fold(seed | 1, |acc, _| acc * 139 % 2_147_483_647)
}

fn preemptions() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    number_of("nonvoluntary_ctxt_switches:", &status).unwrap_or_default()
}

/// The share of the last ten seconds in which some task waited for a processor.
fn pressure() -> Option<f64> {
    let text = fs::read_to_string("/proc/pressure/cpu").ok()?;
    let average = text.split_ascii_whitespace().find_map(|field| field.strip_prefix("avg10="))?;
    average.parse::<f64>().ok().map(|percent| percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_has_no_time_left_when_it_begins_gives_a_speed_too() {
        let nanos = check(Duration::ZERO).nanos_per_iteration;
        assert!(nanos.is_finite() && nanos > 0.0, "{nanos}");
    }

    #[test]
    fn a_check_gives_a_plausible_speed() {
        let check = check(Duration::from_millis(20));
        // A machine that others keep busy may be slow without limit.
        assert!(check.nanos_per_iteration.is_finite() && check.nanos_per_iteration > 0.2, "{check:?}");
        assert!(check.steal_share.is_none_or(|share| (0.0..=1.0).contains(&share)), "{check:?}");
    }
}
