//! A row for other programs.

use crate::compare::model::RatioInterval;

/// A row: one backend at one point, or one backend in METG sweeps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ExportedRow {
    /// Unique in a report: `native/pipeline/items=1000/parallelism=2/scheduler=default`.
    pub(crate) name: String,
    /// The rows with the same are shown together: the workload, or `metg`.
    pub(super) group: String,
    /// What tells the row from others.
    pub(super) labels: Vec<(&'static str, String)>,
    /// How many trials there are of each status; of METG sweeps, blocks.
    pub(super) trials: Vec<(&'static str, u32)>,
    pub(crate) state: State,
    /// The first is the one by which the row is compared. None unless the row is verified.
    pub(super) figures: Vec<Figure>,
    /// In one line, for readers.
    pub(super) remark: String,
}

/// Whether a row has figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Every trial is verified, and they can be right together.
    Verified,
    /// No trial went wrong, but there is no figure, for this reason.
    WithoutFigures(String),
    /// Trials gave a wrong answer, were invalid or failed, for these reasons. Never empty.
    Failed(Vec<Reason>),
}

/// Why trials have no figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reason {
    /// For programs: `wrong_answer`.
    pub(super) kind: String,
    /// In one line.
    pub(super) message: String,
}

/// A figure with its interval.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    /// What it is of, without the unit: `duration`.
    pub(super) of: String,
    /// `seconds`, `items_per_second` or `ratio`.
    pub(super) unit: &'static str,
    pub(super) value: f64,
    pub(super) interval: Option<RatioInterval>,
}

impl Figure {
    pub(super) fn new(of: &str, unit: &'static str, value: f64, interval: Option<RatioInterval>) -> Self {
        Self { of: of.into(), unit, value, interval }
    }
}
