//! The reports of METG sweeps.

use std::path::Path;

use crate::app::ui::Ui;
use crate::app::{Exit, Problem, reports};
use crate::compare::metg::model::{Block, SweepOutcome};
use crate::compare::metg::sweeps;
use crate::compare::model::Status;
use crate::record::writer::TRIALS;

/// Evaluates the sweeps that are recorded in `folder`, writes the reports there, and prints the summary.
pub(super) fn report(folder: &Path, command: &str, ui: &mut Ui) -> Result<Exit, Problem> {
    let read = reports::read(&[folder.join(TRIALS)], ui)?;
    let mut sweeps = sweeps(&read.inputs);
    sweeps.warnings.splice(0..0, read.left_out);
    reports::publish(folder, &sweeps, command, ui)?;
    let statuses = sweeps.rows.iter().flat_map(|row| &row.blocks).filter_map(failure);
    Ok(Exit::of_worst(&statuses.collect::<Vec<_>>()))
}

/// How a sweep failed, if it did. A bound is a finding and not a failure.
fn failure(block: &Block) -> Option<Status> {
    match block.outcome {
        SweepOutcome::Value { .. } => None,
        SweepOutcome::Invalid { .. } => Some(Status::Invalid),
        SweepOutcome::Failed { status, .. } => Some(status),
    }
}
