//! What the plan beside a file of records says of its run: how the records are compared, and whether all of it was measured.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::command_line::Variables;
use super::plan_beside::plan_beside;
use super::reproduce::{LoadingOptions, resume_command};
use crate::compare::model::Rigor;
use crate::compare::{Input, Options};
use crate::plan::{Matrix, Plan, TrialId};
use crate::record::writer::TRIALS;
use crate::record::{Kind, Library, UnifiedRecord};
use crate::shell;
use crate::text::{plural, with_remedy};

/// How the plan beside a file of records has them compared.
pub(super) fn planned_options(file: &Path) -> Option<Options> {
    #[derive(Deserialize)]
    struct Planned {
        baseline: String,
        rigor: Rigor,
        insist: bool,
    }
    let Planned { baseline, rigor, insist } = plan_beside(file)?;
    Some(Options { baseline: Some(baseline), rigor, insist })
}

/// What a plan says of how its run goes on.
#[derive(Deserialize)]
struct Resumable {
    plan_hash: String,
    #[serde(default)]
    allow_untrusted: bool,
    #[serde(default)]
    no_lock: bool,
    #[serde(default)]
    variables: Option<Variables>,
    libraries: BTreeMap<String, Library>,
    matrix: Matrix,
}

/// The run of a plan, as far as it is in the file of records beside it.
pub(super) struct PlannedRun {
    /// Its id and when it began, which are the same of a copy.
    run: (String, Option<Arc<str>>),
    /// How many of its trials were measured.
    trials: usize,
    plan: Plan,
    unfinished: Option<Unfinished>,
}

impl PlannedRun {
    /// Adds the run of a file. Of a run and its copies counts that with the most trials: a copy that was made while the run went on has
    /// fewer, and says nothing of what is still to be measured.
    pub(super) fn add_to(self, runs: &mut Vec<Self>) {
        match runs.iter_mut().find(|known| known.run == self.run) {
            Some(known) if self.trials > known.trials => *known = self,
            Some(_) => {}
            None => runs.push(self),
        }
    }

    /// What is missing of it, unless another file of `inputs` is a copy of the whole run, which may have any name and lack the warm-ups.
    pub(super) fn missing(&self, inputs: &[Input]) -> Option<&Unfinished> {
        let unfinished = self.unfinished.as_ref()?;
        let prefix = format!("{}/", self.run.0);
        let mut of_files: HashMap<&str, HashSet<(TrialId, &str)>> = HashMap::new();
        for input in inputs.iter().filter(|input| input.record.run_id.starts_with(&prefix)) {
            let trial = measured(input).map(|trial| (trial, input.record.timestamp.as_str()));
            of_files.entry(&input.source.file).or_default().extend(trial);
        }
        let own = of_files.remove(unfinished.file.as_str()).unwrap_or_default();
        let is_whole = |other: &HashSet<(TrialId, &str)>| {
            let done = other.iter().map(|(trial, _)| trial.clone()).collect();
            !own.is_empty() && own.is_subset(other) && self.plan.remaining(&done).is_empty()
        };
        (!of_files.values().any(is_whole)).then_some(unfinished)
    }
}

/// A run of which a plan has blocks that are not in the file of records beside it.
pub(crate) struct Unfinished {
    /// The file, as the source of its records names it.
    pub(crate) file: String,
    /// How many blocks are there, and the command that measures the others.
    pub(crate) message: String,
    /// The backends that are still to be measured.
    pub(crate) backends: Vec<String>,
}

/// What a file of records has of the run whose plan is beside it, if anything. `inputs` are the records of the file.
pub(super) fn recorded_run(file: &Path, inputs: &[Input]) -> Option<PlannedRun> {
    // Another file may have a part of the trials only.
    let folder = shell::folder_of(file).filter(|_| file.ends_with(TRIALS))?;
    let planned: Resumable = plan_beside(file)?;
    let prefix = format!("{}/", planned.matrix.run);
    let of_run = |input: &&Input| input.record.run_id.starts_with(&prefix);
    let first = inputs.iter().find(of_run)?;
    let done: HashSet<_> = inputs.iter().filter(of_run).filter_map(measured).collect();
    let plan = planned.plan()?;
    let run = (planned.matrix.run.clone(), first.run_started.clone());
    let unfinished = planned.unfinished(&plan, &done, folder, &first.source.file);
    Some(PlannedRun { run, trials: done.len(), plan, unfinished })
}

/// The command that measures the comparison whose plan is beside a file of trials that is empty or not there, as one leaves that was
/// interrupted before its first trial.
pub(crate) fn not_begun(trials: &Path) -> Option<String> {
    let folder = shell::folder_of(trials).filter(|_| trials.ends_with(TRIALS))?;
    let planned: Resumable = plan_beside(trials)?;
    planned.plan()?;
    Some(planned.command(folder))
}

fn measured(input: &Input) -> Option<TrialId> {
    trial_id(&input.record).filter(|_| input.kind == Kind::Measured)
}

/// The trial of a plan that a record is of.
pub(crate) fn trial_id(record: &UnifiedRecord) -> Option<TrialId> {
    let block = record.metadata.block?;
    Some(TrialId { block, backend: record.backend.clone(), run_id: record.run_id.clone() })
}

impl Resumable {
    /// The plan, unless it is of another version, which may have other trials.
    fn plan(&self) -> Option<Plan> {
        Plan::new(&self.matrix).ok().filter(|plan| plan.hash() == self.plan_hash)
    }

    /// The blocks of the plan that lack a trial in `done`, which are those of `file` in `folder`.
    fn unfinished(
        &self,
        plan: &Plan,
        done: &HashSet<TrialId>,
        folder: &Path,
        file: &str,
    ) -> Option<Unfinished> {
        let remaining = plan.remaining(done);
        let (all, missing) = (plan.blocks.len(), remaining.len());
        let (whole, blocks) = (all - missing, plural(all as u64, "block"));
        let were = if all == 1 || whole == 1 { "was" } else { "were" };
        let message = format!("unfinished: {whole} of {blocks} {were} measured");
        let sessions = remaining.iter().flat_map(|block| &block.sessions);
        (missing > 0).then(|| Unfinished {
            file: file.to_owned(),
            message: with_remedy(&message, Some(&self.command(folder))),
            backends: sessions.map(|session| session.backend.name.clone()).collect(),
        })
    }

    fn command(&self, folder: &Path) -> String {
        let loading = LoadingOptions::of_recorded(self.allow_untrusted, &self.libraries);
        resume_command(&self.matrix.run, folder, self.variables.as_ref(), self.no_lock, &loading)
    }
}
