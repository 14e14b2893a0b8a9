//! Sweeps over kernels for METG: a session of a block is one sweep, which chooses each trial by the results of those before.

use std::time::Duration;

use plugin_api::WorkloadSpec;

use super::blocks::{finish, stop};
use super::engine::Engine;
use super::event::{Event, Sink, Stopped};
use super::executor::Executor;
use super::session::CallError;
use super::trial::{Granularity, TrialResult, TrialSpec, again_if_stopped};
use crate::metg::{self, Load, LoadRunner, Range, Sweep};
use crate::plan::{Block, Cell, Purpose, Session};

/// The workload's parameter for the length of the kernel.
const ITERATIONS: &str = "iters";
/// The largest value of that parameter.
const MAX_ITERATIONS: u64 = 1_000_000_000;
/// The stage of the kernel.
const KERNEL: usize = 1;
/// The kernel of the reference: so long that the call around it, some 50 ns, is a thousandth of its time.
const REFERENCE_ITERATIONS: u64 = 1 << 16;
/// How long the reference is timed.
const REFERENCE: Duration = Duration::from_millis(200);

/// If the mean of the calls exceeds their median by this factor, other work interrupted them.
const BUSY: f64 = 1.10;

impl Executor {
    /// Runs one sweep in each session of `block`, whose first cell is the template of the points of the run `run`.
    pub(crate) fn sweep<E>(
        &mut self,
        run: &str,
        block: &Block,
        range: &Range,
        sink: Sink<'_, E>,
    ) -> Result<(), Stopped<E>> {
        let (seconds_per_iteration, busy) = self.reference(block).map_err(Stopped::Failed)?;
        sink(&Event::ReferenceTimed(block, seconds_per_iteration)).map_err(Stopped::Sink)?;
        let longest = MAX_ITERATIONS as f64 * seconds_per_iteration;
        let prepare = |_: &mut Self, _: &Session| ();
        self.run_sessions(block, sink, prepare, |executor, session, notes, sink| {
            let sweep = Sweep {
                cores: session.parallelism,
                seconds_per_iteration,
                range: Range { coarsest_seconds: range.coarsest_seconds.min(longest), ..*range },
                warm_up: executor.setting.warm_up,
            };
            let notes = notes.iter().cloned().chain(busy.clone()).collect();
            let (engine, warm_ups, last) = (None, Vec::new(), None);
            let mut runner = SessionRunner {
                executor,
                run,
                block,
                session,
                seconds_per_iteration,
                sink,
                engine,
                warm_ups,
                last,
                notes,
            };
            sweep.run(&mut runner)?;
            runner.end()
        })
    }

    /// Seconds of one iteration of the kernel, with nothing but the workload's library at work; and a note if other work ran on
    /// the machine.
    fn reference(&mut self, block: &Block) -> Result<(f64, Option<String>), CallError> {
        let template = block.sessions.first().and_then(|session| session.cells.first());
        let spec = &template.ok_or_else(|| CallError::unexpected("reference"))?.spec;
        let (seconds, is_busy) = self.seconds_per_iteration(spec)?;
        Ok((seconds, is_busy.then(|| "other work ran while the reference was timed".to_owned())))
    }

    /// Seconds of one iteration of the kernel of `spec` now, and whether other work ran meanwhile.
    pub(crate) fn seconds_per_iteration(&mut self, spec: &WorkloadSpec) -> Result<(f64, bool), CallError> {
        let mut spec = spec.clone();
        spec.extra.insert(ITERATIONS.into(), REFERENCE_ITERATIONS.into());
        let calls = self.judge(&spec.name)?.time(&spec, KERNEL, REFERENCE)?;
        let medians: Vec<_> = calls.iter().map(|call| call.median).collect();
        let seconds = metg::seconds_per_iteration(&medians, REFERENCE_ITERATIONS)
            .ok_or_else(|| CallError::unexpected("reference"))?;
        Ok((seconds, calls.iter().any(|call| call.mean > call.median * BUSY)))
    }
}

/// One session of a backend, in which a sweep runs.
struct SessionRunner<'r, 'b, 't, E> {
    executor: &'r mut Executor,
    run: &'b str,
    block: &'b Block,
    session: &'b Session,
    seconds_per_iteration: f64,
    sink: Sink<'t, E>,
    engine: Option<Engine>,
    /// The warm-ups of this session so far.
    warm_ups: Vec<TrialSpec>,
    /// A trial that has ended and was not emitted yet: the record of the last one says how the engine stopped.
    last: Option<(TrialSpec, TrialResult)>,
    /// Notes for the first trial.
    notes: Vec<String>,
}

impl<E> LoadRunner for SessionRunner<'_, '_, '_, E> {
    type Error = Stopped<E>;

    fn run(&mut self, load: Load, purpose: Purpose) -> Result<Option<f64>, Stopped<E>> {
        self.emit_last()?;
        if self.executor.is_interrupted() {
            return Err(Stopped::Interrupted);
        }
        let Some(mut trial) = self.trial(load, purpose)? else { return Ok(None) };
        let result =
            again_if_stopped(|again| if again { self.result_anew(&mut trial) } else { self.result(&trial) })?;
        let seconds = result.seconds();
        if seconds.is_none() {
            // A failed warm-up is recorded as a failed point is.
            trial.purpose = Purpose::Measured;
        } else if trial.purpose != Purpose::Measured {
            self.warm_ups.push(trial.clone());
        }
        self.last = Some((trial, result));
        Ok(seconds)
    }
}

impl<E> SessionRunner<'_, '_, '_, E> {
    fn trial(&mut self, load: Load, purpose: Purpose) -> Result<Option<TrialSpec>, Stopped<E>> {
        let Some(template) = self.session.cells.first() else { return Ok(None) };
        let mut spec = template.spec.clone();
        spec.total_items = load.tasks;
        spec.extra.insert(ITERATIONS.into(), load.iterations.into());
        let cell = Cell::new(self.run, spec, self.session.nodes);
        let seconds_per_iteration = self.seconds_per_iteration;
        let kernel_seconds = load.iterations as f64 * seconds_per_iteration;
        let granularity = Some(Granularity { seconds_per_iteration, kernel_seconds });
        let trial = self.executor.trial(self.block, self.session, &cell, purpose)?;
        Ok(Some(TrialSpec { granularity, ..trial }))
    }

    /// Starts the engine if none runs yet, and runs one trial on it.
    fn result(&mut self, trial: &TrialSpec) -> Result<TrialResult, Stopped<E>> {
        let mut engine = match self.engine.take() {
            Some(engine) => engine,
            None => match self.executor.start(trial, self.sink)? {
                Ok(engine) => engine,
                Err(result) => return Ok(*result),
            },
        };
        let result = self.executor.run(trial, &mut engine, self.sink);
        self.engine = Some(engine);
        result
    }

    /// Runs one trial on a new engine, which is warmed up as the engine before was.
    fn result_anew(&mut self, trial: &mut TrialSpec) -> Result<TrialResult, Stopped<E>> {
        stop(&mut self.engine, self.sink);
        for warm_up in self.warm_ups.clone() {
            let result = self.result(&warm_up)?;
            if result.seconds().is_none() {
                trial.data_seed = warm_up.data_seed;
                return Ok(result);
            }
            finish(&warm_up, &result, self.sink)?;
        }
        self.result(trial)
    }

    fn emit_last(&mut self) -> Result<(), Stopped<E>> {
        let Some((trial, mut result)) = self.last.take() else { return Ok(()) };
        result.warnings.append(&mut self.notes);
        if trial.purpose == Purpose::Measured {
            result.machine_checks.append(&mut self.executor.machine_checks);
        }
        finish(&trial, &result, self.sink)
    }

    /// Stops the engine, and emits the last trial.
    fn end(mut self) -> Result<(), Stopped<E>> {
        if let Some(engine) = self.engine.take() {
            let closing = engine.close(&mut |event| drop((self.sink)(event)));
            if let Some((_, result)) = &mut self.last {
                result.close(closing);
            }
        }
        self.executor.check_after(self.session, self.sink)?;
        self.emit_last()
    }
}
