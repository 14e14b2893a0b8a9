//! What the charts of the page have in common: where figures stand in a picture, and what its templates read.

use serde::Serialize;

use crate::report::axis::{Axis, Scale, Tick};
use crate::report::figure;

/// A number beside an axis.
#[derive(Serialize)]
pub(super) struct Label {
    pub(super) place: String,
    pub(super) text: String,
}

/// A point of a curve that can be pointed at.
#[derive(Serialize)]
pub(super) struct Mark {
    pub(super) x: String,
    pub(super) y: String,
    pub(super) title: String,
}

/// The edges of a plot within its picture.
pub(super) struct Edges {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// A plot over two logarithmic axes.
pub(super) struct Plot {
    edges: Edges,
    across: Axis,
    up: Axis,
}

impl Plot {
    /// The plot that holds all figures; none if there is nothing to show.
    pub(super) fn around(
        edges: Edges,
        across: impl IntoIterator<Item = f64>,
        up: impl IntoIterator<Item = f64>,
    ) -> Option<Self> {
        let around = |figures: &mut dyn Iterator<Item = f64>| Axis::around(Scale::Logarithmic, figures);
        let (across, up) = (around(&mut across.into_iter())?, around(&mut up.into_iter())?);
        Some(Self { edges, across, up })
    }

    /// How far to the right a figure stands.
    pub(super) fn x(&self, figure: f64) -> String {
        let Edges { left, right, .. } = self.edges;
        format!("{:.1}", left + (right - left) * self.across.place(figure) / 100.0)
    }

    /// How far down a figure stands.
    pub(super) fn y(&self, figure: f64) -> String {
        let Edges { top, bottom, .. } = self.edges;
        format!("{:.1}", bottom - (bottom - top) * self.up.place(figure) / 100.0)
    }

    /// The figures that the lower axis names, in these words.
    pub(super) fn ticks_across(&self, words: fn(f64) -> String) -> Vec<Label> {
        let label = |Tick { value, .. }| Label { place: self.x(value), text: figure::tick(&words(value)) };
        self.across.ticks().into_iter().map(label).collect()
    }

    /// The figures that the upright axis names, in these words.
    pub(super) fn ticks_up(&self, words: fn(f64) -> String) -> Vec<Label> {
        let label = |Tick { value, .. }| Label { place: self.y(value), text: figure::tick(&words(value)) };
        self.up.ticks().into_iter().map(label).collect()
    }
}

/// Goes on with a curve to a point.
pub(super) fn go_on(path: &mut String, x: &str, y: &str) {
    *path += &format!("{}{x} {y}", if path.is_empty() { "M" } else { "L" });
}

/// Adds an upright line.
pub(super) fn add_range(ranges: &mut String, x: &str, low: &str, high: &str) {
    *ranges += &format!("M{x} {low}V{high}");
}
