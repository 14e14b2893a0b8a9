//! Whether this harness and this machine can be believed, here and now: a backend that lies in every way goes through the
//! harness, and one backend is compared with itself.

use std::time::Duration;

use plugin_api::WorkloadSpec;
use serde::Serialize;

use crate::run::judge::{Judge, Verdict as Judgement};
use crate::run::session::{CallError, Launch};
use crate::run::{Backend, Conclusion, Events, Report, Trial};
use crate::sandbox::Interrupt;
use crate::stats::{PairedDifference, Verdict, median};
use crate::worker::liar::{Lie, NAME};
use crate::worker::protocol::{Folders, LibraryFile};

/// When a run is ended.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The sizes at which a backend is compared with itself, in items of a hundred microseconds or so each.
const SIZES: [u64; 10] = [40, 50, 60, 70, 80, 90, 100, 110, 120, 130];

/// As many of the sizes may be called different: three of ten happen once in a thousand times by chance.
const MOST_FALSE: usize = 2;

/// What workers are started with, and where they write.
pub(crate) struct Setting {
    /// How workers are started.
    pub launch: Launch,
    /// The library of the standard workloads.
    pub library: LibraryFile,
    /// Where they may write.
    pub folders: Folders,
}

/// What one lie came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Trick {
    /// Which lie.
    pub lie: Lie,
    /// Whether the harness did what it must: caught a lie, believed the truth.
    pub caught: bool,
    /// How: `wrong answer`, `invalid measurement`, `warning`, `failed`, or `believed`.
    pub how: &'static str,
    /// What the record says.
    pub reason: String,
}

/// One backend beside itself.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Beside {
    /// How many comparisons.
    pub cells: usize,
    /// Of so many blocks each.
    pub blocks: usize,
    /// How many were called faster or slower, though the two are one.
    pub false_verdicts: usize,
    /// The largest factor between the two that any estimate shows.
    pub largest_difference: f64,
}

/// What came of it all.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    /// Each lie, with the truth first.
    pub liars: Vec<Trick>,
    /// One backend beside itself.
    pub beside: Beside,
    /// What the harness itself costs in a run of nothing: seconds from request to reply, in the middle.
    pub floor_seconds: f64,
}

impl Outcome {
    /// Whether the harness may be believed.
    pub(crate) fn passed(&self) -> bool {
        self.liars.iter().all(|trick| trick.caught) && self.beside.false_verdicts <= MOST_FALSE
    }
}

impl Setting {
    /// Lets the liar tell one lie: twice, on different data, as a comparison does.
    ///
    /// # Errors
    /// When the harness itself fails.
    pub(crate) fn lie(&self, lie: Lie, judge: &mut Judge, events: Events<'_>) -> Result<Trick, CallError> {
        let mut session = self.open(lie, &spec_for(lie, 0), events)?;
        let mut last = None;
        for seed in 1..=2 {
            last = Some(session.run(&spec_for(lie, seed), judge, events)?);
        }
        session.close(events);
        Ok(trick(lie, last))
    }

    fn open(&self, lie: Lie, spec: &WorkloadSpec, events: Events<'_>) -> Result<Session<'_>, CallError> {
        let log = self.folders.log_dir.join("liar.log");
        let backend = Backend::liar(&self.launch, lie, &log)?;
        let trial = self.trial(spec);
        let engine = backend.open(trial.session(), events).map_err(|not_opened| not_opened.error)?;
        Ok(Session { setting: self, engine })
    }

    fn trial(&self, spec: &WorkloadSpec) -> Trial {
        Trial {
            backend: NAME.into(),
            spec: spec.clone(),
            nodes: 1,
            library: self.library.clone(),
            timeout: TIMEOUT,
            folders: self.folders.clone(),
        }
    }

    /// Compares the honest liar with itself, in blocks of fresh sessions whose order alternates.
    ///
    /// # Errors
    /// When the harness itself fails, or is interrupted.
    pub(crate) fn beside_itself(
        &self,
        blocks: usize,
        judge: &mut Judge,
        interrupt: &Interrupt,
        events: Events<'_>,
    ) -> Result<Beside, CallError> {
        let mut logarithms = vec![Vec::new(); SIZES.len()];
        for block in 0..blocks {
            let mut times = [Vec::new(), Vec::new()];
            for turn in [block % 2, 1 - block % 2] {
                times[turn] = self.block(block as u64, judge, events)?;
                if interrupt.is_set() {
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
        Ok(Beside {
            cells: differences.len(),
            blocks,
            false_verdicts: verdicts.filter(|verdict| verdict.is_difference()).count(),
            largest_difference: differences
                .iter()
                .map(|difference| difference.estimate.abs().exp())
                .fold(1.0, f64::max),
        })
    }

    /// Seconds of a run of each size, in one session.
    fn block(&self, block: u64, judge: &mut Judge, events: Events<'_>) -> Result<Vec<f64>, CallError> {
        let mut session = self.open(Lie::None, &busy(SIZES[0], block), events)?;
        let mut seconds = Vec::new();
        for size in SIZES {
            session.run(&busy(size, block + 1000), judge, events)?;
            let report = session.run(&busy(size, block), judge, events)?;
            let duration = report.finished.map(|finished| finished.duration_seconds);
            seconds.push(duration.ok_or_else(|| CallError::unexpected("run"))?);
        }
        session.close(events);
        Ok(seconds)
    }

    /// What a run of nothing costs, in the middle of `runs`.
    ///
    /// # Errors
    /// When the harness itself fails.
    pub(crate) fn floor(&self, runs: usize, judge: &mut Judge, events: Events<'_>) -> Result<f64, CallError> {
        let nothing = WorkloadSpec { total_items: 0, ..WorkloadSpec::new("null") };
        let mut session = self.open(Lie::None, &nothing, events)?;
        let mut seconds = Vec::new();
        for _ in 0..runs {
            let report = session.run(&nothing, judge, events)?;
            seconds.extend(report.phases.host_elapsed);
        }
        session.close(events);
        median(&seconds).ok_or_else(|| CallError::unexpected("run"))
    }
}

/// The liar, started.
struct Session<'a> {
    setting: &'a Setting,
    engine: crate::run::Engine,
}

impl Session<'_> {
    fn run(
        &mut self,
        spec: &WorkloadSpec,
        judge: &mut Judge,
        events: Events<'_>,
    ) -> Result<Report, CallError> {
        let expected = judge.expect(spec, TIMEOUT, &mut crate::run::session::Deaf)?;
        Ok(self.engine.run(&self.setting.trial(spec), judge, expected, events))
    }

    fn close(self, events: Events<'_>) {
        self.engine.close(events);
    }
}

/// A workload on which the lie would pay.
fn spec_for(lie: Lie, seed: u64) -> WorkloadSpec {
    match lie {
        // Half a second of waiting at least, if they wait one after the other.
        Lie::MoreParallelism | Lie::StopClockEarly => WorkloadSpec {
            total_items: 50,
            parallelism: 1,
            seed,
            ..WorkloadSpec::new("scheduler_comparison")
        },
        _ => busy(100, seed),
    }
}

fn busy(items: u64, seed: u64) -> WorkloadSpec {
    let mut spec = WorkloadSpec { total_items: items, seed, ..WorkloadSpec::new("pipeline") };
    spec.extra.insert("batch_size".into(), 10.into());
    spec.extra.insert("stages".into(), 1.into());
    spec.extra.insert("iters".into(), 20_000.into());
    spec
}

/// What became of a lie in its last run.
fn trick(lie: Lie, report: Option<Report>) -> Trick {
    let (how, reason) = match report {
        None => ("failed", "there was no run".to_owned()),
        Some(Report { conclusion, warnings, .. }) => match conclusion {
            Conclusion::Judged(Judgement::Wrong(why)) => ("wrong answer", why),
            Conclusion::Judged(Judgement::Invalid(why) | Judgement::Late(why)) => {
                ("invalid measurement", why)
            }
            Conclusion::Judged(Judgement::Verified) if warnings.is_empty() => ("believed", String::new()),
            Conclusion::Judged(Judgement::Verified) => ("warning", warnings.join("; ")),
            Conclusion::Failed(error) => ("failed", error.message),
        },
    };
    let caught = match lie {
        Lie::None => how == "believed",
        _ => ["wrong answer", "invalid measurement", "warning"].contains(&how),
    };
    Trick { lie, caught, how, reason }
}
