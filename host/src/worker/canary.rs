//! The canary: how fast this machine computes right now, and what disturbs it. It runs in a worker without a plugin, before
//! an engine is started, so that a slow moment is not taken for a slow engine.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::pace::{stolen_part, ticks};
use crate::sandbox::affinity::{cores, stay_on};
use crate::worker::protocol::Canary;

/// Between two looks at the clock: about 10 µs of work.
const ROUND: u64 = 4096;

/// Computes on every core that this process may use for `duration`, and tells what it saw.
pub(super) fn sing(duration: Duration) -> Canary {
    let before = processor_ticks();
    let cores = cores();
    let singers = std::thread::scope(|scope| {
        let threads: Vec<_> =
            cores.iter().map(|core| scope.spawn(move || sing_on(*core, duration))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
    });
    let slowest = singers.iter().map(|(nanos, _)| *nanos).fold(0.0, f64::max);
    Canary {
        nanos_per_iteration: slowest,
        steal_share: before.zip(processor_ticks()).and_then(|(before, after)| stolen_part(before, after)),
        preemptions: singers.iter().map(|(_, preemptions)| preemptions).sum(),
        pressure: pressure(),
    }
}

/// Nanoseconds an iteration, and how often the thread lost its core.
fn sing_on(core: usize, duration: Duration) -> (f64, u64) {
    stay_on(core);
    let preempted = preemptions();
    let (started, mut iterations, mut state) = (Instant::now(), 0, 1);
    while started.elapsed() < duration {
        state = black_box(busy(state));
        iterations += ROUND;
    }
    let nanos = started.elapsed().as_nanos() as f64 / iterations as f64;
    (nanos, preemptions().saturating_sub(preempted))
}

/// The kernel of the workloads: each product waits for the one before.
fn busy(seed: u64) -> u64 {
    (0..ROUND).fold(seed | 1, |acc, _| acc * 139 % 2_147_483_647)
}

fn preemptions() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

fn processor_ticks() -> Option<(u64, u64)> {
    ticks(&fs::read_to_string("/proc/stat").ok()?)
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
    fn it_tells_a_plausible_speed() {
        let canary = sing(Duration::from_millis(20));
        assert!((0.2..1000.0).contains(&canary.nanos_per_iteration), "{canary:?}");
        assert!(canary.steal_share.is_none_or(|share| (0.0..=1.0).contains(&share)), "{canary:?}");
    }
}
