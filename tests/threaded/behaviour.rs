//! How a run behaves: which worker gets what, how many work at once, and how a run ends early.
//!
//! The module that includes this file says what differs between backends: `BATCHES_PER_WORKER`, `MADE_UNDER_FIFO`,
//! `THREAD` and `WORKERS_METRIC`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plugin_api::{ErrorKind, Progress, RunnerError, WorkloadRunner, WorkloadSpec};

use super::runs::{FUSIONS, SCHEDULERS, modes, observed, run, run_with};
use super::support::{Host, context, open, spec, with};
use super::workloads::Probe;
use super::{BATCHES_PER_WORKER, MADE_UNDER_FIFO, Runner, THREAD, WORKERS_METRIC};

/// Microseconds that end a wait for what would never come.
const PATIENCE: u64 = 300_000_000;
/// Items of a run that is to end early.
const MANY: u64 = 20_000;

#[test]
fn as_many_operators_run_at_once_as_the_parallelism_says_and_never_more() {
    for mode in modes() {
        for parallelism in 1..=4 {
            let (spec, probe) = observed(mode, parallelism, 40, 2000);
            run(&with(spec, "crowd", parallelism)).unwrap();
            assert_eq!(probe.peak.load(Ordering::SeqCst), parallelism, "{mode:?}");
            let threads: BTreeSet<_> = probe.threads().into_iter().collect();
            assert!(threads.len() <= parallelism as usize, "{threads:?}");
        }
    }
}

#[test]
fn fifo_hands_slice_k_to_worker_k_modulo_the_parallelism() {
    let (spec, probe) = observed(("fifo", "auto"), 3, 20, 500);
    run(&spec).unwrap();
    let mut sources = probe.sources.lock().unwrap().clone();
    sources.sort_unstable();
    let expected: Vec<_> = (0..20_u64).map(|index| (index, format!("{THREAD}{}", index % 3))).collect();
    assert_eq!(sources, expected);
}

#[test]
fn a_slow_item_delays_the_other_workers_under_fifo_only() {
    let made = |scheduler, longest| {
        let (spec, probe) = observed((scheduler, "auto"), 2, 100, longest);
        run(&with(spec, "sleep_at", 1)).unwrap();
        probe.sources_when_slept.load(Ordering::SeqCst)
    };
    let under_fifo = made("fifo", 300_000);
    assert!(under_fifo <= MADE_UNDER_FIFO, "{under_fifo}");
    for scheduler in ["default", "load_aware"] {
        assert_eq!(made(scheduler, PATIENCE), 100, "{scheduler}");
    }
}

#[test]
fn a_slow_item_of_an_open_loop_keeps_no_other_from_a_worker_that_is_idle() {
    for fusion in FUSIONS {
        let (spec, probe) = observed(("default", fusion), 2, 100, PATIENCE);
        run(&with(with(spec, "sleep_at", 1), "last_due_ms", 1)).unwrap();
        assert_eq!(probe.sources_when_slept.load(Ordering::SeqCst), 100, "{fusion}");
    }
}

#[test]
fn what_is_made_of_an_open_loop_reaches_the_sink_before_the_next_item_is_due() {
    const SECOND: u64 = 1_000_000_000;
    // With tasks strictly in order, that of the next item may come before those of this one.
    for mode in modes().filter(|mode| *mode != ("fifo", "off")) {
        let (spec, _) = observed(mode, 1, 3, 0);
        let spec = with(spec, "last_due_ms", 1000);
        let median = || {
            let latency = open(&spec).outcome(&run(&spec).unwrap().sink_state).unwrap().latency.unwrap();
            latency.scheduled.at(0.5).unwrap()
        };
        // A busy machine spoils some of the runs.
        assert!((0..5).any(|_| median() < SECOND / 2), "{mode:?}");
    }
}

#[test]
fn without_fusion_the_batches_alive_are_bounded() {
    for scheduler in SCHEDULERS {
        for parallelism in 1..=3 {
            let (spec, probe) = observed((scheduler, "off"), parallelism, 2000, 0);
            run(&spec).unwrap();
            let lead = probe.peak_lead.load(Ordering::SeqCst);
            let bound = BATCHES_PER_WORKER * u64::from(parallelism);
            assert!((1..=bound).contains(&lead), "{scheduler} {parallelism}: {lead}");
        }
    }
}

#[test]
fn an_unknown_scheduler_runs_as_the_default_with_a_warning() {
    let mut spec = spec("chain");
    spec.scheduler_name = "x".into();
    let result = run(&spec).unwrap();
    assert_eq!(result.scheduler_name, "default");
    let warning = format!("scheduler \"x\" is unknown to {}; it ran as \"default\"", Runner.backend_name());
    assert_eq!(result.metrics["warnings"], serde_json::json!([warning]));
}

#[test]
fn the_metrics_say_what_ran() {
    let mut spec = with(spec("chain"), "batch_size", 3);
    spec.parallelism = 3;
    let result = run(&spec).unwrap();
    let metrics = &result.metrics;
    assert_eq!(
        (&metrics[WORKERS_METRIC], &metrics["batches"], &metrics["nodes"]),
        (&3.into(), &4.into(), &1.into())
    );
    assert!(metrics["cores"].as_u64() >= Some(1));
    assert!(!metrics.contains_key("warnings"));
    assert_eq!(result.backend, Runner.backend_name());
}

/// Runs `spec` of [`MANY`] items, which must fail before the source has made them all.
fn failure(spec: &WorkloadSpec, probe: &Probe, host: &Arc<Host>) -> RunnerError {
    let error = run_with(spec, host).unwrap_err();
    let made = probe.threads().len() as u64;
    assert!(made < MANY, "the source made all items");
    error
}

#[test]
fn an_operator_that_fails_ends_the_run_early_with_its_message() {
    for mode in modes() {
        let (spec, probe) = observed(mode, 2, MANY, 2000);
        let error = failure(&with(spec, "fail_at", 20), &probe, &Host::shared());
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Workload, "item 20 failed"));
    }
}

#[test]
fn an_operator_that_panics_ends_the_run_early_with_its_message() {
    for mode in modes() {
        let (spec, probe) = observed(mode, 2, MANY, 2000);
        let error = failure(&with(spec, "panic_at", 20), &probe, &Host::shared());
        assert_eq!(error.kind, ErrorKind::Workload, "{error}");
        assert_eq!(error.message, "the workload panicked: item 20 panicked");
    }
}

#[test]
fn a_cancelled_run_ends_early() {
    for mode in modes() {
        let (spec, probe) = observed(mode, 2, MANY, 2000);
        let host = Host::shared();
        let error = std::thread::scope(|scope| {
            let run = scope.spawn(|| failure(&spec, &probe, &host));
            // A run that ends before is no reason to wait for ever.
            while probe.threads().is_empty() && !run.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            host.cancelled.store(true, Ordering::Relaxed);
            run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        assert_eq!(error, RunnerError::cancelled());
    }
}

#[test]
fn the_host_is_told_the_progress_of_a_run_ten_times_a_second_at_most() {
    for mode in modes() {
        // The run lasts until the host was told twice that the source has made something.
        let (spec, probe) = observed(mode, 2, 200, 0);
        let (spec, host) = (with(spec, "hold_at", 2), Host::shared());
        let told = || host.progress.lock().unwrap().iter().filter(|progress| progress.done > 0).count();
        let result = std::thread::scope(|scope| {
            let run = scope.spawn(|| run_with(&spec, &host));
            while told() < 2 && !run.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            probe.is_released.store(true, Ordering::SeqCst);
            run.join().unwrap().unwrap()
        });
        assert!(told() >= 2, "{mode:?}");
        let told = host.progress.lock().unwrap();
        let tenths = result.elapsed_time * 10.0;
        assert!(told.len() as f64 <= tenths, "{tenths}: {told:?}");
        assert!(told.is_sorted_by_key(|progress| progress.done), "{told:?}");
        let is_sound = |progress: &Progress| progress.done <= 200 && progress.total == 200;
        assert!(told.iter().all(is_sound), "{told:?}");
    }
}

#[test]
fn a_spec_that_makes_no_sense_is_refused() {
    let mut idle = spec("chain");
    idle.parallelism = 0;
    let context = context(&spec("chain"), &Host::shared());
    for spec in [idle, with(spec("chain"), "batch_size", 0), with(spec("chain"), "fusion", "maybe")] {
        assert_eq!(Runner.run(&spec, &context).unwrap_err().kind, ErrorKind::InvalidSpec, "{spec:?}");
    }
}
