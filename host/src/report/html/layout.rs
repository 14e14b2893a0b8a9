//! The order of the page: points of one workload together, a number for each point and each row, a look for each name.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::compare::model::{Comparison, Point, Row};
use crate::report::words;

/// A comparison in the order of its page.
pub(super) struct Layout<'a> {
    pub(super) groups: Vec<Group<'a>>,
    /// The labels in the order in which they first appear, and their places in it.
    pub(super) labels: Vec<&'a str>,
    places: HashMap<&'a str, usize>,
}

/// The points of a workload.
pub(super) struct Group<'a> {
    pub(super) workload: String,
    pub(super) points: Vec<Placed<'a>>,
}

/// A point and its rows, each with the number that makes its anchor: `p3` and `c12`.
pub(super) struct Placed<'a> {
    pub(super) point: &'a Point,
    pub(super) number: usize,
    pub(super) rows: Vec<(usize, &'a Row)>,
}

/// How a label looks in every chart: colour and shape, so that neither stands alone.
#[derive(Serialize)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) look: usize,
}

/// How many colours and shapes the page has. With more labels they are used again.
const LOOKS: usize = 8;

impl<'a> Layout<'a> {
    pub(super) fn of(comparison: &'a Comparison) -> Self {
        let mut layout = Self { groups: Vec::new(), labels: Vec::new(), places: HashMap::new() };
        let (mut points, mut cells) = (0.., 0..);
        for group in words::by_workload(comparison) {
            let workload = group.first().map_or_else(String::new, |point| words::line(&point.workload, 60));
            let placed = group.into_iter().zip(&mut points).map(|(point, number)| {
                let rows = point.rows.iter().map(|row| (cells.next().unwrap_or_default(), row)).collect();
                Placed { point, number, rows }
            });
            layout.groups.push(Group { workload, points: placed.collect() });
        }
        for row in comparison.points.iter().flat_map(|point| &point.rows) {
            let labels = &mut layout.labels;
            layout.places.entry(&row.label).or_insert_with(|| {
                labels.push(&row.label);
                labels.len() - 1
            });
        }
        layout
    }

    /// Every point, in the order of the page.
    pub(super) fn points(&self) -> impl Iterator<Item = &Placed<'a>> {
        self.groups.iter().flat_map(|group| &group.points)
    }

    /// How many backends there are, whatever their labels.
    pub(super) fn backends(&self) -> usize {
        self.rows().map(|(_, _, row)| row.backend.as_str()).collect::<HashSet<_>>().len()
    }

    /// Every row with its point and its number, in the order of the page.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Placed<'a>, usize, &'a Row)> {
        self.points().flat_map(|placed| placed.rows.iter().map(move |(number, row)| (placed, *number, *row)))
    }

    pub(super) fn point(&self, id: &str) -> Option<&Placed<'a>> {
        self.points().find(|placed| placed.point.id == id)
    }

    pub(super) fn look(&self, label: &str) -> usize {
        self.places.get(label).copied().unwrap_or_default() % LOOKS
    }

    pub(super) fn series(&self) -> Vec<Series> {
        let series = |label: &&str| Series { name: words::line(label, 60), look: self.look(label) };
        self.labels.iter().map(series).collect()
    }
}
