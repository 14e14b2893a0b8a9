//! The input and the options of a comparison.

use std::collections::HashMap;
use std::sync::Arc;

use super::model::{Rigor, Source};
use crate::record::{Kind, TrialRecord, UnifiedRecord};
use crate::run::outcome::Outcome;

/// A record and its source.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub source: Source,
    pub kind: Kind,
    pub outcome: Outcome,
    pub record: UnifiedRecord,
    /// When the first trial of its run began: of two runs with one id, it tells which one. A copy of a run has the same, once it was joined
    /// with the run.
    pub run_started: Option<Arc<str>>,
}

impl Input {
    /// A line of a `trials.jsonl`.
    pub fn trial(source: Source, trial: TrialRecord) -> Self {
        let (kind, outcome, record) = (trial.kind, trial.outcome(), trial.record);
        Self { source, kind, outcome, record, run_started: None }
    }

    /// Whether it is of a METG sweep, which the `metg` module reads. It is not part of a comparison.
    pub fn is_sweep(&self) -> bool {
        self.record.metadata.metg.is_some()
    }

    /// The run that it is of.
    pub(crate) fn run(&self) -> &str {
        run_of(&self.record.run_id)
    }

    /// A line of a `unified_results.jsonl`, where every trial was measured.
    pub fn measured(source: Source, record: UnifiedRecord) -> Self {
        Self { source, kind: Kind::Measured, outcome: record.outcome(), record, run_started: None }
    }
}

/// The run of a trial, which is the part of its id before the point.
pub(super) fn run_of(run_id: &str) -> &str {
    run_id.split('/').next().unwrap_or_default()
}

/// Says of the records of a file when the run of each began.
pub(crate) fn mark_runs(of_file: &mut [Input]) {
    let mut started: HashMap<String, Arc<str>> = HashMap::new();
    for input in of_file.iter() {
        let time = input.record.timestamp.as_str();
        let first = started.entry(input.run().to_owned()).or_insert_with(|| time.into());
        if time < &**first {
            *first = time.into();
        }
    }
    for input in of_file {
        input.run_started = started.get(input.run()).cloned();
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The backend to compare with, case-insensitive. None for the first in the records.
    pub baseline: Option<String>,
    pub rigor: Rigor,
    /// Whether to compare a debug build with a release build, and different workload libraries.
    pub insist: bool,
}
