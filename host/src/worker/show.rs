//! The items of a workload for people: as they leave a stage, or those that must reach the sink.

use std::collections::{BTreeMap, BTreeSet};

use plugin_api::workload::Outcome;
use plugin_api::{Batch, ErrorKind, RunnerError, WorkloadError, WorkloadHandle};
use serde_json::{Map, Value};

use super::{bounds, serial};
use crate::sandbox::frame::MAX_LENGTH;
use crate::worker::protocol::{Edge, ShownGraph, ShownItems};

/// The items that leave `stage`; without a stage, those that reach the sink, if they are what the oracle expects.
///
/// # Errors
/// When no item leaves the stage, an operator fails, or the operators do not make what the oracle expects.
pub(super) fn show(workload: &WorkloadHandle, stage: Option<usize>) -> Result<ShownItems, RunnerError> {
    let plan = workload.plan();
    let last = plan.sink().saturating_sub(1);
    let leaves = stage.unwrap_or(last);
    if leaves > last {
        let message = format!("no item leaves stage {leaves}: the stages before the sink are 0 to {last}");
        return Err(RunnerError::new(ErrorKind::InvalidSpec, message).with_remedy(format!("--stage {last}")));
    }
    let batches = serial::leaving(workload, workload.spec().batch_size()?, leaves)?;
    if stage.is_none() {
        check(&serial::outcome(workload, &batches)?, &workload.expected()?)?;
    }
    let (mut items, mut bytes) = (Vec::new(), 0);
    for batch in &batches {
        for item in Batch::parse(batch)?.iter() {
            let item = described(workload, leaves, item)?;
            bytes += serde_json::to_vec(&item).map_or(0, |json| json.len());
            if bytes > MAX_LENGTH {
                return Err(bounds::too_large("what describes the items", bytes).with_remedy("fewer --items"));
            }
            items.push(item);
        }
    }
    let stage_name = plan.stages.get(leaves).map(|stage| stage.name.clone()).unwrap_or_default();
    Ok(ShownItems { stage: leaves, stage_name, items })
}

/// The most tasks and edges of a graph that is shown.
const MAX_TASKS: usize = 4096;
const MAX_EDGES: usize = 16_384;

/// The graph of a plan, by its edges. Of a plan without a graph: the tasks of which the items say `step` and `point`, and the edges of
/// which they also say `to` which point of the next step.
///
/// # Errors
/// When the edges cannot be read, an operator fails, or the graph is too large.
pub(super) fn graph(workload: &WorkloadHandle) -> Result<ShownGraph, RunnerError> {
    let mut graph = Found::default();
    match workload.plan().graph {
        Some(shape) => graph.read_rows(workload, shape.steps)?,
        None => graph.read_items(workload)?,
    }
    let edges = graph.edges.into_iter().map(|((step, from, to), count)| Edge { step, from, to, count });
    Ok(ShownGraph { tasks: graph.tasks.into_iter().collect(), edges: edges.collect() })
}

#[derive(Default)]
struct Found {
    tasks: BTreeSet<(u64, u64)>,
    edges: BTreeMap<(u64, u64, u64), u64>,
}

impl Found {
    fn read_rows(&mut self, workload: &WorkloadHandle, steps: u64) -> Result<(), RunnerError> {
        for step in 0..u32::try_from(steps).unwrap_or(u32::MAX) {
            let row = workload.graph_row(step)?;
            for (place, point) in (0..).zip(row.points()) {
                self.tasks.insert((step.into(), point.into()));
                for from in row.inputs(place) {
                    let before = u64::from(step).saturating_sub(1);
                    *self.edges.entry((before, (*from).into(), point.into())).or_default() += 1;
                }
            }
            self.check_size()?;
        }
        Ok(())
    }

    fn read_items(&mut self, workload: &WorkloadHandle) -> Result<(), RunnerError> {
        serial::each_stage(workload, workload.spec().batch_size()?, |stage, batches| {
            for batch in batches {
                for item in Batch::parse(batch)?.iter() {
                    let item = described(workload, stage, item)?;
                    let number = |key: &str| item.get(key).and_then(Value::as_u64);
                    let Some(task) = number("step").zip(number("point")) else { continue };
                    match number("to") {
                        Some(to) => *self.edges.entry((task.0, task.1, to)).or_default() += 1,
                        None => drop(self.tasks.insert(task)),
                    }
                }
            }
            self.check_size()
        })
    }

    fn check_size(&self) -> Result<(), RunnerError> {
        if self.tasks.len() <= MAX_TASKS && self.edges.len() <= MAX_EDGES {
            return Ok(());
        }
        let message =
            format!("the graph has more than {MAX_TASKS} tasks or {MAX_EDGES} edges, too many to be drawn");
        Err(RunnerError::new(ErrorKind::InvalidSpec, message)
            .with_remedy("fewer --items, or fewer points in a step"))
    }
}

/// The object that describes an item, or its bytes in hex if the workload does not describe it. When an item of an open loop was made is
/// left out: that was here, and not in a run.
fn described(
    workload: &WorkloadHandle,
    stage: usize,
    item: &[u8],
) -> Result<Map<String, Value>, WorkloadError> {
    let is_open_loop = workload.plan().open_loop;
    let Some(mut described) = workload.describe(stage, item)? else {
        return Ok(match item.split_last_chunk::<16>() {
            Some((content, stamp)) if is_open_loop => undescribed(content, Some(due_nanos(stamp))),
            _ => undescribed(item, None),
        });
    };
    if is_open_loop {
        described.remove("made_nanos");
    }
    Ok(described)
}

fn undescribed(content: &[u8], due_nanos: Option<u64>) -> Map<String, Value> {
    let mut shown = Map::from_iter([("hex".to_owned(), hex::encode(content).into())]);
    if let Some(due_nanos) = due_nanos {
        shown.insert("due_nanos".to_owned(), due_nanos.into());
    }
    shown
}

/// The first half of the stamp at the end of an item says when it was due, and the other when it was made.
fn due_nanos(stamp: &[u8; 16]) -> u64 {
    u128::from_le_bytes(*stamp) as u64
}

fn check(made: &Outcome, expected: &Outcome) -> Result<(), RunnerError> {
    if (made.count, &made.checksum) == (expected.count, &expected.checksum) {
        return Ok(());
    }
    let message = format!(
        "the operators make {} items with the checksum {}, but the oracle expects {} with {}: the workload contradicts itself",
        made.count, made.checksum, expected.count, expected.checksum
    );
    Err(RunnerError::new(ErrorKind::Workload, message))
}
