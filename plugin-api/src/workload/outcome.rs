//! The outcome of a run.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::latency::Latency;

/// The outcome of a run: measured by the sink, or computed by the oracle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How many items reached the sink.
    pub count: u64,
    /// 32 hex digits: wrapping sum and xor of the items' hashes.
    pub checksum: String,
    /// For how many seconds operators wait in all, from the oracle, if the workload knows. No run with parallelism p can be
    /// faster than this divided by p.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_seconds: Option<f64>,
    /// The latencies of the items of an open loop. Only meaningful if the source and all sinks were on one machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

impl From<Digest> for Outcome {
    fn from(digest: Digest) -> Self {
        Self { count: digest.count(), checksum: digest.checksum(), waiting_seconds: None, latency: None }
    }
}
