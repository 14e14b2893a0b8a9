//! What a worker does for each request.

mod opening;
mod run;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use plugin_api::{ErrorKind, RunnerError, SetupContext};

use super::cheating_backend::CheatingBackend;
use super::protocol::{Folders, LibraryFile, Reply, Request, VERSION};
use super::state::{Failure, Worker};
use super::{bounds, canary, load, malformed, reference, serial, snapshot};

impl Worker {
    pub fn handle(&mut self, request: Request) -> Reply {
        answer(self, request).unwrap_or_else(|Failure { error, refused }| Reply::Failed {
            error: bounds::error(error),
            refused,
        })
    }
}

fn answer(worker: &mut Worker, request: Request) -> Result<Reply, Failure> {
    Ok(match request {
        Request::Hello { .. } => Reply::Hello { version: VERSION },
        // Of a file, of the backend in it, and of its life but for the runs.
        Request::LoadRunner { library } => load_runner(worker, &library)?,
        Request::Cheat { cheat } => {
            worker.runner = Some(Box::new(CheatingBackend::new(cheat)));
            Reply::Done
        }
        Request::Probe => {
            Reply::Probed { availability: bounds::availability(worker.runner()?.is_available()) }
        }
        Request::Setup { request, folders: Folders { data_dir, log_dir } } => {
            let context = SetupContext::new(Arc::clone(&worker.host), data_dir, log_dir);
            done(worker.runner()?.setup(&request, &context))?
        }
        Request::Open { session } => done(worker.runner()?.open(&session))?,
        Request::Close => done(worker.runner()?.close())?,
        Request::Run { spec, library, folders, timeout_seconds } => {
            run::run(worker, &spec, &library, folders, timeout_seconds)?
        }
        // Of the judge: what a library has, what must come out, what came out, and how fast the machine is.
        Request::Catalogue { library } => {
            Reply::Catalogue { entries: worker.library(&library)?.catalogue()? }
        }
        Request::Expect { spec, library } => {
            Reply::Outcome { outcome: worker.workload(&spec, &library)?.expected()? }
        }
        Request::Judge { spec, library, sink_state } => {
            Reply::Outcome { outcome: worker.workload(&spec, &library)?.outcome(&sink_state)? }
        }
        Request::Canary { seconds } => Reply::Canary(canary::sing(duration(seconds))),
        Request::Time { spec, library, stage, seconds } => {
            let workload = worker.workload(&spec, &library)?;
            Reply::Timed { cores: reference::time_calls(&workload, stage, duration(seconds))? }
        }
        // Of the contract's checks, which look at what no measurement does.
        Request::Redirect { stdout } => done(redirect(&stdout))?,
        Request::Snapshot => Reply::Snapshot(snapshot::take()),
        Request::Serial { spec, library } => {
            let (workload, spec) = opening::started(worker, &spec, &library)?;
            Reply::Outcome { outcome: serial::run(&workload, spec.batch_size()?)? }
        }
        Request::Malformed { spec, library, rounds } => {
            done(malformed::give_rounds(&worker.workload(&spec, &library)?, rounds))?
        }
        // Nothing is under way: the call that was to be cancelled has just ended by itself.
        Request::Cancel => Reply::Done,
    })
}

fn done(result: Result<(), RunnerError>) -> Result<Reply, RunnerError> {
    result.map(|()| Reply::Done)
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn load_runner(worker: &mut Worker, library: &LibraryFile) -> Result<Reply, Failure> {
    let runner = load::runner(library, Arc::clone(&worker.host), worker.log_level)?;
    let (name, options) = (bounds::name(runner.backend_name().to_owned()), runner.options());
    worker.runner = Some(runner);
    Ok(Reply::Loaded { name, options })
}

fn redirect(stdout: &Path) -> Result<(), RunnerError> {
    let cannot = |error: std::io::Error| RunnerError::new(ErrorKind::Internal, error.to_string());
    let file = std::fs::File::create(stdout).map_err(cannot)?;
    rustix::stdio::dup2_stdout(file).map_err(|error| cannot(error.into()))
}
