//! Sweeps over kernels for METG: a session of a block is one sweep, and what it runs is decided from what it ran before.
//! Prints nothing and writes no record: it hands over what happens, as it happens.

use std::time::{Duration, SystemTime};

use super::rig::{Done, Happening, Place, Purpose, Rig, Stopped, Tell, finish};
use super::{Engine, Report};
use crate::metg::{self, Bench, Load, Sweep};
use crate::plan::{Block, Cell, Session};
use crate::run::session::CallError;

/// The parameter that says how long a kernel is.
const ITERATIONS: &str = "iters";
/// The most that it may be.
const MOST_ITERATIONS: u64 = 1_000_000_000;
/// The stage that the kernel stands in.
const KERNEL: usize = 1;
/// How long a kernel the reference is timed with: so long that the call around it, some 50 ns, is a thousandth of it.
const REFERENCE_ITERATIONS: u64 = 1 << 16;
/// How long the reference is timed.
const REFERENCE: Duration = Duration::from_millis(200);

/// Calls that take this much longer on average than in the middle were interrupted.
const BUSY: f64 = 1.10;

/// Which kernels a sweep may run, and how long it stays with each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    /// About how many seconds a point is to take.
    pub point_seconds: f64,
    /// No kernel is shorter than so many seconds.
    pub finest_seconds: f64,
    /// No kernel is longer than so many seconds.
    pub coarsest_seconds: f64,
}

impl Rig {
    /// Runs one sweep in each session of `block`, whose first cell is the template of the points of the run `run`.
    ///
    /// # Errors
    /// [`Stopped`] when the user interrupts, there is no reference, or `tell` fails.
    pub(crate) fn sweep<E>(
        &mut self,
        run: &str,
        block: &Block,
        range: &Range,
        tell: Tell<'_, E>,
    ) -> Result<(), Stopped<E>> {
        let (seconds_per_iteration, busy) = self.reference(block).map_err(Stopped::Failed)?;
        tell(Happening::Referenced(block, seconds_per_iteration)).map_err(Stopped::Told)?;
        self.in_turn(
            block,
            tell,
            |_, _| (),
            |rig, session, disturbances, tell| {
                let sweep = Sweep {
                    cores: session.parallelism,
                    seconds_per_iteration,
                    point_seconds: range.point_seconds,
                    finest_seconds: range.finest_seconds,
                    coarsest_seconds: range
                        .coarsest_seconds
                        .min(MOST_ITERATIONS as f64 * seconds_per_iteration),
                    warm_up: rig.cast.warm_up,
                };
                let mut life = Life {
                    rig,
                    run,
                    block,
                    session,
                    tell,
                    engine: None,
                    last: None,
                    notes: disturbances.iter().cloned().chain(busy.clone()).collect(),
                };
                sweep.run(&mut life)?;
                life.end()
            },
        )
    }

    /// Seconds of one iteration of the kernel, with nothing but the workload's library at work; and what is to be noted if
    /// the machine was at work on something else too.
    fn reference(&mut self, block: &Block) -> Result<(f64, Option<String>), CallError> {
        let template = block.sessions.first().and_then(|session| session.cells.first());
        let mut spec = template.ok_or_else(|| CallError::unexpected("reference"))?.spec.clone();
        spec.extra.insert(ITERATIONS.into(), REFERENCE_ITERATIONS.into());
        let calls = self.judge(&spec.name)?.time(&spec, KERNEL, REFERENCE)?;
        let medians: Vec<_> = calls.iter().map(|call| call.median).collect();
        let seconds = metg::seconds_per_iteration(&medians, REFERENCE_ITERATIONS)
            .ok_or_else(|| CallError::unexpected("reference"))?;
        let busy = calls.iter().any(|call| call.mean > call.median * BUSY);
        Ok((seconds, busy.then(|| "other work ran while the reference was timed".to_owned())))
    }
}

/// A trial that is over and not told yet: how the engine stops belongs to the last one.
struct Over {
    cell: Cell,
    purpose: Purpose,
    data_seed: u64,
    started: SystemTime,
    report: Report,
}

/// One life of an engine, in which a sweep runs.
struct Life<'r, 'b, 't, E> {
    rig: &'r mut Rig,
    run: &'b str,
    block: &'b Block,
    session: &'b Session,
    tell: Tell<'t, E>,
    engine: Option<Engine>,
    last: Option<Over>,
    /// What is to be noted with the first trial.
    notes: Vec<String>,
}

impl<E> Bench for Life<'_, '_, '_, E> {
    type Stopped = Stopped<E>;

    fn run(&mut self, load: Load, purpose: metg::Purpose) -> Result<Option<f64>, Stopped<E>> {
        self.hand_over()?;
        if self.rig.cast.launch.interrupt.is_set() {
            return Err(Stopped::Interrupted);
        }
        let Some(cell) = self.cell(load) else { return Ok(None) };
        let (purpose, data_seed) = match purpose {
            metg::Purpose::WarmUp(number) => (Purpose::WarmUp(number), self.block.warm_up_seed(number)),
            metg::Purpose::Measured => (Purpose::Measured, self.block.point_seed(load.iterations)),
        };
        let (started, report) = self.trial(&cell, purpose, data_seed)?;
        let seconds = report.finished.as_ref().map(|finished| finished.duration_seconds);
        let seconds = seconds.filter(|_| report.is_verified());
        // A failed warm-up is a row like a failed point.
        let purpose = if seconds.is_some() { purpose } else { Purpose::Measured };
        self.last = Some(Over { cell, purpose, data_seed, started, report });
        Ok(seconds)
    }
}

impl<E> Life<'_, '_, '_, E> {
    fn cell(&self, load: Load) -> Option<Cell> {
        let mut spec = self.session.cells.first()?.spec.clone();
        spec.total_items = load.tasks;
        spec.extra.insert(ITERATIONS.into(), load.iterations.into());
        Some(Cell::new(self.run, spec, self.session.nodes))
    }

    /// Starts the engine if it does not run yet, and runs one trial on it.
    fn trial(
        &mut self,
        cell: &Cell,
        purpose: Purpose,
        data_seed: u64,
    ) -> Result<(SystemTime, Report), Stopped<E>> {
        let place = Place { block: self.block, session: self.session, cell };
        let mut engine = match self.engine.take() {
            Some(engine) => engine,
            None => {
                let started = SystemTime::now();
                match self.rig.open(place, self.tell) {
                    Ok(engine) => engine,
                    Err(report) => return Ok((started, *report)),
                }
            }
        };
        let done = self.rig.trial_on(place, &mut engine, purpose, data_seed, self.tell);
        self.engine = Some(engine);
        let Done { started, report, .. } = done?;
        Ok((started, report))
    }

    /// Tells the trial that is over.
    fn hand_over(&mut self) -> Result<(), Stopped<E>> {
        let Some(Over { cell, purpose, data_seed, started, mut report }) = self.last.take() else {
            return Ok(());
        };
        report.warnings.append(&mut self.notes);
        let (block, session) = (self.block, self.session);
        finish(Done { block, session, cell: &cell, purpose, data_seed, started, report }, self.tell)
    }

    /// Stops the engine, and tells the last trial.
    fn end(mut self) -> Result<(), Stopped<E>> {
        if let Some(engine) = self.engine.take() {
            let closing = engine.close(&mut |event| drop((self.tell)(Happening::Event(event))));
            if let Some(last) = &mut self.last {
                last.report.close(closing);
            }
        }
        self.hand_over()
    }
}
