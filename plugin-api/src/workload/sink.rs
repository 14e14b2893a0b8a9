//! The state of a sink: the digest of what reached it and, in an open loop, how long that took.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::batch::{Batch, BatchBuilder};
use super::digest::Digest;
use super::error::WorkloadError;
use super::latency::Latencies;
use super::open_loop::{RunClock, Stamp};
use super::outcome::Outcome;
use super::plan::Plan;
use super::stage_state::StageState;

/// Whose times a sink has: by the plan, so that a backend cannot choose by which figure its run is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// Nobody's: it is no open loop.
    None,
    /// Those of the items that the source made.
    OfSource,
    /// Those of the results of keyed reductions.
    OfResults,
}

impl Times {
    pub(super) fn of(plan: &Plan) -> Self {
        match (plan.open_loop, plan.has_reduction()) {
            (false, _) => Self::None,
            (true, false) => Self::OfSource,
            (true, true) => Self::OfResults,
        }
    }
}

const OTHER_TIMES: WorkloadError =
    WorkloadError::Malformed("a sink has other times than its plan, or none where its plan has some");

/// What a sink saw.
#[derive(Clone, Debug)]
pub(super) struct SinkState {
    digest: Digest,
    latencies: Option<Latencies>,
}

impl SinkState {
    /// Reads what [`Sink::encode`] wrote, of a sink that has these times.
    pub(super) fn decode(bytes: &[u8], times: Times) -> Result<Self, WorkloadError> {
        let state = match bytes.split_at_checked(Digest::ENCODED_LENGTH) {
            None | Some((_, [])) => Self { digest: Digest::decode(bytes)?, latencies: None },
            Some((digest, rest)) => {
                Self { digest: Digest::decode(digest)?, latencies: Some(Latencies::decode(rest)?) }
            }
        };
        if state.has(times) { Ok(state) } else { Err(OTHER_TIMES) }
    }

    fn merge(&mut self, other: &Self) -> Result<(), WorkloadError> {
        if let (Some(latencies), Some(others)) = (&mut self.latencies, &other.latencies) {
            latencies.merge(others)?;
        }
        self.digest.merge(other.digest);
        Ok(())
    }

    /// Whether an item that counts has these times, and there is no time without an item.
    fn has(&self, times: Times) -> bool {
        match &self.latencies {
            None => times == Times::None,
            Some(latencies) => {
                times != Times::None && latencies.have(self.digest.count(), times == Times::OfSource)
            }
        }
    }
}

impl From<SinkState> for Outcome {
    fn from(state: SinkState) -> Self {
        let latency = state.latencies.map(|latencies| latencies.summary());
        Self { latency, ..state.digest.into() }
    }
}

/// A sink. In an open loop it reads the clock.
pub(super) struct Sink {
    state: SinkState,
    times: Times,
    /// In an open loop: when the run starts, which may be told after the state was made.
    started: Option<Arc<AtomicU64>>,
}

impl Sink {
    /// An empty sink. In an open loop the run has a start.
    pub(super) fn new(times: Times, started: Option<Arc<AtomicU64>>) -> Result<Self, WorkloadError> {
        let latencies = started.as_ref().map(|_| Latencies::new()).transpose()?;
        Ok(Self { state: SinkState { digest: Digest::default(), latencies }, times, started })
    }

    /// Refuses items that a source made where the plan has results of a reduction, and the other way round.
    fn check(&self) -> Result<(), WorkloadError> {
        if self.state.has(self.times) { Ok(()) } else { Err(OTHER_TIMES) }
    }
}

impl StageState for Sink {
    fn fold(&mut self, batch: Batch<'_>) -> Result<(), WorkloadError> {
        let SinkState { digest, latencies } = &mut self.state;
        let (Some(started), Some(latencies)) = (&self.started, latencies) else {
            digest.fold(batch);
            return Ok(());
        };
        // All items of a batch arrive together.
        let now = RunClock::of(started.load(Ordering::Relaxed)).now();
        for item in batch.iter() {
            let (content, stamp) = Stamp::split(item)?;
            digest.fold_item(content);
            latencies.record(stamp, now);
        }
        self.check()
    }

    fn merge(&mut self, encoded: &[u8]) -> Result<(), WorkloadError> {
        self.state.merge(&SinkState::decode(encoded, self.times)?)?;
        self.check()
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), WorkloadError> {
        out.clear();
        out.extend_from_slice(&self.state.digest.encode());
        if let Some(latencies) = &self.state.latencies {
            latencies.encode(out);
        }
        Ok(())
    }

    fn emit(&mut self, _limit: u64, _out: BatchBuilder) -> Result<BatchBuilder, WorkloadError> {
        Err(WorkloadError::Argument("a sink emits nothing".into()))
    }

    fn close(
        &mut self,
        _time: u64,
        _limit: u64,
        _out: BatchBuilder,
    ) -> Result<(BatchBuilder, u64), WorkloadError> {
        Err(WorkloadError::Argument("a sink closes nothing".into()))
    }
}
