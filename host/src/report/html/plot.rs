//! The plots of the page, as its templates read them.

use minijinja::{Value, context};

use super::layout::SERIES;
use crate::report::axis::{Axis, Scale};
use crate::report::number;

/// The edges of a plot within its picture.
pub(super) struct Edges {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// The edges in a small picture, of 400 by 250.
pub(super) const SMALL: Edges = Edges { left: 52.0, right: 388.0, top: 12.0, bottom: 212.0 };
/// And in one of 400 by 270.
pub(super) const LARGER: Edges = Edges { bottom: 228.0, ..SMALL };

/// A plot with a logarithmic y axis. The x axis is logarithmic too, or linear.
pub(super) struct Plot {
    edges: Edges,
    x_axis: Axis,
    y_axis: Axis,
}

/// A point of a curve. With a title it has a mark, which links to the trials of a row.
pub(super) struct CurvePoint {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) range: Option<[f64; 2]>,
    pub(super) title: Option<String>,
    pub(super) row: String,
}

impl Plot {
    /// The plot that covers all values, with a horizontal axis of this scale. None without values that it can show.
    pub(super) fn over(
        edges: Edges,
        x_scale: Scale,
        x_values: impl IntoIterator<Item = f64>,
        y_values: impl IntoIterator<Item = f64>,
    ) -> Option<Self> {
        let (x_axis, y_axis) =
            (Axis::covering(x_scale, x_values)?, Axis::covering(Scale::Logarithmic, y_values)?);
        Some(Self { edges, x_axis, y_axis })
    }

    pub(super) fn x(&self, value: f64) -> String {
        let Edges { left, right, .. } = self.edges;
        format!("{:.1}", left + (right - left) * self.x_axis.position(value) / 100.0)
    }

    pub(super) fn y(&self, value: f64) -> String {
        let Edges { top, bottom, .. } = self.edges;
        format!("{:.1}", bottom - (bottom - top) * self.y_axis.position(value) / 100.0)
    }

    pub(super) fn x_ticks(&self, format: fn(f64) -> String) -> Vec<Value> {
        self.x_axis.ticks().into_iter().map(|value| label(self.x(value), format(value))).collect()
    }

    pub(super) fn y_ticks(&self, format: fn(f64) -> String) -> Vec<Value> {
        self.y_axis.ticks().into_iter().map(|value| label(self.y(value), format(value))).collect()
    }

    /// The numbers of runs on the x axis.
    pub(super) fn run_ticks(&self) -> Vec<Value> {
        let ticks = self.x_axis.ticks().into_iter();
        let numbers = ticks.filter(|number| *number >= 1.0 && number.fract() == 0.0);
        numbers.map(|number| label(self.x(number), number.to_string())).collect()
    }

    /// The curve of the label with this number among all of the page, in the colour of its series.
    pub(super) fn curve(&self, label: usize, points: impl IntoIterator<Item = CurvePoint>) -> Value {
        let (mut path, mut ranges, mut marks) = (String::new(), String::new(), Vec::new());
        for CurvePoint { x, y, range, title, row } in points {
            let (x, y) = (self.x(x), self.y(y));
            path += &format!("{}{x} {y}", if path.is_empty() { "M" } else { "L" });
            if let Some([low, high]) = range.map(|ends| ends.map(|end| self.y(end))) {
                ranges += &format!("M{x} {low}V{high}");
            }
            marks.extend(title.map(|title| context! { x, y, title, row }));
        }
        context! { label, series => label % SERIES, path, ranges, marks }
    }
}

/// The label of a tick at a position of an axis.
pub(super) fn label(position: String, text: impl AsRef<str>) -> Value {
    context! { position, text => number::tick(text.as_ref()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticks_of_runs_are_numbers_of_runs() {
        let ticks = |runs: f64| {
            let plot = Plot::over(SMALL, Scale::Linear, [runs], [1.0]).unwrap();
            let texts = plot.run_ticks().into_iter().map(|tick| tick.get_attr("text").unwrap().to_string());
            texts.collect::<Vec<_>>()
        };
        assert_eq!((ticks(1.0), ticks(2.0)), (vec!["1".to_owned()], vec!["1".to_owned(), "2".to_owned()]));
        assert_eq!(ticks(24.0), ["10", "20"]);
    }
}
