//! Sweeps over kernels for METG: a session of a block is one sweep, which chooses each trial by the results of those before.

use std::collections::HashMap;

use super::blocks::{finish, stop};
use super::engine::Engine;
use super::event::{Event, Sink, Stopped};
use super::executor::Executor;
use super::task_reference::TaskReference;
use super::trial::{Granularity, TrialResult, TrialSpec, again_if_stopped};
use crate::metg::{ITERATIONS, Load, LoadRunner, MOST_ITERATIONS, Range, Sweep};
use crate::plan::{Block, Cell, Purpose, Session};

impl Executor {
    /// Runs one sweep for each cell of each session of `block`: the cell is the template of the points of the run `run`.
    pub(crate) fn sweep<E>(
        &mut self,
        run: &str,
        block: &Block,
        range: &Range,
        sink: Sink<'_, E>,
    ) -> Result<(), Stopped<E>> {
        // The references are timed on a quiet machine too.
        self.pause()?;
        let references = self.task_references(block, sink)?;
        let prepare = |_: &mut Self, _: &Session| ();
        self.run_sessions(block, sink, prepare, |executor, session, notes, sink| {
            let (mut engine, last) = (None, session.cells.len().saturating_sub(1));
            for (number, cell) in session.cells.iter().enumerate() {
                let Some(reference) = references.get(&cell.point).copied() else { continue };
                let busy =
                    reference.is_busy.then(|| "other work ran while the reference was timed".to_owned());
                let notes = if number == 0 { notes } else { &[] };
                let mut runner = SessionRunner {
                    executor,
                    run,
                    block,
                    session,
                    cell,
                    reference,
                    sink,
                    engine,
                    warm_ups: Vec::new(),
                    last: None,
                    notes: notes.iter().cloned().chain(busy).collect(),
                };
                let sweep = runner.sweep(range);
                sweep.run(&mut runner)?;
                engine = runner.end(number == last)?;
            }
            Ok(())
        })
    }

    /// What a task of each cell of `block` takes, by the ids of their points.
    fn task_references<E>(
        &mut self,
        block: &Block,
        sink: Sink<'_, E>,
    ) -> Result<HashMap<String, TaskReference>, Stopped<E>> {
        let cells = block.sessions.first().map_or(&[] as &[Cell], |session| &session.cells);
        let mut references = HashMap::new();
        for cell in cells {
            let reference = self.task_reference(&cell.spec).map_err(Stopped::Failed)?;
            sink(&Event::ReferenceTimed(block, reference.seconds_per_iteration)).map_err(Stopped::Sink)?;
            references.insert(cell.point.clone(), reference);
        }
        Ok(references)
    }
}

/// A sweep over the kernels of one cell, in a session of a backend.
struct SessionRunner<'r, 'b, 't, E> {
    executor: &'r mut Executor,
    run: &'b str,
    block: &'b Block,
    session: &'b Session,
    cell: &'b Cell,
    reference: TaskReference,
    sink: Sink<'t, E>,
    engine: Option<Engine>,
    /// The warm-ups of this sweep so far.
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
        let mut trial = self.trial(load, purpose)?;
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
    /// The sweep, whose points have as many tasks as the template of a task graph has.
    fn sweep(&mut self, range: &Range) -> Sweep {
        let is_graph = self.executor.graph(&self.cell.spec).is_some();
        let TaskReference { seconds_per_iteration, other_seconds, .. } = self.reference;
        let longest = self.reference.seconds(MOST_ITERATIONS);
        Sweep {
            cores: self.session.parallelism,
            seconds_per_iteration,
            other_seconds,
            tasks: Some(self.cell.spec.total_items).filter(|_| is_graph),
            range: Range { coarsest_seconds: range.coarsest_seconds.min(longest), ..*range },
            warm_up: self.executor.setting.warm_up,
        }
    }

    fn trial(&mut self, load: Load, purpose: Purpose) -> Result<TrialSpec, Stopped<E>> {
        let mut spec = self.cell.spec.clone();
        spec.total_items = load.tasks;
        spec.extra.insert(ITERATIONS.into(), load.iterations.into());
        let cell = Cell::new(self.run, spec, self.session.nodes);
        let seconds_per_iteration = self.reference.seconds_per_iteration;
        let kernel_seconds = self.reference.seconds(load.iterations);
        let granularity = Some(Granularity {
            seconds_per_iteration,
            kernel_seconds,
            is_longest: Some(load.is_longest),
            is_shortest: Some(load.is_shortest),
        });
        let trial = self.executor.trial(self.block, self.session, &cell, purpose)?;
        Ok(TrialSpec { granularity, ..trial })
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

    /// Emits the last trial. Stops the engine, and returns none, if this is the `last` sweep of the session, or no other can run on it.
    fn end(mut self, last: bool) -> Result<Option<Engine>, Stopped<E>> {
        let over = last || !self.engine.as_ref().is_some_and(Engine::is_usable);
        let engine = self.engine.take_if(|_| over);
        let closing = engine.map(|engine| engine.close(&mut |event| drop((self.sink)(event))));
        // Also where no engine started: else the next backend would have what this one changed before it failed.
        let changed = if over { self.executor.changed_files() } else { None };
        if let Some((_, result)) = &mut self.last {
            if let Some(closing) = closing {
                result.close(closing);
            }
            result.warnings.extend(changed);
        }
        if last {
            self.executor.check_after(self.session, self.sink)?;
        }
        self.emit_last()?;
        Ok(self.engine)
    }
}
