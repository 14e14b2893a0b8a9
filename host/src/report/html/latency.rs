//! The latency of open loops: a table of every percentile, and the curves.

use minijinja::{Value, context};

use super::layout::{Group, Layout, PlacedPoint};
use super::plot::{CurvePoint, LARGER, Plot};
use crate::compare::model::{OpenLoopLatency, PercentileSpread, Row};
use crate::report::axis::Scale;
use crate::report::labels::{self, name, or_none};
use crate::report::{latency, number};

/// The quantiles with a tick, and their labels.
const TICKS: [(f64, &str); 7] = [
    (0.0, "0 %"),
    (0.5, "50 %"),
    (0.9, "90 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.9999, "99.99 %"),
    (0.999_99, "99.999 %"),
];

/// One entry for each point with an open loop.
pub(super) fn points(layout: &Layout<'_>) -> Vec<Value> {
    let is_open = |point: &PlacedPoint<'_>| point.rows.iter().any(|(_, row)| row.open_loop.is_some());
    let entry = |(group, point): (&Group<'_>, &PlacedPoint<'_>)| {
        context! {
            id => &point.id,
            workload => name(&point.point.workload),
            group => group.number,
            settings => labels::settings(point.point),
            rows => point.rows.iter().map(|(id, row)| table_row(id, row, layout)).collect::<Vec<_>>(),
            chart => chart(point, layout),
        }
    };
    let placed = layout.groups.iter().flat_map(|group| group.points.iter().map(move |point| (group, point)));
    placed.filter(|(_, point)| is_open(point)).map(entry).collect()
}

fn table_row(id: &str, row: &Row, layout: &Layout<'_>) -> Value {
    let table = row.open_loop.as_ref().filter(|table| table.shared_clock);
    let percentiles = table.iter().flat_map(|table| table.percentiles.iter().map(|it| percentile(table, it)));
    context! {
        id,
        label => name(&row.label),
        number => layout.label_number(&row.label),
        rate => labels::median(row.input_rate, number::quantity),
        no_latency => if table.is_none() { latency::reason(row) } else { None },
        percentiles => percentiles.collect::<Vec<_>>(),
    }
}

fn percentile(table: &OpenLoopLatency, percentile: &PercentileSpread) -> Value {
    let cell = |(_, of): (_, fn(&PercentileSpread) -> _)| {
        context! { median => latency::cell(of(percentile)), range => latency::range(of(percentile)) }
    };
    let missing = percentile.scheduled.is_none().then(|| latency::missing(table, percentile));
    context! { name => &percentile.name, cells => latency::KINDS.map(cell).to_vec(), missing }
}

/// The curves of a row, scheduled and service: quantiles, and the latency in seconds.
struct Curves<'a> {
    id: &'a str,
    row: &'a Row,
    curves: [Vec<(f64, f64)>; 2],
}

fn curves<'a>((id, row): &'a (String, &'a Row)) -> Option<Curves<'a>> {
    let latency = row.compared_latency.as_ref()?;
    let curves = [&latency.scheduled, &latency.service].map(|curve| {
        let on_both_axes = curve.iter().filter(|(quantile, ms)| (0.0..1.0).contains(quantile) && *ms > 0.0);
        on_both_axes.map(|(quantile, ms)| (*quantile, ms / 1e3)).collect::<Vec<_>>()
    });
    (!curves[0].is_empty()).then_some(Curves { id, row, curves })
}

/// The position on the x axis: one in this many items is slower.
fn one_in(quantile: f64) -> f64 {
    1.0 / (1.0 - quantile)
}

fn chart(point: &PlacedPoint<'_>, layout: &Layout<'_>) -> Option<Value> {
    let curves: Vec<_> = point.rows.iter().filter_map(curves).collect();
    let points = || curves.iter().flat_map(|row| &row.curves).flatten();
    let quantiles = || points().map(|(quantile, _)| *quantile);
    let seconds = points().map(|(_, seconds)| *seconds);
    let plot = Plot::over(LARGER, Scale::Logarithmic, quantiles().map(one_in), seconds)?;
    let (least, most) = (quantiles().fold(1.0, f64::min), quantiles().fold(0.0, f64::max));
    let ticks = TICKS.into_iter().filter(|(quantile, _)| (least..=most).contains(quantile));
    Some(context! {
        description => curves.iter().map(description).collect::<Vec<_>>().join("; "),
        legend => layout.legend(curves.iter().map(|row| row.row.label.as_str())),
        // The labels of these ticks keep their zeros.
        x_ticks => ticks.map(|(quantile, text)| context! { position => plot.x(one_in(quantile)), text }).collect::<Vec<_>>(),
        y_ticks => plot.y_ticks(number::duration),
        curves => curves.iter().flat_map(|row| row.plotted(&plot, layout)).collect::<Vec<_>>(),
    })
}

/// A description of the chart for screen readers.
fn description(Curves { row, curves, .. }: &Curves<'_>) -> String {
    let [scheduled, service] = curves
        .each_ref()
        .map(|curve| or_none(curve.last(), |(quantile, seconds)| at_quantile(*quantile, *seconds)));
    format!("{}: scheduled up to {scheduled}, service up to {service}", name(&row.label))
}

/// `2.50 ms at 99.9 %`.
fn at_quantile(quantile: f64, seconds: f64) -> String {
    format!("{} at {} %", number::duration(seconds), (quantile * 1e7).round() / 1e5)
}

impl Curves<'_> {
    fn plotted(&self, plot: &Plot, layout: &Layout<'_>) -> impl Iterator<Item = Value> {
        let label = &self.row.label;
        self.curves.iter().zip(["scheduled", "service"]).map(move |(curve, kind)| {
            let points = curve.iter().map(|(quantile, seconds)| CurvePoint {
                x: one_in(*quantile),
                y: *seconds,
                range: None,
                title: self
                    .is_in_the_table(*quantile)
                    .then(|| format!("{}, {kind}: {}", name(label), at_quantile(*quantile, *seconds))),
                row: self.id.to_owned(),
            });
            context! { service => kind == "service", ..plot.curve(layout.label_number(label), points) }
        })
    }

    fn is_in_the_table(&self, quantile: f64) -> bool {
        let mut percentiles = self.row.open_loop.iter().flat_map(|table| &table.percentiles);
        percentiles.any(|it| it.quantile == quantile)
    }
}
