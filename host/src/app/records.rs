//! Reads files of records.

use std::collections::HashSet;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use super::measured_beside::{Lacking, MeasuredBeside};
use super::output::is_standard_output;
use super::output_file;
use super::planned::{PlannedRun, Unfinished, not_begun, planned_options, recorded_run};
use super::ui::Ui;
use super::{Exit, Problem};
use crate::compare::model::{Rigor, Source};
use crate::compare::{self, Input, Options};
use crate::named_file::{self, is_standard_input};
use crate::record::names::RESULTS;
use crate::record::record_files::{self, RecordFiles};
use crate::record::skipped::{self, Damage, Skipped};
use crate::record::writer::{TRIALS, UNIFIED};
use crate::record::{Kind, RecordError, Records, reader};
use crate::regular_file;
use crate::shell;
use crate::text::{listed, plural, with_remedy};

/// The records of several files.
#[derive(Default)]
pub(crate) struct Read {
    /// The records, in their order.
    pub(crate) inputs: Vec<Input>,
    /// What could not be read, one line for each.
    pub(crate) left_out: Vec<String>,
    /// What was altered after it was written, a line of text each.
    pub(crate) altered: Vec<String>,
    /// The runs whose plan is beside their records, each once.
    runs: Vec<PlannedRun>,
    /// The command that measures the first comparison of which nothing was measured.
    not_begun: Option<String>,
    /// The files without a hash chain, in which nobody sees an edit.
    pub(crate) without_chain: Vec<String>,
    /// The files that were read, by what tells them from others.
    files: HashSet<(u64, u64)>,
    /// How the plan of each file with trials of a comparison has it compared, as far as its folder was named, and not the file alone.
    planned: Vec<Option<Options>>,
}

impl Read {
    /// The exit code of a command that uses the records: `done`, unless something could not be read.
    pub(crate) fn exit(&self, done: Exit) -> Exit {
        if self.left_out.is_empty() { done } else { Exit::Usage }
    }

    /// Refuses to make something of nothing, as of a pipe whose program failed. Of lines that cannot be read the warnings say more.
    pub(crate) fn check_any(&self) -> Result<(), Problem> {
        if self.inputs.is_empty() && self.left_out.is_empty() {
            return Err(nothing(self.not_begun.as_deref()));
        }
        Ok(())
    }

    /// The runs of which blocks are missing, but for those of which a whole copy was read.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &Unfinished> {
        self.runs.iter().filter_map(move |run| run.missing(&self.inputs))
    }

    /// Refuses warm-ups without a measured trial, from which nothing follows. Lines that cannot be read may be the measured trials.
    pub(crate) fn check_measured(&self) -> Result<(), Problem> {
        let is_measured = |input: &Input| input.kind == Kind::Measured;
        let Some(first) = self.inputs.first().filter(|_| !self.inputs.iter().any(is_measured)) else {
            return Ok(());
        };
        let message =
            "there are warm-ups only, and no measured trial, as of a run that was interrupted early";
        // A folder may have several runs, of which `show` would take none.
        let file = PathBuf::from(&first.source.file);
        let remedy = match self.left_out.as_slice() {
            [] => named_file::about_read("show", [&file]),
            _ => "what the warnings say".to_owned(),
        };
        Err(Problem::usage(message).with_remedy(remedy))
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

    /// Takes the trials of METG sweeps out.
    pub(crate) fn take_sweeps(&mut self) -> Vec<Input> {
        self.inputs.extract_if(.., |input| input.is_sweep()).collect()
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

/// Refuses to write over a file of a run, without which it could not be resumed or reported, and to a path at which no file can be.
pub(crate) fn check_output(path: &Path) -> Result<(), Problem> {
    if path.canonicalize().is_ok_and(|file| record_files::is_of_a_run(&file)) {
        let message = format!("{} is a file of a run", path.display());
        return Err(Problem::usage(message).with_remedy("another file"));
    }
    output_file::check(path)
}

/// Reads the records in `paths`: files of this project or of the original one, or folders that hold them. A file that several
/// paths lead to is read once.
pub(crate) fn read(paths: &[PathBuf], ui: &mut Ui) -> Result<Read, Problem> {
    let mut read = Read::default();
    for path in paths {
        for file in files(path, ui)? {
            // What is no regular file, such as a pipe, is another one each time.
            let identity = named_file::status(&file).ok().as_ref().and_then(identity);
            if identity.is_none_or(|id| read.files.insert(id)) {
                let first = read.inputs.len();
                // Who names the file itself wants nothing else.
                if file == *path {
                    read_file(&file, &mut read, ui)?;
                } else {
                    read_found(&file, &mut read, ui)?;
                }
                // Sweeps and single runs have no plan that says how they are compared.
                let is_of_plan = |it: &Input| it.record.metadata.block.is_some() && !it.is_sweep();
                if read.inputs[first..].iter().any(is_of_plan) {
                    read.planned.push((file != *path).then(|| planned_options(&file)).flatten());
                }
            }
        }
    }
    compare::join_copies(&mut read.inputs);
    if !read.without_chain.is_empty() {
        log::info!(
            "files without a hash chain, which are older than it or the original project's: {}",
            read.without_chain.join(", ")
        );
    }
    Ok(read)
}

/// Refuses what `verb` cannot read from these paths: standard input twice, as the second reader would get nothing, and a run that is
/// named by its id.
pub(crate) fn check_inputs(verb: &str, paths: &[PathBuf]) -> Result<(), Problem> {
    if paths.iter().filter(|path| is_standard_input(path)).count() > 1 {
        return Err(Problem::usage("standard input can be read once only")
            .with_remedy("a file for each of the others"));
    }
    // First what has no folder: a remedy with such an id would be refused in turn.
    refuse_single_run(verb, paths)?;
    let Some(id) = paths.iter().find(|path| folder_of_run(path).is_some()) else { return Ok(()) };
    let folders: Vec<_> =
        paths.iter().map(|path| folder_of_run(path).unwrap_or_else(|| path.clone())).collect();
    Err(id_of_run(id).with_remedy(named_file::about(verb, &folders)))
}

/// The folder of the run with this id, if nothing is called so in the current folder.
pub(crate) fn folder_of_run(named: &Path) -> Option<PathBuf> {
    let folder = Path::new(RESULTS).join(named);
    (!is_standard_input(named) && !named.exists() && folder.is_dir()).then_some(folder)
}

/// Refuses the id of a single run. What reads its folder reads all runs that are recorded there.
pub(crate) fn refuse_single_run(verb: &str, paths: &[PathBuf]) -> Result<(), Problem> {
    let is_missing = |path: &&PathBuf| !is_standard_input(path) && !path.exists();
    let mut missing = paths.iter().filter(is_missing);
    let Some((id, run)) = missing.find_map(|path| Some((path, single_run(path)?))) else { return Ok(()) };
    let remedy = match paths {
        [_] => shell::about(verb, &run.folder),
        _ => "runs in folders of their own, as those of crossrun run --output-dir".to_owned(),
    };
    Err(run.is_no_folder(id).with_remedy(remedy))
}

/// Where a single run is recorded, beside others of its workload.
pub(crate) struct SingleRun {
    pub(crate) folder: PathBuf,
    /// The line of its trial.
    pub(crate) line: u64,
}

impl SingleRun {
    pub(crate) fn is_no_folder(&self, id: &Path) -> Problem {
        Problem::usage(format!("{} is a run in {}, not a folder", id.display(), self.folder.display()))
    }
}

/// The single run with this id below the folder of results.
pub(crate) fn single_run(id: &Path) -> Option<SingleRun> {
    let id = id.to_str()?;
    let folders = std::fs::read_dir(RESULTS).ok()?.flatten().map(|entry| entry.path());
    let mut folders: Vec<_> = folders.collect();
    folders.sort();
    folders.into_iter().find_map(|folder| {
        let line = reader::line_of_run(&folder.join(TRIALS), id)?;
        Some(SingleRun { folder, line })
    })
}

/// Something is named by the id of a run that is not.
pub(crate) fn id_of_run(named: &Path) -> Problem {
    Problem::usage(format!("there is no file or folder {}, but a run of that id", named.display()))
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
        let remedy = not_begun(&path.join(TRIALS));
        return Err(Problem::usage(format!(
            "{} holds no records (*.jsonl), and no folder below it does ({TRIALS}, {UNIFIED})",
            path.display()
        ))
        .with_remedy(remedy.unwrap_or_else(|| shell::command("ls", [shell::path(path)]))));
    }
    if files.iter().any(|file| file != path && file.parent() != Some(path)) {
        let count = plural(files.len() as u64, "file");
        let named = listed(files.iter().map(|file| file.display()));
        ui.note(&format!("{}: {count} of records: {named}", path.display()));
    }
    Ok(files)
}

/// Reads a file that was found in a folder, and what the file of measured trials there has beyond its trials.
pub(super) fn read_found(path: &Path, read: &mut Read, ui: &mut Ui) -> Result<(), Problem> {
    let is_read = |file: &Path| {
        let identity = file.metadata().ok().as_ref().and_then(identity);
        identity.is_some_and(|id| read.files.contains(&id))
    };
    let beside = MeasuredBeside::of(path).filter(|beside| !is_read(&beside.file));
    let first = read.inputs.len();
    read_file(path, read, ui)?;
    if let Some(beside) = beside {
        add_lacking(&beside, first, read, ui);
    }
    Ok(())
}

/// Adds what the trials, which are those from `first` on, lack of the records beside them. A file that has nothing of its own is not
/// spoken of: what of it cannot be read is told by the runs that complete it.
fn add_lacking(beside: &MeasuredBeside, first: usize, read: &mut Read, ui: &mut Ui) {
    let file = beside.file.as_path();
    let Lacking { mut records, removed, left_out } = match beside.lacking(&read.inputs[first..]) {
        Ok(lacking) => lacking,
        Err(error) => {
            ui.warning(&error.line());
            read.left_out.push(error.line());
            return;
        }
    };
    if removed > 0 {
        ui.warning(&without_trials(file, removed));
    }
    if records.is_empty() {
        return;
    }
    let (count, are) =
        (plural(records.len() as u64, "record"), if records.len() == 1 { "is" } else { "are" });
    ui.note(&format!("{}: {count} that {TRIALS} lacks {are} read too", file.display()));
    compare::mark_runs(&mut records);
    read.inputs.append(&mut records);
    note_skipped(file, &left_out, read, ui);
}

/// Lines of a comparison or a sweep were removed from its trials, or damaged. Its plan says of which blocks, and measures them again.
fn without_trials(unified: &Path, removed: u64) -> String {
    let (count, are) = (plural(removed, "record"), if removed == 1 { "is" } else { "are" });
    let message = format!(
        "{}: {count} {are} left out, whose run has other trials in {TRIALS}, as after lines were removed there",
        unified.display()
    );
    with_remedy(&message, Some(&shell::about("report", unified)))
}

/// Reads a file, and nothing beside it.
pub(super) fn read_file(path: &Path, read: &mut Read, ui: &mut Ui) -> Result<(), Problem> {
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
    if let Some(run) = recorded_run(path, &inputs[first..]) {
        run.add_to(&mut read.runs);
    }
    if read.inputs.len() == first && read.not_begun.is_none() {
        read.not_begun = not_begun(path);
    }
    note_skipped(path, &left_out, read, ui);
    Ok(())
}

/// Notes what was left out of a file, and what its hash chain says.
fn note_skipped(path: &Path, left_out: &Skipped, read: &mut Read, ui: &mut Ui) {
    read.left_out.extend(report_left_out(path, left_out, ui));
    read.altered.extend(left_out.chain.broken(path).map(|broken| broken.to_string()));
    if left_out.chain.is_absent() {
        read.without_chain.push(path.display().to_string());
    }
}

/// Prints what was left out of a file and where its hash chain is broken, and returns what could not be read. A last line that was cut
/// off by a crash is not returned: no record was lost.
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

/// Nothing was read, as of a pipe whose program failed: a report of nothing would pass for one of something. `resume` measures the
/// comparison of which nothing was measured.
pub(crate) fn nothing(resume: Option<&str>) -> Problem {
    let remedy = resume.unwrap_or("the path of what has records, or look why there are none");
    Problem::usage("no records were read").with_remedy(remedy)
}

/// There is nothing but so many trials of METG sweeps in `paths`, for a command that leaves them out: each sweep chooses its own points.
pub(crate) fn only_sweeps(trials: usize, paths: &[PathBuf]) -> Problem {
    let (trials, are) = (plural(trials as u64, "trial"), if trials == 1 { "is" } else { "are" });
    Problem::usage(format!("{trials} of METG sweeps {are} left out, and there are no others"))
        .with_remedy(named_file::about_read("report", paths))
}
