//! From files of records to comparisons, and from comparisons to files.

use std::collections::HashSet;
use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::json;

use super::{Exit, Problem};
use crate::app::ui::Ui;
use crate::atomic_file;
use crate::compare::metg::model::Sweeps;
use crate::compare::model::{Comparison, Source, Warning, WarningKind};
use crate::compare::{self, Input, Options};
use crate::record::format::timestamp;
use crate::record::record_files::{self, RecordFiles};
use crate::record::skipped::{self, Damage, Skipped};
use crate::record::writer::{TRIALS, UNIFIED};
use crate::record::{RecordError, Recorder, Records, reader};
use crate::report::{self, Palette, ReportError};
use crate::text::plural;

/// How wide a summary is where nobody says how wide the terminal is.
const WIDTH: usize = 100;

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        Self::unexpected(&error)
    }
}

#[derive(Default)]
pub(crate) struct Read {
    /// The records, in their order.
    pub(crate) inputs: Vec<Input>,
    /// What could not be read, a line of text each: what is made of the others has less in it.
    pub(crate) left_out: Vec<String>,
}

impl Read {
    /// The exit code of a command that makes something of the records: `done`, unless something was left out.
    pub(crate) fn exit(&self, done: Exit) -> Exit {
        if self.left_out.is_empty() { done } else { Exit::Usage }
    }
}

/// The records in `paths`: files of ours or of the original project, or folders that hold them. A file to which several
/// paths lead is read once.
pub(crate) fn read(paths: &[PathBuf], ui: &mut Ui) -> Result<Read, Problem> {
    let (mut read, mut known) = (Read::default(), HashSet::new());
    for path in paths {
        for file in files(path, ui)? {
            if known.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
                read_file(&file, &mut read, ui)?;
            }
        }
    }
    Ok(read)
}

/// The files of a path, and a word on them if they are not just where one would expect them.
fn files(path: &Path, ui: &mut Ui) -> Result<Vec<PathBuf>, Problem> {
    let unreadable = |error: std::io::Error| Problem::usage(format!("{}: {error}", path.display()));
    let RecordFiles { files, unsearched } = record_files::find(path).map_err(unreadable)?;
    for (folder, why) in unsearched {
        ui.warning(&format!("{} is not searched for records: {why}", folder.display()));
    }
    if files.is_empty() {
        return Err(Problem::usage(format!(
            "{} holds no records (*.jsonl), and no folder below it does ({TRIALS}, {UNIFIED})",
            path.display()
        )));
    }
    if files.iter().any(|file| file != path && file.parent() != Some(path)) {
        let named: Vec<_> = files.iter().take(10).map(|file| file.display().to_string()).collect();
        let more = files.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let count = plural(files.len() as u64, "file");
        ui.note(&format!("{}: {count} of records: {}{more}", path.display(), named.join(", ")));
    }
    Ok(files)
}

fn read_file(path: &Path, read: &mut Read, ui: &mut Ui) -> Result<(), Problem> {
    let source = |line| Source { file: path.display().to_string(), line };
    let inputs = &mut read.inputs;
    let left_out = if reader::holds_trials(path).map_err(unreadable)? {
        skipped::read_each(Records::open(path).map_err(unreadable)?, |line, trial| {
            inputs.push(Input::trial(source(line), trial));
            Ok(())
        })
    } else {
        skipped::read_each(Records::open(path).map_err(unreadable)?, |line, record| {
            inputs.push(Input::measured(source(line), record));
            Ok(())
        })
    };
    read.left_out.extend(told(path, &left_out.map_err(unreadable)?, ui));
    Ok(())
}

/// Tells what was left out of a file, and returns what of it could not be read. A last line that a crash cut off is only
/// told: it was never whole.
pub(crate) fn told(path: &Path, left_out: &Skipped, ui: &mut Ui) -> Vec<String> {
    if let Some(line) = left_out.torn {
        ui.warning(&format!("{}:{line}: the last line is cut off and left out", path.display()));
    }
    let damage: Vec<_> = left_out.damage.iter().map(Damage::to_string).collect();
    damage.iter().for_each(|damage| ui.warning(damage));
    damage
}

/// Sees to it that the table beside the records holds all of them, and tells what it cannot hold.
pub(crate) fn finish(recorder: &mut Recorder, ui: &mut Ui) -> Result<(), Problem> {
    for damage in recorder.finish()? {
        ui.warning(&damage.to_string());
    }
    Ok(())
}

/// A file that was named and cannot be read is the command line's fault.
pub(crate) fn unreadable(error: RecordError) -> Problem {
    Problem::usage(error.to_string())
}

/// Compares records. What could not be read is the first to be known of the comparison.
pub(crate) fn compared(
    inputs: &[Input],
    left_out: Vec<String>,
    options: &Options,
) -> Result<Comparison, Problem> {
    let mut comparison =
        compare::compare(inputs, options).map_err(|error| Problem::usage(error.to_string()))?;
    let warning = |message| Warning { kind: WarningKind::Unreadable, message, points: Vec::new() };
    comparison.warnings.splice(0..0, left_out.into_iter().map(warning));
    Ok(comparison)
}

/// The page, made now.
pub(crate) fn page(comparison: &Comparison, command: Option<&str>) -> Result<String, Problem> {
    Ok(report::html(comparison, &timestamp(SystemTime::now()), command)?)
}

/// The summary, for whoever looks at standard output.
pub(crate) fn text(comparison: &Comparison) -> String {
    let (palette, width) = terminal();
    report::text(comparison, &palette, width)
}

/// What sweeps came to, for whoever looks at standard output.
pub(crate) fn sweeps_text(sweeps: &Sweeps) -> String {
    let (palette, width) = terminal();
    report::metg::text(sweeps, &palette, width)
}

/// The page of sweeps, made now.
pub(crate) fn sweeps_page(sweeps: &Sweeps, command: Option<&str>) -> Result<String, Problem> {
    Ok(report::metg_html(sweeps, &timestamp(SystemTime::now()), command)?)
}

/// In which colours and how wide standard output is to be written.
fn terminal() -> (Palette, usize) {
    let terminal = std::io::stdout().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let palette = if colour { Palette::coloured() } else { Palette::plain() };
    let width =
        rustix::termios::tcgetwinsize(rustix::stdio::stdout()).map_or(WIDTH, |size| usize::from(size.ws_col));
    (palette, if terminal { width.max(40) } else { WIDTH })
}

/// Writes what was measured beside its records: the page that people open, the same for a pull request or a mail, and the
/// same for programs. Shows it, too: as the event `name` in JSON, else as `text`.
pub(crate) fn publish(
    folder: &Path,
    name: &str,
    result: &impl Serialize,
    page: &str,
    markdown: &str,
    text: &str,
    ui: &mut Ui,
) -> Result<(), Problem> {
    let place = folder.join("report.html");
    write(&place, page)?;
    write(&folder.join("report.md"), markdown)?;
    write(&folder.join("report.json"), &report::json(result)?)?;
    if ui.json() {
        ui.result(&json!({"event": name, name: result}).to_string());
    } else {
        ui.coloured_result(text);
    }
    ui.note(&format!("recorded in {}; open {}", folder.display(), place.display()));
    Ok(())
}

/// Writes a report whole or not at all.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Problem> {
    let cannot = |error: std::io::Error| {
        Problem::new(Exit::Unexpected, format!("cannot write {}: {error}", path.display()))
    };
    // Others may read a report if the umask lets them.
    atomic_file::replace(path, 0o666, |mut file| file.write_all(text.as_bytes())).map_err(cannot)
}
