//! The input and the options of a comparison.

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
}

impl Input {
    /// A line of a `trials.jsonl`.
    pub fn trial(source: Source, trial: TrialRecord) -> Self {
        Self { source, kind: trial.kind, outcome: trial.outcome(), record: trial.record }
    }

    /// Whether it is of a METG sweep, which the `metg` module reads. It is not part of a comparison.
    pub fn is_sweep(&self) -> bool {
        self.record.metadata.metg.is_some()
    }

    /// A line of a `unified_results.jsonl`, where every trial was measured.
    pub fn measured(source: Source, record: UnifiedRecord) -> Self {
        Self { source, kind: Kind::Measured, outcome: record.outcome(), record }
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
