//! Tests whether measurements on this machine can be trusted: the harness must detect a backend that cheats in each of several
//! ways, and an A/A comparison of an honest backend must find no difference.

use std::convert::Infallible;
use std::time::Duration;

use plugin_api::WorkloadSpec;
use serde::Serialize;

use crate::plan::BackendChoice;
use crate::plan::defaults::{COMPUTING, NULL, SLEEPING};
use crate::plugin::PluginRef;
use crate::run::engine::Engine;
use crate::run::event::Stopped;
use crate::run::executor::{Executor, Setting};
use crate::run::outcome::Outcome;
use crate::run::participants::Participants;
use crate::run::session::{CallError, Launch};
use crate::run::trial::{TrialResult, TrialSpec};
use crate::stats::{PairedDifference, Verdict, WarmUp, median};
use crate::worker::cheating_backend::{Cheat, NAME};
use crate::worker::protocol::Folders;

/// The time limit of a run.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The sizes of the A/A comparison, in items of about a hundred microseconds each.
const SIZES: [u64; 10] = [40, 50, 60, 70, 80, 90, 100, 110, 120, 130];

/// The largest number of false verdicts that is accepted: three of ten happen by chance once in a thousand times.
const MOST_FALSE: usize = 2;

/// The self-test, on a backend that is part of this program.
pub(crate) struct SelfTest {
    executor: Executor,
}

/// The result of one cheat.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CheatResult {
    #[serde(rename = "lie")]
    pub cheat: Cheat,
    /// Whether the harness detected the cheat, or verified the honest backend.
    pub caught: bool,
    /// How: `wrong answer`, `invalid measurement`, `warning`, `failed`, or `believed`.
    pub how: &'static str,
    /// The reason that the record has.
    pub reason: String,
}

/// The result of the A/A comparison.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AaComparison {
    /// The number of comparisons.
    pub cells: usize,
    /// The number of blocks of each comparison.
    pub blocks: usize,
    /// The number of verdicts that the backend is faster or slower than itself.
    pub false_verdicts: usize,
    /// The largest ratio of any estimate.
    pub largest_difference: f64,
}

/// The result of the self-test.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Findings {
    /// The result of each cheat, with the honest backend first.
    #[serde(rename = "liars")]
    pub cheats: Vec<CheatResult>,
    #[serde(rename = "beside")]
    pub aa: AaComparison,
    /// The overhead of the harness: the median seconds from request to reply of an empty run.
    pub floor_seconds: f64,
}

impl Findings {
    /// Whether measurements can be trusted.
    pub(crate) fn passed(&self) -> bool {
        self.cheats.iter().all(|result| result.caught) && self.aa.false_verdicts <= MOST_FALSE
    }
}

impl SelfTest {
    /// A self-test on the workloads of `library`.
    pub(crate) fn new(launch: Launch, library: &PluginRef, folders: Folders) -> Self {
        let libraries = [SLEEPING, COMPUTING, NULL].map(|name| (name.to_owned(), library.clone()));
        let participants = Participants { libraries: libraries.into(), ..Participants::default() };
        let (timeout, warm_up) = (TIMEOUT, WarmUp::default());
        Self { executor: Executor::new(Setting { launch, participants, folders, timeout, warm_up }) }
    }

    /// Ends the judge.
    pub(crate) fn end(self) {
        self.executor.end();
    }

    /// Runs the backend that cheats in one way, twice on different data, as a comparison does.
    ///
    /// # Errors
    /// When the harness itself fails.
    pub(crate) fn try_cheat(&mut self, cheat: Cheat) -> Result<CheatResult, CallError> {
        let mut engine = self.open(cheat, &spec_for(cheat, 0))?;
        let mut last = None;
        for seed in 1..=2 {
            last = Some(self.run(&mut engine, spec_for(cheat, seed))?);
        }
        engine.close(&mut |_| ());
        Ok(result_of(cheat, last))
    }

    fn open(&self, cheat: Cheat, spec: &WorkloadSpec) -> Result<Engine, CallError> {
        let backend = self.executor.cheating_backend(cheat)?;
        let opened = self.executor.open(backend, &trial(spec.clone()), &mut |_| Ok::<(), Infallible>(()));
        opened.map_err(|result| match result.outcome {
            Outcome::Failed(error) => error,
            _ => CallError::unexpected("open"),
        })
    }

    fn run(&mut self, engine: &mut Engine, spec: WorkloadSpec) -> Result<TrialResult, CallError> {
        let ran = self.executor.run(&trial(spec), engine, &mut |_| Ok::<(), Infallible>(()));
        ran.map_err(|stopped| match stopped {
            Stopped::Failed(error) => error,
            Stopped::Interrupted => CallError::interrupted("selftest"),
            Stopped::Sink(never) => match never {},
        })
    }

    /// Compares the honest backend with itself, in blocks of new sessions whose order alternates.
    ///
    /// # Errors
    /// When the harness itself fails, or is interrupted.
    pub(crate) fn aa_comparison(&mut self, blocks: usize) -> Result<AaComparison, CallError> {
        let mut logarithms = vec![Vec::new(); SIZES.len()];
        for block in 0..blocks {
            let mut times = [Vec::new(), Vec::new()];
            for turn in [block % 2, 1 - block % 2] {
                times[turn] = self.block(block as u64)?;
                if self.executor.is_interrupted() {
                    return Err(CallError::interrupted("selftest"));
                }
            }
            let [one, other] = times;
            for ((cell, one), other) in logarithms.iter_mut().zip(one).zip(other) {
                cell.push((one / other).ln());
            }
        }
        let differences: Vec<_> = logarithms.iter().filter_map(|cell| PairedDifference::new(cell)).collect();
        let verdicts = differences.iter().filter_map(Verdict::new);
        Ok(AaComparison {
            cells: differences.len(),
            blocks,
            false_verdicts: verdicts.filter(|verdict| verdict.is_difference()).count(),
            largest_difference: differences
                .iter()
                .map(|difference| difference.estimate.abs().exp())
                .fold(1.0, f64::max),
        })
    }

    /// The seconds of a run of each size, in one session.
    fn block(&mut self, block: u64) -> Result<Vec<f64>, CallError> {
        let mut engine = self.open(Cheat::None, &busy(SIZES[0], block))?;
        let mut seconds = Vec::new();
        for size in SIZES {
            self.run(&mut engine, busy(size, block + 1000))?;
            let result = self.run(&mut engine, busy(size, block))?;
            let duration = result.finished.map(|finished| finished.duration_seconds);
            seconds.push(duration.ok_or_else(|| CallError::unexpected("run"))?);
        }
        engine.close(&mut |_| ());
        Ok(seconds)
    }

    /// The median seconds of this number of empty `runs`.
    ///
    /// # Errors
    /// When the harness itself fails.
    pub(crate) fn floor(&mut self, runs: usize) -> Result<f64, CallError> {
        let nothing = WorkloadSpec { total_items: 0, ..WorkloadSpec::new(NULL) };
        let mut engine = self.open(Cheat::None, &nothing)?;
        let mut seconds = Vec::new();
        for seed in (0..).take(runs) {
            let spec = WorkloadSpec { seed, ..nothing.clone() };
            seconds.extend(self.run(&mut engine, spec)?.host_elapsed);
        }
        engine.close(&mut |_| ());
        median(&seconds).ok_or_else(|| CallError::unexpected("run"))
    }
}

fn trial(spec: WorkloadSpec) -> TrialSpec {
    TrialSpec::alone(BackendChoice::new(NAME), "selftest".into(), spec, 1)
}

/// A workload on which the backend gains by the cheat.
fn spec_for(cheat: Cheat, seed: u64) -> WorkloadSpec {
    match cheat {
        // At least half a second of sleep without parallelism.
        Cheat::MoreParallelism | Cheat::StopClockEarly => {
            WorkloadSpec { total_items: 50, parallelism: 1, seed, ..WorkloadSpec::new(SLEEPING) }
        }
        _ => busy(100, seed),
    }
}

fn busy(items: u64, seed: u64) -> WorkloadSpec {
    let mut spec = WorkloadSpec { total_items: items, seed, ..WorkloadSpec::new(COMPUTING) };
    spec.extra.insert("batch_size".into(), 10.into());
    spec.extra.insert("stages".into(), 1.into());
    spec.extra.insert("iters".into(), 20_000.into());
    spec
}

/// The result of a cheat, by its last run.
fn result_of(cheat: Cheat, result: Option<TrialResult>) -> CheatResult {
    let (how, reason) = match result {
        None => ("failed", "there was no run".to_owned()),
        Some(TrialResult { outcome, warnings, .. }) => match outcome {
            Outcome::Wrong(error) => ("wrong answer", error.message),
            Outcome::Invalid(error) => ("invalid measurement", error.message),
            Outcome::Failed(error) => ("failed", error.message),
            Outcome::Verified | Outcome::Unverified if warnings.is_empty() => ("believed", String::new()),
            Outcome::Verified | Outcome::Unverified => ("warning", warnings.join("; ")),
        },
    };
    let caught = match cheat {
        Cheat::None => how == "believed",
        _ => ["wrong answer", "invalid measurement", "warning"].contains(&how),
    };
    CheatResult { cheat, caught, how, reason }
}
