//! The latency of open loops: a table of every percentile, and its curve.

use serde::Serialize;

use super::chart::{Edges, Label, Mark, Plot, go_on};
use super::layout::{Layout, Placed, Series};
use crate::compare::model::{OpenLoopLatency, PercentileSpread, Row};
use crate::report::{figure, latency, words};

/// The plot within a picture of 400 by 270.
const EDGES: Edges = Edges { left: 52.0, right: 388.0, top: 12.0, bottom: 228.0 };
/// The quantiles that the axis names, with their names.
const NAMED: [(f64, &str); 7] = [
    (0.0, "0 %"),
    (0.5, "50 %"),
    (0.9, "90 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.9999, "99.99 %"),
    (0.999_99, "99.999 %"),
];

#[derive(Serialize)]
pub(super) struct Load {
    number: usize,
    workload: String,
    settings: String,
    rows: Vec<Entry>,
    chart: Option<Chart>,
}

/// A backend in the table.
#[derive(Serialize)]
struct Entry {
    cell: usize,
    label: String,
    /// Items that went in per second.
    rate: String,
    /// Why there is nothing of it.
    nothing: Option<String>,
    percentiles: Vec<Percentile>,
}

#[derive(Serialize)]
struct Percentile {
    name: String,
    /// Scheduled, service, lag.
    figures: Vec<Figure>,
    /// Why there are none.
    missing: Option<String>,
}

#[derive(Serialize)]
struct Figure {
    median: String,
    range: Option<String>,
}

#[derive(Serialize)]
struct Chart {
    description: String,
    legend: Vec<Series>,
    across: Vec<Label>,
    up: Vec<Label>,
    lines: Vec<Line>,
}

/// A curve of one backend.
#[derive(Serialize)]
struct Line {
    cell: usize,
    look: usize,
    service: bool,
    path: String,
    marks: Vec<Mark>,
}

pub(super) fn loads(layout: &Layout<'_>) -> Vec<Load> {
    let is_open = |placed: &&Placed<'_>| placed.rows.iter().any(|(_, row)| row.open_loop.is_some());
    layout.points().filter(is_open).map(|placed| load(placed, layout)).collect()
}

fn load(placed: &Placed<'_>, layout: &Layout<'_>) -> Load {
    Load {
        number: placed.number,
        workload: words::line(&placed.point.workload, 60),
        settings: words::settings(placed.point),
        rows: placed.rows.iter().map(|(cell, row)| entry(*cell, row)).collect(),
        chart: chart(placed, layout),
    }
}

fn entry(cell: usize, row: &Row) -> Entry {
    let table = row.open_loop.as_ref().filter(|table| table.shared_clock);
    Entry {
        cell,
        label: words::line(&row.label, 60),
        rate: words::median(row.input_rate.as_ref(), figure::quantity),
        nothing: if table.is_none() { latency::reason(row) } else { None },
        percentiles: table
            .map(|table| table.percentiles.iter().map(|it| percentile(table, it)).collect())
            .unwrap_or_default(),
    }
}

fn percentile(table: &OpenLoopLatency, percentile: &PercentileSpread) -> Percentile {
    let figures = latency::KINDS.map(|(_, of)| Figure {
        median: latency::cell(of(percentile)),
        range: latency::range(of(percentile)),
    });
    let missing = percentile.scheduled.is_none().then(|| latency::missing(table, percentile));
    Percentile { name: percentile.name.clone(), figures: figures.into(), missing }
}

/// A curve: quantiles, and milliseconds.
type Curve<'a> = &'a [(f64, f64)];

/// The curves of a point: row by row the scheduled one, then the other.
fn curves<'a>(placed: &Placed<'a>) -> Vec<(usize, &'a Row, [Curve<'a>; 2])> {
    let of = |(cell, row): &(usize, &'a Row)| {
        let latency = row.compared_latency.as_ref()?;
        Some((*cell, *row, [latency.scheduled.as_slice(), latency.service.as_slice()]))
    };
    placed.rows.iter().filter_map(of).filter(|(_, _, [scheduled, _])| drawn(scheduled).count() > 0).collect()
}

/// What has a place on both axes: the place across grows with how few items are slower.
fn drawn(curve: Curve<'_>) -> impl Iterator<Item = (f64, f64, f64)> {
    let known =
        curve.iter().filter(|(quantile, milliseconds)| (0.0..1.0).contains(quantile) && *milliseconds > 0.0);
    known.map(|(quantile, milliseconds)| (*quantile, rarity(*quantile), milliseconds / 1e3))
}

/// One of how many items is slower.
fn rarity(quantile: f64) -> f64 {
    1.0 / (1.0 - quantile)
}

fn chart(placed: &Placed<'_>, layout: &Layout<'_>) -> Option<Chart> {
    let curves = curves(placed);
    let points = || curves.iter().flat_map(|(_, _, both)| both).flat_map(|curve| drawn(curve));
    let rarities = points().map(|(_, rarity, _)| rarity);
    let plot = Plot::around(EDGES, rarities, points().map(|(_, _, seconds)| seconds))?;
    let reach = points().map(|(quantile, _, _)| quantile).fold(0.0, f64::max);
    let least = points().map(|(quantile, _, _)| quantile).fold(1.0, f64::min);
    let named = NAMED.iter().filter(|(quantile, _)| (least..=reach).contains(quantile));
    let series = |(_, row, _): &(usize, &Row, _)| Series {
        name: words::line(&row.label, 60),
        look: layout.look(&row.label),
    };
    Some(Chart {
        description: description(&curves),
        legend: curves.iter().map(series).collect(),
        across: named
            .map(|(quantile, text)| Label { place: plot.x(rarity(*quantile)), text: (*text).into() })
            .collect(),
        up: plot.ticks_up(figure::duration),
        lines: curves.iter().flat_map(|curve| lines(curve, &plot, layout)).collect(),
    })
}

/// What the picture shows, for whoever does not see it.
fn description(curves: &[(usize, &Row, [Curve<'_>; 2])]) -> String {
    let of = |(_, row, both): &(usize, &Row, [Curve<'_>; 2])| {
        let ends = both.map(|curve| {
            let last = drawn(curve).last();
            last.map_or_else(
                || words::NONE.into(),
                |(quantile, _, seconds)| format!("{} at {}", figure::duration(seconds), share(quantile)),
            )
        });
        format!("{}: scheduled up to {}, service up to {}", words::line(&row.label, 60), ends[0], ends[1])
    };
    curves.iter().map(of).collect::<Vec<_>>().join("; ")
}

/// `99.9 %`.
fn share(quantile: f64) -> String {
    format!("{} %", (quantile * 1e7).round() / 1e5)
}

fn lines((cell, row, both): &(usize, &Row, [Curve<'_>; 2]), plot: &Plot, layout: &Layout<'_>) -> Vec<Line> {
    let line = |(curve, service): (&Curve<'_>, bool)| {
        let (mut path, mut marks) = (String::new(), Vec::new());
        for (quantile, rarity, seconds) in drawn(curve) {
            let (x, y) = (plot.x(rarity), plot.y(seconds));
            go_on(&mut path, &x, &y);
            if is_in_the_table(row, quantile) {
                let kind = if service { "service" } else { "scheduled" };
                let title = format!(
                    "{}, {kind}: {} at {}",
                    words::line(&row.label, 60),
                    figure::duration(seconds),
                    share(quantile)
                );
                marks.push(Mark { x, y, title });
            }
        }
        Line { cell: *cell, look: layout.look(&row.label), service, path, marks }
    };
    both.iter().zip([false, true]).map(line).collect()
}

fn is_in_the_table(row: &Row, quantile: f64) -> bool {
    let percentiles = row.open_loop.iter().flat_map(|table| &table.percentiles);
    percentiles.into_iter().any(|it| it.quantile == quantile)
}
