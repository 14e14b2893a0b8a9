//! What several checks share: the plugin in workers, the workloads, and a started engine. Results are computed once.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plugin_api::workload::CatalogueEntry;
use plugin_api::{Availability, WorkloadSpec};
use serde_json::json;

use super::data::own_data;
use super::finding::NotPassed;
use super::observed::{ObservedSession, snapshot_after_close};
use super::target::Setting;
use super::time_limit::TimeLimit;
use super::trials::{self, failed_run, ignore, trial, verified};
use crate::plan::defaults::COMPUTING;
use crate::plugin::PluginRef;
use crate::plugin::inspect::Kind;
use crate::run::backend::Backend;
use crate::run::engine::Engine;
use crate::run::executor::{self, Executor, log_file};
use crate::run::judge::Judge;
use crate::run::participants::Participants;
use crate::run::session::{CallError, Fault, WorkerSession};
use crate::run::trial::{TrialResult, TrialSpec};
use crate::stats::WarmUp;
use crate::worker::protocol::{Finished, Folders, LibraryFile, Loaded};

pub(super) struct Fixture {
    pub(super) setting: Setting,
    /// Has all workload libraries if a backend is checked, or the library that is checked.
    pub(super) executor: Executor,
    workers: usize,
    loading: Option<Result<Loaded, CallError>>,
    availability: Option<Result<Availability, CallError>>,
    entries: Option<Result<Vec<CatalogueEntry>, NotPassed>>,
    /// A started engine and its parallelism: starting one for each run would take most of the time.
    running: Option<(Engine, u32)>,
    limit: TimeLimit,
    /// Whether an engine could not be stopped: the next ones are ended without waiting for that.
    close_failed: bool,
    observed: Option<Result<[ObservedSession; 2], NotPassed>>,
}

impl Fixture {
    pub(super) fn new(mut setting: Setting) -> Self {
        let limit = TimeLimit::new(setting.timeout);
        // The runs are small, and so is what the oracle does for them.
        let deadline = &mut setting.launch.deadlines.expect;
        *deadline = limit.next().min(*deadline);
        let executor = executor(&setting, &setting.folders.data_dir, limit.next());
        Self {
            setting,
            limit,
            close_failed: false,
            executor,
            workers: 0,
            loading: None,
            availability: None,
            entries: None,
            running: None,
            observed: None,
        }
    }

    pub(super) fn plugin(&self) -> Result<&PluginRef, NotPassed> {
        self.setting.target.plugin.as_ref().map_err(|rejection| NotPassed::Failed(rejection.reason.clone()))
    }

    /// The plugin. Checks that need it are not run without it.
    fn loadable(&self) -> Result<PluginRef, CallError> {
        self.setting.target.plugin.clone().map_err(|_| CallError::unexpected("load"))
    }

    /// The log file of a new worker.
    fn log(&mut self, name: &str) -> PathBuf {
        self.workers += 1;
        log_file(&self.setting.folders.log_dir, &format!("{name}-{}", self.workers))
    }

    /// The backend, in a worker of its own.
    pub(super) fn backend(&mut self) -> Result<Backend, CallError> {
        let plugin = self.loadable()?;
        let (name, log) = (plugin.name(), self.log(plugin.name()));
        Backend::load_any_name(&self.setting.launch, &LibraryFile::from(&plugin), name, &log, None)
    }

    /// How long a run may take.
    pub(super) fn time_limit(&self) -> Duration {
        self.limit.next()
    }

    /// A judge with the library that is checked, in a worker of its own.
    pub(super) fn judge(&mut self) -> Result<Judge, CallError> {
        let library = LibraryFile::from(&self.loadable()?);
        let log = self.log("workloads");
        let session = WorkerSession::start(&self.setting.launch, &log, false)?;
        Ok(Judge::new(session, library))
    }

    /// What `make` gives, which is made once and then kept in `place`.
    fn once<T: Clone>(
        &mut self,
        place: fn(&mut Self) -> &mut Option<T>,
        make: impl FnOnce(&mut Self) -> T,
    ) -> T {
        if let Some(made) = place(self) {
            return made.clone();
        }
        let made = make(self);
        place(self).insert(made).clone()
    }

    /// The result of loading the plugin.
    pub(super) fn loading(&mut self) -> Result<Loaded, CallError> {
        self.once(|fixture| &mut fixture.loading, Self::load)
    }

    /// Loads the plugin in a process of its own.
    pub(super) fn load(&mut self) -> Result<Loaded, CallError> {
        if self.setting.target.is_backend() != Some(true) {
            return self.load_library();
        }
        let backend = self.backend()?;
        let loaded = backend.loaded.clone();
        backend.end();
        Ok(loaded)
    }

    /// Loads a library by asking for its catalogue, which is always the first call.
    fn load_library(&mut self) -> Result<Loaded, CallError> {
        let mut judge = self.judge()?;
        let started = Instant::now();
        let answer = judge.catalogue().map(drop);
        let took = started.elapsed();
        judge.end();
        match answer {
            // A library that answers was loaded. Another check reports what is wrong with its catalogue.
            Ok(_) | Err(CallError { fault: Fault::Reported(_), .. }) => {
                Ok(Loaded { took, ..Loaded::default() })
            }
            Err(error) => Err(error),
        }
    }

    /// The result of probing the backend.
    pub(super) fn availability(&mut self) -> Result<Availability, CallError> {
        self.once(
            |fixture| &mut fixture.availability,
            |fixture| {
                let mut backend = fixture.backend()?;
                let answer = backend.probe();
                backend.end();
                answer
            },
        )
    }

    /// All workloads.
    pub(super) fn entries(&mut self) -> Result<Vec<CatalogueEntry>, NotPassed> {
        self.once(|fixture| &mut fixture.entries, |fixture| fixture.catalogues().map_err(NotPassed::not_run))
    }

    /// Asks every library for its workloads. Of several with one name, the first counts.
    fn catalogues(&mut self) -> Result<Vec<CatalogueEntry>, CallError> {
        let libraries = self.executor.setting.participants.libraries.clone();
        let mut found = Vec::new();
        for (name, library) in &libraries {
            let counts = |entry: &&CatalogueEntry| libraries.get(&entry.name) == Some(library);
            if !found.iter().any(|entry: &CatalogueEntry| entry.name == *name) {
                let entries = self.executor.judge(name)?.catalogue()?;
                found.extend(entries.iter().filter(counts).cloned());
            }
        }
        Ok(found)
    }

    /// Requires that there is a workload with this name and all of these parameters.
    pub(super) fn demand_workload(&mut self, name: &str, parameters: &[&str]) -> Result<(), NotPassed> {
        let has = |entry: &CatalogueEntry| {
            let named = |name: &&str| entry.parameters.iter().any(|parameter| parameter.name == **name);
            entry.name == name && parameters.iter().all(named)
        };
        if self.entries()?.iter().any(has) {
            return Ok(());
        }
        let with = if parameters.is_empty() { "" } else { " with " };
        let list = parameters.join(" and ");
        Err(NotPassed::NotRun(format!("no library of workloads here has {name}{with}{list}")))
    }

    /// Starts an engine for `spec`.
    pub(super) fn engine(&mut self, spec: &WorkloadSpec) -> Result<Engine, CallError> {
        let backend = self.backend()?;
        let session = trial(&backend.name, spec, 1).session(&self.setting.folders);
        backend.open(session, &mut |_| ()).map_err(|(error, _)| error)
    }

    /// Runs `spec` on the started engine, or on a new one, and verifies the answer.
    pub(super) fn run(&mut self, spec: &WorkloadSpec) -> Result<TrialResult, NotPassed> {
        let mut engine = match self.running.take() {
            Some((engine, parallelism)) if parallelism == spec.parallelism => engine,
            other => {
                self.stop(other);
                self.engine(spec).map_err(failed_run)?
            }
        };
        let trial = trial(&engine.name, spec, 1);
        let started = Instant::now();
        let ran = trials::run(&mut self.executor, &mut engine, &trial);
        if engine.is_usable() {
            self.limit.learn(started.elapsed());
            self.executor.setting.timeout = self.limit.next();
        }
        // After a failure, the next run needs a new session.
        if ran.is_ok() && engine.is_usable() {
            self.running = Some((engine, spec.parallelism));
        } else {
            engine.session.discard();
        }
        ran
    }

    /// Runs `spec` in a session of its own on this number of machines, and verifies the answer.
    pub(super) fn run_alone(&mut self, spec: &WorkloadSpec, nodes: u32) -> Result<TrialResult, NotPassed> {
        let backend = self.backend()?;
        let trial = trial(&backend.name, spec, nodes);
        self.run_trial_alone(&trial, backend)
    }

    /// Runs `trial` in a session of its own, and verifies the answer.
    pub(super) fn run_trial_alone(
        &mut self,
        trial: &TrialSpec,
        backend: Backend,
    ) -> Result<TrialResult, NotPassed> {
        self.executor.run_alone(trial, backend, &mut ignore).map_err(|_| NotPassed::interrupted())
    }

    /// Runs `spec` in a session of its own. The answer is not verified, because the spec may be invalid.
    pub(super) fn run_unjudged(&mut self, spec: &WorkloadSpec) -> Result<Finished, CallError> {
        let mut engine = self.engine(spec)?;
        let request = self.executor.request(spec.clone(), &engine.supports);
        let ran = request.and_then(|request| engine.run(&request, &mut |_| ()));
        engine.session.discard();
        ran.map(|(finished, _)| finished)
    }

    /// The observations of two sessions, one after another.
    pub(super) fn observed_sessions(&mut self) -> Result<[ObservedSession; 2], NotPassed> {
        self.once(|fixture| &mut fixture.observed, Self::observe_twice)
    }

    /// Runs the two sessions with a data folder that no other process writes to.
    fn observe_twice(&mut self) -> Result<[ObservedSession; 2], NotPassed> {
        let not_made =
            |error| NotPassed::NotRun(format!("cannot create a data folder for the sessions: {error}"));
        let data = own_data(&self.setting.folders.data_dir).map_err(not_made)?;
        let mut executor = executor(&self.setting, data.path(), self.limit.next());
        let one = self.observe_session(&mut executor);
        let both = one.and_then(|one| Ok([one, self.observe_session(&mut executor)?]));
        executor.end();
        both
    }

    /// The threads of one process after each session in it, for as long as each leaves more than the one before, in at most `sessions`
    /// of them; in fewer if the backend does not open again.
    pub(super) fn threads_after(&mut self, sessions: usize) -> Result<Vec<u64>, NotPassed> {
        let spec = self.small_spec()?;
        let mut engine = self.engine(&spec)?;
        let trial = trial(&engine.name, &spec, 1);
        let mut counts: Vec<u64> = Vec::new();
        while counts.len() < sessions && grows(&counts) {
            let session = || trial.session(&self.setting.folders);
            if !counts.is_empty() && engine.open_again(session()).is_err() {
                break;
            }
            let ran = trials::run(&mut self.executor, &mut engine, &trial).and_then(|ran| verified(&ran));
            if ran.is_err() || engine.stop(&mut |_| ()).is_err() {
                break;
            }
            let snapshot = snapshot_after_close(&mut engine, counts.last().copied());
            counts.extend(snapshot.and_then(|snapshot| snapshot.threads));
        }
        engine.session.discard();
        Ok(counts)
    }

    /// A run of a few items, for what is observed around it.
    fn small_spec(&mut self) -> Result<WorkloadSpec, NotPassed> {
        self.demand_workload(COMPUTING, &["iters"])?;
        Ok(trials::spec(COMPUTING, 50, &[("iters", json!(100))]))
    }

    /// Observes a session with one run of a few items.
    fn observe_session(&mut self, executor: &mut Executor) -> Result<ObservedSession, NotPassed> {
        let spec = self.small_spec()?;
        let plugin = self.loadable()?;
        let log = self.log(plugin.name());
        ObservedSession::of(executor, &self.setting.launch, &plugin, &log, &spec)
    }

    /// Ends all workers.
    pub(super) fn end(mut self) {
        let running = self.running.take();
        self.stop(running);
        self.executor.end();
    }

    /// Stops an engine. Another check reports a failure of that.
    fn stop(&mut self, running: Option<(Engine, u32)>) {
        match running {
            Some((engine, _)) if self.close_failed => engine.session.discard(),
            Some((engine, _)) => self.close_failed = engine.close(&mut |_| ()).seconds.is_none(),
            None => {}
        }
    }
}

/// Whether each number is larger than the one before.
pub(super) fn grows(counts: &[u64]) -> bool {
    counts.is_sorted_by(|one, next| one < next)
}

/// An executor with the workloads that the metadata of the libraries name. Of several with one name, the first counts.
fn executor(setting: &Setting, data_dir: &Path, timeout: Duration) -> Executor {
    let target = setting.target.plugin.iter().filter(|_| setting.target.is_backend() == Some(false));
    let mut participants = Participants::default();
    for library in target.chain(&setting.libraries) {
        let Kind::Workloads(names) = &library.metadata.kind else { continue };
        for name in names {
            participants.libraries.entry(name.clone()).or_insert_with(|| library.clone());
        }
    }
    let launch = setting.launch.clone();
    let folders = Folders { data_dir: data_dir.into(), log_dir: setting.folders.log_dir.clone() };
    Executor::new(executor::Setting { launch, participants, folders, timeout, warm_up: WarmUp::default() })
}
