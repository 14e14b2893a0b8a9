//! The order of the page: the points of one workload together, the fastest row of each point first, an id for each point and each
//! row, and a series for each label.

use minijinja::{Value, context};

use super::anchor::Anchors;
use crate::compare::model::{Comparison, Point, Row};
use crate::first_seen::distinct;
use crate::report::labels;
use crate::report::ranking::fastest_first;

/// A comparison in the order of its page.
pub(super) struct Layout<'a> {
    pub(super) groups: Vec<Group<'a>>,
    /// The labels in the order in which they first appear.
    pub(super) labels: Vec<&'a str>,
}

/// The points of a workload.
pub(super) struct Group<'a> {
    /// The place of the workload in the page, by which its parts are hidden.
    pub(super) number: usize,
    pub(super) workload: String,
    pub(super) points: Vec<PlacedPoint<'a>>,
}

/// A point and its rows, each with its id.
pub(super) struct PlacedPoint<'a> {
    pub(super) point: &'a Point,
    pub(super) id: String,
    pub(super) rows: Vec<(String, &'a Row)>,
}

/// The style sheet has this many series: combinations of colour, shape and dashes, each of a label in every chart. More labels share them.
pub(super) const SERIES: usize = 8;

impl<'a> Layout<'a> {
    pub(super) fn of(comparison: &'a Comparison) -> Self {
        let mut anchors = Anchors::default();
        let mut place = |point: &'a Point| {
            let row = |row: &'a Row| (anchors.add('c', &[&point.id, &row.label]), row);
            let rows = fastest_first(point).into_iter().map(row).collect();
            PlacedPoint { point, id: anchors.add('p', &[&point.id]), rows }
        };
        let group = |(number, points): (usize, Vec<&'a Point>)| {
            let workload = labels::name(&points[0].workload);
            Group { number, workload, points: points.into_iter().map(&mut place).collect() }
        };
        let groups = labels::by_workload(comparison).into_iter().enumerate().map(group).collect();
        let rows = comparison.rows().map(|(_, row)| row);
        Self { groups, labels: distinct(rows.map(|row| row.label.as_str())) }
    }

    /// Every point, in the order of the page.
    pub(super) fn points(&self) -> impl Iterator<Item = &PlacedPoint<'a>> {
        self.groups.iter().flat_map(|group| &group.points)
    }

    /// Every row, in the order of the page.
    pub(super) fn rows(&self) -> impl Iterator<Item = &'a Row> {
        self.points().flat_map(|point| point.rows.iter().map(|(_, row)| *row))
    }

    /// The place of a label, by which its rows are hidden.
    pub(super) fn label_number(&self, label: &str) -> usize {
        self.labels.iter().position(|known| *known == label).unwrap_or_default()
    }

    /// The entry of a legend for each of the labels.
    pub(super) fn legend<'l>(&self, all: impl IntoIterator<Item = &'l str>) -> Vec<Value> {
        let entry = |label| {
            let number = self.label_number(label);
            context! { name => labels::name(label), series => number % SERIES, label => number }
        };
        all.into_iter().map(entry).collect()
    }
}
