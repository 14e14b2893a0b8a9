//! The schedule of a comparison: blocks, sessions, warm-ups and measured trials in their order, one engine alive at a time.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use super::engine::Engine;
use super::event::{Event, Sink, Stopped};
use super::executor::Executor;
use super::machine_check::{self, MAX_DELAYS, Noise};
use super::outcome::Outcome;
use super::session::{CallError, Fault};
use super::trial::{TrialResult, TrialSpec, UNSETTLED, again_if_stopped};
use crate::plan::{Block, Cell, DataId, Purpose, Session};
use crate::stats::compared_quantile;
use crate::text::plural;
use crate::worker::protocol::MachineCheck;
use plugin_api::WorkloadSpec;
use plugin_api::workload::Distribution;

/// The expected answers of so many warm-ups beyond the first ones are computed together. A run directly after an oracle may take longer, as
/// its engine rested and lost its caches. The measured run comes after none, and is compared with the last three warm-ups, of which
/// only one does then.
const TOGETHER: u32 = 3;

impl Executor {
    /// Runs `blocks` in their order, and emits all events to `sink`.
    pub(crate) fn blocks<E>(&mut self, blocks: &[Block], sink: Sink<'_, E>) -> Result<(), Stopped<E>> {
        for block in blocks {
            // Expected answers are computed first: no oracle may run between the machine check and the engine.
            let prepare = |executor: &mut Self, session: &Session| executor.prepare(block, session);
            self.run_sessions(block, sink, prepare, |executor, session, notes, sink| {
                executor.session(block, session, notes, sink)
            })?;
        }
        Ok(())
    }

    /// Runs the sessions of a block in their order: a pause after the session before, `prepare`, a machine check, and `run`, which is
    /// given the notes for the session's first trial. A session that meets a noisy machine is postponed to the end of its block.
    pub(super) fn run_sessions<E>(
        &mut self,
        block: &Block,
        sink: Sink<'_, E>,
        prepare: impl Fn(&mut Self, &Session),
        mut run: impl FnMut(&mut Self, &Session, &[String], Sink<'_, E>) -> Result<(), Stopped<E>>,
    ) -> Result<(), Stopped<E>> {
        self.expected.forget_lack_of_memory();
        self.pauses.watch_once();
        // The sessions that are still to run, and how often each was postponed.
        let mut queue: VecDeque<_> = block.sessions.iter().map(|session| (session, 0)).collect();
        while let Some((session, delays)) = queue.pop_front() {
            self.pause()?;
            prepare(self, session);
            match self.noise(session, sink)? {
                Some(why) if delays < MAX_DELAYS => {
                    // It has just been read, as there is no noise without a reading.
                    if let Some(check) = self.machine_checks.last_mut() {
                        check.postponed = Some(true);
                    }
                    sink(&Event::Postponed(session, why.to_string())).map_err(Stopped::Sink)?;
                    queue.push_back((session, delays + 1));
                }
                noise => {
                    self.ends_block = queue.is_empty();
                    let mut notes = machine_check::notes(delays, noise);
                    notes.extend(self.look_at_shared_files());
                    let started = Instant::now();
                    run(self, session, &notes, sink)?;
                    self.pauses.session = Some(started.elapsed());
                }
            }
            if self.is_interrupted() {
                return Err(Stopped::Interrupted);
            }
        }
        Ok(())
    }

    /// Waits until nothing is left of the session before, if there was one.
    pub(super) fn pause<E>(&mut self) -> Result<(), Stopped<E>> {
        self.pauses.after_session(&self.setting.launch.interrupt);
        if self.is_interrupted() { Err(Stopped::Interrupted) } else { Ok(()) }
    }

    /// Checks the machine before a session; the reason why it is noisy, if it is.
    fn noise<E>(&mut self, session: &Session, sink: Sink<'_, E>) -> Result<Option<Noise>, Stopped<E>> {
        let check = self.read_machine(session, false, sink)?;
        Ok(check.and_then(|check| self.baseline.noise(check)))
    }

    /// Checks the machine when the engine of a session has stopped, if that is the last session of its block. Nothing is judged by
    /// this reading: what the engine may have left running is not the usual speed.
    pub(super) fn check_after<E>(&mut self, session: &Session, sink: Sink<'_, E>) -> Result<(), Stopped<E>> {
        if self.ends_block { self.read_machine(session, true, sink).map(drop) } else { Ok(()) }
    }

    fn read_machine<E>(
        &mut self,
        session: &Session,
        after_session: bool,
        sink: Sink<'_, E>,
    ) -> Result<Option<MachineCheck>, Stopped<E>> {
        let Some(check) = self.check_machine(session) else { return Ok(None) };
        let check = MachineCheck { after_session, ..check };
        sink(&Event::MachineChecked(session, check)).map_err(Stopped::Sink)?;
        self.machine_checks.push(MachineCheck { postponed: Some(false), ..check });
        Ok(Some(check))
    }

    /// Computes the expected answers of the measured trials of a session and of its first warm-ups, and takes the references that
    /// this block does not have yet. A failure is reported when the trial runs.
    fn prepare(&mut self, block: &Block, session: &Session) {
        for cell in &session.cells {
            let warm_ups = (0..self.setting.warm_up.min_runs()).map(Purpose::WarmUp);
            self.expect_all(block, cell, std::iter::once(Purpose::Measured).chain(warm_ups));
            if let Ok(seed) = self.data_seed(block, cell, Purpose::Measured) {
                self.take_reference(&WorkloadSpec { seed, ..cell.spec.clone() }, Some(block.index));
            }
        }
    }

    /// Computes the expected answers of these trials of a cell, and of none after one that fails.
    fn expect_all(&mut self, block: &Block, cell: &Cell, purposes: impl Iterator<Item = Purpose>) {
        for purpose in purposes {
            let seed = self.data_seed(block, cell, purpose);
            let expected = seed.and_then(|seed| self.expect(&WorkloadSpec { seed, ..cell.spec.clone() }));
            if expected.is_err() {
                break;
            }
        }
    }

    /// Runs the cells of a session; `notes` go to its first trial.
    fn session<E>(
        &mut self,
        block: &Block,
        session: &Session,
        notes: &[String],
        sink: Sink<'_, E>,
    ) -> Result<(), Stopped<E>> {
        let mut engine = None;
        let last = session.cells.len().saturating_sub(1);
        for (number, cell) in session.cells.iter().enumerate() {
            let mut trial = self.trial(block, session, cell, Purpose::Measured)?;
            let mut result = again_if_stopped(|again| {
                if again {
                    trial = self.trial(block, session, cell, Purpose::Measured)?;
                    stop(&mut engine, sink);
                }
                let mut opened = match engine.take().filter(Engine::is_usable) {
                    Some(engine) => engine,
                    None => match self.start(&trial, sink)? {
                        Ok(engine) => engine,
                        Err(result) => return Ok(*result),
                    },
                };
                let result = self.cell(block, &mut trial, &mut opened, sink);
                engine = Some(opened);
                result
            })?;
            if number == 0 {
                result.warnings.extend_from_slice(notes);
            }
            let over = number == last || !engine.as_ref().is_some_and(Engine::is_usable);
            if let Some(engine) = engine.take_if(|_| over) {
                // The record of the last trial says how the engine stopped.
                result.close(engine.close(&mut |event| drop(sink(event))));
            }
            if over {
                // Also where no engine started: else the next backend would have what this one changed before it failed.
                result.warnings.extend(self.changed_files());
            }
            if number == last {
                self.check_after(session, sink)?;
            }
            result.machine_checks.append(&mut self.machine_checks);
            finish(&trial, &result, sink)?;
        }
        Ok(())
    }

    /// Loads the backend of `trial`, and starts its engine. The inner error is the trial's result if the backend fails.
    ///
    /// # Errors
    /// [`Stopped`] when the user interrupts, or the machine is at fault.
    pub(super) fn start<E>(
        &mut self,
        trial: &TrialSpec,
        sink: Sink<'_, E>,
    ) -> Result<Result<Engine, Box<TrialResult>>, Stopped<E>> {
        let started = match self.load(&trial.backend.name) {
            Ok(backend) => self.open(backend, trial, sink),
            Err(error) => Err(Box::new(TrialResult::failed(error))),
        };
        match started.as_ref().err().and_then(|result| result.outcome.error()) {
            Some(error) if error.fault == Fault::Interrupted => Err(Stopped::Interrupted),
            Some(error) => match self.host_fault(trial, error) {
                Some(fault) => Err(Stopped::Failed(fault)),
                None => Ok(started),
            },
            None => Ok(started),
        }
    }

    /// Warms up, and measures. If a warm-up fails, its result is the cell's result, with the warm-up's data: a measurement
    /// without its warm-ups would not be comparable.
    fn cell<E>(
        &mut self,
        block: &Block,
        trial: &mut TrialSpec,
        engine: &mut Engine,
        sink: Sink<'_, E>,
    ) -> Result<TrialResult, Stopped<E>> {
        let (mut rule, mut durations, mut latencies) = (self.setting.warm_up, Vec::new(), Vec::new());
        let fewest = rule.min_runs();
        for number in 0_u32.. {
            if rule.is_over_with(&durations, &compared(&latencies)) {
                break;
            }
            let next = answered_together(number, fewest, rule.most);
            self.expect_all(block, &trial.cell, next.map(Purpose::WarmUp));
            let purpose = Purpose::WarmUp(number);
            let data_seed = self.data_seed(block, &trial.cell, purpose).map_err(Stopped::Failed)?;
            let warm_up = TrialSpec { purpose, data_seed, ..trial.clone() };
            let result = self.run(&warm_up, engine, sink)?;
            let Some(duration) = result.seconds() else {
                trial.data_seed = data_seed;
                return Ok(result);
            };
            if let Some(latency) = result.actual.as_ref().and_then(|answer| answer.latency.as_ref()) {
                rule = self.setting.warm_up.of_open_loop(trial.cell.spec.total_items);
                latencies.push(latency.scheduled.clone());
            }
            durations.push(duration);
            finish(&warm_up, &result, sink)?;
        }
        let mut result = self.run(trial, engine, sink)?;
        // The schedule of an open loop decides how long a run takes: only its latencies show that the engine still warms up.
        let has_settled = rule.has_settled(&durations) && rule.have_latencies_settled(&compared(&latencies));
        if !durations.is_empty() && !has_settled {
            result.warnings.push(unsettled(durations.len()));
        }
        Ok(result)
    }

    /// A trial of a cell in a session of a block, with the data of that point and block.
    pub(super) fn trial<E>(
        &mut self,
        block: &Block,
        session: &Session,
        cell: &Cell,
        purpose: Purpose,
    ) -> Result<TrialSpec, Stopped<E>> {
        Ok(TrialSpec {
            backend: session.backend.clone(),
            cell: cell.clone(),
            nodes: session.nodes,
            block: Some(block.index),
            purpose,
            data_seed: self.data_seed(block, cell, purpose).map_err(Stopped::Failed)?,
            granularity: None,
        })
    }

    fn data_seed(&mut self, block: &Block, cell: &Cell, purpose: Purpose) -> Result<u64, CallError> {
        self.seeds.of(DataId { block: block.index, point: cell.point.clone(), purpose })
    }
}

/// The warm-ups whose expected answers are computed before the warm-up `number`, of at least `fewest` and at most `most`. Those of the
/// first are there already.
fn answered_together(number: u32, fewest: u32, most: u32) -> Range<u32> {
    let is_first = number.checked_sub(fewest).is_some_and(|further| further.is_multiple_of(TOGETHER));
    number..if is_first { (number + TOGETHER).min(most) } else { number }
}

/// The latencies of runs of an open loop at the quantile at which they are compared: the highest of which all have enough items.
fn compared(latencies: &[Distribution]) -> Vec<f64> {
    let fewest = latencies.iter().map(|latency| latency.count).min();
    let quantile = fewest.and_then(compared_quantile);
    latencies.iter().filter_map(|latency| Some(latency.at(quantile?)? as f64)).collect()
}

/// Stops an engine of which no record says how it stopped.
pub(super) fn stop<E>(engine: &mut Option<Engine>, sink: Sink<'_, E>) {
    if let Some(engine) = engine.take() {
        engine.close(&mut |event| drop(sink(event)));
    }
}

/// The warning of a measured trial whose warm-ups still rose or fell.
fn unsettled(warm_ups: usize) -> String {
    format!("{UNSETTLED} in {}", plural(warm_ups as u64, "warm-up"))
}

/// Emits the end of a trial, unless the user interrupted it.
pub(super) fn finish<E>(
    trial: &TrialSpec,
    result: &TrialResult,
    sink: Sink<'_, E>,
) -> Result<(), Stopped<E>> {
    if matches!(&result.outcome, Outcome::Failed(error) if error.fault == Fault::Interrupted) {
        return Err(Stopped::Interrupted);
    }
    sink(&Event::Finished(trial, result)).map_err(Stopped::Sink)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_later_warm_ups_are_computed_three_at_a_time() {
        let before = |number| answered_together(number, 5, 12);
        for number in [0, 4, 6, 7, 9, 10] {
            assert!(before(number).is_empty(), "{number}: {:?}", before(number));
        }
        assert_eq!([before(5), before(8), before(11)], [5..8, 8..11, 11..12]);
    }

    #[test]
    fn the_latencies_of_warm_ups_are_those_that_are_compared() {
        let of = |count| {
            let curve = vec![(0.5, 50), (0.9, 90), (0.95, 95), (0.99, 99)];
            Distribution { count, mean_nanos: 0.0, curve }
        };
        assert_eq!(compared(&[of(2000), of(3000)]), [99.0; 2]);
        // All have the one of which each has enough.
        assert_eq!(compared(&[of(2000), of(200)]), [95.0; 2]);
        assert_eq!((compared(&[of(2000), of(5)]), compared(&[])), (vec![], vec![]));
    }
}
