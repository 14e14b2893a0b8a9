//! The resolved options of a comparison: what is measured on which backends.

use std::collections::HashSet;

use plugin_api::WorkloadSpec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::defaults::default_size;
use super::point::Cell;
use super::whole_rows::{rounded, used_items};
use crate::first_seen::distinct;
use crate::stats::WarmUp;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    pub run: String,
    /// The backends, in the order of the first block; with an A/A comparison that order is another.
    pub backends: Vec<BackendChoice>,
    pub workloads: Vec<WorkloadChoice>,
    pub schedulers: Vec<String>,
    /// The numbers of operator calls that may be in flight: each has its own session.
    pub parallelisms: Vec<u32>,
    /// The number of machines that is asked for.
    pub nodes: u32,
    /// Options with which every backend is opened and every run is made.
    pub options: Map<String, Value>,
    pub blocks: u32,
    /// The seed of the order. Only records of one seed are of the same cells.
    pub seed: u64,
    /// The number from which the seeds of all data are derived, if the user chose one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_seed: Option<u64>,
    pub warm_up: WarmUp,
    /// The backend, by its name among [`Matrix::backends`], that takes part a second time under another name, for an A/A
    /// comparison.
    pub aa: Option<String>,
}

/// A backend that takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendChoice {
    /// The name in its records.
    pub name: String,
    /// The backend that is run, which differs from the name only in an A/A comparison.
    pub runs: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkloadChoice {
    pub name: String,
    /// The numbers of items that the source emits: each is a point.
    pub items: Vec<u64>,
    pub extra: Map<String, Value>,
    /// The options that are varied: each combination of their values is a point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vary: Vec<Variation>,
    /// How many tasks a row has where no option says so, of a graph of whole rows: the items are rounded down to these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_width: Option<u64>,
    /// Whether its items are due by a schedule, whatever its options are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open_loop: bool,
}

/// An option, and the values that a comparison gives to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    pub key: String,
    pub values: Vec<Value>,
}

impl WorkloadChoice {
    /// Makes it an open loop, with the default number of items unless `has_items`. It has no default batches: an item that is due would
    /// wait for those items of its batch that are not.
    pub(crate) fn become_open_loop(&mut self, options: &Map<String, Value>, has_items: bool) {
        self.open_loop = true;
        self.extra.remove("batch_size");
        if !has_items {
            self.items = vec![self.default_items(options, true)];
        }
    }

    /// The default number of items with `options`, which is smaller if `quick`. That of an open loop is not: its rate decides how much
    /// work there is.
    fn default_items(&self, options: &Map<String, Value>, quick: bool) -> u64 {
        default_size(&self.name, options, quick && !self.open_loop).0
    }

    /// The options of each point: `options`, those of the workload, and a combination of what is varied.
    pub(crate) fn combinations(&self, options: &Map<String, Value>) -> Vec<Map<String, Value>> {
        let common = options.clone().into_iter().chain(self.extra.clone()).collect();
        self.vary.iter().fold(vec![common], |combinations, Variation { key, values }| {
            let with = |(extra, value): (&Map<String, Value>, &Value)| {
                let mut extra = extra.clone();
                extra.insert(key.clone(), value.clone());
                extra
            };
            let pairs = combinations.iter().flat_map(|extra| values.iter().map(move |value| (extra, value)));
            pairs.map(with).collect()
        })
    }

    /// The number of points, without schedulers and parallelisms.
    fn points(&self) -> u64 {
        let lengths = self.vary.iter().map(|variation| variation.values.len() as u64);
        lengths.fold(self.items.len() as u64, u64::saturating_mul)
    }
}

/// The most measured trials of a plan: about a year of runs of five minutes.
pub(crate) const MAX_TRIALS: u64 = 100_000;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("nothing to run: there are no {0}")]
    Empty(&'static str),
    #[error("{0} is 0, but must be at least 1")]
    Zero(&'static str),
    #[error("{0} trials are asked for, but a plan has at most {MAX_TRIALS}")]
    TooMany(u64),
    #[error("two backends are called `{0}`")]
    SameName(String),
    #[error("`{0}` is asked for twice")]
    SamePoint(String),
    /// `--aa` with a backend that does not take part.
    #[error("`{0}` does not take part, so it cannot be compared with itself")]
    AaAbsent(String),
    /// More warm-ups at least than at most.
    #[error("at least {least} warm-ups are asked for, and at most {most}")]
    WarmUp { least: u32, most: u32 },
}

impl PlanError {
    /// What to do about it, if that is known.
    pub(crate) fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::TooMany(_) => Some("fewer blocks or points"),
            Self::SameName(_) => Some("give one of them another name"),
            Self::SamePoint(_) => Some("each name and each value once"),
            Self::AaAbsent(_) => Some("--backends with its name first"),
            Self::Empty(_) | Self::Zero(_) | Self::WarmUp { .. } => None,
        }
    }
}

impl BackendChoice {
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { runs: name.clone(), name }
    }

    /// The same backend under a second name, for an A/A comparison.
    fn aa_copy(&self) -> Self {
        Self { name: format!("{}-again", self.name), runs: self.runs.clone() }
    }
}

/// The version of the order that a matrix leads to. It must be raised when that changes: a run that was started under the old
/// version must not be resumed.
const ORDER: u32 = 2;

impl Matrix {
    /// SHA-256, in hex, of the matrix as JSON with sorted keys.
    pub(super) fn hash(&self) -> String {
        // Strings, numbers, lists and JSON values always serialise.
        let matrix = serde_json::to_value(self).unwrap_or_default();
        hex::encode(Sha256::digest(json!({"order": ORDER, "matrix": matrix}).to_string()))
    }

    /// All backends; the copy for an A/A comparison comes last.
    pub(super) fn participants(&self) -> Vec<BackendChoice> {
        let twice = self.backends.iter().filter(|backend| Some(&backend.name) == self.aa.as_ref());
        self.backends.iter().cloned().chain(twice.map(BackendChoice::aa_copy)).collect()
    }

    /// The two of [`Matrix::participants`] that are compared in an A/A comparison.
    pub(super) fn aa_pair(&self) -> Option<[usize; 2]> {
        let original = self.backends.iter().position(|backend| Some(&backend.name) == self.aa.as_ref())?;
        Some([original, self.backends.len()])
    }

    /// The cells of a session, unshuffled.
    pub(super) fn cells(&self, parallelism: u32) -> Vec<Cell> {
        let mut cells = Vec::new();
        for workload in &self.workloads {
            let combinations = workload.combinations(&self.options);
            let pairs =
                workload.items.iter().flat_map(|items| combinations.iter().map(move |extra| (items, extra)));
            for (items, extra) in pairs {
                cells.extend(self.schedulers.iter().map(|scheduler| {
                    let spec = WorkloadSpec {
                        name: workload.name.clone(),
                        total_items: used_items(workload.row_width, *items, extra),
                        parallelism,
                        scheduler_name: scheduler.clone(),
                        seed: self.seed,
                        extra: extra.clone(),
                        ..WorkloadSpec::default()
                    };
                    Cell::new(&self.run, spec, self.nodes)
                }));
            }
        }
        cells
    }

    /// What to say of numbers of items that workloads do not use whole, each once.
    pub(crate) fn rounded_items(&self) -> Vec<String> {
        let of_workload = |workload: &WorkloadChoice| {
            let combinations = workload.combinations(&self.options);
            let pairs =
                workload.items.iter().flat_map(|items| combinations.iter().map(move |extra| (*items, extra)));
            let note =
                |(items, extra)| rounded(&workload.name, items, used_items(workload.row_width, items, extra));
            pairs.filter_map(note).collect::<Vec<_>>()
        };
        distinct(self.workloads.iter().flat_map(of_workload))
    }

    /// The numbers of items, unless every workload has its default, which is smaller if `quick`.
    pub(crate) fn items_if_not_default(&self, quick: bool) -> Option<&[u64]> {
        let is_default = |workload: &WorkloadChoice| {
            let mut points = workload.combinations(&self.options).into_iter();
            points.all(|options| workload.items == [workload.default_items(&options, quick)])
        };
        let first = self.workloads.first().filter(|_| !self.workloads.iter().all(is_default))?;
        Some(&first.items)
    }

    pub(super) fn check(&self) -> Result<(), PlanError> {
        self.check_amounts()?;
        let mut names = HashSet::new();
        if let Some(twice) =
            self.participants().into_iter().find(|backend| !names.insert(backend.name.clone()))
        {
            return Err(PlanError::SameName(twice.name));
        }
        let mut points = HashSet::new();
        let cells = self.parallelisms.iter().flat_map(|parallelism| self.cells(*parallelism));
        if let Some(twice) = cells.map(|cell| cell.point).find(|point| !points.insert(point.clone())) {
            return Err(PlanError::SamePoint(twice));
        }
        match &self.aa {
            Some(name) if !self.backends.iter().any(|backend| backend.name == *name) => {
                Err(PlanError::AaAbsent(name.clone()))
            }
            _ => Ok(()),
        }
    }

    /// The number of measured trials, at most `u64::MAX`.
    fn trials(&self) -> u64 {
        let points = self.workloads.iter().map(WorkloadChoice::points).fold(0, u64::saturating_add);
        let lists = [self.participants().len(), self.schedulers.len(), self.parallelisms.len()];
        let each = lists
            .iter()
            .fold(self.blocks.into(), |trials: u64, length| trials.saturating_mul(*length as u64));
        each.saturating_mul(points)
    }

    fn check_amounts(&self) -> Result<(), PlanError> {
        let items = self.workloads.iter().any(|workload| workload.items.is_empty());
        let varied = self.workloads.iter().flat_map(|workload| &workload.vary);
        let values = varied.into_iter().any(|variation| variation.values.is_empty());
        let empty = [
            ("backends", self.backends.is_empty()),
            ("workloads", self.workloads.is_empty()),
            ("numbers of items", items),
            ("values of an option that is varied", values),
            ("schedulers", self.schedulers.is_empty()),
            ("parallelisms", self.parallelisms.is_empty()),
        ];
        if let Some((what, _)) = empty.into_iter().find(|(_, empty)| *empty) {
            return Err(PlanError::Empty(what));
        }
        let zero = [
            ("the number of blocks", self.blocks == 0),
            ("the number of nodes", self.nodes == 0),
            ("a parallelism", self.parallelisms.contains(&0)),
        ];
        if let Some((what, _)) = zero.into_iter().find(|(_, zero)| *zero) {
            return Err(PlanError::Zero(what));
        }
        let trials = self.trials();
        if trials > MAX_TRIALS {
            return Err(PlanError::TooMany(trials));
        }
        let WarmUp { least, most, .. } = self.warm_up;
        if least > most { Err(PlanError::WarmUp { least, most }) } else { Ok(()) }
    }
}
