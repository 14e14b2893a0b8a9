//! `crossrun report`: makes a report of records of this project or of the original one.

use std::collections::HashSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;

use crate::app::graphs::GraphsOfRecords;
use crate::app::output::is_standard_output;
use crate::app::records::{self, Read};
use crate::app::reports::Reported;
use crate::app::ui::Ui;
use crate::app::{Exit, GlobalArguments, Problem, reports};
use crate::compare::Options;
use crate::compare::model::{Comparison, Rigor};
use crate::named_file;
use crate::report::export::{self, ExportedRow, State};
use crate::text::{listed, plural, single_line};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// Files of records, `-` for standard input, or folders, searched with those below.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The backend that the others are compared with [default: that of the folder's run, or the first in the
    /// records].
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    baseline: Option<String>,
    /// Correct the verdicts for the number of comparisons.
    #[arg(long)]
    publish: bool,
    /// Compare debug builds with release builds, different workload libraries, and graphs of tasks in stages with those by
    /// dependencies, nevertheless.
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
    /// Write the rows for another program, to standard output or to the FILE of --output.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// The file for --format.
    #[arg(long, value_name = "FILE", requires = "format", default_value = "-")]
    output: PathBuf,
}

// The values have no documentation for clap, which would print the help of each option as a paragraph then.
/// What `--format` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    // Bencher Metric Format, for `bencher run --adapter json`.
    Bencher,
    // JSON for github-action-benchmark, tool `customSmallerIsBetter`.
    Github,
    // OpenMetrics text, for Prometheus.
    Openmetrics,
    // JUnit XML, for CI systems: a row is a test case.
    Junit,
    // As --csv.
    Csv,
    // As --md.
    Md,
    // A row for each trial, for pandas and DuckDB.
    Parquet,
    // What --json prints, indented.
    Json,
}

pub(super) fn run(global: &GlobalArguments, arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    records::check_inputs("report", &arguments.paths)?;
    let read = records::read(&arguments.paths, ui)?;
    read.check_any()?;
    arguments.check_outputs(&read, ui.json())?;
    // Of all trials, before they are divided.
    let of_format = arguments.export_file().filter(|_| arguments.format == Some(Format::Parquet));
    if of_format.is_some_and(|path| is_standard_output(path) && std::io::stdout().is_terminal()) {
        return Err(Problem::usage("a Parquet file is no text for a terminal")
            .with_remedy("--output with a file, such as trials.parquet"));
    }
    let table = of_format.map(|_| crate::report::parquet(&read.inputs)).transpose()?;
    report(global, arguments, read, table.as_deref(), ui)
}

/// Shows the records and writes all reports of what is made of them, and `table`. Returns the first problem after it has tried to write
/// each: what keeps one from being written, as its size on a disk that is nearly full, need not keep the others from it.
fn report(
    global: &GlobalArguments,
    arguments: &Arguments,
    mut read: Read,
    table: Option<&[u8]>,
    ui: &mut Ui,
) -> Result<Exit, Problem> {
    let exit = read.exit(Exit::Done);
    let of_sweeps = read.take_sweeps();
    if !of_sweeps.is_empty() && check_measured(&read, ui).is_err() {
        let verb = if read.inputs.len() == 1 { "is" } else { "are" };
        let warm_ups = plural(read.inputs.len() as u64, "warm-up");
        ui.warning(&format!("{warm_ups} of a comparison without a measured trial {verb} left out"));
        read.inputs.clear();
    }
    if read.inputs.is_empty() && !of_sweeps.is_empty() {
        arguments.check_for_sweeps()?;
        read.inputs = of_sweeps;
        let sweeps = reports::swept(read);
        if sweeps.rows.is_empty() {
            return Err(unmeasured(&arguments.paths));
        }
        show(arguments, &sweeps, ui)?;
        let page = arguments.html.as_deref();
        let page = page.map_or(Ok(()), |path| reports::write(path, &sweeps.html(None)?, ui));
        page.and(write(arguments, &sweeps, table, ui))?;
        return Ok(exit);
    }
    if of_sweeps.is_empty() {
        check_measured(&read, ui)?;
    } else {
        let trials = plural(of_sweeps.len() as u64, "trial");
        let page = if arguments.html.is_some() { ", and the page" } else { "" };
        let table = if arguments.format == Some(Format::Parquet) { ", and the Parquet file" } else { "" };
        ui.warning(&format!(
            "{trials} of METG sweeps are left out: a report of their own{page}{table} shows them"
        ));
    }
    let sweeps = reports::swept_beside(&of_sweeps).filter(|_| arguments.html.is_some());
    let options = arguments.options(read.planned());
    let mut comparison = reports::compared(read, &options)?;
    show(arguments, &comparison, ui)?;
    let page = arguments.html.as_deref().map_or(Ok(()), |path| {
        GraphsOfRecords::new(global).add(&mut comparison, ui);
        reports::write(path, &reports::page_of_records(&comparison, sweeps.as_ref())?, ui)
    });
    let rows = write_csv(arguments, &comparison, ui);
    page.and(rows).and(write(arguments, &comparison, table, ui))?;
    Ok(exit)
}

/// Refuses warm-ups without a measured trial, and says how their runs go on: a report of them would pass for one of what was measured.
fn check_measured(read: &Read, ui: &mut Ui) -> Result<(), Problem> {
    read.check_measured().inspect_err(|_| read.unfinished().for_each(|run| ui.warning(&run.message)))
}

/// Writes the rows of a comparison to each file that was asked for.
fn write_csv(arguments: &Arguments, comparison: &Comparison, ui: &mut Ui) -> Result<(), Problem> {
    let of_format = arguments.export_file().filter(|_| arguments.format == Some(Format::Csv));
    let files: Vec<_> = arguments.csv.as_deref().into_iter().chain(of_format).collect();
    if files.is_empty() {
        return Ok(());
    }
    let text = crate::report::csv(comparison)?;
    let written: Vec<_> = files.into_iter().map(|path| reports::write(path, &text, ui)).collect();
    written.into_iter().collect()
}

/// A report of sweeps without a row would pass for one of what was measured.
fn unmeasured(paths: &[PathBuf]) -> Problem {
    Problem::usage("a METG sweep ended before its first measured trial, so there is nothing to report")
        .with_remedy(named_file::about_read("show", paths.first()))
}

impl Arguments {
    /// How to compare: as the plans of the runs say, but for what the command line says.
    fn options(&self, planned: Options) -> Options {
        Options {
            baseline: self.baseline.clone().or(planned.baseline),
            rigor: if self.publish { Rigor::Publish } else { planned.rigor },
            insist: self.insist || planned.insist,
        }
    }

    /// Refuses for METG sweeps what comparisons alone have: without effect, it would pass for something that was heeded.
    fn check_for_sweeps(&self) -> Result<(), Problem> {
        let leave_out = |option: &'static str| (option, format!("leave {option} out"));
        let given = [
            (self.csv.is_some(), ("--csv", "--json".to_owned())),
            (self.format == Some(Format::Csv), ("--format csv", "--json".to_owned())),
            (self.baseline.is_some(), leave_out("--baseline")),
            (self.publish, leave_out("--publish")),
            (self.insist, leave_out("--insist")),
        ];
        let Some((_, (option, remedy))) = given.into_iter().find(|(is_given, _)| *is_given) else {
            return Ok(());
        };
        let message = format!("{option} is for comparisons, but these are records of METG sweeps");
        Err(Problem::usage(message).with_remedy(remedy))
    }

    fn outputs(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.html, &self.md, &self.csv].into_iter().flatten().map(PathBuf::as_path);
        files.chain(self.export_file())
    }

    /// Where `--format` is written to.
    fn export_file(&self) -> Option<&Path> {
        self.format.map(|_| self.output.as_path())
    }

    /// Refuses outputs of which one would destroy another, or the records.
    fn check_outputs(&self, read: &Read, json: bool) -> Result<(), Problem> {
        let printed = self.outputs().filter(|path| is_standard_output(path)).count();
        if printed + usize::from(json) > 1 {
            return Err(Problem::usage("standard output can take one of the reports only")
                .with_remedy("a file for each of the others"));
        }
        let mut files = HashSet::new();
        match self.outputs().find(|path| !files.insert(one_name(path))) {
            Some(twice) => Err(Problem::usage(format!("two reports have the name {}", twice.display()))
                .with_remedy("a file for each of the two")),
            None => self.outputs().try_for_each(|path| read.check_output(path)),
        }
    }
}

/// A path by which a file has one name only, as far as its folder is there.
fn one_name(path: &Path) -> PathBuf {
    let in_folder = || Some(path.parent()?.join(".").canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| path.to_owned())
}

/// Prints the summary, unless standard output gets a report.
fn show(arguments: &Arguments, reported: &impl Reported, ui: &mut Ui) -> Result<(), Problem> {
    if ui.json() {
        ui.object(reported)?;
    } else if !arguments.outputs().any(is_standard_output) {
        reports::print_summary(reported, ui);
    }
    Ok(())
}

/// Writes the files that were asked for and that are no page and no CSV. `table` is that of all trials.
fn write(
    arguments: &Arguments,
    reported: &impl Reported,
    table: Option<&[u8]>,
    ui: &mut Ui,
) -> Result<(), Problem> {
    let tables = arguments.md.as_deref().map(|path| (Format::Md, path));
    let files = tables.into_iter().chain(arguments.format.zip(arguments.export_file()));
    let written: Vec<_> = files.map(|(format, path)| write_as(format, path, reported, table, ui)).collect();
    written.into_iter().collect()
}

fn write_as(
    format: Format,
    path: &Path,
    reported: &impl Reported,
    table: Option<&[u8]>,
    ui: &mut Ui,
) -> Result<(), Problem> {
    let rows = reported.exported();
    let text = match format {
        Format::Bencher => export::bencher(&rows)?,
        Format::Github => export::github(&rows)?,
        Format::Openmetrics => export::openmetrics(&rows),
        Format::Junit => export::junit(&rows)?,
        Format::Md => reported.markdown(),
        Format::Json => crate::report::json(reported)?,
        // A comparison has been written as that, and sweeps have been refused.
        Format::Csv => return Ok(()),
        // Of the trials, and not of what is made of them.
        Format::Parquet => return table.map_or(Ok(()), |table| reports::write_bytes(path, table, ui)),
    };
    if matches!(format, Format::Bencher | Format::Github | Format::Openmetrics) {
        tell_left_out(&rows, ui);
    }
    reports::write(path, &text, ui)
}

/// Warns of rows that have no figures in an export: a figure that is missing there is easily overlooked.
fn tell_left_out(rows: &[ExportedRow], ui: &mut Ui) {
    let without: Vec<_> = rows.iter().filter(|row| row.state != State::Verified).collect();
    if without.is_empty() {
        return;
    }
    ui.warning(&format!(
        "{} without figures in this export, as not all of it is verified (--format junit says why): {}",
        plural(without.len() as u64, "row"),
        listed(without.iter().map(|row| single_line(&row.name))),
    ));
}
