//! Runs of a workload with windows: the answer is the same whether they close or not, and those that close keep what is open only.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use plugin_api::workload::WATERMARKS;
use plugin_api::{WorkloadRunner, WorkloadSpec};

use super::runs::{SCHEDULERS, modes, run};
use super::support::{open, spec, with};
use super::workloads::Probe;
use super::{CLOSES_UNFUSED, Runner, most_items_ahead};

fn windows(items: u64, parallelism: u32, batch_size: u64) -> (WorkloadSpec, Arc<Probe>) {
    let (number, probe) = Probe::register();
    let spec = with(with(spec("windows"), "probe", number), "batch_size", batch_size);
    (WorkloadSpec { total_items: items, parallelism, granted: vec![WATERMARKS.into()], ..spec }, probe)
}

#[test]
fn every_mode_and_size_gives_what_the_oracle_expects() {
    for (scheduler, fusion) in modes() {
        for (items, parallelism, batch_size) in
            [(0, 2, 1), (1, 3, 1), (999, 1, 7), (3000, 3, 1), (20_003, 4, 64), (5000, 2, 100_000)]
        {
            let (spec, _) = windows(items, parallelism, batch_size);
            let spec = WorkloadSpec { scheduler_name: scheduler.into(), ..with(spec, "fusion", fusion) };
            let workload = open(&spec);
            let result = run(&spec).unwrap();
            let (actual, expected) =
                (workload.outcome(&result.sink_state).unwrap(), workload.expected().unwrap());
            assert_eq!(actual, expected, "{scheduler} {fusion} {items} {parallelism} {batch_size}");
            assert_eq!(result.results_count, expected.count);
            assert_eq!(result.metrics["closes"], fusion == "auto" || CLOSES_UNFUSED);
        }
    }
}

/// What is left at the end is what was open, and what came while a stretch was not done: as much of a long run as of a short one.
#[test]
fn what_is_not_closed_at_the_end_does_not_grow_with_the_run() {
    for items in [200_000, 600_000] {
        let batch_size = 100;
        let (spec, probe) = windows(items, 3, batch_size);
        run(&spec).unwrap();
        let (closed, emitted) = (probe.closed.load(Ordering::SeqCst), probe.emitted.load(Ordering::SeqCst));
        let all = items / 50 * 5;
        assert!(
            closed + emitted <= all && closed + emitted > all * 9 / 10,
            "{closed} and {emitted} of {all}"
        );
        // Five keys in each window of 50 numbers.
        let most = most_items_ahead(3, batch_size) / 50 * 5;
        assert!(emitted <= most, "{emitted} keys were left of {items} numbers, but {most} may be");
    }
}

/// A worker that waits for an item closes nothing. With one worker all is closed before, in an open loop.
#[test]
fn what_has_ended_does_not_wait_for_the_next_item_of_an_open_loop() {
    for scheduler in SCHEDULERS {
        let (spec, probe) = windows(3000, 1, 1);
        let spec = WorkloadSpec { scheduler_name: scheduler.into(), ..with(spec, "open_loop", 1) };
        let workload = open(&spec);
        let result = run(&spec).unwrap();
        let (actual, expected) =
            (workload.outcome(&result.sink_state).unwrap(), workload.expected().unwrap());
        assert_eq!((actual.count, actual.checksum), (expected.count, expected.checksum), "{scheduler}");
        assert_eq!(probe.peak_waiting.load(Ordering::SeqCst), 0, "{scheduler}");
    }
}

#[test]
fn without_the_word_all_is_emitted_at_the_end() {
    let (spec, probe) = windows(10_000, 2, 10);
    let result = run(&WorkloadSpec { granted: Vec::new(), ..spec }).unwrap();
    assert_eq!(result.metrics["closes"], false);
    assert_eq!(probe.closed.load(Ordering::SeqCst), 0);
    // Nor does a run without a reduction close anything.
    let without = WorkloadSpec { granted: vec![WATERMARKS.into()], ..super::support::spec("chain") };
    assert_eq!(run(&without).unwrap().metrics["closes"], false);
    assert!(Runner.supports().contains(&WATERMARKS.into()));
}
