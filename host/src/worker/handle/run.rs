//! A run of a workload on the backend.

use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_api::{RunContext, RunResult, RunnerError, WorkloadHandle, WorkloadSpec, monotonic_nanos};

use crate::text::plural;
use crate::worker::bounds;
use crate::worker::load::references;
use crate::worker::protocol::{Finished, Folders, Reply, RunOrder, Work};
use crate::worker::state::{Failure, Worker};

/// An open loop starts this long after the request, and twice the time of opening the workload later.
const START_AHEAD: Duration = Duration::from_millis(20);

/// Opens the workload, and lets the backend prepare its run.
pub(super) fn prepare(worker: &mut Worker, order: RunOrder) -> Result<(), Failure> {
    let workload = worker.workload(&order.work)?;
    let RunOrder { work, folders, timeout_seconds } = order;
    let context = context(worker, workload, folders, timeout_seconds);
    let runner = worker.runner()?;
    Ok(runner.prepare(&work.spec, &context)?)
}

fn context(
    worker: &Worker,
    workload: WorkloadHandle,
    folders: Folders,
    timeout_seconds: Option<f64>,
) -> RunContext {
    let timeout = timeout_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let Folders { data_dir, log_dir } = folders;
    RunContext::new(workload, Arc::clone(&worker.host), data_dir, log_dir, deadline)
}

pub(super) fn run(worker: &mut Worker, order: RunOrder) -> Result<Reply, Failure> {
    let (workload, spec) = open_workload(worker, &order.work)?;
    let context = context(worker, workload, order.folders, order.timeout_seconds);
    let runner = worker.runner()?;
    let (begun, started) = (already_begun(&spec), Instant::now());
    let result = runner.run(&spec, &context);
    let took = started.elapsed();
    let result = result.and_then(|result| gave_back_its_own(references::take_too_often()).map(|()| result));
    Ok(Reply::Finished(Box::new(finished(result?, begun, took)?)))
}

/// Opens the workload for a run. In an open loop all processes that take part must know when the run starts. That is a moment
/// ahead, so that those which open the workload themselves have done so.
pub(super) fn open_workload(
    worker: &mut Worker,
    work: &Work,
) -> Result<(WorkloadHandle, WorkloadSpec), Failure> {
    let opening = Instant::now();
    let workload = worker.workload(work)?;
    if !workload.plan().open_loop {
        return Ok((workload, work.spec.clone()));
    }
    let ahead = START_AHEAD + 2 * opening.elapsed();
    let start = monotonic_nanos().saturating_add(ahead.as_nanos() as u64);
    let spec = WorkloadSpec { start_nanos: Some(start), ..work.spec.clone() };
    references::allow_start(start);
    if workload.start(start)? {
        return Ok((workload, spec));
    }
    let work = Work { spec, ..work.clone() };
    Ok((worker.workload(&work)?, work.spec))
}

/// For how long an open loop has been running before its backend is called: on a busy machine the moment ahead may have passed,
/// and the items that were due since then are late, but their time is part of the run.
fn already_begun(spec: &WorkloadSpec) -> Option<Duration> {
    spec.start_nanos.map(|start| Duration::from_nanos(monotonic_nanos().saturating_sub(start)))
}

/// Refuses a run in which the backend gave the workload back more often than it had taken it, so many times.
fn gave_back_its_own(too_often: u64) -> Result<(), RunnerError> {
    if too_often == 0 {
        return Ok(());
    }
    let times = plural(too_often, "time");
    let message = format!("the backend closed a workload {times} more than it had shared or opened it");
    Err(RunnerError::engine(message)
        .with_remedy("close a workload once for each share, and never that of the run"))
}

fn finished(result: RunResult, begun: Option<Duration>, called: Duration) -> Result<Finished, RunnerError> {
    let RunResult { backend, scheduler_name, elapsed_time, results_count, sink_state, metrics } = result;
    Ok(Finished {
        backend: bounds::name(backend),
        scheduler_name: bounds::name(scheduler_name),
        elapsed_time: elapsed_time.is_finite().then_some(elapsed_time),
        results_count,
        duration_seconds: (begun.unwrap_or_default() + called).as_secs_f64(),
        begun_seconds: begun.map(|begun| begun.as_secs_f64()),
        sink_state: bounds::sink_state(sink_state)?,
        metrics: bounds::metrics(metrics),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_that_has_begun_counts_from_its_start() {
        let at = |start_nanos| already_begun(&WorkloadSpec { start_nanos, ..WorkloadSpec::new("open_loop") });
        let second = Duration::from_secs(1);
        assert_eq!(at(None), None);
        assert_eq!(at(Some(monotonic_nanos() + 60 * second.as_nanos() as u64)), Some(Duration::ZERO));
        assert!(at(Some(monotonic_nanos().saturating_sub(second.as_nanos() as u64))) >= Some(second));
    }
}
