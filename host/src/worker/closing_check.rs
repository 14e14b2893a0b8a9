//! Closes the keyed reductions of a workload while its input goes on, as a backend may, and checks what the contract says of that.
//! Shares no code with any backend.

use plugin_api::workload::Outcome;
use plugin_api::workload::capi::status;
use plugin_api::{Buffer, ErrorKind, RunnerError, StageKind, State, WorkloadError, WorkloadHandle};

/// So many slices are in flight at once; they are done in the reverse order.
const IN_FLIGHT: usize = 3;
/// The number of partitions of the keys of a reduction.
const PARTITIONS: u32 = 3;
/// How many keys are closed or emitted at once.
const KEYS: u64 = 5;

/// A keyed reduction, with an owner for each partition.
struct Reduction {
    stage: usize,
    /// The reduction or sink after it.
    end: usize,
    owners: Vec<State>,
}

/// Takes all items to the sink, in batches of `batch_size`, and returns the answer.
///
/// # Errors
/// What the library reports; and what breaks a rule of closing.
pub(super) fn run(workload: &WorkloadHandle, batch_size: u64) -> Result<Outcome, RunnerError> {
    let total = workload.spec().total_items;
    let mut check = Check::new(workload)?;
    let slices: Vec<_> = (0..total).step_by(batch_size as usize).collect();
    for in_flight in slices.chunks(IN_FLIGHT) {
        for first in in_flight.iter().rev() {
            check.slice(*first, batch_size.min(total - first))?;
            check.close(in_flight[0])?;
        }
    }
    check.close(total)?;
    check.refuses_late(batch_size.min(total))?;
    check.emit()
}

struct Check<'w> {
    workload: &'w WorkloadHandle,
    reductions: Vec<Reduction>,
    sink: State,
    batch: Buffer,
}

impl<'w> Check<'w> {
    fn new(workload: &'w WorkloadHandle) -> Result<Self, WorkloadError> {
        let plan = workload.plan();
        let keyed = (0..plan.sink()).filter(|stage| plan.kind(*stage) == Some(StageKind::KeyedReduce));
        let reductions = keyed
            .map(|stage| {
                let owners = (0..PARTITIONS).map(|_| workload.new_state(stage)).collect::<Result<_, _>>()?;
                Ok(Reduction { stage, end: plan.end_of_chain(stage + 1), owners })
            })
            .collect::<Result<_, WorkloadError>>()?;
        Ok(Self { workload, reductions, sink: workload.new_sink()?, batch: workload.buffer() })
    }

    fn slice(&mut self, first: u64, count: u64) -> Result<(), WorkloadError> {
        let end = self.workload.plan().end_of_chain(1);
        self.workload.source(first, count, end, &mut self.batch)?;
        let batch = self.batch.to_vec();
        self.fold(end, &batch)
    }

    fn fold(&mut self, stage: usize, batch: &[u8]) -> Result<(), WorkloadError> {
        let Some(reduction) = self.reductions.iter_mut().find(|reduction| reduction.stage == stage) else {
            return self.sink.fold(batch);
        };
        let parts = self.workload.split(stage, batch, PARTITIONS)?;
        reduction.owners.iter_mut().zip(&parts).try_for_each(|(owner, part)| owner.fold(part))
    }

    /// Closes what has ended when all items before `low` are folded: each reduction after the one before it.
    fn close(&mut self, low: u64) -> Result<(), RunnerError> {
        let time = self.workload.watermark(low)?;
        self.pass_on(|workload, reduction, owner, batch| {
            let state = &mut reduction.owners[owner];
            let next = state.close(time, KEYS, batch)?;
            if batch.item_count() > 0 || next == 0 {
                return Ok(());
            }
            // What the state does not know may end earlier, so a copy is closed.
            let mut copy = workload.new_state(reduction.stage)?;
            copy.merge(&state.encode()?)?;
            copy.close(next - 1, KEYS, batch)?;
            if batch.item_count() == 0 {
                return Ok(());
            }
            Err(broken(format!(
                "something of stage {} closed before {next}, which `next` said",
                reduction.stage
            )))
        })
    }

    /// Gives what is left at the end of the input.
    fn emit(mut self) -> Result<Outcome, RunnerError> {
        self.pass_on(|_, reduction, owner, batch| Ok(reduction.owners[owner].emit(KEYS, batch)?))?;
        Ok(self.workload.outcome(&self.sink.encode()?)?)
    }

    /// Passes what each owner gives on, until it gives nothing more.
    fn pass_on(
        &mut self,
        give: impl Fn(&WorkloadHandle, &mut Reduction, usize, &mut Buffer) -> Result<(), RunnerError>,
    ) -> Result<(), RunnerError> {
        let (workload, mut out) = (self.workload, self.workload.buffer());
        for place in 0..self.reductions.len() {
            for owner in 0..PARTITIONS as usize {
                loop {
                    let reduction = &mut self.reductions[place];
                    give(workload, reduction, owner, &mut self.batch)?;
                    if self.batch.item_count() == 0 {
                        break;
                    }
                    let (from, end) = (reduction.stage + 1, reduction.end);
                    workload.run_stages(from, end, &self.batch, &mut out)?;
                    self.fold(end, &out)?;
                }
            }
        }
        Ok(())
    }

    /// A state of the first reduction that has closed all that it had refuses to take it once more.
    fn refuses_late(&mut self, count: u64) -> Result<(), RunnerError> {
        let Some(stage) = self.reductions.first().map(|reduction| reduction.stage) else { return Ok(()) };
        self.workload.source(0, count, stage, &mut self.batch)?;
        let (items, mut out) = (self.batch.to_vec(), self.workload.buffer());
        let mut state = self.workload.new_state(stage)?;
        state.fold(&items)?;
        loop {
            state.close(self.workload.watermark(u64::MAX)?, KEYS, &mut out)?;
            if out.item_count() == 0 {
                break;
            }
        }
        let mut copy = self.workload.new_state(stage)?;
        copy.merge(&state.encode()?)?;
        copy.emit(KEYS, &mut out)?;
        // What never ends is never late.
        if out.item_count() > 0 || self.batch.item_count() == 0 {
            return Ok(());
        }
        match state.fold(&items) {
            Err(WorkloadError::Call { status: status::OPERATOR, .. }) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(()) => Err(broken(format!(
                "stage {stage} took what had ended when it was closed, and must refuse it"
            ))),
        }
    }
}

fn broken(message: String) -> RunnerError {
    RunnerError::new(ErrorKind::Workload, message)
}
