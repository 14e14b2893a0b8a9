//! `plan.json`: the settings of a run, so that it can be resumed by its id alone.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::app::command_line::Variables;
use crate::app::context::Context;
use crate::app::limits::LimitArguments;
use crate::app::reproduce::{
    LoadingOptions, RunCommand, backend_argument, is_default_folder, resume_command,
};
use crate::app::ui::Ui;
use crate::app::{Exit, Problem, machine_history, options, reports};
use crate::compare::model::Rigor;
use crate::plan::{Matrix, Plan, PlanError};
use crate::record::record_files::holds_trials;
use crate::record::writer::{self, PLAN, TRIALS};
use crate::record::{
    Access, Library, SystemProfile, machine_differences, machine_keys, reader, under_one_name,
};
use crate::regular_file;
use crate::run::participants::{Participant, Participants};
use crate::shell;
use crate::{atomic_file, path_walk};

pub(super) const VERSION: u32 = 1;

/// What to do about a run that cannot be resumed.
const AS_A_NEW_RUN: &str = "crossrun compare, as a new run";

/// The settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanFile {
    pub(super) version: u32,
    /// The hash of the plan that was made of the matrix when the run was started.
    pub(super) plan_hash: String,
    pub(super) rigor: Rigor,
    pub(super) baseline: String,
    pub(super) insist: bool,
    /// Whether plugins that other users can write to were allowed.
    #[serde(default)]
    pub(super) allow_untrusted: bool,
    pub(super) timeout_seconds: f64,
    /// The limits; older versions did not record them.
    #[serde(default)]
    pub(super) limits: Option<LimitArguments>,
    /// The number of cores that each backend is pinned to; absent if all may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cores: Option<u32>,
    /// The version of crossrun, whose workers time the runs, and whether it is a debug build; older versions did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crossrun: Option<String>,
    /// Whether other measurements may run at the same time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) no_lock: bool,
    /// The variables that change what is measured; older versions did not record them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) variables: Option<Variables>,
    /// The backends, by the names under which they take part.
    pub(super) backends: BTreeMap<String, RecordedBackend>,
    /// The library of each workload.
    pub(super) libraries: BTreeMap<String, Library>,
    pub(super) machine: SystemProfile,
    pub(super) matrix: Matrix,
}

/// A backend that takes part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecordedBackend {
    /// The name in the library's metadata, which differs from the name in the run if the backend takes part twice or was given
    /// as a file.
    name: String,
    library: Library,
    /// Whether it was given as a file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    from_file: bool,
}

/// What a run has in place of `folder`, which holds another one.
fn another(folder: &Path, run: &str) -> &'static str {
    if is_default_folder(folder, run) { "another --run-id" } else { "another --output-dir" }
}

pub(super) fn recorded_backends(participants: &Participants) -> BTreeMap<String, RecordedBackend> {
    let recorded = |(name, participant): (&String, &Participant)| {
        let Participant { plugin, from_file } = participant;
        let (library, from_file) = (Library::from(plugin), *from_file);
        (name.clone(), RecordedBackend { name: plugin.name().to_owned(), library, from_file })
    };
    participants.backends.iter().map(recorded).collect()
}

pub(super) fn recorded_libraries(participants: &Participants) -> BTreeMap<String, Library> {
    participants.libraries.iter().map(|(name, plugin)| (name.clone(), Library::from(plugin))).collect()
}

impl PlanFile {
    /// Writes the file into a folder that does not hold a run yet.
    pub(super) fn create(&self, folder: &Path) -> Result<(), Problem> {
        let path = folder.join(PLAN);
        let cannot = |error: std::io::Error| {
            let message = format!("cannot write {}: {error}", path.display());
            Problem::of_file(&error, message, "--output-dir with a folder that you may write to")
        };
        path_walk::make_folder(folder).map_err(cannot)?;
        self.check_folder(folder)?;
        // Whole or not at all: a part of it would be a run of which nothing is known.
        atomic_file::create(&path, 0o644, |file| Ok(serde_json::to_writer_pretty(file, self)?)).map_err(
            |error| match error.kind() {
                io::ErrorKind::AlreadyExists => self.taken(folder),
                _ => cannot(error),
            },
        )
    }

    /// Refuses a folder that holds a run or other reports, or into which no records can be written.
    pub(super) fn check_folder(&self, folder: &Path) -> Result<(), Problem> {
        self.refuse_own_files(folder)?;
        writer::check(folder, Access::Exclusive)?;
        self.refuse_trials(folder)
    }

    /// As [`check_folder`](Self::check_folder), as far as nothing is written there.
    pub(super) fn check_unused(&self, folder: &Path) -> Result<(), Problem> {
        self.refuse_own_files(folder)?;
        self.refuse_trials(folder)
    }

    /// Refuses a folder with a plan or with reports.
    fn refuse_own_files(&self, folder: &Path) -> Result<(), Problem> {
        if folder.join(PLAN).exists() {
            Err(self.taken(folder))
        } else {
            reports::refuse_other_reports(folder)
        }
    }

    /// Refuses a folder with trials to a run that begins: they would be taken for some of this run.
    pub(super) fn refuse_trials(&self, folder: &Path) -> Result<(), Problem> {
        if !holds_trials(folder) {
            return Ok(());
        }
        let message = format!("{} already holds a run", folder.display());
        Err(Problem::usage(message).with_remedy(self.another(folder)))
    }

    /// As [`refuse_trials`](Self::refuse_trials) once the run may begin: while it waited, another one may have recorded trials there.
    /// The plan goes, as nothing of it was measured, unless this run was resumed meanwhile.
    pub(super) fn refuse_trials_again(&self, folder: &Path) -> Result<(), Problem> {
        let Err(problem) = self.refuse_trials(folder) else { return Ok(()) };
        if self.has_trials(folder) {
            return Err(problem.with_remedy(self.resume_command(folder)));
        }
        let _ = std::fs::remove_file(folder.join(PLAN));
        Err(problem)
    }

    /// Whether a trial of this run is recorded in `folder`.
    fn has_trials(&self, folder: &Path) -> bool {
        let prefix = format!("{}/", self.matrix.run);
        reader::trials(&folder.join(TRIALS)).any(|(_, trial)| trial.record.run_id.starts_with(&prefix))
    }

    fn taken(&self, folder: &Path) -> Problem {
        let message = format!("{} already holds a run", folder.display());
        // It may be another run than this one. What keeps a plan from being read is said by the attempt to resume it.
        let there = Self::read(folder);
        let resume = there.as_ref().unwrap_or(self).resume_command(folder);
        Problem::usage(message).with_remedy(format!("{resume}, or {}", self.another(folder)))
    }

    fn another(&self, folder: &Path) -> &'static str {
        another(folder, &self.matrix.run)
    }

    /// The command that resumes this run.
    pub(super) fn resume_command(&self, output_dir: &Path) -> String {
        let (run, loading) = (&self.matrix.run, self.loading_options());
        resume_command(run, output_dir, self.variables.as_ref(), self.no_lock, &loading)
    }

    /// Writes the file again if it was removed or altered while the run went on: without it, the run cannot be resumed.
    pub(super) fn put_back(&self, folder: &Path, ui: &mut Ui) -> Result<(), Problem> {
        let path = folder.join(PLAN);
        if regular_file::read(&path).is_ok_and(|text| Self::parse(&text).is_ok_and(|file| file == *self)) {
            return Ok(());
        }
        ui.warning(&format!(
            "{} was removed or altered while this run went on, and is written again",
            path.display()
        ));
        let text = serde_json::to_string_pretty(self).map_err(|error| Problem::unexpected(&error))?;
        reports::write_own(&path, &text)
    }

    /// Refuses a folder that holds a comparison or METG sweeps to a run that is no part of it.
    pub(in crate::cli) fn refuse_in(folder: &Path) -> Result<(), Problem> {
        let what = match () {
            () if folder.join(PLAN).exists() => "a comparison",
            () if reader::begins_with_sweep(&folder.join(TRIALS)) => "METG sweeps",
            () => return Ok(()),
        };
        let message = format!("{} holds {what}, and a single run is no part of it", folder.display());
        Err(Problem::usage(message).with_remedy("--output-dir with another folder"))
    }

    /// There is no plan in `folder`.
    fn missing(folder: &Path, error: &io::Error) -> Problem {
        let place = folder.display();
        if error.kind() == io::ErrorKind::NotFound && holds_trials(folder) {
            return Problem::usage(format!("{place} holds no comparison, and nothing else can be resumed"))
                .with_remedy(shell::about("report", folder));
        }
        let remedy =
            "--run-id in place of --resume, if it had not begun; --output-dir DIR, if it is elsewhere";
        Problem::usage(format!("there is no run in {place}: {error}")).with_remedy(remedy)
    }

    pub(super) fn read(folder: &Path) -> Result<Self, Problem> {
        let path = folder.join(PLAN);
        let text = regular_file::read(&path).map_err(|error| Self::missing(folder, &error))?;
        // With trials it was emptied later, and a run that is started again would be refused.
        if text.is_empty() && !holds_trials(folder) {
            let message = format!(
                "{} is empty: the disk was full when the run began, and the run cannot be resumed",
                path.display()
            );
            let remedy = format!("{}, and start the run again", shell::command("rm", [shell::path(&path)]));
            return Err(Problem::usage(message).with_remedy(remedy));
        }
        let unreadable = |why: String| {
            let report = shell::about("report", folder);
            // The folder of a run is called as the run, unless it was named.
            let run = folder.file_name().unwrap_or_default().to_string_lossy();
            let another = another(folder, &run);
            Problem::usage(format!("{} cannot be read: {why}", path.display()))
                .with_remedy(format!("{report}, for what was measured, and {another} for the rest"))
        };
        Self::parse(&text).map_err(unreadable)
    }

    /// Reads what [`PlanFile::create`] wrote.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let file: Self = regular_file::parse(text, VERSION)?;
        if file.timeout_seconds <= 0.0 {
            return Err(format!("timeout_seconds is {}, but must be above 0", file.timeout_seconds));
        }
        // Both are names of files: of the folder of the logs, and of the logs in it.
        options::run_id(&file.matrix.run).map_err(|why| format!("{:?}: {why}", file.matrix.run))?;
        let backends = file.matrix.backends.iter().map(|backend| &backend.name);
        match backends.chain(file.backends.keys()).find(|name| name.contains('/')) {
            Some(name) => Err(format!("{name:?} is no name of a backend")),
            None => Ok(file),
        }
    }

    /// The plan of the run.
    pub fn plan(&self) -> Result<Plan, PlanError> {
        Plan::new(&self.matrix)
    }

    /// The time limit of a single run.
    pub fn timeout(&self) -> Duration {
        // A number of seconds that is too large for a duration is no limit.
        Duration::try_from_secs_f64(self.timeout_seconds).unwrap_or(Duration::MAX)
    }

    /// The backend `name` as `--backends` names it.
    pub(super) fn backend_argument(&self, name: &str) -> String {
        let file = self.backends.get(name).filter(|backend| backend.from_file);
        backend_argument(name, file.map(|backend| backend.library.file()).as_deref())
    }

    pub(super) fn loading_options(&self) -> LoadingOptions {
        LoadingOptions::of_recorded(self.allow_untrusted, &self.libraries)
    }

    /// The participants, if plan, machine and files are unchanged and the files may still be loaded. Otherwise the trials of
    /// the run could not be compared with each other.
    pub(super) fn participants(&self, plan: &Plan, context: &Context) -> Result<Participants, Problem> {
        if plan.hash() != self.plan_hash {
            return Err(self.changed("this version of crossrun would run it in another order"));
        }
        let build = machine_history::build();
        if let Some(other) = self.crossrun.as_ref().filter(|begun| **begun != build) {
            return Err(self.changed(&format!("it was started by crossrun {other}, and this is {build}")));
        }
        self.check_machine(&SystemProfile::collect())?;
        // The file may only have been built again, or moved: what was measured need not be thrown away.
        let put_back = format!("put the file of the run back and resume again, or {AS_A_NEW_RUN}");
        let changed = |why: String| self.changed(&why).with_remedy(put_back.as_str());
        let plugin = |library: &Library| context.recorded(library)?.map_err(changed);
        let backend = |(name, backend): (&String, &RecordedBackend)| {
            let participant = Participant { plugin: plugin(&backend.library)?, from_file: backend.from_file };
            Ok((name.clone(), participant))
        };
        let library = |(name, library): (&String, &Library)| Ok((name.clone(), plugin(library)?));
        Ok(Participants {
            backends: self.backends.iter().map(backend).collect::<Result<_, Problem>>()?,
            libraries: self.libraries.iter().map(library).collect::<Result<_, Problem>>()?,
        })
    }

    /// Refuses another machine than that of the trials so far.
    fn check_machine(&self, now: &SystemProfile) -> Result<(), Problem> {
        let keys = machine_keys(&self.machine, now);
        if keys.is_empty() {
            return Ok(());
        }
        let differences = machine_differences(&self.machine, now);
        let problem = self.changed(&format!(
            "it was started on another machine, or this machine was changed ({differences})"
        ));
        Err(match under_one_name(&keys, self.machine.hostname.as_deref()) {
            Some(name) => problem.with_remedy(format!("{AS_A_NEW_RUN}, or resume it {name}")),
            None => problem,
        })
    }

    fn changed(&self, what: &str) -> Problem {
        Problem::new(Exit::Invalid, format!("run {} cannot be resumed: {what}", self.matrix.run))
            .with_remedy(AS_A_NEW_RUN)
    }

    /// The command that repeats a trial alone.
    pub(super) fn run_command(&self, participants: &Participants, no_lock: bool) -> RunCommand {
        RunCommand {
            participants: participants.clone(),
            timeout: self.timeout(),
            limits: self.limits.unwrap_or_default(),
            cores: self.cores,
            no_lock,
            loading: self.loading_options(),
            ..RunCommand::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_positive_and_may_be_unlimited() {
        let seed = include_str!("../../../../tests/fuzz/corpus/specs/plan");
        let with = |seconds: &str| {
            seed.replace("\"timeout_seconds\":600.0", &format!("\"timeout_seconds\":{seconds}"))
        };
        assert_eq!(PlanFile::parse(seed.as_bytes()).unwrap().timeout(), Duration::from_secs(600));
        for invalid in ["0", "-1", "-1e300"] {
            assert!(
                PlanFile::parse(with(invalid).as_bytes()).unwrap_err().contains("timeout_seconds"),
                "{invalid}"
            );
        }
        assert_eq!(PlanFile::parse(with("1e300").as_bytes()).unwrap().timeout(), Duration::MAX);
    }

    #[test]
    fn names_of_a_run_and_its_backends_lead_out_of_no_folder() {
        let seed = include_str!("../../../../tests/fuzz/corpus/specs/plan");
        for (name, other) in [
            ("\"run\":\"r\"", "\"run\":\"/tmp/r\""),
            ("\"run\":\"r\"", "\"run\":\"..\""),
            ("\"name\":\"b\"", "\"name\":\"../b\""),
            ("\"backends\":{\"a\"", "\"backends\":{\"/a\""),
        ] {
            assert!(seed.contains(name));
            assert!(PlanFile::parse(seed.replace(name, other).as_bytes()).is_err(), "{other}");
        }
    }
}
