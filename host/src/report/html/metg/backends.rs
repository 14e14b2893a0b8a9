//! The backends of METG on a page, with their colours.

use minijinja::{Value, context};

use crate::compare::metg::model::{Row, Sweeps};
use crate::first_seen::distinct;
use crate::report::html::layout::SERIES;
use crate::report::labels::name;
use crate::report::metg::{column, cores};

/// The backends of a page, those of two forms apart: each has a colour, a shape and dashes.
pub(super) struct Backends {
    /// The label of each row.
    pub(super) of_rows: Vec<String>,
    /// Each label once. Its place is its number.
    all: Vec<String>,
}

impl Backends {
    /// After `known`, the labels of a comparison on the same page.
    pub(super) fn of(sweeps: &Sweeps, known: &[&str]) -> Self {
        let several_cores = cores(sweeps).is_none();
        let label = |row: &Row| match &row.graph {
            // A chart has graphs on equal cores only.
            Some(graph) => column(&row.label, graph.form, 60),
            None if several_cores => format!("{} ({} cores)", name(&row.label), row.cores),
            None => name(&row.label),
        };
        let of_rows: Vec<_> = sweeps.rows.iter().map(label).collect();
        let all = distinct(known.iter().map(|label| name(label)).chain(of_rows.iter().cloned()));
        Self { of_rows, all }
    }

    /// The number of the label of a row.
    pub(super) fn number(&self, row: usize) -> usize {
        self.all.iter().position(|label| Some(label) == self.of_rows.get(row)).unwrap_or_default()
    }

    /// An entry of the legend for each of the rows, each label once.
    pub(super) fn legend(&self, rows: impl IntoIterator<Item = usize>) -> Vec<Value> {
        let entries = distinct(rows.into_iter().map(|row| (self.number(row), self.of_rows.get(row))));
        let entry = |(number, name): (usize, Option<&String>)| {
            context! { name, series => number % SERIES, label => number }
        };
        entries.into_iter().map(entry).collect()
    }
}
