//! Handles each request.

mod run;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plugin_api::workload::{GRAPH, Outcome};
use plugin_api::{ErrorKind, Plan, RunnerError, SetupContext, WorkloadError, WorkloadHandle};

use super::cheat::Cheat;
use super::cheating_backend::{CheatingBackend, by_slow_clock};
use super::protocol::{Folders, LibraryFile, Loaded, Planned, PlannedGraph, Reply, Request, VERSION, Work};
use super::state::{Failure, Worker};
use super::{
    bounds, closing_check, load, machine_check, malformed, reference, serial, show, snapshot, work_reference,
};

impl Worker {
    pub(crate) fn handle(&mut self, request: Request) -> Reply {
        let failed = |Failure { error, refused }| Reply::Failed { error: bounds::error(error), refused };
        answer(self, request).unwrap_or_else(failed)
    }
}

fn answer(worker: &mut Worker, request: Request) -> Result<Reply, Failure> {
    Ok(match request {
        Request::Hello { .. } => Reply::Hello { version: VERSION },
        // Requests to a backend.
        Request::LoadRunner { library } => load_runner(worker, &library)?,
        Request::Cheat { cheat } => {
            worker.set_runner(Box::new(CheatingBackend::new(cheat)));
            worker.has_slow_clock = cheat == Cheat::SlowClock;
            Reply::done(())
        }
        Request::Probe => Reply::done(bounds::availability(worker.runner()?.is_available())),
        Request::Setup { request, folders: Folders { data_dir, log_dir } } => {
            let context = SetupContext::new(Arc::clone(&worker.host), data_dir, log_dir);
            Reply::done(worker.runner()?.setup(&request, &context)?)
        }
        Request::Open { session } => Reply::done(worker.runner()?.open(&session)?),
        Request::Close => Reply::done(worker.runner()?.close()?),
        Request::Prepare(order) => Reply::done(run::prepare(worker, order)?),
        Request::Run(order) => {
            let reply = run::run(worker, order)?;
            if worker.has_slow_clock { by_slow_clock(reply) } else { reply }
        }
        // Requests of the judge.
        Request::Catalogue { library } => {
            Reply::done(bounds::catalogue(worker.library(&library)?.catalogue()?))
        }
        Request::Expect(work) => Reply::done(worker.workload(&work)?.expected()?),
        Request::Plan(work) => Reply::done(planned(worker.workload(&work)?.plan())),
        Request::Judge { work, sink_state } => Reply::done(judged(&worker.workload(&work)?, &sink_state)?),
        Request::CheckMachine { seconds } => Reply::done(machine_check::check(duration(seconds))),
        Request::Time { work, stage, seconds } => {
            let workload = worker.workload(&work.in_stages())?;
            Reply::done(reference::time_calls(&workload, stage, duration(seconds))?)
        }
        Request::Reference { work, seconds } => {
            Reply::done(work_reference::take(worker, &work, duration(seconds))?)
        }
        Request::Show { work, stage } => {
            let work = serial_work(worker, work)?;
            Reply::done(show::show(&worker.begun_workload(&work)?, stage)?)
        }
        Request::ShowGraph(work) => Reply::done(show::graph(&worker.begun_workload(&work)?)?),
        // Requests of the contract's checks.
        Request::Redirect { stdout } => Reply::done(redirect(&stdout)?),
        Request::Snapshot => Reply::done(snapshot::take()),
        Request::Serial(work) => {
            let work = serial_work(worker, work)?;
            let (workload, spec) = run::open_workload(worker, &work)?;
            Reply::done(serial::run(&workload, spec.batch_size()?)?)
        }
        Request::Closing(work) => {
            let (workload, spec) = run::open_workload(worker, &work)?;
            Reply::done(closing_check::run(&workload, spec.batch_size()?)?)
        }
        Request::Malformed { work, rounds } => {
            let tasks = worker.workload(&work)?;
            let serial = serial_work(worker, work)?;
            Reply::done(malformed::give_rounds(&worker.workload(&serial)?, &tasks, rounds)?)
        }
        // No call is under way: the call to cancel has just ended.
        Request::Cancel => Reply::done(()),
    })
}

/// The outcome of a state of the sinks. Libraries of older versions read times in the state of any work, and take a state of an open
/// loop without them, or without those of the source: a backend could choose the figure by which its run is compared.
fn judged(workload: &WorkloadHandle, sink_state: &[u8]) -> Result<Outcome, WorkloadError> {
    let outcome = workload.outcome(sink_state)?;
    let plan = workload.plan();
    // Results of a keyed reduction were made by no source.
    let of_source = if plan.has_reduction() { 0 } else { outcome.count };
    let has_times_of_plan = match &outcome.latency {
        None => !plan.open_loop,
        Some(latency) => {
            let counts = [&latency.scheduled, &latency.service, &latency.lag].map(|times| times.count);
            plan.open_loop && counts == [outcome.count, of_source, of_source]
        }
    };
    if has_times_of_plan {
        return Ok(outcome);
    }
    Err(WorkloadError::Malformed("the sink has other times than its plan, or none where its plan has some"))
}

/// The work to be done serially: in stages, if the workload has any. A graph without stages may be opened for its tasks alone.
fn serial_work(worker: &mut Worker, work: Work) -> Result<Work, Failure> {
    let is_graph = work.spec.is_granted(GRAPH);
    Ok(if is_graph && worker.workload(&work)?.plan().has_stages() { work.in_stages() } else { work })
}

fn planned(plan: &Plan) -> Planned {
    let graph = plan.graph.map(|shape| PlannedGraph { shape, has_stages: plan.has_stages() });
    Planned { graph, has_due_results: plan.has_due_results() }
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn load_runner(worker: &mut Worker, library: &LibraryFile) -> Result<Reply, Failure> {
    let runner = load::runner(library, Arc::clone(&worker.host), worker.log_level)?;
    let reported_name = bounds::name(runner.backend_name().to_owned());
    let options = bounds::parameters(runner.options());
    let supports = bounds::supports(runner.supports());
    let loaded = Loaded { reported_name, options, supports, ..Loaded::default() };
    worker.set_runner(runner);
    Ok(Reply::done(loaded))
}

fn redirect(stdout: &Path) -> Result<(), RunnerError> {
    let cannot = |error: std::io::Error| RunnerError::new(ErrorKind::Internal, error.to_string());
    let file = std::fs::File::create(stdout).map_err(cannot)?;
    rustix::stdio::dup2_stdout(file).map_err(|error| cannot(error.into()))
}
