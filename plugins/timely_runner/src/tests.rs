//! Runs of whole workloads, through the runner as the host calls it.

// By path and not as a crate: what exports workloads can stand in a crate of its own tests only.
#[path = "../../../tests/threaded/answers.rs"]
mod answers;
#[path = "../../../tests/threaded/behaviour.rs"]
mod behaviour;
#[path = "../../../tests/threaded/closing.rs"]
mod closing;
#[path = "../../../tests/threaded/runs.rs"]
mod runs;
#[path = "../../../tests/threaded/support.rs"]
pub(crate) mod support;
#[path = "../../../tests/threaded/workloads.rs"]
pub(crate) mod workloads;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use plugin_api::{ErrorKind, RunContext, Session, WorkloadRunner, WorkloadSpec};
use thread_engine::Settings;

use crate::Timely as Runner;
use crate::flow_control::most_items_ahead;
use crate::job::Job;
use runs::{FUSIONS, run};
use support::{Host, spec, with};
use workloads::Probe;

/// What the name of a worker's thread begins with.
const THREAD: &str = "timely:work-";
/// The metric that says how many workers there were.
const WORKERS_METRIC: &str = "workers";
/// How many batches may be alive for each worker without fusion.
const BATCHES_PER_WORKER: u64 = 1;
/// The most items that two workers make of 100 under `fifo` before the first is done: the other worker's half, and the
/// first itself.
const MADE_UNDER_FIFO: u64 = 51;
/// Whether what has ended is closed without fusion too.
const CLOSES_UNFUSED: bool = true;

/// What the workers of a run of `spec` share.
pub(crate) fn job(spec: &WorkloadSpec, context: &RunContext) -> Job {
    crate::prepare(&Settings::of(crate::NAME, spec).unwrap(), context).unwrap()
}

/// A run in which one worker folds all items slowly, and the others make batches for it.
fn lopsided(fusion: &str) -> (WorkloadSpec, Arc<Probe>) {
    let (number, probe) = Probe::register();
    let mut spec = with(with(spec("lopsided"), "probe", number), "batch_size", 4096);
    (spec.parallelism, spec.total_items) = (3, 120 * 4096);
    (with(spec, "fusion", fusion), probe)
}

#[test]
fn the_batches_in_flight_to_a_slow_worker_are_bounded() {
    for fusion in FUSIONS {
        let (spec, probe) = lopsided(fusion);
        let result = run(&spec).unwrap();
        assert_eq!(result.results_count, 1);
        // An epoch is three batches: four epochs beyond the earliest may be made, and each worker has taken one batch.
        let peak = probe.peak_under_way.load(Ordering::SeqCst);
        assert!((4..=5 * 3 + 3).contains(&peak), "{fusion}: {peak}");
    }
}

#[test]
fn a_fold_that_fails_ends_the_run_early_with_its_message() {
    for fusion in FUSIONS {
        let (spec, probe) = lopsided(fusion);
        let error = run(&with(spec, "fail_at", 8 * 4096 + 1)).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Workload, "folding item 32768 failed"));
        assert!(probe.peak_under_way.load(Ordering::SeqCst) < 60, "most batches were never made");
    }
}

#[test]
fn the_metrics_name_the_operators_and_the_version_of_timely() {
    let metrics = run(&spec("chain")).unwrap().metrics;
    assert_eq!(metrics["operators"], serde_json::json!(["source + halve + repeat + keep even", "sink"]));
    assert_eq!(metrics["versions"], serde_json::json!({ "timely": crate::ENGINE_VERSION }));
}

#[test]
fn the_version_that_is_reported_is_the_one_that_is_built() {
    let lock = include_str!("../../../Cargo.lock");
    let package = format!("name = \"timely\"\nversion = \"{}\"\n", crate::ENGINE_VERSION);
    assert!(lock.contains(&package));
}

#[test]
fn more_workers_than_timely_can_connect_are_refused() {
    let mut crowded = spec("chain");
    crowded.parallelism = u32::MAX;
    let context = support::context(&spec("chain"), &Host::shared());
    assert_eq!(Runner.run(&crowded, &context).unwrap_err().kind, ErrorKind::Unsupported);
}

#[test]
fn more_than_one_machine_is_refused() {
    let session = Session { nodes: 2, ..Session::default() };
    assert_eq!(Runner.open(&session).unwrap_err().kind, ErrorKind::Unsupported);
    assert!(Runner.open(&Session { nodes: 1, ..session }).is_ok());
}
