//! The order of the page: the points of one workload together, a number for each point and each row, and a series for
//! each label.

use std::collections::HashSet;

use minijinja::{Value, context};

use crate::compare::model::{Comparison, Point, Row};
use crate::first_seen::distinct;
use crate::report::labels;

/// A comparison in the order of its page.
pub(super) struct Layout<'a> {
    pub(super) groups: Vec<Group<'a>>,
    /// The labels in the order in which they first appear.
    pub(super) labels: Vec<&'a str>,
}

/// The points of a workload.
pub(super) struct Group<'a> {
    pub(super) workload: String,
    pub(super) points: Vec<NumberedPoint<'a>>,
}

/// A point and its rows, each with the number of its anchor: `p3` and `c12`.
pub(super) struct NumberedPoint<'a> {
    pub(super) point: &'a Point,
    pub(super) number: usize,
    pub(super) rows: Vec<(usize, &'a Row)>,
}

/// The style sheet has this many combinations of colour, shape and dashes. More series than that share them.
pub(super) const SERIES: usize = 8;

impl<'a> Layout<'a> {
    pub(super) fn of(comparison: &'a Comparison) -> Self {
        let (mut groups, mut point_numbers, mut row_numbers) = (Vec::new(), 0.., 0..);
        for group in labels::by_workload(comparison) {
            let workload = labels::name(&group[0].workload);
            let points = group.into_iter().zip(&mut point_numbers).map(|(point, number)| {
                let rows =
                    point.rows.iter().map(|row| (row_numbers.next().unwrap_or_default(), row)).collect();
                NumberedPoint { point, number, rows }
            });
            groups.push(Group { workload, points: points.collect() });
        }
        let rows = comparison.points.iter().flat_map(|point| &point.rows);
        Self { groups, labels: distinct(rows.map(|row| row.label.as_str())) }
    }

    /// Every point, in the order of the page.
    pub(super) fn points(&self) -> impl Iterator<Item = &NumberedPoint<'a>> {
        self.groups.iter().flat_map(|group| &group.points)
    }

    /// The number of backends, regardless of their labels.
    pub(super) fn backends(&self) -> usize {
        self.rows().map(|row| row.backend.as_str()).collect::<HashSet<_>>().len()
    }

    /// Every row, in the order of the page.
    pub(super) fn rows(&self) -> impl Iterator<Item = &'a Row> {
        self.points().flat_map(|point| point.rows.iter().map(|(_, row)| *row))
    }

    /// The series of a label: its colour, shape and dashes in every chart.
    pub(super) fn series(&self, label: &str) -> usize {
        self.labels.iter().position(|known| *known == label).unwrap_or_default() % SERIES
    }

    /// The entry of a legend for each of the labels.
    pub(super) fn legend<'l>(&self, all: impl IntoIterator<Item = &'l str>) -> Vec<Value> {
        let entry = |label| context! { name => labels::name(label), series => self.series(label) };
        all.into_iter().map(entry).collect()
    }
}
