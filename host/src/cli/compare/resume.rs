//! Going on with a run: what is recorded of it, and what may not be asked for any more.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Map;

use super::arguments::Arguments;
use super::plan_file::PlanFile;
use crate::app::Problem;
use crate::app::options::push;
use crate::plan::TrialId;
use crate::record::writer::TRIALS;
use crate::record::{Entry, Kind, Records, TrialRecord};
use crate::shell;

/// The trials that are recorded in `folder` and need not be run again.
pub(super) fn recorded(folder: &Path) -> Result<HashSet<TrialId>, Problem> {
    let path = folder.join(TRIALS);
    if !path.exists() {
        return Ok(HashSet::new());
    }
    let mut done = HashSet::new();
    for entry in Records::<TrialRecord>::open(&path)? {
        if let Entry::Record { record: trial, .. } = entry? {
            let (kind, record) = (trial.kind, trial.record);
            if let (Kind::Measured, Some(block)) = (kind, record.metadata.block) {
                done.insert(TrialId { block, backend: record.backend, run_id: record.run_id });
            }
        }
    }
    Ok(done)
}

/// The command that goes on with this run.
pub(super) fn command(file: &PlanFile, output_dir: &Path) -> String {
    let run = &file.matrix.run;
    let mut words = vec!["compare".to_owned(), "--resume".to_owned(), run.clone()];
    if output_dir != Path::new("results").join(run) {
        push(&mut words, "output-dir", output_dir.display());
    }
    file.guards().push(&mut words);
    shell::command("crossrun", words)
}

/// Refuses what the run was not begun with: its trials must belong together. What is not said again stays as it was.
pub(super) fn check_same(arguments: &Arguments, file: &PlanFile) -> Result<(), Problem> {
    let matrix = &file.matrix;
    let names = || matrix.backends.iter().map(|backend| file.named(&backend.name)).collect();
    let workloads = || matrix.workloads.iter().map(|workload| workload.name.clone()).collect();
    let items = |items: &[u64]| matrix.workloads.iter().all(|workload| workload.items == items);
    let extra: Map<_, _> = arguments.extra.iter().cloned().collect();
    let same = |list: &[String], begun: Vec<String>| list.is_empty() || list == begun;
    let seconds = arguments.timeout.map(|timeout| timeout.as_secs_f64());
    let rigor_is_said = arguments.quick || arguments.publish;
    let baseline = arguments.baseline.as_ref().map(|name| name.to_lowercase());
    let checks = [
        ("backends", arguments.backends.is_empty() || same_backends(&arguments.backends, names())),
        ("workloads", same(&arguments.workloads, workloads())),
        ("schedulers", same(&arguments.schedulers, matrix.schedulers.clone())),
        ("items", arguments.items.is_empty() || items(&arguments.items)),
        ("parallelism", arguments.parallelism.is_empty() || arguments.parallelism == matrix.parallelisms),
        ("baseline", baseline.is_none_or(|name| name == file.baseline)),
        ("blocks", arguments.blocks.is_none_or(|blocks| blocks == matrix.blocks)),
        (
            if arguments.quick { "quick" } else { "publish" },
            !rigor_is_said || arguments.rigor() == file.rigor,
        ),
        ("aa", !arguments.aa || matrix.aa.is_some()),
        ("extra", extra.is_empty() || extra == matrix.options),
        ("seed", arguments.seed.is_none_or(|seed| seed == matrix.seed)),
        ("nodes", arguments.nodes.is_none_or(|nodes| nodes == matrix.nodes)),
        ("timeout", seconds.is_none_or(|seconds| seconds == file.timeout_seconds)),
        ("insist", !arguments.insist || file.insist),
    ];
    let differs = checks.iter().find(|(_, same)| !same).map(|(name, _)| (*name).to_owned());
    match differs.or_else(|| arguments.limits.difference(file.limits?.limits())) {
        None => Ok(()),
        Some(option) => {
            let message = format!("run {} was begun with another --{option}", matrix.run);
            Err(Problem::usage(message).with_remedy(resume_without(file, arguments)))
        }
    }
}

fn resume_without(file: &PlanFile, arguments: &Arguments) -> String {
    command(file, &arguments.output_dir(&file.matrix.run))
}

/// A file is the same wherever it is named from.
fn same_backends(asked_for: &[String], begun: Vec<String>) -> bool {
    let absolute = |named: &String| match named.split_once('=') {
        Some((name, file)) => {
            let file = Path::new(file).canonicalize().unwrap_or_else(|_| file.into());
            format!("{}={}", name.to_lowercase(), file.display())
        }
        None => named.to_lowercase(),
    };
    asked_for.iter().map(absolute).eq(begun)
}
