//! Reads files of records, and writes reports.

use std::collections::HashSet;
use std::fs::Metadata;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::json;

use super::graphs::GraphsOfRecords;
use super::{Exit, Problem};
use crate::app::ui::{Ui, colour_on};
use crate::atomic_file;
use crate::compare::metg::model::Sweeps;
use crate::compare::metg::sweeps;
use crate::compare::model::{Comparison, Rigor, Source, Warning, WarningKind};
use crate::compare::{self, Input, Options};
use crate::named_file::{self, is_standard_input};
use crate::record::format::timestamp;
use crate::record::record_files::{self, RecordFiles};
use crate::record::skipped::{self, Damage, Skipped};
use crate::record::writer::{PLAN, TRIALS, UNIFIED};
use crate::record::{RecordError, Recorder, Records, reader};
use crate::regular_file;
use crate::report::export::ExportedRow;
use crate::report::{self, Palette, ReportError};
use crate::shell;
use crate::text::{listed, plural, terminal_width, without_mark};

/// The width of a summary if standard output is not a terminal.
const WIDTH: usize = 100;

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        Self::unexpected(&error)
    }
}

/// The records of several files.
#[derive(Default)]
pub(crate) struct Read {
    /// The records, in their order.
    pub(crate) inputs: Vec<Input>,
    /// What could not be read, one line for each.
    pub(crate) left_out: Vec<String>,
    /// What was altered after it was written, a line of text each.
    pub(crate) altered: Vec<String>,
    /// The files without a hash chain, in which nobody sees an edit.
    pub(crate) without_chain: Vec<String>,
    /// The files that were read, by their device and inode.
    files: HashSet<(u64, u64)>,
    /// How the plan of each file with trials of a comparison has it compared, as far as its folder was named, and not the file alone.
    planned: Vec<Option<Options>>,
}

impl Read {
    /// The exit code of a command that uses the records: `done`, unless something could not be read.
    pub(crate) fn exit(&self, done: Exit) -> Exit {
        if self.left_out.is_empty() { done } else { Exit::Usage }
    }

    /// How the plans of the runs have them compared, where all agree, and else the defaults. Several quick runs may be enough for
    /// verdicts together.
    pub(crate) fn planned(&self) -> Options {
        let Some(plans) = self.planned.iter().map(Option::as_ref).collect::<Option<Vec<_>>>() else {
            return Options::default();
        };
        let [first, others @ ..] = plans.as_slice() else { return Options::default() };
        let rigor = match first.rigor {
            Rigor::Quick if !others.is_empty() => Rigor::Standard,
            rigor => rigor,
        };
        let baseline = first.baseline.as_ref().filter(|name| {
            let is_known = |input: &Input| input.record.backend == **name;
            self.inputs.iter().any(is_known) && others.iter().all(|it| it.baseline == first.baseline)
        });
        Options {
            baseline: baseline.cloned(),
            rigor: if others.iter().all(|it| it.rigor == first.rigor) { rigor } else { Rigor::Standard },
            insist: plans.iter().all(|it| it.insist),
        }
    }

    /// Refuses to write a report to a file that was read, whatever name it has there: the records would be gone.
    pub(crate) fn check_output(&self, path: &Path) -> Result<(), Problem> {
        let replaced = path.metadata().ok().filter(|_| !is_standard_output(path)).as_ref().and_then(identity);
        if replaced.is_some_and(|id| self.files.contains(&id)) {
            let message = format!("{} holds the records that are reported", path.display());
            return Err(Problem::usage(message).with_remedy("another file"));
        }
        check_output(path)
    }
}

/// What tells a regular file from all others.
fn identity(status: &Metadata) -> Option<(u64, u64)> {
    status.is_file().then(|| regular_file::identity(status))
}

/// Refuses to write over a file of a run: without it the run could not be resumed or reported.
pub(crate) fn check_output(path: &Path) -> Result<(), Problem> {
    if path.canonicalize().is_ok_and(|file| record_files::is_of_a_run(&file)) {
        let message = format!("{} is a file of a run", path.display());
        return Err(Problem::usage(message).with_remedy("another file"));
    }
    Ok(())
}

/// Reads the records in `paths`: files of this project or of the original one, or folders that hold them. A file that several
/// paths lead to is read once.
pub(crate) fn read(paths: &[PathBuf], ui: &mut Ui) -> Result<Read, Problem> {
    check_inputs(paths)?;
    let mut read = Read::default();
    for path in paths {
        for file in files(path, ui)? {
            // What is no regular file, such as a pipe, is another one each time.
            let identity = named_file::status(&file).ok().as_ref().and_then(identity);
            if identity.is_none_or(|id| read.files.insert(id)) {
                let first = read.inputs.len();
                read_file(&file, &mut read, ui)?;
                // Sweeps and single runs have no plan that says how they are compared.
                let is_of_plan = |it: &Input| it.record.metadata.block.is_some() && !it.is_sweep();
                if read.inputs[first..].iter().any(is_of_plan) {
                    read.planned.push((file != *path).then(|| planned_options(&file)).flatten());
                }
            }
        }
    }
    if !read.without_chain.is_empty() {
        log::info!(
            "files without a hash chain, which are older than it or the original project's: {}",
            read.without_chain.join(", ")
        );
    }
    Ok(read)
}

/// Refuses to read standard input twice: the second reader would get nothing.
pub(crate) fn check_inputs(paths: &[PathBuf]) -> Result<(), Problem> {
    if paths.iter().filter(|path| is_standard_input(path)).count() > 1 {
        return Err(Problem::usage("standard input can be read once only")
            .with_remedy("a file for each of the others"));
    }
    Ok(())
}

/// The files of records of a path. Prints them if some are in folders below it.
fn files(path: &Path, ui: &mut Ui) -> Result<Vec<PathBuf>, Problem> {
    if is_standard_input(path) {
        return Ok(vec![path.to_owned()]);
    }
    let found = record_files::find(path).map_err(RecordError::input("search", path));
    let RecordFiles { files, unsearched } = found.map_err(Problem::of_record)?;
    for (folder, why) in unsearched {
        ui.warning(&format!("{} is not searched for records: {why}", folder.display()));
    }
    if files.is_empty() {
        return Err(Problem::usage(format!(
            "{} holds no records (*.jsonl), and no folder below it does ({TRIALS}, {UNIFIED})",
            path.display()
        ))
        .with_remedy(shell::command("ls", [shell::path(path)])));
    }
    if files.iter().any(|file| file != path && file.parent() != Some(path)) {
        let count = plural(files.len() as u64, "file");
        let named = listed(files.iter().map(|file| file.display()));
        ui.note(&format!("{}: {count} of records: {named}", path.display()));
    }
    Ok(files)
}

fn read_file(path: &Path, read: &mut Read, ui: &mut Ui) -> Result<(), Problem> {
    let source = |line| Source { file: path.display().to_string(), line };
    let inputs = &mut read.inputs;
    let first = inputs.len();
    let (content, holds) = reader::open_any(path).map_err(Problem::of_record)?;
    let left_out = if holds == reader::Holds::Trials {
        skipped::read_each(Records::new(content, path), |line, trial| {
            inputs.push(Input::trial(source(line), trial));
            Ok(())
        })
    } else {
        skipped::read_each(Records::new(content, path), |line, record| {
            inputs.push(Input::measured(source(line), record));
            Ok(())
        })
    };
    let left_out = left_out.map_err(Problem::of_record)?;
    compare::mark_runs(&mut inputs[first..]);
    read.left_out.extend(report_left_out(path, &left_out, ui));
    read.altered.extend(left_out.chain.broken(path).map(|broken| broken.to_string()));
    if left_out.chain.is_absent() {
        read.without_chain.push(path.display().to_string());
    }
    Ok(())
}

/// Prints what was left out of a file and where its hash chain is broken, and returns what could not be read. That is not a last line that was cut off by a
/// crash: no record was lost.
pub(crate) fn report_left_out(path: &Path, left_out: &Skipped, ui: &mut Ui) -> Vec<String> {
    if let Some(line) = left_out.torn {
        ui.warning(&format!("{}:{line}: the last line is cut off and left out", path.display()));
    }
    let damage: Vec<_> = left_out.damage.iter().map(Damage::to_string).collect();
    damage.iter().for_each(|damage| ui.warning(damage));
    if let Some(broken) = left_out.chain.broken(path) {
        ui.warning(&broken.to_string());
    }
    damage
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

/// Compares records. What could not be read or was altered becomes the first warnings of the comparison.
pub(crate) fn compared(read: Read, options: &Options) -> Result<Comparison, Problem> {
    let mut comparison =
        compare::compare(&read.inputs, options).map_err(|error| Problem::usage(error.to_string()))?;
    let warnings = |kind, messages: Vec<String>| {
        messages.into_iter().map(move |message| Warning { kind, message, points: Vec::new() })
    };
    let of_files = warnings(WarningKind::Unreadable, read.left_out);
    let of_files = of_files.chain(warnings(WarningKind::Altered, read.altered));
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
pub(crate) fn swept_beside(inputs: Vec<Input>) -> Option<Sweeps> {
    (!inputs.is_empty()).then(|| swept(Read { inputs, ..Read::default() }))
}

/// What is reported: a comparison, or METG sweeps.
pub(crate) trait Reported: Serialize {
    /// The name of the event that has it in JSON.
    const EVENT: &str;

    /// The HTML page, with the `command` that repeats the measurement.
    fn html(&self, generated_at: &str, command: Option<&str>) -> Result<String, ReportError>;
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

    fn html(&self, generated_at: &str, command: Option<&str>) -> Result<String, ReportError> {
        report::html(self, generated_at, command)
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

    fn html(&self, generated_at: &str, command: Option<&str>) -> Result<String, ReportError> {
        report::metg_html(self, generated_at, command)
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

/// The files that [`publish`] writes: the page, Markdown, and JSON.
const REPORTS: [&str; 3] = ["report.html", "report.md", "report.json"];

/// Nothing was read, as of a pipe whose program failed: a report of nothing would pass for one of something.
pub(crate) fn nothing() -> Problem {
    Problem::usage("no records were read")
        .with_remedy("the path of what has records, or look why there are none")
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
/// measured is shown even if the folder takes nothing more.
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
    write_own(&page, &reported.html(&timestamp(SystemTime::now()), Some(command))?)?;
    write_own(&text, &reported.markdown())?;
    write_own(&json, &report::json(reported)?)?;
    ui.note(&format!("recorded in {}; open {}", folder.display(), page.display()));
    Ok(())
}

/// The page of one file of records, as [`publish`] writes it beside them.
pub(crate) fn page(file: &Path, graphs: &GraphsOfRecords<'_>, ui: &mut Ui) -> Result<String, Problem> {
    let mut read = Read::default();
    read_file(file, &mut read, ui)?;
    let now = timestamp(SystemTime::now());
    let of_sweeps: Vec<_> = read.inputs.extract_if(.., |input| input.is_sweep()).collect();
    if read.inputs.is_empty() && !of_sweeps.is_empty() {
        read.inputs = of_sweeps;
        return Ok(swept(read).html(&now, None)?);
    }
    let sweeps = swept_beside(of_sweeps);
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
    report::html_with_sweeps(comparison, sweeps, &timestamp(SystemTime::now()), None)
}

/// How the plan beside a file of records has them compared.
fn planned_options(file: &Path) -> Option<Options> {
    #[derive(serde::Deserialize)]
    struct Planned {
        baseline: String,
        rigor: Rigor,
        insist: bool,
    }
    let plan = regular_file::read(&file.with_file_name(PLAN)).ok()?;
    let Planned { baseline, rigor, insist } = serde_json::from_slice(without_mark(&plan)).ok()?;
    Some(Options { baseline: Some(baseline), rigor, insist })
}

pub(crate) fn write_html(
    path: &Path,
    reported: &impl Reported,
    command: Option<&str>,
    ui: &mut Ui,
) -> Result<(), Problem> {
    write(path, &reported.html(&timestamp(SystemTime::now()), command)?, ui)
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
    let remedy = "another file, on a disk with free space, in a folder that you may write to";
    replace(path, bytes).map_err(|error| cannot_write(path, &error, remedy))
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // The umask decides whether other users may read a report.
    atomic_file::replace(path, 0o666, |mut file| file.write_all(bytes))
}

/// Whether a file that a user names stands for standard output.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}
