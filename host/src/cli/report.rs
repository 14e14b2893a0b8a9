//! `crossrun report`: makes a report of records of this project or of the original one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::app::reports::{Read, Reported};
use crate::app::ui::Ui;
use crate::app::{Exit, Problem, reports};
use crate::compare::model::Rigor;
use crate::compare::{Input, Options};
use crate::text::plural;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// Files of records, or folders that are searched with the folders below them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The backend that the others are compared with [default: the first in the records].
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Correct the verdicts for the number of comparisons.
    #[arg(long)]
    publish: bool,
    /// Compare debug builds with release builds, and different workload libraries, nevertheless.
    #[arg(long)]
    insist: bool,
    /// Write one HTML page that works offline. The FILE `-` is standard output, for all formats.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the tables as Markdown.
    #[arg(long, value_name = "FILE")]
    md: Option<PathBuf>,
    /// Write the rows as CSV, for spreadsheets.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let mut read = reports::read(&arguments.paths, ui)?;
    arguments.check_outputs(&read, ui.json())?;
    let exit = read.exit(Exit::Done);
    let (of_sweeps, inputs): (Vec<_>, Vec<_>) = read.inputs.into_iter().partition(Input::is_sweep);
    if inputs.is_empty() && !of_sweeps.is_empty() {
        if arguments.csv.is_some() {
            return Err(Problem::usage("--csv is for comparisons, but these are records of METG sweeps")
                .with_remedy("--json"));
        }
        read.inputs = of_sweeps;
        let sweeps = reports::swept(read);
        show(arguments, &sweeps, ui)?;
        write(arguments, &sweeps, ui)?;
        return Ok(exit);
    }
    read.inputs = inputs;
    if !of_sweeps.is_empty() {
        let trials = plural(of_sweeps.len() as u64, "trial");
        ui.warning(&format!("{trials} of METG sweeps are left out: a report of their own shows them"));
    }
    let rigor = if arguments.publish { Rigor::Publish } else { Rigor::Standard };
    let options = Options { baseline: arguments.baseline.clone(), rigor, insist: arguments.insist };
    let comparison = reports::compared(read, &options)?;
    show(arguments, &comparison, ui)?;
    if let Some(path) = &arguments.csv {
        reports::write(path, &crate::report::csv(&comparison)?, ui)?;
    }
    write(arguments, &comparison, ui)?;
    Ok(exit)
}

impl Arguments {
    fn outputs(&self) -> impl Iterator<Item = &Path> {
        [&self.html, &self.md, &self.csv].into_iter().flatten().map(PathBuf::as_path)
    }

    /// Refuses outputs of which one would destroy another, or the records.
    fn check_outputs(&self, read: &Read, json: bool) -> Result<(), Problem> {
        let printed = self.outputs().filter(|path| reports::is_standard_output(path)).count();
        if printed + usize::from(json) > 1 {
            return Err(Problem::usage("standard output can take one of the reports only")
                .with_remedy("a file for each of the others"));
        }
        let mut names = HashSet::new();
        match self.outputs().find(|path| !names.insert(*path)) {
            Some(twice) => Err(Problem::usage(format!("two reports have the name {}", twice.display()))
                .with_remedy("a file for each of the two")),
            None => self.outputs().try_for_each(|path| read.check_output(path)),
        }
    }
}

/// Prints the summary, unless standard output gets a report.
fn show(arguments: &Arguments, reported: &impl Reported, ui: &mut Ui) -> Result<(), Problem> {
    if ui.json() {
        ui.result(&serde_json::to_string(reported).map_err(|error| Problem::unexpected(&error))?);
    } else if !arguments.outputs().any(reports::is_standard_output) {
        reports::print_summary(reported, ui);
    }
    Ok(())
}

/// Writes the files that were asked for.
fn write(arguments: &Arguments, reported: &impl Reported, ui: &mut Ui) -> Result<(), Problem> {
    if let Some(path) = &arguments.html {
        reports::write_html(path, reported, None, ui)?;
    }
    arguments.md.as_ref().map_or(Ok(()), |path| reports::write(path, &reported.markdown(), ui))
}
