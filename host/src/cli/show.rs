//! `crossrun show`: lists the trials of a run, or shows one trial in full.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::app::planned::not_begun;
use crate::app::ui::Ui;
use crate::app::{Exit, Problem, records};
use crate::named_file::{self, is_standard_input};
use crate::record::claims::claims;
use crate::record::names::RESULTS;
use crate::record::reader::{Holds, open_any};
use crate::record::writer::TRIALS;
use crate::record::{Kind, RecordError, Records, TrialRecord, record_files, skipped};
use crate::regular_file;
use crate::shell;
use crate::text::{lines, printable, single_line, table, word};

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The id of a comparison or sweep, its folder, a file of trials, or `-` for standard input.
    run: PathBuf,
    /// The line number of a trial in the list, or a part of its name that is no number.
    trial: Option<String>,
}

/// A trial and its line number.
type Line = (u64, TrialRecord);

pub(super) fn run(arguments: &Arguments, ui: &mut Ui) -> Result<Exit, Problem> {
    let file = trials_of(&arguments.run)?;
    let mut trials = Vec::new();
    let (content, holds) = open_any(&file).map_err(Problem::of_record)?;
    if holds == Holds::Measured {
        let named =
            if is_standard_input(&file) { "standard input".into() } else { file.display().to_string() };
        let message = format!("{named} has records without their trials, as in {TRIALS}");
        return Err(Problem::usage(message).with_remedy(named_file::about_read("report", [&file])));
    }
    let left_out = skipped::read_each(Records::new(content, &file), |line, trial| {
        trials.push((line, trial));
        Ok(())
    });
    let left_out = left_out.map_err(Problem::of_record)?;
    let unread = records::report_left_out(&file, &left_out, ui);
    if trials.is_empty() && unread.is_empty() {
        return Err(records::nothing(not_begun(&file).as_deref()));
    }
    let text = match &arguments.trial {
        None if ui.json() => json!(trials.iter().map(|(_, trial)| trial).collect::<Vec<_>>()).to_string(),
        None => list(&trials),
        Some(wanted) => {
            // The list has the line numbers and the names.
            let list = || named_file::about_read("show", [&arguments.run]);
            let trial = find(&trials, wanted).map_err(|problem| problem.with_remedy(list()))?;
            if ui.json() { json!(trial).to_string() } else { page(trial)? }
        }
    };
    ui.result(&text);
    Ok(if unread.is_empty() { Exit::Done } else { Exit::Usage })
}

/// The file of trials in the folder itself, or else in the only folder below it that has one.
fn trials_of(named: &Path) -> Result<PathBuf, Problem> {
    // A file, or a pipe.
    if is_standard_input(named) || (named.exists() && !named.is_dir()) {
        return Ok(named.to_owned());
    }
    let folders = [named.to_owned(), Path::new(RESULTS).join(named)];
    if let Some(file) = folders.iter().map(|folder| folder.join(TRIALS)).find(|file| file.is_file()) {
        return Ok(file);
    }
    let search = |folder: &PathBuf| record_files::find(folder).map_err(RecordError::input("search", folder));
    let below = folders.iter().filter(|folder| folder.is_dir()).map(search);
    let below = below.collect::<Result<Vec<_>, _>>().map_err(Problem::of_record)?;
    let mut below = below.into_iter().flat_map(|found| found.files).filter(|file| file.ends_with(TRIALS));
    match (below.next(), below.next()) {
        (Some(file), None) => Ok(file),
        (Some(one), Some(other)) => {
            let [one, other] = [&one, &other].map(|file| file.parent().unwrap_or(file));
            let run = named.display().to_string();
            let several =
                format!("there are several runs below {run:?}, as {} and {}", one.display(), other.display());
            Err(Problem::usage(several).with_remedy(shell::about("show", one)))
        }
        (None, _) => Err(not_found(named, &folders)),
    }
}

/// No folder is that of the run that was named so. Single runs of one workload share a folder.
fn not_found(named: &Path, folders: &[PathBuf]) -> Problem {
    if let Some(run) = records::single_run(named) {
        let show = format!("{} {}", shell::about("show", &run.folder), run.line);
        return run.is_no_folder(named).with_remedy(show);
    }
    let looked: Vec<_> = folders.iter().map(|folder| folder.join(TRIALS).display().to_string()).collect();
    let looked = looked.join(" and ");
    let look =
        || if Path::new(RESULTS).is_dir() { "ls results".to_owned() } else { shell::look_beside(named) };
    let resume = folders.iter().find_map(|folder| not_begun(&folder.join(TRIALS)));
    let run = named.display().to_string();
    Problem::usage(format!("there is no run {run:?} (looked for {looked})"))
        .with_remedy(resume.unwrap_or_else(look))
}

fn name(trial: &TrialRecord) -> String {
    let record = &trial.record;
    // People count blocks from 1, records from 0.
    let block =
        record.metadata.block.map_or_else(String::new, |block| format!("/block={}", u64::from(block) + 1));
    let warm_up = if trial.kind == Kind::Warmup { "/warm-up" } else { "" };
    format!("{}/backend={}{block}{warm_up}", record.run_id, record.backend)
}

fn find<'a>(trials: &'a [Line], wanted: &str) -> Result<&'a TrialRecord, Problem> {
    let number = wanted.parse::<u64>().ok();
    let by_line = number.and_then(|number| trials.iter().find(|(line, _)| *line == number));
    let none = || Problem::usage(format!("this run has no trial {wanted:?}"));
    // Times and numbers of processes in names have digits too: a number is a line, and nothing else.
    if number.is_some() && by_line.is_none() {
        return Err(none());
    }
    // The name of a measured trial is a part of those of its warm-ups, and block 1 a part of block 10: a whole end says which.
    let mut by_end = trials.iter().filter(|(_, trial)| name(trial).ends_with(wanted));
    let by_line = by_line.or_else(|| by_end.next().filter(|_| by_end.next().is_none()));
    let mut by_name = trials.iter().filter(|(_, trial)| name(trial).contains(wanted));
    match (by_line, by_name.next(), by_name.next()) {
        (Some((_, trial)), _, _) | (None, Some((_, trial)), None) => Ok(trial),
        (None, None, _) => Err(none()),
        (None, Some(_), Some(_)) => {
            Err(Problem::usage(format!("{wanted:?} is a part of several names: a line number says which")))
        }
    }
}

fn list(trials: &[Line]) -> String {
    let mut table = table(["line", "status", "seconds", "trial"]);
    for (line, trial) in trials {
        let seconds = trial.record.metadata.worker_elapsed;
        let seconds = seconds.map_or_else(|| "-".into(), number_of_seconds);
        table.add_row([line.to_string(), word(trial.status), seconds, single_line(&name(trial))]);
    }
    lines(&table)
}

/// The whole record, the command that repeats the trial, and its log.
fn page(trial: &TrialRecord) -> Result<String, Problem> {
    let record = serde_json::to_string_pretty(trial).map_err(|error| Problem::unexpected(&error))?;
    let metadata = &trial.record.metadata;
    let command = metadata.command.as_deref().unwrap_or("not recorded");
    let log = metadata.log.as_ref().map_or_else(|| "nothing was logged\n".to_owned(), |path| log(path));
    let claims = claims(&trial.record).join(", ");
    let claims = if claims.is_empty() {
        String::new()
    } else {
        format!("claimed by the backend, not checked: {}\n", single_line(&claims))
    };
    let again = match &metadata.full_command {
        Some(whole) => format!(
            "again, alone and as a cold run without warm-ups: {}\nthe whole run again: {}",
            single_line(command),
            single_line(whole)
        ),
        None => format!("again: {}", single_line(command)),
    };
    let name = single_line(&name(trial));
    Ok(printable(&format!("{name}\n\n{record}\n\n{claims}{again}\n\nlog:\n{log}")))
}

/// The lines of a log, indented: none may look like one of crossrun's.
fn log(path: &str) -> String {
    match regular_file::read(path.as_ref()) {
        Ok(log) => String::from_utf8_lossy(&log).lines().map(|line| format!("  {line}\n")).collect(),
        Err(error) => format!("{path} cannot be read: {error}; old logs are removed\n"),
    }
}

/// A number of seconds. Another program's record can have one of 300 digits.
fn number_of_seconds(seconds: f64) -> String {
    if seconds.abs() < 1e7 { format!("{seconds:.3}") } else { format!("{seconds:.3e}") }
}
