//! `crossrun history`: the trend of each cell over many recorded runs of a machine, and where it changed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::app::output::is_standard_output;
use crate::app::records::{self, Read};
use crate::app::ui::Ui;
use crate::app::{Exit, Problem, machine_history, reports};
use crate::compare::trends::model::Trends;
use crate::compare::trends::trends;
use crate::named_file;
use crate::record::format::timestamp;

const AFTER_HELP: &str = "\
A run has one value for each cell, which is the median of its verified trials. The exit code is 7 if the newest change of a cell is \
one to slower. A change below the noise of the machine is not reported: below what its A/A comparisons (compare --aa, selftest) \
differed by, or below 5 % if fewer than five are known. With -v every run has a line.";

#[derive(clap::Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Arguments {
    /// The records of the runs: files, `-` for standard input, or folders that are searched with the folders below them.
    #[arg(required = true, value_name = "FOLDER")]
    paths: Vec<PathBuf>,
    /// Only runs that began then or later, such as 2026-02-21 or 2026-02-21T03:58:47Z. A day begins at midnight, UTC.
    #[arg(long, value_name = "DATE", value_parser = since)]
    since: Option<String>,
    /// Write one HTML page that works offline, with a chart for each cell. The FILE `-` is standard output.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// A day or a time, as records have it.
fn since(text: &str) -> Result<String, String> {
    let of_day = || format!("{}T00:00:00Z", text.parse::<Date>().ok()?).parse::<Timestamp>().ok();
    let at = text.parse::<Timestamp>().ok().or_else(of_day);
    let at = at.and_then(|at| SystemTime::try_from(at).ok());
    at.map(timestamp)
        .ok_or_else(|| "must be a day such as 2026-02-21, or a time such as 2026-02-21T03:58:47Z".into())
}

pub(super) fn run(arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    records::check_inputs("history", &arguments.paths)?;
    let mut read = records::read(&arguments.paths, ui)?;
    read.check_any()?;
    let page = arguments.html.as_deref();
    page.map_or(Ok(()), |page| check_page(page, &read, ui.json()))?;
    let left_out = read.take_sweeps().len();
    if left_out > 0 && read.inputs.is_empty() {
        return Err(records::only_sweeps(left_out, &arguments.paths));
    }
    let since = arguments.since.as_deref();
    let mut trends = trends(&mut read.inputs, since, |machine| machine_history::aa_factors(machine, ui));
    let unfinished = unfinished(&read, &trends);
    trends.warnings.splice(0..0, unfinished);
    if left_out > 0 {
        trends.warnings.push(format!("{left_out} trials of METG sweeps are left out"));
    }
    if trends.cells.is_empty() {
        trends.warnings.iter().for_each(|warning| ui.warning(warning));
        read.check_measured()?;
        return Err(nothing(since, &arguments.paths, read.inputs.is_empty() && !read.left_out.is_empty()));
    }
    trends.altered.clone_from(&read.altered);
    trends.without_chain.clone_from(&read.without_chain);
    show(&trends, page.is_some_and(is_standard_output), ui)?;
    let is_slower = trends.cells.iter().any(|cell| cell.is_regression);
    let exit = if is_slower { Exit::Difference } else { read.exit(Exit::Done) };
    let written = page.map_or(Ok(()), |page| {
        let text = crate::report::trends_html(&trends, &timestamp(SystemTime::now()))?;
        reports::write(page, &text, ui)
    });
    Ok(ui.unless_lost(written, exit))
}

/// The runs that have blocks which were not measured: their values are those of a part. Only the files count from which values are.
/// Where there is no measured trial at all, these say how to go on.
fn unfinished(read: &Read, trends: &Trends) -> Vec<String> {
    let is_measured = read.check_measured().is_ok();
    let has_value = |file: &str| trends.cells.iter().flat_map(|cell| &cell.runs).any(|run| run.file == file);
    let runs = read.unfinished().filter(|run| !is_measured || has_value(&run.file));
    runs.map(|run| run.message.clone()).collect()
}

/// Refuses a page that would replace the records, or be mixed with what is printed.
fn check_page(page: &Path, read: &Read, json: bool) -> Result<(), Problem> {
    if json && is_standard_output(page) {
        return Err(Problem::usage("standard output can take either the page or --json, not both")
            .with_remedy("a file for the page, such as --html trends.html"));
    }
    read.check_output(page)
}

fn nothing(since: Option<&str>, paths: &[PathBuf], is_unreadable: bool) -> Problem {
    match since {
        // The warnings say why.
        _ if is_unreadable => {
            Problem::usage("there are no records").with_remedy("correct what the warnings name")
        }
        Some(since) => {
            Problem::usage(format!("no run with a description of its machine began at {since} or later"))
                .with_remedy("an earlier --since")
        }
        None => Problem::usage("no measured trial of a comparison or run has a description of its machine")
            .with_remedy(named_file::about_read("report", paths)),
    }
}

/// Prints the warnings, and the trends unless standard output gets the page.
fn show(trends: &Trends, is_page_printed: bool, ui: &mut Ui) -> Result<(), Problem> {
    trends.warnings.iter().for_each(|warning| ui.warning(warning));
    if is_page_printed {
        return Ok(());
    }
    let verbose = ui.is_verbose();
    ui.object_or(|| trends, || crate::report::trends(trends, verbose))
}

#[cfg(test)]
mod tests {
    use super::since;

    #[test]
    fn a_date_is_a_day_or_a_time() {
        assert_eq!(since("2026-02-21").unwrap(), "2026-02-21T00:00:00.000000+00:00");
        assert_eq!(since("2026-02-21T03:58:47+01:00").unwrap(), "2026-02-21T02:58:47.000000+00:00");
        for bad in ["", "yesterday", "2026-02-30", "2026-02-21T25:00:00Z"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }
}
