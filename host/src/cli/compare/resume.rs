//! Resuming a run: the trials that are recorded, and the options that must not differ.

use std::collections::HashSet;
use std::path::Path;

use super::arguments::Arguments;
use super::plan_file::PlanFile;
use crate::app::Problem;
use crate::app::command_line::CommandLine;
use crate::app::ui::Ui;
use crate::compare::model::Rigor;
use crate::plan::TrialId;
use crate::record::writer::TRIALS;
use crate::record::{Entry, Kind, Records, TrialRecord};

/// The measured trials that are recorded in `folder`, which are not run again.
pub(super) fn recorded(folder: &Path, ui: &mut Ui) -> Result<HashSet<TrialId>, Problem> {
    let path = folder.join(TRIALS);
    if !path.exists() {
        return Ok(HashSet::new());
    }
    let mut done = HashSet::new();
    let mut records = Records::<TrialRecord>::open(&path)?;
    for entry in records.by_ref() {
        if let Entry::Record { record: trial, .. } = entry? {
            let (kind, record) = (trial.kind, trial.record);
            if let (Kind::Measured, Some(block)) = (kind, record.metadata.block) {
                done.insert(TrialId { block, backend: record.backend, run_id: record.run_id });
            }
        }
    }
    if let Some(broken) = records.into_chain().broken(&path) {
        ui.warning(&broken.to_string());
    }
    Ok(done)
}

/// The command that resumes this run.
pub(super) fn command(file: &PlanFile, output_dir: &Path) -> String {
    let run = &file.matrix.run;
    let mut command = CommandLine::new(&["compare"]);
    let output = Some(output_dir.display()).filter(|_| output_dir != Path::new("results").join(run));
    command.option("resume", run).options("output-dir", output);
    file.loading_options().add_to(&mut command);
    command.to_string()
}

/// Refuses an option that differs from the one with which the run was started, because all trials of a run must have the same
/// conditions. Options that are not repeated keep their values.
pub(super) fn check_same(arguments: &Arguments, file: &PlanFile) -> Result<(), Problem> {
    let (matrix, schedule) = (&file.matrix, &arguments.schedule);
    let backends = || matrix.backends.iter().map(|backend| file.backend_argument(&backend.name)).collect();
    let workloads = || matrix.workloads.iter().map(|workload| workload.name.clone()).collect();
    let extra = schedule.trial.extra();
    let same = |list: &[String], recorded: Vec<String>| list.is_empty() || list == recorded;
    let timeout = schedule.trial.timeout.map(|timeout| timeout.as_secs_f64());
    let baseline = arguments.baseline.as_ref().map(|name| name.to_lowercase());
    let checks = [
        ("backends", schedule.backends.is_empty() || same_backends(&schedule.backends, backends())),
        ("workloads", same(&arguments.workloads, workloads())),
        ("schedulers", same(&arguments.schedulers, matrix.schedulers.clone())),
        (
            "items",
            arguments.items.is_empty()
                || matrix.workloads.iter().all(|workload| workload.items == arguments.items),
        ),
        ("parallelism", arguments.parallelism.is_empty() || arguments.parallelism == matrix.parallelisms),
        ("baseline", baseline.is_none_or(|name| name == file.baseline)),
        ("blocks", schedule.blocks.is_none_or(|blocks| blocks == matrix.blocks)),
        ("quick", !schedule.quick || file.rigor == Rigor::Quick),
        ("publish", !arguments.publish || file.rigor == Rigor::Publish),
        ("aa", !arguments.aa || matrix.aa.is_some()),
        ("extra", extra.is_empty() || extra == matrix.options),
        ("seed", arguments.seed.is_none_or(|seed| seed == matrix.seed)),
        ("nodes", arguments.nodes.is_none_or(|nodes| nodes == matrix.nodes)),
        ("cores", arguments.cores.is_none_or(|cores| Some(cores) == file.cores)),
        ("timeout", timeout.is_none_or(|seconds| seconds == file.timeout_seconds)),
        ("insist", !schedule.insist || file.insist),
    ];
    let differs = checks.iter().find(|(_, same)| !same).map(|(name, _)| (*name).to_owned());
    match differs.or_else(|| schedule.trial.limits.difference(file.limits?.limits())) {
        None => Ok(()),
        Some(option) => {
            let message = format!("run {} was started with another --{option}", matrix.run);
            Err(Problem::usage(message).with_remedy(command(file, &schedule.output_dir(&matrix.run))))
        }
    }
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
