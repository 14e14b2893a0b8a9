//! A backend that does its work, and cheats in one way. `selftest` sends it through the harness to see that every cheat is
//! caught.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plugin_api::{
    Availability, Batch, BatchBuilder, RunContext, RunResult, RunnerError, StageKind, WorkloadHandle,
    WorkloadRunner, WorkloadSpec,
};
use serde::{Deserialize, Serialize};

/// The name under which it takes part.
pub(crate) const NAME: &str = "liar";

/// How long it stalls behind its own timer.
const STALL: Duration = Duration::from_secs(1);

/// How many times as many operators work at once than were asked for.
const EXCESS: u32 = 4;

/// How it cheats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cheat {
    None,
    /// An item is left out.
    Drop,
    /// An item comes twice, and another not at all, so that the count is right.
    Duplicate,
    /// One bit of one item is another.
    FlipBit,
    /// The answer is that of the run before.
    Cached,
    /// Items pass the maps without being worked on.
    SkipKernel,
    /// The clock is stopped before the work is done.
    StopClockEarly,
    /// More time was taken than passed.
    ClaimMoreTime,
    /// More operators work at once than were asked for.
    MoreParallelism,
    /// The engine stalls while its own clock does not run.
    Stall,
    /// The result says that it is another backend's.
    OtherName,
}

impl Cheat {
    /// All of them, with the honest one first.
    pub const ALL: [Self; 11] = [
        Self::None,
        Self::Drop,
        Self::Duplicate,
        Self::FlipBit,
        Self::Cached,
        Self::SkipKernel,
        Self::StopClockEarly,
        Self::ClaimMoreTime,
        Self::MoreParallelism,
        Self::Stall,
        Self::OtherName,
    ];

    /// In a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "tells the truth",
            Self::Drop => "drops an item",
            Self::Duplicate => "duplicates an item in place of another",
            Self::FlipBit => "flips a bit",
            Self::Cached => "gives the answer of the run before",
            Self::SkipKernel => "skips the work",
            Self::StopClockEarly => "stops its clock early",
            Self::ClaimMoreTime => "claims more time than passed",
            Self::MoreParallelism => "works with more at once than asked for",
            Self::Stall => "stalls behind its own clock",
            Self::OtherName => "reports another's name",
        }
    }
}

/// A backend of threads that cheats.
pub(crate) struct CheatingBackend {
    cheat: Cheat,
    before: Option<RunResult>,
}

impl CheatingBackend {
    pub(crate) fn new(cheat: Cheat) -> Self {
        Self { cheat, before: None }
    }
}

impl WorkloadRunner for CheatingBackend {
    fn backend_name(&self) -> &str {
        NAME
    }

    fn is_available(&self) -> Availability {
        Availability::Available
    }

    fn run(&mut self, spec: &WorkloadSpec, context: &RunContext) -> Result<RunResult, RunnerError> {
        let started = Instant::now();
        let times = if self.cheat == Cheat::MoreParallelism { EXCESS } else { 1 };
        let (count, state) = work(spec, context.workload(), spec.parallelism * times, self.cheat)?;
        let elapsed = started.elapsed().as_secs_f64();
        let honest = RunResult::new(NAME, spec, elapsed, count, state);
        Ok(match self.cheat {
            Cheat::StopClockEarly => RunResult { elapsed_time: elapsed / 10.0, ..honest },
            Cheat::ClaimMoreTime => RunResult { elapsed_time: elapsed + 1.0, ..honest },
            Cheat::OtherName => RunResult { backend: "another".into(), ..honest },
            Cheat::Cached => self.before.get_or_insert(honest).clone(),
            Cheat::Stall => {
                std::thread::sleep(STALL);
                honest
            }
            _ => honest,
        })
    }
}

/// Takes all items through a plan without keyed reductions, on `threads` threads. Gives how many reached the sink, and its
/// state.
fn work(
    spec: &WorkloadSpec,
    workload: &WorkloadHandle,
    threads: u32,
    cheat: Cheat,
) -> Result<(u64, Vec<u8>), RunnerError> {
    let (next, batch_size) = (AtomicU64::new(0), spec.batch_size()?);
    let states = Mutex::new(Vec::new());
    let thread = || -> Result<(), RunnerError> {
        let mut sink = workload.new_sink()?;
        let mut arrived = 0;
        loop {
            let first = next.fetch_add(batch_size, Ordering::Relaxed);
            if first >= spec.total_items {
                break;
            }
            let items = made(workload, first, batch_size.min(spec.total_items - first), cheat)?;
            // Only the first batch is changed: a small cheat is the harder one to find.
            let items = if first == 0 { changed(items, cheat) } else { items };
            let mut batch = Vec::new();
            items.iter().map(Vec::as_slice).collect::<BatchBuilder>().encode(&mut batch)?;
            sink.fold(&batch)?;
            arrived += items.len() as u64;
        }
        let state = sink.encode()?.to_vec();
        states.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((arrived, state));
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(thread)).collect();
        let joined = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(RunnerError::engine("a thread of the cheating backend panicked")))
        });
        joined.collect::<Result<(), _>>()
    })?;
    let mut merged = workload.new_sink()?;
    let states = states.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (_, state) in &states {
        merged.merge(state)?;
    }
    Ok((states.iter().map(|(count, _)| count).sum(), merged.encode()?.to_vec()))
}

/// The items of a slice that reach the sink.
fn made(
    workload: &WorkloadHandle,
    first: u64,
    count: u64,
    cheat: Cheat,
) -> Result<Vec<Vec<u8>>, RunnerError> {
    let (mut batch, mut next) = (workload.buffer(), workload.buffer());
    let plan = workload.plan();
    if cheat != Cheat::SkipKernel {
        workload.source(first, count, plan.sink(), &mut batch)?;
    } else {
        workload.source(first, count, 1, &mut batch)?;
        // What filters drop is dropped, so that the count is right.
        for stage in (1..plan.sink()).filter(|stage| plan.kind(*stage) == Some(StageKind::Filter)) {
            workload.run_stages(stage, stage + 1, &batch, &mut next)?;
            std::mem::swap(&mut batch, &mut next);
        }
    }
    Ok(Batch::parse(&batch)?.iter().map(<[u8]>::to_vec).collect())
}

fn changed(mut items: Vec<Vec<u8>>, cheat: Cheat) -> Vec<Vec<u8>> {
    match cheat {
        Cheat::Drop => drop(items.pop()),
        Cheat::Duplicate => {
            if let (Some(first), Some(last)) = (items.first().cloned(), items.last_mut()) {
                *last = first;
            }
        }
        Cheat::FlipBit => {
            if let Some(byte) = items.last_mut().and_then(|item| item.last_mut()) {
                *byte ^= 1;
            }
        }
        _ => {}
    }
    items
}
