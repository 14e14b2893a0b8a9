//! What the checks stand on: the plugin in workers, judges over the workloads, and what is found out once for many.

use std::path::Path;
use std::time::{Duration, Instant};

use plugin_api::workload::{CatalogueEntry, Outcome};
use plugin_api::{Availability, ErrorKind, WorkloadSpec};

use super::checks::{Check, Of};
use super::data::OwnData;
use super::life::Life;
use super::subject::{Subject, TIMEOUT};
use super::{Setting, Trouble};
use crate::plugin::PluginRef;
use crate::plugin::inspect::Kind;
use crate::run::executor::log_file;
use crate::run::judge::{self, Judge};
use crate::run::outcome::Outcome as Ended;
use crate::run::session::{CallError, Deaf, Fault, WorkerSession};
use crate::worker::protocol::{Finished, Folders, LibraryFile};

/// What is found out once.
pub(super) struct Bench {
    pub(super) setting: Setting,
    workers: usize,
    loading: Option<Result<Loaded, CallError>>,
    availability: Option<Result<Availability, CallError>>,
    shelves: Option<Result<Vec<Shelf>, Trouble>>,
    /// An engine that runs, and at what parallelism: starting one for each run would take most of the time.
    running: Option<(Subject, u32)>,
    lives: Option<Result<[Life; 2], Trouble>>,
}

/// What loading the plugin for the first time showed.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    /// What it calls itself.
    pub(super) name: String,
    /// How long it took.
    pub(super) loading: Duration,
}

/// A library of workloads, and the judge over it.
pub(super) struct Shelf {
    pub(super) library: LibraryFile,
    pub(super) entries: Vec<CatalogueEntry>,
    judge: Judge,
}

/// A run that ended, and was judged.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) finished: Finished,
    pub(super) outcome: Ended,
}

impl Run {
    /// Whether it is as it must be. Whether a source kept to its schedule is a matter of how busy this machine is: its
    /// answer must be right all the same.
    pub(super) fn verified(&self) -> Result<(), String> {
        match &self.outcome {
            Ended::Invalid(CallError { fault: Fault::LateSource, .. }) => Ok(()),
            outcome => outcome.error().map_or(Ok(()), |error| Err(error.message.clone())),
        }
    }
}

impl Bench {
    pub(super) fn new(setting: Setting) -> Self {
        Self {
            setting,
            workers: 0,
            loading: None,
            availability: None,
            shelves: None,
            running: None,
            lives: None,
        }
    }

    /// Whether a check is for this kind of plugin. A file that is none is what its first checks say.
    pub(super) fn concerns(&self, check: &Check) -> bool {
        match &self.setting.target.plugin {
            Err(_) => check.of == Of::Both,
            Ok(PluginRef { metadata, .. }) => match (&metadata.kind, check.of) {
                (_, Of::Both) => true,
                (kind, of) => matches!(kind, Kind::Runner) == (of == Of::Runner),
            },
        }
    }

    pub(super) fn is_runner(&self) -> bool {
        self.plugin().is_ok_and(|plugin| matches!(plugin.metadata.kind, Kind::Runner))
    }

    pub(super) fn plugin(&self) -> Result<&PluginRef, Trouble> {
        self.setting.target.plugin.as_ref().map_err(|rejection| Trouble::Failed(rejection.reason.clone()))
    }

    /// A worker with the plugin in it.
    pub(super) fn subject(&mut self) -> Result<Subject, CallError> {
        let data_dir = self.setting.folders.data_dir.clone();
        self.subject_in(&data_dir)
    }

    /// A worker with the plugin in it, whose data folder is this one.
    pub(super) fn subject_in(&mut self, data_dir: &Path) -> Result<Subject, CallError> {
        self.workers += 1;
        let Setting { launch, folders, target, .. } = &self.setting;
        let folders = Folders { data_dir: data_dir.into(), log_dir: folders.log_dir.clone() };
        match &target.plugin {
            Ok(plugin) => Subject::load(launch, plugin, folders, self.workers),
            Err(_) => Err(CallError::unexpected("load")),
        }
    }

    /// A worker without a backend.
    pub(super) fn plain_worker(&mut self) -> Result<WorkerSession, CallError> {
        self.workers += 1;
        let log = log_file(&self.setting.folders.log_dir, &format!("workloads-{}", self.workers));
        WorkerSession::start(&self.setting.launch, &log)
    }

    /// What loading the plugin shows.
    pub(super) fn loading(&mut self) -> Result<Loaded, CallError> {
        if self.loading.is_none() {
            self.loading = Some(self.load());
        }
        self.loading.clone().unwrap_or_else(|| Err(CallError::unexpected("load")))
    }

    /// Loads the plugin, in a process of its own.
    pub(super) fn load(&mut self) -> Result<Loaded, CallError> {
        if self.is_runner() { self.load_runner() } else { self.load_library() }
    }

    fn load_runner(&mut self) -> Result<Loaded, CallError> {
        let subject = self.subject()?;
        let loaded = Loaded { name: subject.name.clone(), loading: subject.loading };
        subject.dismiss();
        Ok(loaded)
    }

    /// The first thing that a library is asked for is its catalogue.
    fn load_library(&mut self) -> Result<Loaded, CallError> {
        let (mut judge, _) = self.own_judge()?;
        let started = Instant::now();
        let entries = judge.catalogue(&mut Deaf);
        let loading = started.elapsed();
        judge.end();
        match entries {
            // It was asked, so that it was loaded: what is wrong with its catalogue is a check of its own.
            Ok(_) | Err(CallError { fault: Fault::Said(_), .. }) => {
                Ok(Loaded { name: String::new(), loading })
            }
            Err(error) => Err(error),
        }
    }

    /// A judge over the library that is checked.
    pub(super) fn own_judge(&mut self) -> Result<(Judge, LibraryFile), CallError> {
        let session = self.plain_worker()?;
        let library = self.setting.target.plugin.as_ref().map(LibraryFile::from);
        let library = library.unwrap_or_default();
        Ok((Judge::new(session, library.clone(), &self.setting.folders.data_dir), library))
    }

    /// Whether the backend could start.
    pub(super) fn availability(&mut self) -> Result<Availability, CallError> {
        if self.availability.is_none() {
            let answer = self.subject().and_then(|mut subject| {
                let answer = subject.probe();
                subject.dismiss();
                answer
            });
            self.availability = Some(answer);
        }
        self.availability.clone().unwrap_or_else(|| Err(CallError::unexpected("probe")))
    }

    /// The workloads that there are.
    pub(super) fn entries(&mut self) -> Result<Vec<CatalogueEntry>, Trouble> {
        let shelves = self.shelves()?;
        Ok(shelves.iter().flat_map(|shelf| shelf.entries.iter().cloned()).collect())
    }

    fn shelves(&mut self) -> Result<&mut Vec<Shelf>, Trouble> {
        if self.shelves.is_none() {
            self.shelves = Some(self.stock());
        }
        match &mut self.shelves {
            Some(Ok(shelves)) => Ok(shelves),
            Some(Err(trouble)) => Err(trouble.clone()),
            None => Err(Trouble::NotRun("no workloads were looked for".into())),
        }
    }

    fn stock(&mut self) -> Result<Vec<Shelf>, Trouble> {
        let mut shelves = Vec::new();
        for library in self.setting.libraries.clone() {
            let not_run = |error: CallError| Trouble::NotRun(error.message);
            let session = self.plain_worker().map_err(not_run)?;
            let mut judge = Judge::new(session, library.clone(), &self.setting.folders.data_dir);
            let entries = judge.catalogue(&mut Deaf).map_err(not_run)?;
            shelves.push(Shelf { library, entries, judge });
        }
        Ok(shelves)
    }

    /// The workload with this name, if it has all of these parameters.
    pub(super) fn workload_with(&mut self, name: &str, parameters: &[&str]) -> Result<LibraryFile, Trouble> {
        let has = |entry: &CatalogueEntry| {
            let named = |name: &&str| entry.parameters.iter().any(|parameter| parameter.name == **name);
            entry.name == name && parameters.iter().all(named)
        };
        let shelf = self.shelves()?.iter().find(|shelf| shelf.entries.iter().any(has));
        let missing = || {
            let list = parameters.join(" and ");
            Trouble::NotRun(format!("no library of workloads here has {name} with {list}"))
        };
        shelf.map(|shelf| shelf.library.clone()).ok_or_else(missing)
    }

    /// What must come out.
    fn expected(&mut self, spec: &WorkloadSpec) -> Result<(Outcome, usize), Trouble> {
        let is_here = |shelf: &Shelf| shelf.entries.iter().any(|entry| entry.name == spec.name);
        let shelves = self.shelves()?;
        let number = shelves.iter().position(is_here);
        let number = number.ok_or_else(|| Trouble::NotRun(format!("there is no workload {}", spec.name)))?;
        let expected = shelves[number].judge.expect(spec, TIMEOUT, &mut Deaf);
        // Not the backend's: its library's own check tells of it.
        expected.map(|outcome| (outcome, number)).map_err(|error| Trouble::NotRun(error.message))
    }

    /// Runs `spec` on the engine of `subject`, and has the answer judged.
    pub(super) fn run_on(&mut self, subject: &mut Subject, spec: &WorkloadSpec) -> Result<Run, Trouble> {
        let (expected, number) = self.expected(spec)?;
        let backend = self.plugin()?.metadata.name.clone();
        let library = self.shelves()?[number].library.clone();
        let (finished, host_elapsed) = subject.run(spec, &library).map_err(failed_run)?;
        let judged = self.shelves()?[number].judge.judge(spec, &finished.sink_state, &mut Deaf);
        let actual = judged.map_err(|error| Trouble::Failed(error.message))?;
        let verdict = judge::verdict(&backend, spec.parallelism, &finished, host_elapsed, &actual, &expected);
        Ok(Run { finished, outcome: verdict })
    }

    /// Runs `spec` on an engine that already runs, if one does.
    pub(super) fn run(&mut self, spec: &WorkloadSpec) -> Result<Run, Trouble> {
        let (mut subject, parallelism) = match self.running.take() {
            Some(running) if running.1 == spec.parallelism => running,
            other => {
                stop(other);
                let mut subject = self.subject()?;
                if let Err(error) = subject.open(spec) {
                    subject.dismiss();
                    return Err(failed_run(error));
                }
                (subject, spec.parallelism)
            }
        };
        match self.run_on(&mut subject, spec) {
            Ok(run) => {
                self.running = Some((subject, parallelism));
                Ok(run)
            }
            // After a failure the session is to be made anew.
            Err(trouble) => {
                subject.dismiss();
                Err(trouble)
            }
        }
    }

    /// How two sessions went, one after the other.
    pub(super) fn lives(&mut self) -> Result<[Life; 2], Trouble> {
        if self.lives.is_none() {
            self.lives = Some(self.live_twice());
        }
        self.lives.clone().unwrap_or_else(|| Err(Trouble::NotRun("no session was begun".into())))
    }

    fn live_twice(&mut self) -> Result<[Life; 2], Trouble> {
        let not_made =
            |error| Trouble::NotRun(format!("no data folder can be made for the sessions: {error}"));
        let data = OwnData::of(&self.setting.folders.data_dir).map_err(not_made)?;
        Ok([Life::live(self, &data)?, Life::live(self, &data)?])
    }

    /// Ends whatever runs.
    pub(super) fn end(mut self) {
        stop(self.running.take());
        if let Some(Ok(shelves)) = self.shelves.take() {
            shelves.into_iter().for_each(|shelf| shelf.judge.end());
        }
    }
}

fn stop(running: Option<(Subject, u32)>) {
    let Some((mut subject, _)) = running else { return };
    // What comes of closing is a check of its own.
    let _ = subject.close();
    subject.dismiss();
}

/// What a backend cannot express it need not run.
fn failed_run(error: CallError) -> Trouble {
    match error.fault {
        Fault::Said(ErrorKind::Unsupported) => Trouble::Skipped(error.message),
        _ => Trouble::Failed(error.message),
    }
}
