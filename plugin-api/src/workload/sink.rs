//! The state of a sink: the digest of what reached it and, in an open loop, how long that took.

use super::batch::{Batch, BatchBuilder};
use super::digest::Digest;
use super::error::WorkloadError;
use super::latency::{self, Latencies};
use super::open_loop::{RunClock, Stamp};
use super::outcome::Outcome;
use super::stage_state::StageState;

/// What a sink saw.
#[derive(Clone, Debug)]
pub(super) struct SinkState {
    digest: Digest,
    latencies: Option<Latencies>,
}

impl SinkState {
    /// Reads what [`Sink::encode`] wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, WorkloadError> {
        match bytes.split_at_checked(Digest::ENCODED_LENGTH) {
            None | Some((_, [])) => Ok(Self { digest: Digest::decode(bytes)?, latencies: None }),
            Some((digest, rest)) => {
                let (digest, latencies) = (Digest::decode(digest)?, Latencies::decode(rest)?);
                // An item that counts has its times, and there is no time without an item.
                if !latencies.have(digest.count()) {
                    return Err(latency::MALFORMED);
                }
                Ok(Self { digest, latencies: Some(latencies) })
            }
        }
    }

    fn merge(&mut self, other: &Self) -> Result<(), WorkloadError> {
        match (&mut self.latencies, &other.latencies) {
            (Some(latencies), Some(others)) => latencies.merge(others)?,
            (None, None) => {}
            _ => {
                return Err(WorkloadError::Malformed(
                    "one sink's state is of an open loop and the other is of a closed loop",
                ));
            }
        }
        self.digest.merge(other.digest);
        self.check()
    }

    /// Refuses items that a source made beside results of a reduction: no plan has both reach its sink.
    fn check(&self) -> Result<(), WorkloadError> {
        match &self.latencies {
            Some(latencies) if !latencies.have(self.digest.count()) => Err(WorkloadError::Malformed(
                "a sink has items that a source made and results of a keyed reduction",
            )),
            _ => Ok(()),
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
    clock: Option<RunClock>,
}

impl Sink {
    /// An empty sink. In an open loop it has a clock.
    pub(super) fn new(clock: Option<RunClock>) -> Result<Self, WorkloadError> {
        let latencies = clock.map(|_| Latencies::new()).transpose()?;
        Ok(Self { state: SinkState { digest: Digest::default(), latencies }, clock })
    }
}

impl StageState for Sink {
    fn fold(&mut self, batch: Batch<'_>) -> Result<(), WorkloadError> {
        let SinkState { digest, latencies } = &mut self.state;
        let (Some(clock), Some(latencies)) = (self.clock, latencies) else {
            digest.fold(batch);
            return Ok(());
        };
        // All items of a batch arrive together.
        let now = clock.now();
        for item in batch.iter() {
            let (content, stamp) = Stamp::split(item)?;
            digest.fold_item(content);
            latencies.record(stamp, now);
        }
        self.state.check()
    }

    fn merge(&mut self, encoded: &[u8]) -> Result<(), WorkloadError> {
        self.state.merge(&SinkState::decode(encoded)?)
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
