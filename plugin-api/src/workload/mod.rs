//! The workload side: what an author implements, and the handle through which a backend calls it.

mod batch;
pub mod capi;
mod digest;
mod handle;
mod instance;
mod keyed;
mod latency;
mod open_loop;
mod parameter;
mod plan;
mod sink;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use batch::{Batch, BatchBuilder};
pub use digest::Digest;
pub use handle::{Buffer, State, WorkloadFunctions, WorkloadHandle, WorkloadLibrary, abi_is_compatible};
pub use instance::Definition;
pub use latency::{Distribution, Latency};
pub use parameter::{Domain, Parameter, Parameters};
pub use plan::{Plan, Stage, StageKind};

use crate::spec::WorkloadSpec;

/// One workload: a source, operators and, by its oracle, what must come out.
///
/// Every method must be deterministic in the spec, so that any process on any machine computes the same. Methods
/// are called from many threads at once; a library of workloads starts no threads and survives a fork.
pub trait Workload: Send + Sync + Sized + 'static {
    /// What `--workload` takes: lower case letters, digits, `_` and `-`.
    const NAME: &'static str;
    /// What it shows, in one line.
    const DESCRIPTION: &'static str;

    /// What it reads from `extra`.
    fn parameters() -> Vec<Parameter> {
        Vec::new()
    }

    /// Prepares a run: whatever is shared by all its calls is computed here, outside of what is measured.
    ///
    /// # Errors
    /// [`WorkloadError::Spec`] for a spec that it cannot run.
    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError>;

    /// Its stages, from source to sink.
    fn plan(&self) -> Plan;

    /// Makes item number `index`. Exactly one item is to be pushed; any slice may be made anywhere, in any order.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when it fails.
    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError>;

    /// In an open loop: when item number `index` is due, from the start of the run on; never before the item with the
    /// number below. The source then waits for each item, and the sink knows how long after this moment it came.
    /// Nothing, for all items, in a closed loop, where an item is made when it is asked for. An open loop has no keyed
    /// reductions, as what these emit was never due.
    fn due(&self, index: u64) -> Option<Duration> {
        let _ = index;
        None
    }

    /// Applies a map, filter or flat map to one item.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when it fails.
    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError>;

    /// The key of an item that reaches the keyed reduction `stage`.
    fn key<'a>(&self, stage: usize, item: &'a [u8]) -> &'a [u8] {
        let _ = stage;
        item
    }

    /// Takes an item into its key's accumulator, which is empty at first. It must not matter in which order items
    /// come.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when the item or the accumulator cannot be read.
    fn fold(&self, stage: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Result<(), WorkloadError> {
        let _ = (accumulator, item);
        Err(WorkloadError::not_reduced(stage))
    }

    /// Takes another accumulator of the same key into `accumulator`, which may be empty.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when one of the two cannot be read.
    fn merge(&self, stage: usize, accumulator: &mut Vec<u8>, other: &[u8]) -> Result<(), WorkloadError> {
        let _ = (accumulator, other);
        Err(WorkloadError::not_reduced(stage))
    }

    /// Emits the items of one key, when the input has ended.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when the accumulator cannot be read.
    fn emit(
        &self,
        stage: usize,
        key: &[u8],
        accumulator: &[u8],
        out: &mut BatchBuilder,
    ) -> Result<(), WorkloadError> {
        let _ = (key, accumulator, out);
        Err(WorkloadError::not_reduced(stage))
    }

    /// How long all operators together do nothing but wait in a run, at the least: a run that is over sooner had more of
    /// them at once than it was asked for. Zero if they only compute, as how long that takes is up to the machine.
    fn waiting(&self) -> Duration {
        Duration::ZERO
    }

    /// The serial oracle: hands every item that must reach the sink to `sink`, in any order. It should not go
    /// through [`Workload::apply`], so that a mistake there shows, and should take a closed form where there is
    /// one.
    fn oracle(&self, sink: &mut dyn FnMut(&[u8]));
}

/// What can go wrong in a workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// The library has no workload of this name.
    #[error("there is no workload {name:?} in this library; it has {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names that exist, comma separated.
        known: String,
    },
    /// The spec cannot be run.
    #[error("{0}")]
    Spec(String),
    /// A parameter is outside its domain.
    #[error("extra.{name} is {value}, but must be {domain}; try: --extra {name}={default}")]
    Parameter {
        /// The parameter.
        name: String,
        /// What was given.
        value: String,
        /// What is allowed.
        domain: String,
        /// What it is when it is not given.
        default: String,
    },
    /// A stage, slice or pointer that makes no sense was passed.
    #[error("{0}")]
    Argument(String),
    /// Bytes are not what they should be.
    #[error("{0}")]
    Malformed(&'static str),
    /// A batch outgrew its offsets.
    #[error("a batch has {bytes} bytes of items, more than an offset reaches; use a smaller batch_size")]
    TooLarge {
        /// The bytes of its items.
        bytes: usize,
    },
    /// The state of a keyed reduction outgrew the batch in which it travels.
    #[error(
        "the state of a keyed reduction has {bytes} bytes or more, and a batch cannot hold it; more partitions make it \
         smaller, which most backends have with a larger parallelism"
    )]
    StateTooLarge {
        /// The bytes of the entries up to the one that did not fit.
        bytes: usize,
    },
    /// An operator, the source or a fold failed.
    #[error("{0}")]
    Operator(String),
    /// A call into the library failed: its status, and what it said.
    #[error("{message}")]
    Call {
        /// A status of [`capi::status`].
        status: i32,
        /// What the library said.
        message: String,
    },
}

impl WorkloadError {
    fn not_reduced(stage: usize) -> Self {
        Self::Argument(format!("stage {stage} is no keyed reduction of this workload"))
    }

    /// Whether the user's spec, rather than the run, is at fault.
    pub fn is_invalid_spec(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Spec(_) | Self::Parameter { .. } => true,
            Self::Call { status, .. } => *status == capi::status::SPEC,
            _ => false,
        }
    }
}

/// What a library says of one of its workloads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogueEntry {
    /// What `--workload` takes.
    pub name: String,
    /// What it shows.
    pub description: String,
    /// What it reads from `extra`.
    pub parameters: Vec<Parameter>,
    /// Its plan with all parameters at their defaults.
    pub plan: Plan,
}

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
