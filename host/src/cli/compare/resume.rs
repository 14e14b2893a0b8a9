//! Resuming a run: the trials that are recorded, and the options that must not differ.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::arguments::Arguments;
use super::plan_file::PlanFile;
use crate::app::planned::trial_id;
use crate::app::ui::Ui;
use crate::app::{Problem, command_line, limits, records};
use crate::compare::model::Rigor;
use crate::plan::{DataId, Purpose, TrialId};
use crate::record::writer::{TRIALS, UNIFIED};
use crate::record::{Kind, Records, TrialRecord, UnifiedRecord, reader, skipped};
use crate::run::outcome::Status;
use crate::shell;
use crate::text::plural;

/// What the records of a run say of the trials that were run.
#[derive(Default)]
pub(super) struct Recorded {
    /// The measured trials, which are not run again.
    pub(super) done: HashSet<TrialId>,
    /// The seeds of their data. The rest of a block must run on the same data.
    pub(super) seeds: HashMap<DataId, u64>,
}

/// Reads the trials of the run of `file` that are recorded in `folder`.
pub(super) fn recorded(folder: &Path, file: &PlanFile, ui: &mut Ui) -> Result<Recorded, Problem> {
    let (path, prefix) = (folder.join(TRIALS), format!("{}/", file.matrix.run));
    let mut recorded = Recorded::default();
    if path.exists() {
        let left_out = skipped::read_each(Records::open(&path)?, |_, trial: TrialRecord| {
            recorded.add(trial, &prefix);
            Ok(())
        })?;
        records::report_left_out(&path, &left_out, ui);
    }
    recorded.leave_out_warm_ups();
    Ok(recorded)
}

/// Refuses a folder of which a part of the trials was removed or damaged, if those are in its other file: they would be measured again.
pub(super) fn refuse_without_trials(folder: &Path, file: &PlanFile) -> Result<(), Problem> {
    // In this order: another process, as of a run without the lock, records a trial before it is in the unified file.
    let mut lacking = in_unified(folder, &format!("{}/", file.matrix.run))?;
    if !lacking.is_empty() {
        let path = folder.join(TRIALS);
        for (_, trial) in reader::trials(&path).filter(|(_, trial)| trial.kind == Kind::Measured) {
            if let Some(id) = trial_id(&trial.record) {
                lacking.remove(&id);
            }
        }
    }
    if lacking.is_empty() { Ok(()) } else { Err(without_trials(folder, file, lacking.len())) }
}

/// The measured trials of the run in the unified file, which may have those of others too, as of the original project.
fn in_unified(folder: &Path, prefix: &str) -> Result<HashSet<TrialId>, Problem> {
    let (path, mut found) = (folder.join(UNIFIED), HashSet::<TrialId>::new());
    if path.exists() {
        skipped::read_each(Records::open(&path)?, |_, record: UnifiedRecord| {
            found.extend(trial_id(&record).filter(|id| id.run_id.starts_with(prefix)));
            Ok(())
        })?;
    }
    Ok(found)
}

/// A trial is recorded before it is in the unified file, so that somebody has removed or altered so many.
fn without_trials(folder: &Path, file: &PlanFile, lacking: usize) -> Problem {
    let unified = folder.join(UNIFIED);
    let free = shell::free_path(&unified);
    let aside = shell::command("mv", [shell::path(&unified), shell::path(&free)]);
    let message = format!(
        "{} has {UNIFIED}, but {TRIALS} lacks {} of which it is made, as after lines were removed or damaged: \
         what is measured again would be in it twice",
        folder.display(),
        plural(lacking as u64, "trial")
    );
    Problem::usage(message).with_remedy(format!("{aside} && {}", file.resume_command(folder)))
}

impl Recorded {
    fn add(&mut self, trial: TrialRecord, prefix: &str) {
        let TrialRecord { kind, status, record, .. } = trial;
        let Some(block) = record.metadata.block else { return };
        let point = record.run_id.strip_prefix(prefix);
        if let Some((point, seed)) = point.zip(record.metadata.data_seed) {
            self.add_seed(block, point, kind, status, seed);
        }
        if kind == Kind::Measured {
            self.done.extend(trial_id(&record));
        }
    }

    /// Leaves out seeds of measured trials that a backend has had in a warm-up.
    fn leave_out_warm_ups(&mut self) {
        let is_measured = |id: &DataId| id.purpose == Purpose::Measured;
        let warm_ups = self.seeds.iter().filter(|(id, _)| !is_measured(id));
        let warm_ups: HashSet<_> = warm_ups.map(|(_, seed)| *seed).collect();
        self.seeds.retain(|id, seed| !is_measured(id) || !warm_ups.contains(seed));
    }

    fn add_seed(&mut self, block: u32, point: &str, kind: Kind, status: Status, seed: u64) {
        let id = |purpose| DataId { block, point: point.to_owned(), purpose };
        match kind {
            Kind::Measured if status == Status::Verified => {
                self.seeds.insert(id(Purpose::Measured), seed);
            }
            // It may be that of a failed warm-up, which is recorded as measured.
            Kind::Measured => {
                self.seeds.entry(id(Purpose::Measured)).or_insert(seed);
            }
            // Every backend begins with the first warm-up, so that unknown seeds are in the order of their numbers.
            Kind::Warmup => {
                let known = |number: &u32| {
                    self.seeds.get(&id(Purpose::WarmUp(*number))).is_some_and(|it| *it != seed)
                };
                let number = (0..).find(|number| !known(number)).unwrap_or_default();
                self.seeds.insert(id(Purpose::WarmUp(number)), seed);
            }
        }
    }
}

/// Refuses an option that differs from the one with which the run was started, because all trials of a run must have the same
/// conditions. Options that are not repeated keep their values.
pub(super) fn check_same(arguments: &Arguments, file: &PlanFile) -> Result<(), Problem> {
    let (matrix, schedule, varied) = (&file.matrix, &arguments.schedule, arguments.varied()?);
    let given = schedule.backends();
    let backends = || matrix.backends.iter().map(|backend| file.backend_argument(&backend.name)).collect();
    // Their names have no case.
    let in_lower_case = |names: Vec<String>| names.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>();
    let workloads = in_lower_case(matrix.workloads.iter().map(|workload| workload.name.clone()).collect());
    let extra = schedule.trial.extra()?;
    let same = |list: &[String], recorded: &[String]| list.is_empty() || list == recorded;
    let timeout = schedule.trial.timeout.map(|timeout| timeout.as_secs_f64());
    let baseline = arguments.baseline.as_ref().map(|name| name.to_lowercase());
    let checks = [
        ("backends", given.is_empty() || same_backends(&given, backends())),
        ("workloads", same(&in_lower_case(arguments.workloads_asked_for()), &workloads)),
        ("schedulers", same(&arguments.schedulers, &matrix.schedulers)),
        (
            "items",
            varied.items.is_empty() || matrix.workloads.iter().all(|workload| workload.items == varied.items),
        ),
        ("parallelism", varied.parallelism.is_empty() || varied.parallelism == matrix.parallelisms),
        ("baseline", baseline.is_none_or(|name| name == file.baseline)),
        ("blocks", schedule.blocks.is_none_or(|blocks| blocks == matrix.blocks)),
        ("quick", !schedule.quick || file.rigor == Rigor::Quick),
        ("publish", !arguments.publish || file.rigor == Rigor::Publish),
        ("aa", !arguments.aa || matrix.aa.is_some()),
        ("extra", extra.is_empty() || extra == matrix.options),
        ("vary", varied.has_options_of(matrix)),
        ("seed", arguments.seed.is_none_or(|seed| seed == matrix.seed)),
        ("data-seed", schedule.data_seed.is_none_or(|seed| Some(seed) == matrix.data_seed)),
        ("nodes", arguments.nodes.is_none_or(|nodes| nodes == matrix.nodes)),
        ("cores", arguments.cores.is_none_or(|cores| Some(cores) == file.cores)),
        ("timeout", timeout.is_none_or(|seconds| seconds == file.timeout_seconds)),
        ("insist", !schedule.insist || file.insist),
    ];
    let differs = checks.iter().find(|(_, same)| !same).map(|(name, _)| (*name).to_owned());
    let differs = differs.or_else(|| schedule.trial.limits.difference(file.limits?.limits()));
    let option = differs.map(|option| format!("--{option}"));
    match option.or_else(|| other_variable(file)) {
        None => Ok(()),
        Some(name) => {
            let message = format!("run {} was started with another {name}", matrix.run);
            Err(Problem::usage(message).with_remedy(file.resume_command(&schedule.output_dir(&matrix.run))))
        }
    }
}

/// A variable whose value has another effect than the one with which the run was started.
fn other_variable(file: &PlanFile) -> Option<String> {
    let (begun, now) = (file.variables.as_ref()?, command_line::set_variables());
    let mut names = begun.keys().chain(now.keys());
    let is_another = |name: &&String| !limits::have_one_effect(name, begun.get(*name), now.get(*name));
    names.find(is_another).cloned()
}

/// Whether the options name the recorded backends; files are compared by their canonical paths.
fn same_backends(given: &[String], recorded: Vec<String>) -> bool {
    let absolute = |named: &String| match named.split_once('=') {
        Some((name, file)) => {
            let file = Path::new(file).canonicalize().unwrap_or_else(|_| file.into());
            format!("{}={}", name.to_lowercase(), file.display())
        }
        None => named.to_lowercase(),
    };
    given.iter().map(absolute).eq(recorded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_of_warm_ups_are_known_by_the_order_in_which_they_were_first_seen() {
        let mut recorded = Recorded::default();
        let mut add = |block, kind, status, seed| recorded.add_seed(block, "p", kind, status, seed);
        // A session that was interrupted begins with the same warm-ups again.
        for seed in [10, 11, 10, 11, 12, 10] {
            add(0, Kind::Warmup, Status::Verified, seed);
        }
        add(1, Kind::Warmup, Status::Verified, 20);
        add(0, Kind::Measured, Status::Verified, 1);
        // A warm-up of one backend fails, and another has the same warm-up after it.
        add(1, Kind::Measured, Status::Failed, 21);
        add(1, Kind::Warmup, Status::Verified, 20);
        add(1, Kind::Warmup, Status::Verified, 21);
        // A measured trial fails, and another backend has the same data.
        add(2, Kind::Measured, Status::Failed, 31);
        recorded.leave_out_warm_ups();
        let seed =
            |block, purpose| recorded.seeds.get(&DataId { block, point: "p".into(), purpose }).copied();
        assert_eq!(
            [0, 1, 2, 3].map(|number| seed(0, Purpose::WarmUp(number))),
            [Some(10), Some(11), Some(12), None]
        );
        assert_eq!([0, 1, 2].map(|block| seed(block, Purpose::Measured)), [Some(1), None, Some(31)]);
        assert_eq!([0, 1].map(|number| seed(1, Purpose::WarmUp(number))), [Some(20), Some(21)]);
    }
}
