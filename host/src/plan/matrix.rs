//! What is to be compared: the options, resolved.

use std::collections::HashSet;

use plugin_api::WorkloadSpec;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::cell::Cell;
use super::defaults::default_size;
use crate::stats::WarmUp;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    pub run: String,
    /// Who takes part, in the order of the first block; with a second name of one of them this order is another.
    pub backends: Vec<BackendChoice>,
    pub workloads: Vec<WorkloadChoice>,
    pub schedulers: Vec<String>,
    /// How many operator calls may be in flight: each is a session of its own.
    pub parallelisms: Vec<u32>,
    /// How many machines are asked for.
    pub nodes: u32,
    /// Options with which every backend is opened, and which every run has too.
    pub options: Map<String, Value>,
    pub blocks: u32,
    pub seed: u64,
    pub warm_up: WarmUp,
    /// The backend, by its name among [`Matrix::backends`], that takes part a second time under another name, so that
    /// noise can be told from a difference.
    pub aa: Option<String>,
}

/// A backend that takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendChoice {
    /// The name that its records have.
    pub name: String,
    /// The backend that is run: another name only for the second of `--aa`.
    pub runs: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkloadChoice {
    pub name: String,
    /// How many items the source emits: each is a point.
    pub items: Vec<u64>,
    pub extra: Map<String, Value>,
}

/// The most measured trials of a plan: a year of runs of five minutes.
pub(crate) const MAX_TRIALS: u64 = 100_000;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("nothing to run: there are no {0}")]
    Nothing(&'static str),
    #[error("{0} is 0, but must be at least 1")]
    Zero(&'static str),
    #[error("{0} trials are asked for, but a plan has at most {MAX_TRIALS}; try: fewer blocks or points")]
    TooMany(u64),
    #[error("two backends are called `{0}`; try: give one of them another name")]
    SameName(String),
    #[error("`{0}` is asked for twice")]
    SamePoint(String),
    /// `--aa` with a backend that does not take part.
    #[error("`{0}` does not take part, so it cannot be compared with itself")]
    AaAbsent(String),
    /// Warm-ups with fewer at most than at least.
    #[error("at least {least} warm-ups are asked for, and at most {most}")]
    WarmUp { least: u32, most: u32 },
}

impl BackendChoice {
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { runs: name.clone(), name }
    }

    /// The same backend under a second name.
    fn again(&self) -> Self {
        Self { name: format!("{}-again", self.name), runs: self.runs.clone() }
    }
}

impl Matrix {
    /// Who takes part, the second name of `--aa` included, which stands last.
    pub(super) fn takers(&self) -> Vec<BackendChoice> {
        let twice = self.backends.iter().filter(|backend| Some(&backend.name) == self.aa.as_ref());
        self.backends.iter().cloned().chain(twice.map(BackendChoice::again)).collect()
    }

    /// Which of [`Matrix::takers`] are one backend under two names.
    pub(super) fn twins(&self) -> Option<[usize; 2]> {
        let original = self.backends.iter().position(|backend| Some(&backend.name) == self.aa.as_ref())?;
        Some([original, self.backends.len()])
    }

    /// The cells of a session, unshuffled.
    pub(super) fn cells(&self, parallelism: u32) -> Vec<Cell> {
        let mut cells = Vec::new();
        for workload in &self.workloads {
            for items in &workload.items {
                cells.extend(self.schedulers.iter().map(|scheduler| {
                    let extra = self.options.clone().into_iter().chain(workload.extra.clone());
                    let spec = WorkloadSpec {
                        name: workload.name.clone(),
                        total_items: *items,
                        parallelism,
                        scheduler_name: scheduler.clone(),
                        seed: self.seed,
                        extra: extra.collect(),
                        start_nanos: None,
                    };
                    Cell::new(&self.run, spec, self.nodes)
                }));
            }
        }
        cells
    }

    /// The numbers of items, if they are others than each workload has when nothing is said.
    pub(crate) fn items_if_not_default(&self) -> Option<&[u64]> {
        let usual = |workload: &WorkloadChoice| workload.items == [default_size(&workload.name).0];
        let first = self.workloads.first().filter(|_| !self.workloads.iter().all(usual))?;
        Some(&first.items)
    }

    pub(super) fn check(&self) -> Result<(), PlanError> {
        self.check_amounts()?;
        let mut names = HashSet::new();
        if let Some(twice) = self.takers().into_iter().find(|backend| !names.insert(backend.name.clone())) {
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

    /// How many trials are to be measured, or as many as can be counted.
    fn trials(&self) -> u64 {
        let items: usize = self.workloads.iter().map(|workload| workload.items.len()).sum();
        let lists = [self.takers().len(), items, self.schedulers.len(), self.parallelisms.len()];
        lists.iter().fold(self.blocks.into(), |trials: u64, length| trials.saturating_mul(*length as u64))
    }

    fn check_amounts(&self) -> Result<(), PlanError> {
        let items = self.workloads.iter().any(|workload| workload.items.is_empty());
        let empty = [
            ("backends", self.backends.is_empty()),
            ("workloads", self.workloads.is_empty()),
            ("numbers of items", items),
            ("schedulers", self.schedulers.is_empty()),
            ("parallelisms", self.parallelisms.is_empty()),
        ];
        if let Some((what, _)) = empty.into_iter().find(|(_, empty)| *empty) {
            return Err(PlanError::Nothing(what));
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
