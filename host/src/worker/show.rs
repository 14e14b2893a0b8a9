//! The items of a workload for people: as they leave a stage, or those that must reach the sink.

use plugin_api::workload::Outcome;
use plugin_api::{Batch, ErrorKind, RunnerError, WorkloadError, WorkloadHandle};
use serde_json::{Map, Value};

use super::serial;
use crate::worker::protocol::ShownItems;

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
    let mut items = Vec::new();
    for batch in &batches {
        for item in Batch::parse(batch)?.iter() {
            items.push(described(workload, leaves, item)?);
        }
    }
    let stage_name = plan.stages.get(leaves).map(|stage| stage.name.clone()).unwrap_or_default();
    Ok(ShownItems { stage: leaves, stage_name, items })
}

/// The object that describes an item, or its bytes in hex if the workload does not describe it.
fn described(
    workload: &WorkloadHandle,
    stage: usize,
    item: &[u8],
) -> Result<Map<String, Value>, WorkloadError> {
    let described = workload.describe(stage, item)?;
    Ok(described.unwrap_or_else(|| Map::from_iter([("hex".to_owned(), hex::encode(item).into())])))
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
