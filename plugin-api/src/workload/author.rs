//! What the author of a workload implements.

use std::ops::Range;
use std::time::Duration;

use serde_json::{Map, Value};

use super::batch::{Batch, BatchBuilder};
use super::closing::NEVER;
use super::error::WorkloadError;
use super::parameter::{Parameter, Parameters};
use super::plan::Plan;
use crate::spec::WorkloadSpec;

/// One workload: a source, operators, and an oracle that computes the expected result.
///
/// The results of every method must depend only on the spec and the arguments, so that any process on any machine computes
/// the same. Methods are called from many threads at once. A library of workloads starts no threads, and works in a
/// process after a fork.
pub trait Workload: Send + Sync + Sized + 'static {
    /// The name for `--workload`: lower case letters, digits, `_` and `-`.
    const NAME: &'static str;
    /// What it does or shows, in one line.
    const DESCRIPTION: &'static str;

    /// The parameters that it reads from `extra`.
    fn parameters() -> Vec<Parameter> {
        Vec::new()
    }

    /// The words of what a backend must support to run it, beyond the stages of its plan. The host runs it only on a backend
    /// that [supports](crate::WorkloadRunner::supports) all of them, and a host of API 1.0, which knows no words, cannot open
    /// it.
    fn needs() -> Vec<&'static str> {
        Vec::new()
    }

    /// The words of what it makes use of on a backend that supports it, and does without elsewhere. Those that it may use are
    /// in the spec, as `granted`.
    fn uses() -> Vec<&'static str> {
        Vec::new()
    }

    /// Prepares a run: computes what all calls share. Its time is not measured.
    ///
    /// # Errors
    /// [`WorkloadError::Spec`] for a spec that it cannot run.
    fn open(spec: &WorkloadSpec, parameters: &Parameters) -> Result<Self, WorkloadError>;

    /// Its stages, from source to sink.
    fn plan(&self) -> Plan;

    /// Makes item number `index`, and must push exactly one item. Items may be made in any order and in any process.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when it fails.
    fn source(&self, index: u64, out: &mut BatchBuilder) -> Result<(), WorkloadError>;

    /// In an open loop: when item number `index` is due, counted from the start of the run. No item may be due before the
    /// item with the number below. The source then waits until each item is due, and the sink measures how much later it
    /// arrives. In a closed loop, where an item is made when it is requested, this is `None` for all items.
    ///
    /// When a workload is opened, `due(0)` tells whether it is an open loop. It is also opened for no items, to list it in the
    /// catalogue. So `due(0)` must give a time for every number of items, or `None` for every number, and must not panic.
    ///
    /// An open loop has keyed reductions only if it [uses](Self::uses) the word `watermarks`: what [`close`](Self::close) makes of what
    /// ended at a time is due with the item before the first whose [`watermark`](Self::watermark) is at that time or later, or with
    /// the last item.
    fn due(&self, index: u64) -> Option<Duration> {
        let _ = index;
        None
    }

    /// Applies a map, filter or flat map to one item.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when it fails.
    fn apply(&self, stage: usize, item: &[u8], out: &mut BatchBuilder) -> Result<(), WorkloadError>;

    /// Applies a map, filter or flat map to a whole batch, as [`apply`](Workload::apply) does to each item: for operators that
    /// gain by several items at once. A map makes one item of each, in their order. The default calls `apply` for each item. In
    /// an open loop, filters and flat maps are applied item by item, as each item that is made keeps the times of its own.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when it fails.
    fn apply_batch(
        &self,
        stage: usize,
        batch: Batch<'_>,
        out: &mut BatchBuilder,
    ) -> Result<(), WorkloadError> {
        for item in batch.iter() {
            self.apply(stage, item, out)?;
            out.check_fits()?;
        }
        Ok(())
    }

    /// The key of an item that reaches the keyed reduction `stage`.
    fn key<'a>(&self, stage: usize, item: &'a [u8]) -> &'a [u8] {
        let _ = stage;
        item
    }

    /// Adds an item to its key's accumulator, which is empty at first. The result must not depend on the order of items.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when the item or the accumulator cannot be read.
    fn fold(&self, stage: usize, accumulator: &mut Vec<u8>, item: &[u8]) -> Result<(), WorkloadError> {
        let _ = (accumulator, item);
        Err(WorkloadError::not_reduced(stage))
    }

    /// Adds another accumulator of the same key to `accumulator`, which may be empty.
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

    /// What no item from number `index` on is earlier than, in a time that is in the items. It never falls. This and the next three
    /// are called if the workload [uses](Self::uses) the word `watermarks`; from the number of items on, nothing comes any more,
    /// and this is not asked.
    fn watermark(&self, index: u64) -> u64 {
        let _ = index;
        0
    }

    /// When what an item of the keyed reduction `stage` is a part of can end at the earliest, if only this item is known: later than
    /// the time of the item. `u64::MAX` for what ends with the input only.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when the item cannot be read.
    fn ends(&self, stage: usize, item: &[u8]) -> Result<u64, WorkloadError> {
        let _ = (stage, item);
        Ok(NEVER)
    }

    /// When the first part of an accumulator that is not empty ends; `u64::MAX` if no part does before the input.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when the accumulator cannot be read.
    fn closes(&self, stage: usize, key: &[u8], accumulator: &[u8]) -> Result<u64, WorkloadError> {
        let _ = (stage, key, accumulator);
        Ok(NEVER)
    }

    /// Emits what ended at `time` or before, and takes it out of the accumulator: no item that comes now is earlier than `time`. If
    /// nothing is left, the key is forgotten. In an open loop it is called once for each time at which something ends.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when the accumulator cannot be read.
    fn close(
        &self,
        stage: usize,
        time: u64,
        key: &[u8],
        accumulator: &mut Vec<u8>,
        out: &mut BatchBuilder,
    ) -> Result<(), WorkloadError> {
        let _ = (time, key, accumulator, out);
        Err(WorkloadError::not_reduced(stage))
    }

    /// The points of a row of its graph: at least one, and no more than the graph's `width`. This and the next two are called if
    /// its plan has a graph and it [uses](Self::uses) the word `graph`; the step is one of that graph.
    fn graph_row(&self, step: u32) -> Range<u32> {
        let _ = step;
        0..0
    }

    /// Adds the points of the row before whose outputs the task at `point` needs; a point twice if it needs its output twice.
    fn graph_inputs(&self, step: u32, point: u32, inputs: &mut Vec<u32>) {
        let _ = (step, point, inputs);
    }

    /// Runs the task at `point` with its inputs in the order of [`Workload::graph_inputs`], and writes its output to the
    /// beginning of `output`, which has the graph's `output_bytes`. Returns the output's length: an output that no task needs
    /// is an item of the sink.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when an input is not the output of that point, or the task fails.
    fn graph_task(
        &self,
        step: u32,
        point: u32,
        inputs: &[&[u8]],
        output: &mut [u8],
    ) -> Result<usize, WorkloadError> {
        let _ = (point, inputs, output);
        Err(WorkloadError::Argument(format!("this workload has no tasks of step {step}")))
    }

    /// The least time for which all operators together only wait in a run. From this and the parallelism follows the least
    /// duration of a run: a shorter run had more operators at once than it was allowed. Zero if the operators only compute,
    /// as the time for this depends on the machine.
    fn waiting(&self) -> Duration {
        Duration::ZERO
    }

    /// An item as it leaves the stage `stage`, as a JSON object for people, so that a workload's answer can be checked with
    /// other tools. The items of the source leave stage 0. `None` if items are not described: then their bytes are shown. The
    /// stamp of an item in an open loop is described without this function.
    ///
    /// # Errors
    /// [`WorkloadError::Operator`] when the item cannot be read.
    fn describe(&self, stage: usize, item: &[u8]) -> Result<Option<Map<String, Value>>, WorkloadError> {
        let _ = (stage, item);
        Ok(None)
    }

    /// The serial oracle: passes every item that must reach the sink to `sink`, in any order. It should not call
    /// [`Workload::apply`], so that a mistake there is found, and should use a closed form if there is one.
    fn oracle(&self, sink: &mut dyn FnMut(&[u8]));
}
