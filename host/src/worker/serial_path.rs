//! The way of items through a workload on one thread, with nothing but its library at work: source and chain in one call, then one
//! reduction after the other, which emit at the end of the input or close while it goes on. What is timed and what is checked take it.

use plugin_api::{Buffer, StageKind, State, WorkloadError, WorkloadHandle};

use crate::slowdown::thread_time;

/// A keyed reduction, with an owner for each partition of its keys.
struct Reduction {
    stage: usize,
    /// The reduction or sink after it.
    end: usize,
    owners: Vec<State>,
}

/// All reductions of a plan, and the sink.
pub(super) struct SerialPath<'w> {
    pub(super) workload: &'w WorkloadHandle,
    reductions: Vec<Reduction>,
    sink: State,
    batch: Buffer,
    output: Buffer,
}

impl<'w> SerialPath<'w> {
    pub(super) fn new(workload: &'w WorkloadHandle, partitions: usize) -> Result<Self, WorkloadError> {
        let plan = workload.plan();
        let keyed = (0..plan.sink()).filter(|stage| plan.kind(*stage) == Some(StageKind::KeyedReduce));
        let reductions = keyed
            .map(|stage| {
                let owners = (0..partitions).map(|_| workload.new_state(stage)).collect::<Result<_, _>>()?;
                Ok(Reduction { stage, end: plan.end_of_chain(stage + 1), owners })
            })
            .collect::<Result<_, WorkloadError>>()?;
        let (batch, output) = (workload.buffer(), workload.buffer());
        Ok(Self { workload, reductions, sink: workload.new_sink()?, batch, output })
    }

    pub(super) fn is_keyed(&self) -> bool {
        !self.reductions.is_empty()
    }

    /// The first reduction, or the sink.
    pub(super) fn first_end(&self) -> usize {
        self.reductions.first().map_or(self.workload.plan().sink(), |reduction| reduction.stage)
    }

    /// Makes items, and takes them through the stages before `to`.
    pub(super) fn make(&mut self, first: u64, items: u64, to: usize) -> Result<&Buffer, WorkloadError> {
        self.workload.source(first, items, to, &mut self.batch)?;
        Ok(&self.batch)
    }

    /// Folds the items that were made for it into the first reduction or the sink.
    pub(super) fn fold(&mut self) -> Result<(), WorkloadError> {
        fold(self.workload, self.reductions.first_mut(), &mut self.sink, &self.batch)
    }

    /// Takes what each owner gives to the next reduction or the sink, until it gives nothing more. Returns the CPU seconds of the
    /// operators on the way. `give` gets the stage of the reduction and the state of the owner.
    pub(super) fn pass_on<E: From<WorkloadError>>(
        &mut self,
        give: impl Fn(usize, &mut State, &mut Buffer) -> Result<(), E>,
    ) -> Result<f64, E> {
        let Self { workload, reductions, sink, batch, output } = self;
        let mut operators = 0.0;
        for place in 0..reductions.len() {
            let (before, after) = reductions.split_at_mut(place + 1);
            let Some(Reduction { stage, end, owners }) = before.last_mut() else { break };
            for owner in owners {
                loop {
                    give(*stage, owner, batch)?;
                    if batch.item_count() == 0 {
                        break;
                    }
                    let began = cpu_time();
                    workload.run_stages(*stage + 1, *end, batch, output)?;
                    operators += cpu_time() - began;
                    fold(workload, after.first_mut(), sink, output)?;
                }
            }
        }
        Ok(operators)
    }

    /// The encoded state of the sink.
    pub(super) fn sink(&mut self) -> Result<Buffer, WorkloadError> {
        self.sink.encode()
    }
}

/// Folds a batch into the owners of a reduction, or else into the sink.
fn fold(
    workload: &WorkloadHandle,
    reduction: Option<&mut Reduction>,
    sink: &mut State,
    batch: &[u8],
) -> Result<(), WorkloadError> {
    let Some(Reduction { stage, owners, .. }) = reduction else { return sink.fold(batch) };
    if let [owner] = owners.as_mut_slice() {
        return owner.fold(batch);
    }
    let parts = workload.split(*stage, batch, owners.len() as u32)?;
    owners.iter_mut().zip(&parts).try_for_each(|(owner, part)| owner.fold(part))
}

/// The CPU seconds of the calling thread so far.
pub(super) fn cpu_time() -> f64 {
    thread_time().as_secs_f64()
}
