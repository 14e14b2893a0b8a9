//! The serial reference of a workload that closes what has ended while its input goes on, as a backend with watermarks does.
//!
//! The sample is one stretch of the input, in its order, of which each slice is folded and then all is closed that has ended: so the
//! states hold what is open, and what a later reduction gets is proportional to the stretch. It begins in the middle of the input, as
//! streams begin with few keys. What is open at the end of the stretch is emitted, and counts once.

use std::time::Duration;

use plugin_api::workload::WATERMARKS;
use plugin_api::{Buffer, StageKind, State, WorkloadError, WorkloadHandle};

use super::reference::on_core;
use super::serial_reference::{FEWEST_SLICES, KEYS, MAX_PASSES, Pass, Slice, cpu_time, slice_size, summary};
use crate::sandbox::affinity::cores;
use crate::worker::protocol::SerialSample;

/// The reference of a workload that closes.
pub(super) struct ClosingReference {
    pub(super) sample: SerialSample,
    /// The part of the source and of the stages before the first reduction in it: however reductions are done, these are.
    pub(super) unreduced_share: f64,
}

/// Whether a workload has reductions that may be closed while the input goes on.
pub(super) fn closes(workload: &WorkloadHandle) -> bool {
    workload.spec().is_granted(WATERMARKS) && workload.plan().has_reduction()
}

/// Runs about `duration` of the workload, on each core that this process may use, one core after the other.
pub(super) fn sample(
    workload: &WorkloadHandle,
    duration: Duration,
) -> Result<ClosingReference, WorkloadError> {
    let (items, cores) = (workload.spec().total_items, cores());
    if items == 0 {
        return Ok(ClosingReference { sample: SerialSample::default(), unreduced_share: 1.0 });
    }
    let (size, seconds) = slice_size(workload, items)?;
    let all = items.div_ceil(size);
    let affordable = (duration.as_secs_f64() / seconds.max(1e-9)) as u64;
    let number = affordable.max(FEWEST_SLICES).min(all);
    let first = (all - number) / 2;
    let slices: Vec<_> =
        (first..first + number).map(|slice| (slice * size, size.min(items - slice * size))).collect();
    let (mut passes, mut taken) = (Vec::new(), 0.0);
    while passes.len() < MAX_PASSES {
        let pass = pass(workload, &slices, &cores)?;
        taken += pass.taken();
        passes.push(pass);
        if taken + taken / passes.len() as f64 > duration.as_secs_f64() {
            break;
        }
    }
    let total = |of: fn(&Slice) -> f64| passes.iter().flat_map(|pass| &pass.slices).map(of).sum::<f64>();
    let rest: f64 = passes.iter().map(|pass| pass.rest).sum();
    let (unreduced, sampled) =
        (total(|slice| slice.cpu_seconds - slice.fold_seconds), total(|slice| slice.cpu_seconds) + rest);
    Ok(ClosingReference {
        sample: summary(&passes, items, cores.len().min(slices.len())),
        unreduced_share: (unreduced / sampled.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0),
    })
}

/// Takes the slices, which follow each other, to the sink: each core has a part of them.
fn pass(workload: &WorkloadHandle, slices: &[(u64, u64)], cores: &[usize]) -> Result<Pass, WorkloadError> {
    let (mut path, mut taken) = (Path::new(workload)?, Vec::with_capacity(slices.len()));
    for (core, turn) in cores.iter().zip(slices.chunks(slices.len().div_ceil(cores.len()).max(1))) {
        let mut slices =
            || turn.iter().map(|(first, items)| path.slice(*first, *items)).collect::<Result<Vec<_>, _>>();
        taken.extend(on_core(*core, &mut slices)?);
    }
    let (rest, rest_operators) = path.finish()?;
    Ok(Pass { slices: taken, rest, rest_operators, keyed: true })
}

/// A keyed reduction with its only state.
struct Reduction {
    stage: usize,
    /// The reduction or sink after it.
    end: usize,
    state: State,
}

/// All reductions of a plan, and the sink.
struct Path<'w> {
    workload: &'w WorkloadHandle,
    reductions: Vec<Reduction>,
    sink: State,
    batch: Buffer,
    output: Buffer,
}

impl<'w> Path<'w> {
    fn new(workload: &'w WorkloadHandle) -> Result<Self, WorkloadError> {
        let plan = workload.plan();
        let keyed = (0..plan.sink()).filter(|stage| plan.kind(*stage) == Some(StageKind::KeyedReduce));
        let reductions = keyed
            .map(|stage| {
                let end = plan.end_of_chain(stage + 1);
                Ok(Reduction { stage, end, state: workload.new_state(stage)? })
            })
            .collect::<Result<_, WorkloadError>>()?;
        let (batch, output) = (workload.buffer(), workload.buffer());
        Ok(Self { workload, reductions, sink: workload.new_sink()?, batch, output })
    }

    fn slice(&mut self, first: u64, items: u64) -> Result<Slice, WorkloadError> {
        let before = cpu_time();
        let end = self.workload.plan().end_of_chain(1);
        self.workload.source(first, items, end, &mut self.batch)?;
        let made = cpu_time();
        if let Some(reduction) = self.reductions.first_mut() {
            reduction.state.fold(&self.batch)?;
        }
        let time = self.workload.watermark(first + items)?;
        // At the end of the input everything is emitted.
        let operators = if time == u64::MAX {
            0.0
        } else {
            self.pass_on(|state, batch| state.close(time, KEYS, batch).map(drop))?
        };
        let closed = cpu_time();
        // Once more without the operators, which only a few workloads have so short that it matters.
        self.workload.source(first, items, 1, &mut self.batch)?;
        let (cpu_seconds, source_seconds) = (closed - before, cpu_time() - closed);
        Ok(Slice { items, cpu_seconds, source_seconds, fold_seconds: closed - made - operators })
    }

    /// Emits what is open: the CPU seconds, and those of the operators in them.
    fn finish(&mut self) -> Result<(f64, f64), WorkloadError> {
        let before = cpu_time();
        let operators = self.pass_on(|state, batch| state.emit(KEYS, batch))?;
        Ok((cpu_time() - before, operators))
    }

    /// Takes what each reduction gives to the next one or the sink, until it gives nothing more. Returns the CPU seconds of the
    /// operators on the way.
    fn pass_on(
        &mut self,
        give: impl Fn(&mut State, &mut Buffer) -> Result<(), WorkloadError>,
    ) -> Result<f64, WorkloadError> {
        let Self { workload, reductions, sink, batch, output } = self;
        let mut operators = 0.0;
        for place in 0..reductions.len() {
            let (before, after) = reductions.split_at_mut(place + 1);
            let Some(Reduction { stage, end, state }) = before.last_mut() else { break };
            loop {
                give(state, batch)?;
                if batch.item_count() == 0 {
                    break;
                }
                let began = cpu_time();
                workload.run_stages(*stage + 1, *end, batch, output)?;
                operators += cpu_time() - began;
                after.first_mut().map_or(&mut *sink, |next| &mut next.state).fold(output)?;
            }
        }
        Ok(operators)
    }
}
