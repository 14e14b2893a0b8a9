//! The executor: the only code that runs trials, for every schedule. It holds the judges, the expected answers and the usual
//! speed of the machine. It prints nothing and writes no record: it emits events and returns results, failures included.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use plugin_api::WorkloadSpec;
use plugin_api::workload::{GRAPH, Outcome as Answer, WATERMARKS};

use super::backend::{self, Backend};
use super::data_seeds::DataSeeds;
use super::engine::{Engine, RunRequest};
use super::event::{Event, Phase, Sink, Stopped, forward};
use super::expected_answers::{ExpectedAnswers, again_if_memory_lacked};
use super::judge::{self, Judge};
use super::machine_check::Baseline;
use super::outcome::Outcome;
use super::participants::Participants;
use super::pause::{Pauses, wait_unless_interrupted};
use super::reference::{References, point};
use super::session::{CallError, Fault, Isolation, Launch, START, WorkerSession};
use super::shared_files::SharedFiles;
use super::task_graph::TaskGraph;
use super::trial::{Phases, TrialResult, TrialSpec};
use super::wrong_answers::WrongAnswers;
use crate::plan;
use crate::plugin::inspect;
use crate::sandbox::stop;
use crate::shell;
use crate::stats::WarmUp;
use crate::worker::cheat::{Cheat, NAME};
use crate::worker::protocol::{Folders, LibraryFile, MachineCheck, Planned, PlannedGraph, Work};

/// A wrong answer of no more items is compared with that of a serial run, which holds all of them in memory; one of more items with
/// that of another backend.
pub(crate) const MOST_SERIAL_ITEMS: u64 = 1_000_000;
/// How long such a run may take, beside twice the time of the backend's run in all of its threads.
const SERIAL_TIME: Duration = Duration::from_secs(10);

/// The configuration of an executor.
pub(crate) struct Setting {
    pub launch: Launch,
    pub participants: Participants,
    /// Where plugins may write.
    pub folders: Folders,
    /// How long a run may take.
    pub timeout: Duration,
    pub warm_up: WarmUp,
}

pub(crate) struct Executor {
    pub(crate) setting: Setting,
    /// The seeds of the data of blocks.
    pub(crate) seeds: DataSeeds,
    judges: HashMap<PathBuf, Judge>,
    pub(super) expected: ExpectedAnswers,
    /// The wrong answers to points with many items.
    wrong: WrongAnswers,
    /// What is known of the plans of points.
    plans: HashMap<String, Planned>,
    /// The usual speed of the machine.
    pub(crate) baseline: Baseline,
    /// The readings of the machine check that no trial has yet.
    pub(super) machine_checks: Vec<MachineCheck>,
    /// Whether the session that runs is the last of its block.
    pub(super) ends_block: bool,
    pub(super) references: References,
    /// The longest that the judge's worker took to open the workload of a sweep.
    pub(super) opening_seconds: f64,
    pub(super) pauses: Pauses,
    pub(crate) shared_files: SharedFiles,
}

impl Executor {
    pub(crate) fn new(setting: Setting) -> Self {
        Self {
            setting,
            seeds: DataSeeds::default(),
            judges: HashMap::new(),
            expected: ExpectedAnswers::default(),
            wrong: WrongAnswers::default(),
            plans: HashMap::new(),
            baseline: Baseline::default(),
            machine_checks: Vec::new(),
            ends_block: false,
            references: References::default(),
            opening_seconds: 0.0,
            pauses: Pauses::default(),
            shared_files: SharedFiles::default(),
        }
    }

    pub(crate) fn end(self) {
        self.judges.into_values().for_each(Judge::end);
    }

    /// Whether the user asked to stop.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.setting.launch.interrupt.is_set()
    }

    /// Starts a worker, and loads the backend of `participant`.
    pub(crate) fn load(&self, participant: &str) -> Result<Backend, CallError> {
        let found = self.setting.participants.backends.get(participant);
        let plugin = &found.ok_or_else(|| CallError::unexpected("load"))?.plugin;
        let log = log_file(&self.setting.folders.log_dir, participant);
        Backend::load(&self.setting.launch, &LibraryFile::from(plugin), plugin.name(), &log)
    }

    /// Starts a worker with the cheating backend, which is part of this program.
    pub(crate) fn cheating_backend(&self, cheat: Cheat) -> Result<Backend, CallError> {
        let log = log_file(&self.setting.folders.log_dir, NAME);
        Backend::cheating(&self.setting.launch, cheat, &log)
    }

    /// Starts the engine of `backend` for `trial` and the later trials of its session.
    ///
    /// # Errors
    /// The trial's result, if the engine does not start: invalid if crossrun was stopped meanwhile, as an engine may fail of that.
    pub(crate) fn open<E>(
        &mut self,
        backend: Backend,
        trial: &TrialSpec,
        sink: Sink<'_, E>,
    ) -> Result<Engine, Box<TrialResult>> {
        let needs = self.needs(&trial.workload_spec());
        if let Err(error) = needs.and_then(|needs| backend.check_supports(&needs)) {
            backend.end();
            return Err(Box::new(TrialResult::failed(error)));
        }
        let session = trial.session(&self.setting.folders);
        let (started, load_seconds) = (SystemTime::now(), Some(backend.load_seconds));
        let (pause_seconds, stops) = (self.pauses.last, stop::Since::now());
        match backend.open(session, &mut |event| drop(sink(event))) {
            Ok(mut engine) => {
                engine.phases.pause_seconds = pause_seconds;
                Ok(engine)
            }
            Err((error, warnings)) => {
                let error = self.looked_at(trial, error);
                let phases = Phases { load_seconds, pause_seconds, ..Phases::default() };
                let stopped = match error.fault {
                    // No result of the backend, which the callers tell by the fault.
                    Fault::Interrupted | Fault::Host => stop::Stopped::Nothing,
                    _ => stops.stopped(),
                };
                let failed = TrialResult::new(started, Outcome::Failed(error)).unless_stopped(stopped);
                Err(Box::new(TrialResult { phases, warnings, ..failed }))
            }
        }
    }

    /// Runs `trial` on `engine`, and has it judged.
    pub(crate) fn run<E>(
        &mut self,
        trial: &TrialSpec,
        engine: &mut Engine,
        sink: Sink<'_, E>,
    ) -> Result<TrialResult, Stopped<E>> {
        sink(&Event::Started(trial)).map_err(Stopped::Sink)?;
        let (started, spec, stops) = (SystemTime::now(), trial.workload_spec(), stop::Since::now());
        let supported = self.needs(&spec).and_then(|needs| backend::check_supports(&engine.supports, &needs));
        let ready = supported.and_then(|()| self.expect(&spec));
        let ready = ready.and_then(|expected| self.judge(&spec.name).map(|_| expected));
        let mut result = match ready {
            Ok(expected) => self.measure(trial, expected, engine, sink),
            Err(error) => TrialResult::new(started, Outcome::Failed(error)),
        };
        if let Outcome::Failed(error) = &mut result.outcome {
            if error.fault == Fault::Interrupted {
                return Err(Stopped::Interrupted);
            }
            if let Some(fault) = self.fault_without(engine, trial, error) {
                return Err(Stopped::Failed(fault));
            }
            // An interrupt ends the look for a fault too, which then finds none.
            if error.fault == Fault::Host && self.is_interrupted() {
                return Err(Stopped::Interrupted);
            }
            // `expect` has already dealt with a judge that died in the oracle.
            if error.phase == "judge" {
                self.forget_dead_judge(&trial.cell.spec.name, error);
            }
            *error = error.clone().of_backend();
        }
        Ok(TrialResult { started, ..result.unless_stopped(stops.stopped()) })
    }

    /// The same as [`host_fault`](Self::host_fault), but if no worker can be started, that is tried again once the processes of the engine
    /// have ended: also those of one that works may have all that the system allows.
    fn fault_without(&self, engine: &mut Engine, trial: &TrialSpec, error: &CallError) -> Option<CallError> {
        let fault = self.host_fault(trial, error)?;
        if fault.phase != START || self.setting.launch.isolation == Isolation::None {
            return Some(fault);
        }
        // What has passed while the engine works is no fault of the engine.
        if engine.is_usable() && self.fault_now(trial).is_none() && !self.is_interrupted() {
            return Some(fault);
        }
        engine.end_processes();
        self.fault_now(trial)
    }

    /// Why `error` is no result of the backend of `trial`: a plugin's file is another one by now, or no worker can be started.
    pub(super) fn host_fault(&self, trial: &TrialSpec, error: &CallError) -> Option<CallError> {
        if error.fault == Fault::Host { Some(error.clone()) } else { self.fault_now(trial) }
    }

    /// What keeps the trials of `trial`'s backend from being run now, whatever the backend does.
    fn fault_now(&self, trial: &TrialSpec) -> Option<CallError> {
        let Setting { launch, folders, .. } = &self.setting;
        if launch.isolation == Isolation::None {
            return None;
        }
        let replaced = self.replaced(trial, false);
        replaced.or_else(|| match WorkerSession::start(launch, &log_file(&folders.log_dir, "host"), false) {
            Ok(session) => {
                session.discard();
                None
            }
            Err(error) => Some(error).filter(|error| error.fault == Fault::Host),
        })
    }

    /// The same error of a call to the worker in which the backend of `trial` is loaded. Where it says that a file was replaced, the
    /// backend may have written the message itself: the host looks at the files, and if they are as they were, it is an error of the
    /// backend.
    fn looked_at(&self, trial: &TrialSpec, error: CallError) -> CallError {
        let is_said = error.fault == Fault::Host && error.phase != START;
        if is_said && self.replaced(trial, true).is_none() { error.of_backend() } else { error }
    }

    /// A file that is another one by now: that of the backend of `trial`, or of the library of its workload. One in a lock is compared with
    /// it whenever it is loaded, so that another file at its path is told there; it counts only `with_locked`.
    fn replaced(&self, trial: &TrialSpec, with_locked: bool) -> Option<CallError> {
        let participants = &self.setting.participants;
        let backend = participants.backends.get(&trial.backend.name).map(|it| &it.plugin);
        let library = participants.libraries.get(&trial.cell.spec.name);
        backend.into_iter().chain(library).find_map(|plugin| {
            let why = match inspect::sha256_of(&plugin.path) {
                Ok(now) if now == plugin.sha256 => return None,
                Ok(_) if plugin.locked_by.is_some() && !with_locked => return None,
                Ok(_) => "it has other bytes".to_owned(),
                Err(error) => error.to_string(),
            };
            Some(CallError::replaced(&plugin.path, &why))
        })
    }

    /// Starts the engine of `backend`, runs `trial` on it, and stops it.
    pub(crate) fn run_alone<E>(
        &mut self,
        trial: &TrialSpec,
        backend: Backend,
        sink: Sink<'_, E>,
    ) -> Result<TrialResult, Stopped<E>> {
        self.take_reference(&trial.workload_spec(), trial.block);
        let mut engine = match self.open(backend, trial, sink) {
            Ok(engine) => engine,
            Err(result) => {
                let expected = self.expect(&trial.workload_spec()).ok();
                return Ok(TrialResult { expected, ..*result });
            }
        };
        let ran = self.run(trial, &mut engine, sink);
        let closing = engine.close(&mut |event| drop(sink(event)));
        let mut result = ran?;
        result.close(closing);
        Ok(result)
    }

    fn measure<E>(
        &mut self,
        trial: &TrialSpec,
        expected: Answer,
        engine: &mut Engine,
        sink: Sink<'_, E>,
    ) -> TrialResult {
        drop(sink(&Event::Phase(Phase::Running)));
        let request = match self.request(trial.workload_spec(), &engine.supports) {
            Ok(request) => request,
            Err(error) => return TrialResult::failed(error),
        };
        let shape = self.graph(&request.work.spec).map(|graph| graph.shape);
        let graph = shape.map(|shape| TaskGraph::new(shape, &request.work.spec));
        let (ran, usage) = engine.measured(&request, &mut |event| drop(sink(event)));
        let mut result = TrialResult {
            phases: engine.phases,
            expected: Some(expected),
            usage,
            graph,
            joins_cluster: engine.joins_cluster(&request.work.spec.extra),
            ..TrialResult::new(SystemTime::now(), Outcome::Verified)
        };
        if let Some((graph, shape)) = graph.zip(shape) {
            result.warnings.extend(graph.warning(shape.stages_only));
        }
        match ran {
            Ok((finished, host_elapsed)) => {
                drop(sink(&Event::Phase(Phase::Judging)));
                result.host_elapsed = Some(host_elapsed);
                let state_bytes = finished.sink_state.len();
                result.finished = Some(finished);
                self.judge_result(&mut result, &request.work.spec, &engine.name, sink);
                self.check_work(trial, &mut result, state_bytes, engine);
            }
            Err(error) => result.outcome = Outcome::Failed(self.looked_at(trial, error)),
        }
        result
    }

    /// The words of what a backend must support to run `spec`: those that its workload needs, `graph` for a graph of tasks that
    /// has too many steps for stages, and `watermarks` for an open loop with keyed reductions.
    pub(crate) fn needs(&mut self, spec: &WorkloadSpec) -> Result<Vec<String>, CallError> {
        let mut needs = self.judge(&spec.name)?.needs(&spec.name)?;
        let Planned { graph, has_due_results } = self.planned(spec);
        let by_tasks = graph.is_some_and(|graph| !graph.has_stages);
        let words = [by_tasks.then_some(GRAPH), has_due_results.then_some(WATERMARKS)];
        needs.extend(words.into_iter().flatten().map(str::to_owned));
        Ok(needs)
    }

    /// The request to run `spec` on a backend that `supports` these words.
    ///
    /// # Errors
    /// If two judges did not say what the workload can use: without its words, it would be measured in another way.
    pub(crate) fn request(
        &mut self,
        spec: WorkloadSpec,
        supports: &[String],
    ) -> Result<RunRequest, CallError> {
        let question = |judge: &mut Judge| judge.granted(&spec.name, Some(supports));
        let mut granted = self.ask(&spec.name, question).or_else(|_| self.ask(&spec.name, question))?;
        if self.graph(&spec).is_some_and(|graph| graph.shape.stages_only) {
            granted.retain(|word| word != GRAPH);
        }
        let spec = WorkloadSpec { granted, ..spec };
        let library = self.library(&spec.name);
        let Setting { folders, timeout, .. } = &self.setting;
        Ok(RunRequest { work: Work { spec, library }, folders: folders.clone(), timeout: *timeout })
    }

    /// The graph of tasks of a workload; `None` for other workloads, and where it cannot be opened.
    pub(super) fn graph(&mut self, spec: &WorkloadSpec) -> Option<PlannedGraph> {
        self.planned(spec).graph
    }

    /// What is to be known of the plan of a workload; nothing where it cannot be opened.
    fn planned(&mut self, spec: &WorkloadSpec) -> Planned {
        let point = point(spec);
        if let Some(planned) = self.plans.get(&point) {
            return *planned;
        }
        match self.ask(&spec.name, |judge| judge.planned(spec)) {
            Ok(planned) => *self.plans.entry(point).or_insert(planned),
            Err(_) => Planned::default(),
        }
    }

    /// Has the state of the sinks decoded, and compares the answer with the expected one.
    fn judge_result<E>(
        &mut self,
        result: &mut TrialResult,
        spec: &WorkloadSpec,
        backend: &str,
        sink: Sink<'_, E>,
    ) {
        let Some((finished, expected)) = result.finished.as_ref().zip(result.expected.as_ref()) else {
            return;
        };
        let mut listener = |event: &Event<'_>| drop(sink(event));
        let judged = self
            .judge(&spec.name)
            .and_then(|judge| judge.judge(spec, &finished.sink_state, &mut forward(&mut listener)));
        result.outcome = match &judged {
            Ok(actual) => {
                let host_elapsed = result.host_elapsed.unwrap_or_default();
                judge::verdict(backend, spec.parallelism, finished, host_elapsed, actual, expected)
            }
            Err(error) => Outcome::Failed(error.clone()),
        };
        result.warnings.extend(judge::understated(finished, 1.0));
        result.warnings.extend(judge::reported_warnings(finished));
        result.warnings.extend(result.usage.into_iter().flat_map(|usage| usage.warnings()));
        result.actual = judged.ok();
        self.suspect_others(spec, backend, result);
        // The state may be large, and nobody needs it any more.
        if let Some(finished) = &mut result.finished {
            finished.sink_state = Default::default();
        }
    }

    /// Says who else gives a wrong answer: a serial run, or another backend where a serial run would hold too many items in memory. Two
    /// backends may share more than the workload, as a driver.
    fn suspect_others(&mut self, spec: &WorkloadSpec, backend: &str, result: &mut TrialResult) {
        let took = result.host_elapsed.unwrap_or_default() * f64::from(spec.parallelism);
        let has_many = spec.total_items > MOST_SERIAL_ITEMS;
        let data = format!("{}{}", point(spec), spec.seed);
        let (error, actual) = match (&mut result.outcome, &result.actual) {
            (Outcome::Wrong(error), Some(actual)) => (error, actual),
            // That of an invalid run is right.
            (Outcome::Verified | Outcome::Invalid(_), _) if has_many => return self.wrong.add_right(data),
            _ => return,
        };
        if has_many {
            if let Some(other) = self.wrong.add(data, backend, actual) {
                let why = "suspect what they share, or the workload and its oracle";
                error.message += &format!("; {other} gives the same: {why}");
            }
        } else if self.is_serial_answer(spec, took, actual) {
            result.suspects_workload = true;
            let why = "suspect the workload or its oracle";
            error.message += &format!("; a serial run without a backend gives the same: {why}");
            let library = shell::quote(self.library(&spec.name).path);
            error.remedy = Some(format!("crossrun backends check {library}"));
        }
    }

    /// Whether a serial run gives the wrong answer `actual` too, which `took` so long in all threads.
    fn is_serial_answer(&mut self, spec: &WorkloadSpec, took: f64, actual: &Answer) -> bool {
        let limit = SERIAL_TIME + Duration::try_from_secs_f64(2.0 * took).unwrap_or_default();
        let serial = self.ask(&spec.name, |judge| judge.serial(spec, limit));
        serial.is_ok_and(|serial| (serial.count, &serial.checksum) == (actual.count, &actual.checksum))
    }

    /// The expected answer of `spec`.
    ///
    /// # Errors
    /// When the spec is not valid, the oracle fails, or it took too much for this point before.
    pub(crate) fn expect(&mut self, spec: &WorkloadSpec) -> Result<Answer, CallError> {
        if let Some(expected) = self.expected.of(spec) {
            return expected;
        }
        let timeout = self.setting.timeout;
        let interrupt = self.setting.launch.interrupt.clone();
        let ask = || self.ask(&spec.name, |judge| judge.expect(spec, timeout));
        let expected = again_if_memory_lacked(ask, |time| wait_unless_interrupted(time, &interrupt));
        self.expected.add(spec, &expected);
        expected
    }

    /// Checks how fast the machine computes right now; `None` if the judge's worker died.
    pub(super) fn check_machine(&mut self, session: &plan::Session) -> Option<MachineCheck> {
        let workload = &session.cells.first()?.spec.name;
        self.ask(workload, |judge| judge.check_machine(super::machine_check::DURATION)).ok()
    }

    /// Looks at the files that several backends use, before the first engine is started. A warning if they have changed since backends
    /// were asked whether they can start.
    pub(super) fn look_at_shared_files(&mut self) -> Option<String> {
        let Setting { folders, participants, .. } = &self.setting;
        self.shared_files.look_once(folders, participants)
    }

    /// A warning if such files have changed since the last look.
    pub(super) fn changed_files(&mut self) -> Option<String> {
        let Setting { folders, participants, .. } = &self.setting;
        self.shared_files.changed(folders, participants)
    }

    /// Asks the judge over the library of a workload, and forgets a judge that died of it.
    pub(super) fn ask<T>(
        &mut self,
        workload: &str,
        question: impl FnOnce(&mut Judge) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let answer = self.judge(workload).and_then(question);
        if let Err(error) = &answer {
            self.forget_dead_judge(workload, error);
        }
        answer
    }

    /// Removes the judge if `error` says that its worker is lost: the next caller needs a new one.
    fn forget_dead_judge(&mut self, workload: &str, error: &CallError) {
        if error.fault.ends_worker() {
            self.judges.remove(&self.library(workload).path);
        }
    }

    /// The judge over the library of a workload, started if there is none yet.
    pub(crate) fn judge(&mut self, workload: &str) -> Result<&mut Judge, CallError> {
        let library = self.library(workload);
        let Setting { launch, folders, .. } = &self.setting;
        match self.judges.entry(library.path.clone()) {
            Entry::Occupied(judge) => Ok(judge.into_mut()),
            Entry::Vacant(place) => {
                let session = WorkerSession::start(launch, &log_file(&folders.log_dir, "judge"), false)?;
                Ok(place.insert(Judge::new(session, library)))
            }
        }
    }

    fn library(&self, workload: &str) -> LibraryFile {
        self.setting.participants.libraries.get(workload).map(LibraryFile::from).unwrap_or_default()
    }
}

/// The log of the worker `name` in a session's folder.
pub(crate) fn log_file(log_dir: &Path, name: &str) -> PathBuf {
    log_dir.join(format!("{name}.log"))
}
