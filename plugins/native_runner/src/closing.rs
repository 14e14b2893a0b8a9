//! A run that closes what has ended by the watermark of the source, so that the states hold what is open and not the input.
//!
//! Each partition of each reduction has one state, behind a lock: whoever has the lock is its owner. A worker takes a stretch of the
//! source, folds it into states of its own, merges these into the owners' states, and only then counts the stretch as done. The
//! watermark of the first stretch that is not done says up to when the states of the first reduction may be closed. One worker at
//! a time closes: all partitions of a reduction, with what they emit folded into the next reduction, before that one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use plugin_api::workload::{Parts, item_count};
use plugin_api::{Buffer, StageKind, State, WorkloadError, WorkloadHandle};
use thread_engine::{Failure, Scheduler, Slices};

use crate::keyed::Terminal;
use crate::stretches::Stretches;
use crate::units::{Units, hand_out};
use crate::workers::{WorkerContext, Workers};

/// What has not been closed when the input has ended, by the stage that it has reached.
pub(crate) type Reached<'a> = Vec<(usize, Terminal<'a>)>;

/// Takes what has reached `stage` out.
pub(crate) fn at<'a>(stage: usize, reached: &mut Reached<'a>) -> Vec<Terminal<'a>> {
    reached.extract_if(.., |(at, _)| *at == stage).map(|(_, terminal)| terminal).collect()
}

/// Takes all slices to the owners of the reductions, and what ends on the way to the sink.
///
/// # Errors
/// The first failure of any worker.
pub(crate) fn run<'a>(
    workload: &'a WorkloadHandle,
    slices: Slices,
    scheduler: Scheduler,
    workers: &Workers<'_>,
) -> Result<Reached<'a>, Failure> {
    let partitions = u32::try_from(workers.count()).unwrap_or(u32::MAX);
    let closing = Closing {
        workload,
        slices,
        partitions,
        stretches: if workload.plan().open_loop {
            Stretches::of_one_slice(slices, workers.count() as u64)
        } else {
            Stretches::new(slices, workers.count() as u64)
        },
        reductions: Reduction::all(workload, partitions)?,
        closed: Mutex::new(0),
        closed_before: AtomicU64::new(0),
    };
    let work = |context: WorkerContext<'_>, units: Units<'_>| Worker::new(&closing, context)?.work(units);
    let sinks = hand_out(scheduler, workers, closing.stretches.count(), work)?;
    let mut reached: Vec<_> = sinks.into_iter().map(|sink| (workload.plan().sink(), sink)).collect();
    for Reduction { stage, owners, .. } in closing.reductions {
        let states =
            owners.into_iter().map(|owner| owner.into_inner().unwrap_or_else(PoisonError::into_inner));
        reached.push((stage, Terminal::of(workload, stage, states.collect())));
    }
    Ok(reached)
}

/// A keyed reduction, with the state of each partition.
struct Reduction {
    stage: usize,
    /// The reduction or sink after it.
    end: usize,
    owners: Vec<Mutex<State>>,
}

impl Reduction {
    /// All of a plan, in its order.
    fn all(workload: &WorkloadHandle, partitions: u32) -> Result<Vec<Self>, WorkloadError> {
        let plan = workload.plan();
        let keyed = (0..plan.sink()).filter(|stage| plan.kind(*stage) == Some(StageKind::KeyedReduce));
        keyed
            .map(|stage| {
                let owners = (0..partitions).map(|_| workload.new_state(stage).map(Mutex::new));
                Ok(Self {
                    stage,
                    end: plan.end_of_chain(stage + 1),
                    owners: owners.collect::<Result<_, _>>()?,
                })
            })
            .collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the workers share.
struct Closing<'a> {
    workload: &'a WorkloadHandle,
    slices: Slices,
    partitions: u32,
    stretches: Stretches,
    reductions: Vec<Reduction>,
    /// The time at which all reductions are closed. Who has the lock closes.
    closed: Mutex<u64>,
    /// The slice before which all that has ended is closed.
    closed_before: AtomicU64,
}

struct Worker<'c, 'a> {
    closing: &'c Closing<'a>,
    context: WorkerContext<'c>,
    sink: Terminal<'a>,
    // Each call gets the same buffers: they keep their memory.
    batch: Buffer,
    output: Buffer,
    parts: Parts,
}

impl<'c, 'a> Worker<'c, 'a> {
    fn new(closing: &'c Closing<'a>, context: WorkerContext<'c>) -> Result<Self, WorkloadError> {
        let workload = closing.workload;
        let sink = Terminal::new(workload, workload.plan().sink(), 1)?;
        let (batch, output, parts) =
            (workload.buffer(), workload.buffer(), workload.parts(closing.partitions));
        Ok(Self { closing, context, sink, batch, output, parts })
    }

    fn work(mut self, units: Units<'_>) -> Result<Terminal<'a>, WorkloadError> {
        for unit in units {
            if !self.closing.stretches.begin(unit, || self.context.stop.is_stopped()) {
                break;
            }
            self.fold(unit)?;
            self.closing.stretches.finish(unit);
            self.close()?;
        }
        Ok(self.sink)
    }

    /// Folds a stretch into states of its own, and merges these into the owners'.
    fn fold(&mut self, unit: u64) -> Result<(), WorkloadError> {
        let Closing { workload, slices, partitions, stretches, reductions, .. } = self.closing;
        let Some(first) = reductions.first() else { return Ok(()) };
        let mut own = Terminal::new(workload, first.stage, *partitions)?;
        for (start, count) in stretches.slices(unit).map(|number| slices.slice(number)) {
            if self.context.stop.is_stopped() {
                return Ok(());
            }
            workload.source(start, count, first.stage, &mut self.batch)?;
            self.context.tally.add(count);
            own.fold(&self.batch)?;
        }
        let mut states: Vec<_> = own.into_states().into_iter().zip(&first.owners).collect();
        // Workers that are done at the same time begin with different owners.
        let place = unit as usize % states.len().max(1);
        states.rotate_left(place);
        for (mut state, owner) in states {
            let encoded = state.encode()?;
            lock(owner).merge(&encoded)?;
        }
        Ok(())
    }

    /// Closes what has ended, unless another worker does and is not far behind. In an open loop, which has short stretches, it
    /// goes on until all is closed that other workers finished meanwhile: what is due must not wait for the next one.
    fn close(&mut self) -> Result<(), WorkloadError> {
        let Closing { workload, stretches, .. } = self.closing;
        while let Some(low) = self.close_once()? {
            if !workload.plan().open_loop || low == stretches.low() {
                break;
            }
        }
        Ok(())
    }

    /// Returns the first slice that was not done then; `None` if another worker closes.
    fn close_once(&mut self) -> Result<Option<u64>, WorkloadError> {
        let Closing { workload, slices, stretches, reductions, closed, closed_before, .. } = self.closing;
        let mut closed = match closed.try_lock() {
            Ok(closed) => closed,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock)
                if stretches.is_far_beyond(closed_before.load(Ordering::Relaxed)) =>
            {
                lock(closed)
            }
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        let low = stretches.low();
        let first = low.saturating_mul(slices.size).min(slices.total);
        let time = workload.watermark(first)?;
        // At the end of the input everything is emitted, by all workers.
        if time <= *closed || first == slices.total {
            return Ok(Some(low));
        }
        for reduction in reductions {
            for owner in &reduction.owners {
                self.close_owner(reduction, owner, time)?;
            }
        }
        *closed = time;
        closed_before.store(low, Ordering::Relaxed);
        Ok(Some(low))
    }

    fn close_owner(
        &mut self,
        reduction: &Reduction,
        owner: &Mutex<State>,
        time: u64,
    ) -> Result<(), WorkloadError> {
        let Closing { workload, slices, reductions, .. } = self.closing;
        while !self.context.stop.is_stopped() {
            lock(owner).close(time, slices.size, &mut self.batch)?;
            if self.batch.item_count() == 0 {
                break;
            }
            let from = reduction.stage + 1;
            let output = if from == reduction.end {
                &self.batch
            } else {
                workload.run_stages(from, reduction.end, &self.batch, &mut self.output)?;
                &self.output
            };
            let Some(next) = reductions.iter().find(|next| next.stage == reduction.end) else {
                self.sink.fold(output)?;
                continue;
            };
            workload.split_into(next.stage, output, &mut self.parts)?;
            let parts = next.owners.iter().zip(self.parts.iter());
            for (owner, part) in parts.filter(|(_, part)| item_count(part) > 0) {
                lock(owner).fold(part)?;
            }
        }
        Ok(())
    }
}
