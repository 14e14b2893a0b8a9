//! How a run behaves: who works on what, how many at once, and how it ends before its time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use plugin_api::{ErrorKind, Progress, RunnerError, WorkloadRunner, WorkloadSpec};

use super::workloads::Probe;
use super::{FUSIONS, Host, SCHEDULERS, run, run_with, spec, with};
use crate::Native;
use crate::turns::QUEUE_DEPTH;

/// A run of `items` under `scheduler` in which each item sleeps for `sleep_us`, and what watches it.
fn observed(
    scheduler: &str,
    fusion: &str,
    parallelism: u32,
    items: u64,
    sleep_us: u64,
) -> (WorkloadSpec, Arc<Probe>) {
    let (number, probe) = Probe::register();
    let mut spec =
        with(with(with(spec("observed"), "probe", number), "sleep_us", sleep_us), "fusion", fusion);
    spec.scheduler_name = scheduler.into();
    (spec.parallelism, spec.total_items) = (parallelism, items);
    (spec, probe)
}

/// Microseconds that are over only if what is waited for never comes.
const LONG: u64 = 300_000_000;

/// Every combination of scheduler and fusion.
fn modes() -> impl Iterator<Item = (&'static str, &'static str)> {
    SCHEDULERS.into_iter().flat_map(|scheduler| FUSIONS.map(|fusion| (scheduler, fusion)))
}

#[test]
fn as_many_operators_run_at_once_as_the_parallelism_says_and_never_more() {
    for (scheduler, fusion) in modes() {
        for parallelism in 1..=4 {
            let (spec, probe) = observed(scheduler, fusion, parallelism, 40, 2000);
            run(&with(spec, "crowd", parallelism)).unwrap();
            assert_eq!(probe.peak.load(Ordering::SeqCst), parallelism, "{scheduler} {fusion}");
            let threads: BTreeSet<_> = probe.threads().into_iter().collect();
            assert!(threads.len() <= parallelism as usize, "{threads:?}");
        }
    }
}

#[test]
fn fifo_hands_slice_k_to_worker_k_modulo_the_parallelism() {
    let (spec, probe) = observed("fifo", "auto", 3, 20, 500);
    run(&spec).unwrap();
    let mut sources = probe.sources.lock().unwrap().clone();
    sources.sort_unstable();
    let expected: Vec<_> = (0..20_u64).map(|index| (index, format!("native-{}", index % 3))).collect();
    assert_eq!(sources, expected);
}

#[test]
fn under_fifo_a_slow_slice_holds_up_all_that_come_after_and_else_it_does_not() {
    let lead = |scheduler, longest| {
        let (spec, probe) = observed(scheduler, "auto", 2, 100, longest);
        run(&with(spec, "sleep_at", 1)).unwrap();
        probe.sources_when_slept.load(Ordering::SeqCst)
    };
    // The slow one does one and its queue holds some more; for each of these the other worker has one.
    let held = 2 * (QUEUE_DEPTH as u64 + 1);
    let led = lead("fifo", 300_000);
    assert!(led <= held, "{led}");
    for scheduler in ["default", "load_aware"] {
        assert_eq!(lead(scheduler, LONG), 100, "{scheduler}");
    }
}

#[test]
fn without_fusion_the_batches_alive_stay_within_four_a_worker() {
    for scheduler in SCHEDULERS {
        for parallelism in 1..=3 {
            let (spec, probe) = observed(scheduler, "off", parallelism, 2000, 0);
            run(&spec).unwrap();
            let lead = probe.peak_lead.load(Ordering::SeqCst);
            assert!((1..=4 * u64::from(parallelism)).contains(&lead), "{scheduler} {parallelism}: {lead}");
        }
    }
}

#[test]
fn an_unknown_scheduler_runs_as_the_default_with_a_warning() {
    let mut spec = spec("chain");
    spec.scheduler_name = "x".into();
    let result = run(&spec).unwrap();
    assert_eq!(result.scheduler_name, "default");
    let warning = "scheduler \"x\" is unknown to native; it ran as \"default\"";
    assert_eq!(result.metrics["warnings"], serde_json::json!([warning]));
}

#[test]
fn the_metrics_say_what_ran() {
    let mut spec = with(spec("chain"), "batch_size", 3);
    spec.parallelism = 3;
    let result = run(&spec).unwrap();
    let metrics = &result.metrics;
    assert_eq!(
        (&metrics["threads"], &metrics["batches"], &metrics["nodes"]),
        (&3.into(), &4.into(), &1.into())
    );
    assert!(metrics["cores"].as_u64() >= Some(1));
    assert!(!metrics.contains_key("warnings"));
    assert_eq!(result.backend, Native.backend_name());
}

/// Runs `spec`, which must fail before all of its 20 s of sleep are over.
fn failure(spec: &WorkloadSpec, host: &Arc<Host>) -> RunnerError {
    let started = Instant::now();
    let error = run_with(spec, host).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    error
}

#[test]
fn a_failing_operator_ends_the_run_early_and_is_told() {
    for (scheduler, fusion) in modes() {
        let (spec, _probe) = observed(scheduler, fusion, 2, 20_000, 2000);
        let error = failure(&with(spec, "fail_at", 20), &Host::shared());
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Workload, "item 20 failed"));
    }
}

#[test]
fn a_panicking_operator_ends_the_run_early_and_its_message_is_told() {
    for (scheduler, fusion) in modes() {
        let (spec, _probe) = observed(scheduler, fusion, 2, 20_000, 2000);
        let error = failure(&with(spec, "panic_at", 20), &Host::shared());
        assert_eq!(error.kind, ErrorKind::Workload, "{error}");
        assert_eq!(error.message, "the workload panicked: item 20 panicked");
    }
}

#[test]
fn a_cancelled_run_ends_soon() {
    for (scheduler, fusion) in modes() {
        let (spec, probe) = observed(scheduler, fusion, 2, 20_000, 2000);
        let host = Host::shared();
        let error = std::thread::scope(|scope| {
            scope.spawn(|| {
                while probe.threads().is_empty() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                host.cancelled.store(true, Ordering::Relaxed);
            });
            failure(&spec, &host)
        });
        assert_eq!(error, RunnerError::cancelled());
    }
}

#[test]
fn progress_is_told_while_a_run_lasts() {
    for (scheduler, fusion) in modes() {
        let (spec, _probe) = observed(scheduler, fusion, 2, 200, 4000);
        let host = Host::shared();
        let result = run_with(&spec, &host).unwrap();
        let told = host.progress.lock().unwrap();
        let tenths = result.elapsed_time * 10.0;
        assert!(told.len() >= 2 && told.len() as f64 <= tenths, "{tenths}: {told:?}");
        assert!(told.is_sorted_by_key(|progress| progress.done), "{told:?}");
        let is_sound = |progress: &Progress| (1..=200).contains(&progress.done) && progress.total == 200;
        assert!(told.iter().all(is_sound), "{told:?}");
    }
}

#[test]
fn a_spec_that_makes_no_sense_is_refused() {
    let mut idle = spec("chain");
    idle.parallelism = 0;
    let context = super::context(&spec("chain"), &Host::shared());
    for spec in [idle, with(spec("chain"), "batch_size", 0), with(spec("chain"), "fusion", "maybe")] {
        assert_eq!(Native.run(&spec, &context).unwrap_err().kind, ErrorKind::InvalidSpec, "{spec:?}");
    }
}
