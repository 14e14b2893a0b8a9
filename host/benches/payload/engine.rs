//! The engine of a backend in a worker of its own, as the host starts it. It is started once, for items of all sizes.

use std::path::Path;
use std::time::{Duration, Instant};

use crossrun::internals::run::judge::verdict;
use crossrun::internals::run::{Deadlines, Isolation, Launch, WorkerSession};
use crossrun::internals::sandbox::{Interrupt, Limits};
use crossrun::internals::worker::{Folders, LibraryFile, Reply, Request, RunOrder, Work};
use plugin_api::workload::Outcome;
use plugin_api::{Session, WorkloadHandle};

use crate::THREADS;

/// A run that takes longer is ended, and has no figure.
const LIMIT: Duration = Duration::from_secs(60);

/// A run, the same for all backends, and the answer of the serial oracle.
pub(crate) struct Case {
    pub(crate) work: Work,
    pub(crate) workload: WorkloadHandle,
    pub(crate) expected: Outcome,
}

/// An engine that runs. After an error it must be dropped, which ends its processes.
pub(crate) struct Engine {
    session: WorkerSession,
    backend: String,
    folders: Folders,
}

impl Engine {
    /// Starts the engine of the backend in `library`, whose logs go to the folder `logs`.
    pub(crate) fn start(backend: &str, library: LibraryFile, logs: &Path) -> Result<Self, String> {
        let deadlines = Deadlines::default();
        let launch = Launch {
            isolation: Isolation::Process,
            executable: env!("CARGO_BIN_EXE_crossrun").into(),
            log_level: log::LevelFilter::Off,
            limits: Limits::default(),
            deadlines,
            interrupt: Interrupt::never(),
            cores: None,
        };
        let worker = WorkerSession::start(&launch, &logs.join("worker.log"), true);
        let session = worker.map_err(|error| error.to_string())?;
        let folders = Folders { data_dir: plugin_api::data_dir().unwrap(), log_dir: logs.into() };
        let Folders { data_dir, log_dir } = folders.clone();
        let mut engine = Self { session, backend: backend.into(), folders };
        engine.call("load", Request::LoadRunner { library }, deadlines.load)?;
        let session = Session { parallelism: THREADS, nodes: 1, data_dir, log_dir, ..Session::default() };
        engine.call("open", Request::Open { session }, deadlines.open)?;
        Ok(engine)
    }

    /// The seconds of a run whose answer is right.
    pub(crate) fn run(&mut self, case: &Case) -> Result<f64, String> {
        let preparing = Deadlines::default().prepare;
        let [prepare, run] = [preparing, LIMIT].map(|limit| RunOrder {
            work: case.work.clone(),
            folders: self.folders.clone(),
            timeout_seconds: Some(limit.as_secs_f64()),
        });
        self.call("prepare", Request::Prepare(prepare), preparing)?;
        let asked = Instant::now();
        let Reply::Finished(finished) = self.call("run", Request::Run(run), LIMIT)? else {
            return Err("the worker sent another reply".into());
        };
        let host_seconds = asked.elapsed().as_secs_f64();
        let actual = case.workload.outcome(&finished.sink_state).map_err(|error| error.to_string())?;
        let verdict = verdict(&self.backend, THREADS, &finished, host_seconds, &actual, &case.expected);
        verdict.error().map_or(Ok(finished.duration_seconds), |error| Err(error.to_string()))
    }

    /// Stops the engine, and ends its worker.
    pub(crate) fn stop(mut self) {
        if let Err(why) = self.call("close", Request::Close, Deadlines::default().close) {
            eprintln!("{} did not stop: {why}", self.backend);
        }
        self.session.discard();
    }

    fn call(&mut self, phase: &'static str, request: Request, limit: Duration) -> Result<Reply, String> {
        self.session.call(phase, request, Some(limit), &mut |_| ()).map_err(|error| error.to_string())
    }
}
