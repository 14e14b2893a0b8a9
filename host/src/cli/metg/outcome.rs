//! What sweeps came to: the reports beside the records, and what is shown.

use std::path::Path;

use serde_json::json;

use crate::app::ui::Ui;
use crate::app::{Exit, Problem, reports};
use crate::compare::granularity::model::{SweepOutcome, Sweeps};
use crate::compare::granularity::sweeps;
use crate::compare::model::Status;
use crate::record::writer::TRIALS;
use crate::report::granularity;

/// The page that people open.
const PAGE: &str = "report.html";
/// The same for a pull request or a mail.
const MARKDOWN: &str = "report.md";
/// The same for programs.
const JSON: &str = "report.json";

/// Reads what is recorded in `folder`, writes the reports beside it, and shows the summary.
pub(super) fn report(folder: &Path, command: &str, ui: &mut Ui) -> Result<Exit, Problem> {
    let read = reports::read(&[folder.join(TRIALS)], ui)?;
    let mut sweeps = sweeps(&read.inputs);
    sweeps.warnings.splice(0..0, read.left_out);
    reports::write(&folder.join(PAGE), &reports::sweeps_page(&sweeps, Some(command))?)?;
    reports::write(&folder.join(MARKDOWN), &granularity::markdown(&sweeps))?;
    reports::write(&folder.join(JSON), &reports::json(&sweeps)?)?;
    if ui.json() {
        ui.result(&json!({"event": "metg", "metg": sweeps}).to_string());
    } else {
        ui.coloured_result(&reports::sweeps_text(&sweeps));
    }
    ui.note(&format!("recorded in {}; open {}", folder.display(), folder.join(PAGE).display()));
    Ok(exit(&sweeps))
}

/// The worst of what happened, in the order 5, 4, 6. A bound is a finding and no failure.
fn exit(sweeps: &Sweeps) -> Exit {
    let outcomes = || sweeps.rows.iter().flat_map(|row| &row.blocks).map(|block| &block.outcome);
    let failed = |wanted: Status| {
        outcomes().any(|outcome| matches!(outcome, SweepOutcome::Failed { status, .. } if *status == wanted))
    };
    match () {
        () if failed(Status::Wrong) => Exit::WrongAnswer,
        () if failed(Status::Failed) => Exit::TrialFailed,
        () if failed(Status::Invalid) => Exit::Invalid,
        () if outcomes().any(|outcome| matches!(outcome, SweepOutcome::Invalid { .. })) => Exit::Invalid,
        () => Exit::Done,
    }
}
