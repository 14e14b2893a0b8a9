//! Runs of the backend under test, whose runner is `super::Runner`.

use std::sync::Arc;

use plugin_api::{RunResult, RunnerError, WorkloadRunner, WorkloadSpec};

use super::Runner;
use super::support::{Host, context, spec, with};
use super::workloads::Probe;

pub(crate) const SCHEDULERS: [&str; 3] = ["default", "load_aware", "fifo"];
pub(crate) const FUSIONS: [&str; 2] = ["auto", "off"];

/// Every combination of scheduler and fusion.
pub(crate) fn modes() -> impl Iterator<Item = (&'static str, &'static str)> {
    SCHEDULERS.into_iter().flat_map(|scheduler| FUSIONS.map(|fusion| (scheduler, fusion)))
}

pub(crate) fn run_with(spec: &WorkloadSpec, host: &Arc<Host>) -> Result<RunResult, RunnerError> {
    Runner.run(spec, &context(spec, host))
}

pub(crate) fn run(spec: &WorkloadSpec) -> Result<RunResult, RunnerError> {
    run_with(spec, &Host::shared())
}

/// A run of `items` items on `parallelism` workers, each of which sleeps for `sleep_us` microseconds, and what
/// observes it.
pub(crate) fn observed(
    (scheduler, fusion): (&str, &str),
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
