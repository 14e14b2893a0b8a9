//! What every measurement stands on: who takes part, the judges, what must come out, and how fast the machine usually is.
//! Sessions are run here one after the other, and trials one by one; `campaign` and `sweep` say which.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use plugin_api::WorkloadSpec;
use plugin_api::workload::Outcome;

use super::{Backend, Conclusion, Engine, Event, Phases, Report, Trial, log_file};
use crate::plan::{Block, Cell, Session};
use crate::run::judge::Judge;
use crate::run::session::{CallError, Deaf, Fault, Launch, WorkerSession};
use crate::stats::WarmUp;
use crate::worker::protocol::{Canary, Folders, LibraryFile};

/// How long the canary sings before a session.
const CANARY: Duration = Duration::from_millis(100);
/// A machine that is slower than its usual speed by more than this is disturbed.
const SLOWER: f64 = 1.10;
/// A machine of which the hypervisor takes more than this is disturbed.
const STOLEN: f64 = 0.02;
/// How often a session may be put off.
const MAX_DELAYS: usize = 2;

/// Who takes part, with what, and where.
pub(crate) struct Cast {
    /// How workers are started.
    pub launch: Launch,
    /// Who plays each backend, by the name under which it takes part.
    pub backends: BTreeMap<String, Performer>,
    /// The library of each workload.
    pub libraries: BTreeMap<String, LibraryFile>,
    /// Where plugins may write.
    pub folders: Folders,
    /// When a run is ended.
    pub timeout: Duration,
    /// When a cell is warm.
    pub warm_up: WarmUp,
}

/// A plugin that plays a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Performer {
    /// Its own name, which is another than that of its part if it plays two, or was named on the command line.
    pub name: String,
    /// Its file.
    pub library: LibraryFile,
}

/// What a trial was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To warm the engine up; counted from 0.
    WarmUp(u32),
    /// To be measured.
    Measured,
}

/// A trial that is over.
#[derive(Debug)]
pub(crate) struct Done<'a> {
    /// Its block.
    pub block: &'a Block,
    /// Its session.
    pub session: &'a Session,
    /// Its cell.
    pub cell: &'a Cell,
    /// What it was for.
    pub purpose: Purpose,
    /// The seed of its data.
    pub data_seed: u64,
    /// When it started.
    pub started: SystemTime,
    /// What came of it.
    pub report: Report,
}

/// What happens in a campaign.
#[derive(Debug)]
pub(crate) enum Happening<'a> {
    /// The machine was looked at before a session.
    Looked(&'a Session, Canary),
    /// The serial reference of a block was timed: seconds of one iteration of the kernel.
    Referenced(&'a Block, f64),
    /// A session is put off to the end of its block, as the machine is disturbed.
    PutOff(&'a Session, String),
    /// A trial starts.
    Started(&'a Block, &'a Session, &'a Cell, Purpose),
    /// A trial is over.
    Done(Box<Done<'a>>),
    /// Something within a trial.
    Event(Event),
}

/// Why a campaign stopped before its end.
#[derive(Debug)]
pub(crate) enum Stopped<E> {
    /// The user asked for it.
    Interrupted,
    /// Whoever was told could not go on.
    Told(E),
    /// What all trials stand on could not be had.
    Failed(CallError),
}

pub(super) type Tell<'a, E> = &'a mut dyn FnMut(Happening<'_>) -> Result<(), E>;

/// What every measurement stands on.
pub(crate) struct Rig {
    pub(super) cast: Cast,
    judges: HashMap<PathBuf, Judge>,
    /// What the oracle said; as it says the same each time, it is not asked again after a failure either.
    expected: HashMap<String, Result<Outcome, CallError>>,
    /// Workloads whose oracle took too long: each further question would take as long again.
    hung: HashMap<String, CallError>,
    /// What the canary sang so far, in nanoseconds an iteration.
    speeds: Vec<f64>,
}

impl Rig {
    /// A rig on which nothing has been run.
    pub(crate) fn new(cast: Cast) -> Self {
        let (judges, expected, hung) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { cast, judges, expected, hung, speeds: Vec::new() }
    }

    /// Ends the judges.
    pub(crate) fn end(self) {
        self.judges.into_values().for_each(Judge::end);
    }

    /// Runs the sessions of a block in their order: `prepare`, a look at the machine, and `run`, which is given what is to be
    /// noted of the session. One that meets a disturbed machine is put off to the end of its block.
    pub(super) fn in_turn<E>(
        &mut self,
        block: &Block,
        tell: Tell<'_, E>,
        prepare: impl Fn(&mut Self, &Session),
        mut run: impl FnMut(&mut Self, &Session, &[String], Tell<'_, E>) -> Result<(), Stopped<E>>,
    ) -> Result<(), Stopped<E>> {
        let mut queue: VecDeque<_> = block.sessions.iter().map(|session| (session, 0)).collect();
        while let Some((session, put_off)) = queue.pop_front() {
            prepare(self, session);
            match self.look(session, tell)? {
                Some(why) if put_off < MAX_DELAYS => {
                    tell(Happening::PutOff(session, why)).map_err(Stopped::Told)?;
                    queue.push_back((session, put_off + 1));
                }
                disturbed => run(self, session, &disturbances(put_off, disturbed.is_some()), tell)?,
            }
            if self.cast.launch.interrupt.is_set() {
                return Err(Stopped::Interrupted);
            }
        }
        Ok(())
    }

    /// Lets the canary sing, and says what disturbs the machine, if anything does.
    fn look<E>(&mut self, session: &Session, tell: Tell<'_, E>) -> Result<Option<String>, Stopped<E>> {
        let Some(workload) = session.cells.first().map(|cell| &cell.spec.name) else { return Ok(None) };
        let canary = match self.judge(workload).and_then(|judge| judge.canary(CANARY)) {
            Ok(canary) => canary,
            Err(error) => {
                self.forget_dead_judge(workload, &error);
                return Ok(None);
            }
        };
        tell(Happening::Looked(session, canary)).map_err(Stopped::Told)?;
        let usual = lower_quartile(&self.speeds);
        self.speeds.push(canary.nanos_per_iteration);
        Ok(disturbance(canary, usual))
    }

    /// Starts a backend's engine for the cells of a session.
    pub(super) fn open<E>(&mut self, place: Place<'_>, tell: Tell<'_, E>) -> Result<Engine, Box<Report>> {
        let trial = self.trial(place, place.block.data_seed);
        let backend = self.load(place.session).map_err(|error| Box::new(failed(error)))?;
        let load_seconds = backend.load_seconds();
        backend.open(trial.session(), &mut |event| drop(tell(Happening::Event(event)))).map_err(|not| {
            let phases = Phases { load_seconds: Some(load_seconds), ..Phases::default() };
            Box::new(Report { phases, warnings: not.warnings, ..failed(not.error) })
        })
    }

    fn load(&self, session: &Session) -> Result<Backend, CallError> {
        let part = &session.backend.name;
        let performer = self.cast.backends.get(part).ok_or_else(|| CallError::unexpected("load"))?;
        let log = log_file(&self.cast.folders.log_dir, part);
        Backend::load(&self.cast.launch, &performer.library, &performer.name, &log)
    }

    /// Runs a trial on an engine that runs, and has it judged.
    pub(super) fn trial_on<'a, E>(
        &mut self,
        place: Place<'a>,
        engine: &mut Engine,
        purpose: Purpose,
        data_seed: u64,
        tell: Tell<'_, E>,
    ) -> Result<Done<'a>, Stopped<E>> {
        let Place { block, session, cell } = place;
        tell(Happening::Started(block, session, cell, purpose)).map_err(Stopped::Told)?;
        let trial = self.trial(place, data_seed);
        let started = SystemTime::now();
        let report = match self.expect(&trial.spec) {
            Ok(expected) => match self.judge(&trial.spec.name) {
                Ok(judge) => {
                    engine.run(&trial, judge, expected, &mut |event| drop(tell(Happening::Event(event))))
                }
                Err(error) => failed(error),
            },
            Err(error) => failed(error),
        };
        if let Conclusion::Failed(error) = &report.conclusion {
            if error.fault == Fault::Interrupted {
                return Err(Stopped::Interrupted);
            }
            // What failed in the oracle has been seen to already.
            if error.phase == "judge" {
                self.forget_dead_judge(&trial.spec.name, error);
            }
        }
        Ok(place.done(purpose, data_seed, started, report))
    }

    fn trial(&self, place: Place<'_>, data_seed: u64) -> Trial {
        let Place { session, cell, .. } = place;
        Trial {
            backend: self
                .cast
                .backends
                .get(&session.backend.name)
                .map(|it| it.name.clone())
                .unwrap_or_default(),
            spec: seeded(&cell.spec, data_seed),
            nodes: session.nodes,
            library: self.cast.libraries.get(&cell.spec.name).cloned().unwrap_or_default(),
            timeout: self.cast.timeout,
            folders: self.cast.folders.clone(),
        }
    }

    pub(super) fn expect(&mut self, spec: &WorkloadSpec) -> Result<Outcome, CallError> {
        let WorkloadSpec { name, total_items, seed, extra, .. } = spec;
        let key = serde_json::json!([name, total_items, seed, extra]).to_string();
        if let Some(hung) = self.hung.get(name) {
            return Err(hung.clone());
        }
        if let Some(expected) = self.expected.get(&key) {
            return expected.clone();
        }
        let timeout = self.cast.timeout;
        let expected = self.judge(name)?.expect(spec, timeout, &mut Deaf);
        if let Err(error) = &expected {
            self.forget_dead_judge(name, error);
            match error.fault {
                Fault::Interrupted => return expected,
                Fault::TimedOut => drop(self.hung.insert(name.clone(), error.clone())),
                _ => {}
            }
        }
        self.expected.insert(key, expected.clone());
        expected
    }

    /// A judge that is lost is of no use to whoever asks next.
    fn forget_dead_judge(&mut self, workload: &str, error: &CallError) {
        let lost =
            matches!(error.fault, Fault::Crashed | Fault::TimedOut | Fault::Exceeded(_) | Fault::Protocol);
        if let Some(library) = self.cast.libraries.get(workload).filter(|_| lost) {
            self.judges.remove(&library.path);
        }
    }

    /// The judge over the library of a workload.
    pub(super) fn judge(&mut self, workload: &str) -> Result<&mut Judge, CallError> {
        let library = self.cast.libraries.get(workload).cloned().unwrap_or_default();
        let Cast { launch, folders, .. } = &self.cast;
        match self.judges.entry(library.path.clone()) {
            std::collections::hash_map::Entry::Occupied(judge) => Ok(judge.into_mut()),
            std::collections::hash_map::Entry::Vacant(place) => {
                let session = WorkerSession::start(launch, &log_file(&folders.log_dir, "judge"))?;
                Ok(place.insert(Judge::new(session, library, &folders.data_dir)))
            }
        }
    }
}

/// Where in a plan a trial stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) block: &'a Block,
    pub(super) session: &'a Session,
    pub(super) cell: &'a Cell,
}

impl<'a> Place<'a> {
    /// The trial that stood here, over.
    pub(super) fn done(
        self,
        purpose: Purpose,
        data_seed: u64,
        started: SystemTime,
        report: Report,
    ) -> Done<'a> {
        let Self { block, session, cell } = self;
        Done { block, session, cell, purpose, data_seed, started, report }
    }
}

/// Hands a trial over, unless the user interrupted it.
pub(super) fn finish<E>(done: Done<'_>, tell: Tell<'_, E>) -> Result<(), Stopped<E>> {
    if matches!(&done.report.conclusion, Conclusion::Failed(error) if error.fault == Fault::Interrupted) {
        return Err(Stopped::Interrupted);
    }
    tell(Happening::Done(Box::new(done))).map_err(Stopped::Told)
}

/// The spec with the seed of a trial's data.
pub(super) fn seeded(spec: &WorkloadSpec, seed: u64) -> WorkloadSpec {
    WorkloadSpec { seed, ..spec.clone() }
}

fn failed(error: CallError) -> Report {
    Report {
        phases: Phases::default(),
        expected: None,
        actual: None,
        finished: None,
        conclusion: Conclusion::Failed(error),
        usage: None,
        warnings: Vec::new(),
    }
}

/// What is to be noted of a session that was put off, or is run on a disturbed machine after all: without figures, so that
/// a report can count equal notes.
fn disturbances(put_off: usize, disturbed: bool) -> Vec<String> {
    let put_off = match put_off {
        0 => None,
        1 => Some("the session was put off once, as the machine was disturbed".to_owned()),
        _ => Some(format!("the session was put off {put_off} times, as the machine was disturbed")),
    };
    put_off
        .into_iter()
        .chain(disturbed.then(|| "measured although the machine was disturbed".into()))
        .collect()
}

/// What disturbs the machine, if anything does; `usual` is its usual speed.
fn disturbance(canary: Canary, usual: Option<f64>) -> Option<String> {
    if let Some(stolen) = canary.steal_share.filter(|share| *share > STOLEN) {
        return Some(format!("the hypervisor takes {:.1} % of the processor time", stolen * 100.0));
    }
    let slower = canary.nanos_per_iteration / usual?;
    (slower > SLOWER).then(|| format!("the processor is {:.0} % slower than usual", (slower - 1.0) * 100.0))
}

/// A quarter of the values are below it. Nothing before there are four.
fn lower_quartile(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    (values.len() >= 4).then(|| values[values.len() / 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary(nanos_per_iteration: f64, steal_share: f64) -> Canary {
        Canary { nanos_per_iteration, steal_share: Some(steal_share), ..Canary::default() }
    }

    #[test]
    fn a_machine_that_is_slow_or_robbed_is_disturbed() {
        assert_eq!(disturbance(canary(1.05, 0.0), Some(1.0)), None);
        assert!(disturbance(canary(1.2, 0.0), Some(1.0)).unwrap().contains("20 % slower"));
        assert!(disturbance(canary(1.0, 0.03), Some(1.0)).unwrap().contains("3.0 %"));
        assert_eq!(disturbance(canary(9.0, 0.0), None), None);
    }

    #[test]
    fn what_was_put_off_is_noted() {
        assert!(disturbances(0, false).is_empty());
        assert_eq!(disturbances(1, false), ["the session was put off once, as the machine was disturbed"]);
        assert_eq!(disturbances(2, true).len(), 2);
    }

    #[test]
    fn what_is_usual_is_known_after_four_looks() {
        assert_eq!(lower_quartile(&[3.0, 2.0, 1.0]), None);
        assert_eq!(lower_quartile(&[4.0, 3.0, 2.0, 1.0]), Some(2.0));
    }
}
