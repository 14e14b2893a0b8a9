//! The state of a keyed reduction, with the author's functions that fold, merge, emit and close it.
//!
//! In an open loop the items that it folds have stamps, which it takes off. What it makes has a stamp of its own: when the result is
//! due (`results_due`). So it closes a key at the end of each of its parts, one after the other: what `close` makes then ended at
//! that time.

use std::sync::Arc;

use super::author::Workload;
use super::batch::{Batch, BatchBuilder};
use super::closing::{Deadlines, NEVER, check_granted};
use super::error::{Done, WorkloadError};
use super::keyed::KeyedState;
use super::open_loop::Stamp;
use super::results_due::ResultsDue;
use super::stage_state::StageState;

/// How the workload was opened.
#[derive(Clone, Copy)]
pub(super) struct How {
    /// Whether what has ended may be closed before the input ends.
    pub(super) closes: bool,
    /// The number of items, if it is an open loop.
    pub(super) open_loop_of: Option<u64>,
}

pub(super) struct Reduction<W> {
    workload: Arc<W>,
    stage: usize,
    closes: bool,
    /// When results are due, in an open loop.
    due: Option<ResultsDue>,
    state: KeyedState,
    /// When its keys close, once it was closed at some time.
    deadlines: Option<Deadlines>,
}

impl<W: Workload> Reduction<W> {
    pub(super) fn new(workload: Arc<W>, stage: usize, how: How) -> Self {
        let How { closes, open_loop_of } = how;
        let due = open_loop_of.map(ResultsDue::new);
        Self { workload, stage, closes, due, state: KeyedState::default(), deadlines: None }
    }

    /// The keys of which something ended at `time` or before. At the first call the state is searched.
    fn deadlines(&mut self, time: u64) -> Result<&mut Deadlines, WorkloadError> {
        if self.deadlines.is_none() {
            let mut deadlines = Deadlines::default();
            for (key, accumulator) in self.state.iter() {
                deadlines.schedule(key, self.workload.closes(self.stage, key, accumulator)?);
            }
            self.deadlines = Some(deadlines);
        }
        let deadlines = self.deadlines.get_or_insert_default();
        deadlines.close_at(time);
        Ok(deadlines)
    }

    /// Emits what of `key` ended at `time` or before.
    fn close_key(&mut self, time: u64, key: &[u8], out: &mut BatchBuilder) -> Done {
        let Self { workload, stage, due, state, .. } = self;
        let Some(accumulator) = state.get_mut(key) else { return Ok(()) };
        let left = close_parts(&**workload, *stage, due.as_mut(), time, (key, accumulator), out)?;
        match left {
            Some(end) => self.deadlines.get_or_insert_default().schedule(key, end),
            None => self.state.remove(key),
        }
        Ok(())
    }

    /// Emits all of a key that is not in the state any more.
    fn emit_key(&mut self, key: &[u8], mut accumulator: Vec<u8>, out: &mut BatchBuilder) -> Done {
        let Self { workload, stage, due, .. } = self;
        let Some(due) = due else {
            return workload.emit(*stage, key, &accumulator, out);
        };
        let parts = (key, &mut accumulator);
        if close_parts(&**workload, *stage, Some(&mut *due), NEVER - 1, parts, out)?.is_some() {
            let mut made = BatchBuilder::new();
            workload.emit(*stage, key, &accumulator, &mut made)?;
            Stamp::of_result(due.nanos(&**workload, NEVER)).push_all(&made, out)?;
        }
        Ok(())
    }
}

/// Closes the parts of an accumulator that ended at `time` or before; those of an open loop one after the other, as each is due at
/// a time of its own. Returns when the next part ends; `None` if nothing is left.
fn close_parts<W: Workload>(
    workload: &W,
    stage: usize,
    mut due: Option<&mut ResultsDue>,
    time: u64,
    (key, accumulator): (&[u8], &mut Vec<u8>),
    out: &mut BatchBuilder,
) -> Result<Option<u64>, WorkloadError> {
    let mut end = workload.closes(stage, key, accumulator)?;
    while end <= time {
        let until = if let Some(due) = &mut due {
            let mut made = BatchBuilder::new();
            workload.close(stage, end, key, accumulator, &mut made)?;
            Stamp::of_result(due.nanos(workload, end)).push_all(&made, out)?;
            end
        } else {
            workload.close(stage, time, key, accumulator, out)?;
            out.check_fits()?;
            time
        };
        if accumulator.is_empty() {
            return Ok(None);
        }
        end = workload.closes(stage, key, accumulator)?;
        if end <= until {
            let why = format!("stage {stage} was closed at time {until}, but kept what ended at time {end}");
            return Err(WorkloadError::Operator(why));
        }
    }
    Ok(Some(end))
}

impl<W: Workload> StageState for Reduction<W> {
    fn fold(&mut self, batch: Batch<'_>) -> Done {
        let Self { workload, stage, due, state, deadlines, .. } = self;
        let stage = *stage;
        for item in batch.iter() {
            let item = if due.is_some() { Stamp::split(item)?.0 } else { item };
            let key = workload.key(stage, item);
            if let Some(deadlines) = &deadlines {
                deadlines.refuse_late(workload.ends(stage, item)?)?;
            }
            let accumulator = state.accumulator(key);
            workload.fold(stage, accumulator, item)?;
            if let Some(deadlines) = deadlines {
                deadlines.schedule(key, workload.closes(stage, key, accumulator)?);
            }
        }
        Ok(())
    }

    fn merge(&mut self, encoded: &[u8]) -> Done {
        let (workload, stage) = (&self.workload, self.stage);
        for entry in KeyedState::decode(encoded)? {
            let (key, other) = entry?;
            if let Some(deadlines) = &self.deadlines {
                deadlines.refuse_late(workload.closes(stage, key, other)?)?;
            }
            let accumulator = self.state.accumulator(key);
            workload.merge(stage, accumulator, other)?;
            if let Some(deadlines) = &mut self.deadlines {
                deadlines.schedule(key, workload.closes(stage, key, accumulator)?);
            }
        }
        Ok(())
    }

    fn encode(&self, out: &mut Vec<u8>) -> Done {
        self.state.encode(out)
    }

    fn emit(&mut self, limit: u64, mut out: BatchBuilder) -> Result<BatchBuilder, WorkloadError> {
        if limit == 0 {
            return Err(WorkloadError::Argument("emit needs a limit of at least 1".into()));
        }
        // A key may emit nothing, but an empty batch means the end. So this goes on until there is an item.
        while out.is_empty() {
            let drained = self.state.drain(usize::try_from(limit).unwrap_or(usize::MAX));
            if drained.is_empty() {
                break;
            }
            out.reserve(drained.len(), 0);
            for (key, accumulator) in drained {
                self.emit_key(&key, accumulator, &mut out)?;
                out.check_fits()?;
            }
        }
        Ok(out)
    }

    fn close(
        &mut self,
        time: u64,
        limit: u64,
        mut out: BatchBuilder,
    ) -> Result<(BatchBuilder, u64), WorkloadError> {
        check_granted(self.closes)?;
        if limit == 0 {
            return Err(WorkloadError::Argument("close needs a limit of at least 1".into()));
        }
        // The largest time is that of what never ends.
        let time = time.min(NEVER - 1);
        let mut left = limit;
        // As in `emit`: a key may emit nothing, but an empty batch means that nothing more has ended.
        while left > 0 || out.is_empty() {
            let Some(key) = self.deadlines(time)?.take_due(time) else { break };
            self.close_key(time, &key, &mut out)?;
            left = left.saturating_sub(1);
        }
        Ok((out, self.deadlines(time)?.next()))
    }
}
