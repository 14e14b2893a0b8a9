//! Evaluates records, and writes reports.

use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;
use serde_json::json;

use super::Problem;
use super::graphs::GraphsOfRecords;
use super::output::is_standard_output;
use super::output_file;
use super::planned::planned_options;
use super::records::{Read, read_file, read_found};
use crate::app::ui::{Ui, colour_on};
use crate::atomic_file;
use crate::compare::metg::model::Sweeps;
use crate::compare::metg::sweeps;
use crate::compare::model::{Comparison, Warning, WarningKind};
use crate::compare::{self, Input, NoBaseline, Options};
use crate::record::Recorder;
use crate::record::format::timestamp;
use crate::record::names::{REPORTS, UNIFIED};
use crate::regular_file;
use crate::report::export::ExportedRow;
use crate::report::{self, Palette, ReportError};
use crate::shell;
use crate::text::terminal_width;

/// The width of a summary if standard output is not a terminal.
const WIDTH: usize = 100;

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        Self::unexpected(&error)
    }
}

/// Checks that the files have all that was recorded, restores it if not, and completes the table beside the records. Prints and
/// returns which files were altered, and returns a problem that keeps the files from being complete: what was measured is shown
/// nevertheless.
pub(crate) fn complete(recorder: &mut Recorder, ui: &mut Ui) -> (Vec<String>, Result<(), Problem>) {
    let altered = match recorder.writer.check() {
        Ok(altered) => altered,
        Err(error) => return (Vec::new(), Err(error.into())),
    };
    let altered: Vec<_> = altered.iter().map(ToString::to_string).collect();
    altered.iter().for_each(|altered| ui.warning(altered));
    let finished = recorder.writer.derive_csv().map_err(Problem::from);
    (altered, finished.map(|damage| damage.iter().for_each(|damage| ui.warning(&damage.to_string()))))
}

/// Compares records. What could not be read, was altered or was not measured becomes the first warnings of the comparison.
pub(crate) fn compared(read: Read, options: &Options) -> Result<Comparison, Problem> {
    let no_baseline =
        |error: NoBaseline| Problem::usage(error.to_string()).with_remedy(error.remedy().unwrap_or_default());
    let mut comparison = compare::compare(&read.inputs, options).map_err(no_baseline)?;
    let warnings = |kind, messages: Vec<String>| {
        messages.into_iter().map(move |message| Warning { kind, message, points: Vec::new() })
    };
    let unfinished = read.unfinished().map(|run| run.message.clone()).collect();
    let of_files = warnings(WarningKind::Unreadable, read.left_out);
    let of_files = of_files.chain(warnings(WarningKind::Altered, read.altered));
    let of_files = of_files.chain(warnings(WarningKind::Unfinished, unfinished));
    comparison.warnings.splice(0..0, of_files);
    comparison.without_chain = read.without_chain;
    Ok(comparison)
}

/// Evaluates sweeps, with the same first warnings.
pub(crate) fn swept(read: Read) -> Sweeps {
    let mut sweeps = sweeps(&read.inputs);
    sweeps.warnings.splice(0..0, read.left_out.into_iter().chain(read.altered));
    sweeps.without_chain = read.without_chain;
    sweeps
}

/// Evaluates the sweeps among the records of a comparison, which has what could not be read.
pub(crate) fn swept_beside(inputs: &[Input]) -> Option<Sweeps> {
    (!inputs.is_empty()).then(|| sweeps(inputs))
}

/// What is reported: a comparison, or METG sweeps.
pub(crate) trait Reported: Serialize {
    /// The name of the event that has it in JSON.
    const EVENT: &str;

    /// The HTML page of now, with the `command` that repeats the measurement.
    fn html(&self, command: Option<&str>) -> Result<String, ReportError>;
    fn markdown(&self) -> String;
    /// The rows, for other programs.
    fn exported(&self) -> Vec<ExportedRow>;
    /// The summary for a terminal of this width.
    fn text(&self, palette: &Palette, width: usize) -> String;
    /// What only readers who ask for details see, a line each.
    fn conditions(&self) -> String;
}

impl Reported for Comparison {
    const EVENT: &str = "comparison";

    fn html(&self, command: Option<&str>) -> Result<String, ReportError> {
        report::html(self, &now(), command)
    }

    fn markdown(&self) -> String {
        report::markdown(self)
    }

    fn exported(&self) -> Vec<ExportedRow> {
        self.exported()
    }

    fn text(&self, palette: &Palette, width: usize) -> String {
        report::text(self, palette, width)
    }

    fn conditions(&self) -> String {
        report::conditions(&self.machines, &self.machine_checks)
    }
}

impl Reported for Sweeps {
    const EVENT: &str = "metg";

    fn html(&self, command: Option<&str>) -> Result<String, ReportError> {
        report::metg_html(self, &now(), command)
    }

    fn markdown(&self) -> String {
        report::metg::markdown(self)
    }

    fn exported(&self) -> Vec<ExportedRow> {
        self.exported()
    }

    fn text(&self, palette: &Palette, width: usize) -> String {
        report::metg::text(self, palette, width)
    }

    fn conditions(&self) -> String {
        report::conditions(&self.machines, &self.machine_checks)
    }
}

pub(crate) fn print_summary(reported: &impl Reported, ui: &mut Ui) {
    let palette = if colour_on(&std::io::stdout()) { Palette::coloured() } else { Palette::plain() };
    ui.coloured_result(&reported.text(&palette, terminal_width().map_or(WIDTH, usize::from)));
    if ui.is_verbose() {
        ui.result(reported.conditions().trim_end());
    }
}

/// Refuses a folder for a run that begins, if it has reports already: they are of something else, and would be replaced.
pub(crate) fn refuse_other_reports(folder: &Path) -> Result<(), Problem> {
    let found = REPORTS.iter().map(|name| folder.join(name)).find(|path| path.symlink_metadata().is_ok());
    found.map_or(Ok(()), |path| {
        let message =
            format!("{} is there already, and would be replaced at the end of this run", path.display());
        Err(Problem::usage(message).with_remedy("--output-dir with another folder"))
    })
}

/// Prints the summary or an event, and then writes the reports into the folder of the records, as HTML, Markdown and JSON: what was
/// measured is shown even if the folder takes nothing more. Returns the first problem after it has tried to write each.
pub(crate) fn publish<R: Reported>(
    folder: &Path,
    reported: &R,
    command: &str,
    ui: &mut Ui,
) -> Result<(), Problem> {
    if ui.json() {
        ui.result(&json!({"event": R::EVENT, R::EVENT: reported}).to_string());
    } else {
        print_summary(reported, ui);
    }
    let [page, text, json] = REPORTS.map(|name| folder.join(name));
    let html = reported.html(Some(command));
    // What keeps one from being written, as its size on a disk that is nearly full, need not keep the others from it.
    let written = [
        html.map_err(Problem::from).and_then(|html| write_own(&page, &html)),
        write_own(&text, &reported.markdown()),
        report::json(reported).map_err(Problem::from).and_then(|object| write_own(&json, &object)),
    ];
    written.into_iter().collect::<Result<(), Problem>>()?;
    ui.note(&format!("recorded in {}; open {}", folder.display(), page.display()));
    Ok(())
}

/// The page of one file of records that was found in a folder, as [`publish`] writes it beside them.
pub(crate) fn page(file: &Path, graphs: &GraphsOfRecords<'_>, ui: &mut Ui) -> Result<String, Problem> {
    let mut read = Read::default();
    // What is beside it is not read through a link, which may lead out of the folder.
    if file.with_file_name(UNIFIED).is_symlink() {
        read_file(file, &mut read, ui)?;
    } else {
        read_found(file, &mut read, ui)?;
    }
    let of_sweeps = read.take_sweeps();
    if read.inputs.is_empty() && !of_sweeps.is_empty() {
        read.inputs = of_sweeps;
        return Ok(swept(read).html(None)?);
    }
    let sweeps = swept_beside(&of_sweeps);
    let mut options = planned_options(file).unwrap_or_default();
    // The records may be of another run than the plan.
    let is_known = |baseline: &String| read.inputs.iter().any(|input| input.record.backend == *baseline);
    options.baseline = options.baseline.filter(is_known);
    let mut comparison = compared(read, &options)?;
    graphs.add(&mut comparison, ui);
    Ok(page_of_records(&comparison, sweeps.as_ref())?)
}

/// The page of records. It has no other commands than theirs.
pub(crate) fn page_of_records(
    comparison: &Comparison,
    sweeps: Option<&Sweeps>,
) -> Result<String, ReportError> {
    report::html_with_sweeps(comparison, sweeps, &now(), None)
}

fn now() -> String {
    timestamp(SystemTime::now())
}

/// Writes a report atomically, or prints it if `path` stands for standard output.
pub(crate) fn write(path: &Path, text: &str, ui: &mut Ui) -> Result<(), Problem> {
    if is_standard_output(path) {
        ui.result(text);
        return Ok(());
    }
    write_file(path, text.as_bytes())
}

/// As [`write`], for what is no text.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8], ui: &mut Ui) -> Result<(), Problem> {
    if is_standard_output(path) {
        ui.bytes(bytes);
        return Ok(());
    }
    write_file(path, bytes)
}

/// Writes a file of a run's own folder. What stands in its place and is no file is not waited for.
pub(crate) fn write_own(path: &Path, text: &str) -> Result<(), Problem> {
    let written = regular_file::check(path).and_then(|()| replace(path, text.as_bytes()));
    written.map_err(|error| {
        // The run has no other folder.
        let report = shell::about("report", path.parent().unwrap_or(path));
        cannot_write(path, &error, &format!("{report} --html FILE, with a file that can be written"))
    })
}

fn cannot_write(path: &Path, error: &std::io::Error, remedy: &str) -> Problem {
    Problem::of_file(error, format!("cannot write {}: {error}", path.display()), remedy)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    replace(path, bytes).map_err(|error| cannot_write(path, &error, &output_file::remedy(path, &error)))
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // The umask decides whether other users may read a report.
    atomic_file::replace(path, 0o666, |mut file| file.write_all(bytes))
}
