//! `crossrun report`: a comparison from any records, ours or the original project's; or METG from those of sweeps.

use std::path::PathBuf;

use crate::app::ui::Ui;
use crate::app::{Exit, Problem, reports};
use crate::compare::metg::model::Sweeps;
use crate::compare::metg::sweeps;
use crate::compare::model::Rigor;
use crate::compare::{Input, Options};
use crate::text::plural;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// Files of records, or folders that hold them, also further below.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The backend that the others are compared with [default: the first in the records].
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Give verdicts that hold for the whole table.
    #[arg(long)]
    publish: bool,
    /// Compare debug builds with release builds, and different workload libraries, all the same.
    #[arg(long)]
    insist: bool,
    /// Write one page of HTML that works offline.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the tables as Markdown.
    #[arg(long, value_name = "FILE")]
    md: Option<PathBuf>,
    /// Write a line a row, for spreadsheets.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let read = reports::read(&arguments.paths, ui)?;
    let (exit, left_out) = (read.exit(Exit::Done), read.left_out);
    let (of_sweeps, inputs): (Vec<_>, Vec<_>) = read.inputs.into_iter().partition(Input::is_sweep);
    if inputs.is_empty() && !of_sweeps.is_empty() {
        let mut sweeps = sweeps(&of_sweeps);
        sweeps.warnings.splice(0..0, left_out);
        of_metg(arguments, &sweeps, ui)?;
        return Ok(exit);
    }
    if !of_sweeps.is_empty() {
        let trials = plural(of_sweeps.len() as u64, "trial");
        ui.warning(&format!("{trials} of METG sweeps are left out: they are reported alone"));
    }
    let rigor = if arguments.publish { Rigor::Publish } else { Rigor::Standard };
    let options = Options { baseline: arguments.baseline.clone(), rigor, insist: arguments.insist };
    let comparison = reports::compared(&inputs, left_out, &options)?;
    if let Some(path) = &arguments.html {
        reports::write(path, &reports::page(&comparison, None)?)?;
    }
    if let Some(path) = &arguments.md {
        reports::write(path, &crate::report::markdown(&comparison))?;
    }
    if let Some(path) = &arguments.csv {
        reports::write(path, &crate::report::csv(&comparison)?)?;
    }
    if ui.json() {
        ui.result(&serde_json::to_string(&comparison).map_err(|error| Problem::unexpected(&error))?);
    } else {
        ui.coloured_result(&reports::text(&comparison));
    }
    Ok(exit)
}

/// The same for records of METG sweeps, which have a table of their own.
fn of_metg(arguments: &Arguments, sweeps: &Sweeps, ui: &mut Ui) -> Result<(), Problem> {
    if arguments.csv.is_some() {
        return Err(Problem::usage("--csv is for comparisons, but these are records of METG sweeps")
            .with_remedy("--json"));
    }
    if let Some(path) = &arguments.html {
        reports::write(path, &reports::sweeps_page(sweeps, None)?)?;
    }
    if let Some(path) = &arguments.md {
        reports::write(path, &crate::report::metg::markdown(sweeps))?;
    }
    if ui.json() {
        ui.result(&serde_json::to_string(sweeps).map_err(|error| Problem::unexpected(&error))?);
    } else {
        ui.coloured_result(&reports::sweeps_text(sweeps));
    }
    Ok(())
}
