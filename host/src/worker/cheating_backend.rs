//! A backend that does its work and cheats in one way. `selftest` runs it to see that the harness catches every cheat.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plugin_api::{
    Availability, Batch, BatchBuilder, RunContext, RunResult, RunnerError, StageKind, WorkloadHandle,
    WorkloadRunner, WorkloadSpec,
};
use serde::{Deserialize, Serialize};

/// The participant's name.
pub(crate) const NAME: &str = "liar";

/// How long the engine stalls while its own clock does not run.
const STALL: Duration = Duration::from_secs(1);

/// The factor by which the backend exceeds the parallelism of the spec.
const EXCESS: u32 = 4;

/// A way to cheat; [`Cheat::ALL`] describes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cheat {
    None,
    Drop,
    Duplicate,
    FlipBit,
    Cached,
    SkipKernel,
    StopClockEarly,
    ClaimMoreTime,
    MoreParallelism,
    Stall,
    OtherName,
}

impl Cheat {
    /// All cheats with their labels; the honest one comes first.
    pub const ALL: [(Self, &str); 11] = [
        (Self::None, "tells the truth"),
        (Self::Drop, "drops an item"),
        (Self::Duplicate, "duplicates an item in place of another"),
        (Self::FlipBit, "flips a bit"),
        (Self::Cached, "gives the answer of the run before"),
        (Self::SkipKernel, "skips the work"),
        (Self::StopClockEarly, "stops its clock early"),
        (Self::ClaimMoreTime, "claims more time than passed"),
        (Self::MoreParallelism, "works with more at once than asked for"),
        (Self::Stall, "stalls behind its own clock"),
        (Self::OtherName, "reports another's name"),
    ];

    pub fn label(self) -> &'static str {
        Self::ALL.iter().find(|(cheat, _)| *cheat == self).map_or("", |(_, label)| label)
    }
}

/// A backend with threads that cheats.
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

/// Takes all items through a plan without keyed reductions, on `threads` threads. Returns how many items reached the sink, and
/// the state of the sink.
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
            let mut items = process(workload, first, batch_size.min(spec.total_items - first), cheat)?;
            // Only the first batch is changed: a small cheat is harder to find.
            if first == 0 {
                change(&mut items, cheat);
            }
            let mut batch = Vec::new();
            items.iter().map(Vec::as_slice).collect::<BatchBuilder>().encode(&mut batch)?;
            sink.fold(&batch)?;
            arrived += items.len() as u64;
        }
        let state = sink.encode()?.to_vec();
        states.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((arrived, state));
        Ok(())
    };
    let panicked = |_| Err(RunnerError::engine("a thread of the cheating backend panicked"));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(thread)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked))
    })?;
    let mut merged = workload.new_sink()?;
    let states = states.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (_, state) in &states {
        merged.merge(state)?;
    }
    Ok((states.iter().map(|(count, _)| count).sum(), merged.encode()?.to_vec()))
}

/// The items of a slice that reach the sink.
fn process(
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
        // Filters still drop items, so that the count is right.
        for stage in (1..plan.sink()).filter(|stage| plan.kind(*stage) == Some(StageKind::Filter)) {
            workload.run_stages(stage, stage + 1, &batch, &mut next)?;
            std::mem::swap(&mut batch, &mut next);
        }
    }
    Ok(Batch::parse(&batch)?.iter().map(<[u8]>::to_vec).collect())
}

fn change(items: &mut Vec<Vec<u8>>, cheat: Cheat) {
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
}
