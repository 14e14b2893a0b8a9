//! What a run came to.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::latency::Latency;

/// What a run came to: counted by the sink, or computed by the oracle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How many items reached the sink.
    pub count: u64,
    /// 32 hex digits: wrapping sum and xor of the items' hashes.
    pub checksum: String,
    /// How long operators wait in all, in seconds: of the oracle, if the workload says. No run with parallelism p can be
    /// faster than a p-th part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_seconds: Option<f64>,
    /// How long the items took, if they came in an open loop. Only of meaning if source and sinks were on one machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

impl From<Digest> for Outcome {
    fn from(digest: Digest) -> Self {
        Self { count: digest.count(), checksum: digest.checksum(), waiting_seconds: None, latency: None }
    }
}
