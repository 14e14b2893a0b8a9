//! The reports of METG sweeps.

use std::path::Path;

use crate::app::ui::Ui;
use crate::app::{Exit, Problem, records, reports};
use crate::compare::metg::model::{Block, Row, SweepOutcome};
use crate::compare::model::Status;
use crate::record::writer::TRIALS;

/// Evaluates the sweeps that are recorded in `folder`, writes the reports there, and prints the summary. `longer` is the command
/// with longer kernels, if these were bounded. `altered` says which of the files of records were altered during the run, and `kept` whether they
/// are complete.
pub(super) fn report(
    folder: &Path,
    command: &str,
    longer: Option<&str>,
    (altered, kept): (&[String], Result<(), Problem>),
    ui: &mut Ui,
) -> Result<Exit, Problem> {
    let mut read = records::read(&[folder.join(TRIALS)], ui)?;
    read.altered.splice(0..0, altered.iter().cloned());
    let sweeps = reports::swept(read);
    let published = reports::publish(folder, &sweeps, command, ui);
    if let Some(longer) = longer.filter(|_| sweeps.rows.iter().any(was_never_efficient)) {
        ui.note(&format!(
            "for rows that never reached 90 %, try longer kernels, which take longer: {longer}"
        ));
    }
    let statuses = sweeps.rows.iter().flat_map(|row| &row.blocks).filter_map(failure);
    let worst = Exit::of_worst(&statuses.collect::<Vec<_>>()).unless_altered(altered);
    let nothing = sweeps.rows.iter().all(|row| row.metg.is_none());
    let exit = if worst == Exit::Done && nothing { Exit::Invalid } else { worst };
    Ok(ui.unless_lost(kept.and(published), exit))
}

/// Whether the row has no value for which longer kernels might do.
fn was_never_efficient(row: &Row) -> bool {
    let is_short = |block: &Block| matches!(block.outcome, SweepOutcome::NeverEfficient { .. });
    row.metg.is_none() && !row.ran_longest_kernel() && row.blocks.iter().any(is_short)
}

/// How a sweep failed, if it did. A bound is a finding and not a failure, and so is an efficiency that was never reached, unless
/// no backend has a value.
fn failure(block: &Block) -> Option<Status> {
    match block.outcome {
        SweepOutcome::Value { .. } | SweepOutcome::NeverEfficient { .. } | SweepOutcome::Unfinished => None,
        SweepOutcome::Invalid { .. } => Some(Status::Invalid),
        SweepOutcome::Failed { status, .. } => Some(status),
    }
}
