//! Runs a plan: blocks, sessions, warm-ups and measured trials in their order, one engine alive at a time. Prints nothing
//! and writes no record: it hands over what happens, as it happens.

use std::time::SystemTime;

use super::Engine;
use super::rig::{Done, Happening, Place, Purpose, Rig, Stopped, Tell, finish, seeded};
use crate::plan::{Block, Session};

impl Rig {
    /// Runs `blocks` in their order and tells everything that happens.
    ///
    /// # Errors
    /// [`Stopped`] when the user interrupts, or `tell` fails.
    pub(crate) fn measure<E>(&mut self, blocks: &[Block], tell: Tell<'_, E>) -> Result<(), Stopped<E>> {
        for block in blocks {
            // What must come out is computed first: no oracle may run between the look at the machine and the engine.
            let prepare = |rig: &mut Self, session: &Session| rig.prepare(block, session);
            self.in_turn(block, tell, prepare, |rig, session, disturbances, tell| {
                rig.session(block, session, disturbances, tell)
            })?;
        }
        Ok(())
    }

    /// Computes what must come out of the measured trials of a session and of its first warm-ups. A failure shows when the
    /// trial is due.
    fn prepare(&mut self, block: &Block, session: &Session) {
        for cell in &session.cells {
            let warm_ups = (0..self.cast.warm_up.fewest()).map(|warm_up| block.warm_up_seed(warm_up));
            for seed in std::iter::once(block.data_seed).chain(warm_ups) {
                if self.expect(&seeded(&cell.spec, seed)).is_err() {
                    break;
                }
            }
        }
    }

    /// Runs the cells of a session; `disturbances` are noted with its first trial.
    fn session<E>(
        &mut self,
        block: &Block,
        session: &Session,
        disturbances: &[String],
        tell: Tell<'_, E>,
    ) -> Result<(), Stopped<E>> {
        let mut engine = None;
        let last = session.cells.len().saturating_sub(1);
        for (number, cell) in session.cells.iter().enumerate() {
            let place = Place { block, session, cell };
            let opened = match engine.take().filter(Engine::is_usable) {
                Some(engine) => Ok(engine),
                None => self.open(place, tell),
            };
            let (mut done, opened) = match opened {
                Ok(mut opened) => (self.cell(place, &mut opened, tell)?, Some(opened)),
                Err(report) => {
                    (place.done(Purpose::Measured, block.data_seed, SystemTime::now(), *report), None)
                }
            };
            engine = opened;
            if number == 0 {
                done.report.warnings.extend_from_slice(disturbances);
            }
            let over = number == last || !engine.as_ref().is_some_and(Engine::is_usable);
            if let Some(engine) = engine.take_if(|_| over) {
                // How the engine stopped belongs to the last trial that it ran.
                done.report.close(engine.close(&mut |event| drop(tell(Happening::Event(event)))));
            }
            finish(done, tell)?;
        }
        Ok(())
    }

    /// Warms up, and measures. A failed warm-up is the cell's row: what would follow it would not be what was asked for.
    fn cell<'a, E>(
        &mut self,
        place: Place<'a>,
        engine: &mut Engine,
        tell: Tell<'_, E>,
    ) -> Result<Done<'a>, Stopped<E>> {
        let mut durations = Vec::new();
        for warm_up in 0.. {
            if self.cast.warm_up.is_over(&durations) {
                break;
            }
            let seed = place.block.warm_up_seed(warm_up);
            let done = self.trial_on(place, engine, Purpose::WarmUp(warm_up), seed, tell)?;
            let duration = done.report.finished.as_ref().map(|finished| finished.duration_seconds);
            let verified = done.report.is_verified();
            let (Some(duration), true) = (duration, verified) else {
                return Ok(Done { purpose: Purpose::Measured, ..done });
            };
            durations.push(duration);
            finish(done, tell)?;
        }
        self.trial_on(place, engine, Purpose::Measured, place.block.data_seed, tell)
    }
}
