//! Charts of throughput over parallelism and over the number of items, where several were measured.

use minijinja::{Value, context};

use super::layout::{Group, Layout, PlacedPoint};
use super::plot::{CurvePoint, Plot, SMALL, label};
use crate::compare::model::Point;
use crate::first_seen::grouped;
use crate::report::axis::Scale;
use crate::report::labels::{self, name};
use crate::report::number;

/// How many charts a workload has over one setting. The tables have the others.
const MAX_CHARTS: usize = 6;

/// A setting on the x axis of a chart.
struct Setting {
    name: &'static str,
    of: fn(&Point) -> Option<u64>,
    remove: fn(&mut Point),
}

const SETTINGS: [Setting; 2] = [
    Setting {
        name: "parallelism",
        of: |point| Some(point.parallelism.into()),
        remove: |point| point.parallelism = 0,
    },
    Setting { name: "items", of: |point| point.items, remove: |point| point.items = None },
];

pub(super) fn charts(layout: &Layout<'_>) -> Vec<Value> {
    let of_group = |group| SETTINGS.iter().flat_map(move |setting| charts_over(setting, group, layout));
    layout.groups.iter().flat_map(of_group).collect()
}

/// One chart for the points that differ in this setting only.
fn charts_over(setting: &Setting, group: &Group<'_>, layout: &Layout<'_>) -> Vec<Value> {
    let families = grouped(group.points.iter().map(|point| (fixed(setting, point.point), point)));
    let chart = |(fixed, members): &(Point, Vec<_>)| {
        let chart = chart(setting, members, layout)?;
        let (workload, over) = (&group.workload, setting.name);
        Some(context! {
            group => group.number,
            title => format!("{workload} over {over}"),
            description => format!("items per second of {workload} over {over}"),
            fixed => labels::settings(fixed),
            over,
            ..chart
        })
    };
    families.iter().filter_map(chart).take(MAX_CHARTS).collect()
}

/// The point without this setting (no point has a parallelism of 0) and without its results.
fn fixed(setting: &Setting, point: &Point) -> Point {
    let mut fixed = Point {
        workload: point.workload.clone(),
        items: point.items,
        parallelism: point.parallelism,
        scheduler: point.scheduler.clone(),
        nodes: point.nodes,
        extra: point.extra.clone(),
        ..Point::default()
    };
    (setting.remove)(&mut fixed);
    fixed
}

fn chart(setting: &Setting, members: &[&PlacedPoint<'_>], layout: &Layout<'_>) -> Option<Value> {
    let mut values: Vec<u64> = members.iter().filter_map(|point| (setting.of)(point.point)).collect();
    values.sort_unstable();
    values.dedup();
    if values.len() < 2 {
        return None;
    }
    let curves = layout.labels.iter().map(|label| (*label, curve(setting, members, label)));
    let curves: Vec<_> = curves.filter(|(_, points)| !points.is_empty()).collect();
    let rates = curves.iter().flat_map(|(_, points)| points).filter_map(|point| point.range).flatten();
    let plot = Plot::over(SMALL, Scale::Logarithmic, values.iter().map(|value| *value as f64), rates)?;
    let tick = |value: &u64| label(plot.x(*value as f64), number::quantity(*value as f64));
    let drawn = |(label, points)| plot.curve(layout.label_number(label), points);
    Some(context! {
        x_ticks => values.iter().map(tick).collect::<Vec<_>>(),
        y_ticks => plot.y_ticks(number::quantity),
        curves => curves.into_iter().map(drawn).collect::<Vec<_>>(),
    })
}

fn curve(setting: &Setting, members: &[&PlacedPoint<'_>], label: &str) -> Vec<CurvePoint> {
    let point = |point: &&PlacedPoint<'_>| {
        let (id, row) = point.rows.iter().find(|(_, row)| row.label == label)?;
        let (value, rate) = ((setting.of)(point.point)?, row.input_rate?);
        let (quantity, count) = (number::quantity(rate.median), number::count(value));
        Some(CurvePoint {
            x: value as f64,
            y: rate.median,
            range: Some([rate.min, rate.max]),
            title: Some(format!("{}: {quantity} items/s at {count}", name(label))),
            row: id.clone(),
        })
    };
    let mut points: Vec<_> = members.iter().filter_map(point).collect();
    points.sort_by(|one, other| one.x.total_cmp(&other.x));
    points
}
