//! What the author of a workload implements.

use std::time::Duration;

use super::batch::BatchBuilder;
use super::error::WorkloadError;
use super::parameter::{Parameter, Parameters};
use super::plan::Plan;
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
