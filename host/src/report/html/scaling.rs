//! Charts of throughput over parallelism and over the number of items, where several were measured.

use serde::Serialize;

use super::chart::{Edges, Label, Plot, add_range, go_on};
use super::layout::{Group, Layout, Placed};
use crate::compare::model::{Point, Row, Spread};
use crate::report::{figure, words};

/// The plot within a picture of 400 by 250.
const EDGES: Edges = Edges { left: 52.0, right: 388.0, top: 12.0, bottom: 212.0 };

/// How many charts a workload has over one setting: the tables have the others.
const CHARTS: usize = 6;

/// One workload with everything fixed but one setting.
#[derive(Serialize)]
pub(super) struct Chart {
    workload: String,
    fixed: String,
    over: &'static str,
    across: Vec<Label>,
    up: Vec<Label>,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    look: usize,
    path: String,
    ranges: String,
    marks: Vec<Mark>,
}

#[derive(Serialize)]
struct Mark {
    cell: usize,
    x: String,
    y: String,
    title: String,
}

/// A setting that a chart varies.
struct Over {
    name: &'static str,
    of: fn(&Point) -> Option<u64>,
    without: fn(&mut Point),
}

const OVER: [Over; 2] = [
    Over {
        name: "parallelism",
        of: |point| Some(point.parallelism.into()),
        without: |point| point.parallelism = 0,
    },
    Over { name: "items", of: |point| point.items, without: |point| point.items = None },
];

/// One point of a line: where it stands across, its row, and its rate.
type Step<'a> = (u64, usize, &'a Row, Spread);

pub(super) fn charts(layout: &Layout<'_>) -> Vec<Chart> {
    let of_group = |group| OVER.iter().flat_map(move |over| of(over, group, layout));
    layout.groups.iter().flat_map(of_group).collect()
}

fn of(over: &Over, group: &Group<'_>, layout: &Layout<'_>) -> Vec<Chart> {
    let mut families: Vec<(Point, Vec<&Placed<'_>>)> = Vec::new();
    for placed in &group.points {
        let fixed = fixed(over, placed.point);
        match families.iter_mut().find(|(other, _)| *other == fixed) {
            Some((_, members)) => members.push(placed),
            None => families.push((fixed, vec![placed])),
        }
    }
    let charts = families.iter().filter_map(|(fixed, members)| chart(over, group, fixed, members, layout));
    charts.take(CHARTS).collect()
}

/// The point without the setting that varies (no point has a parallelism of 0) and without what was measured.
fn fixed(over: &Over, point: &Point) -> Point {
    let Point { workload, items, parallelism, scheduler, nodes, extra, .. } = point;
    let mut fixed = Point {
        id: String::new(),
        workload: workload.clone(),
        items: *items,
        parallelism: *parallelism,
        scheduler: scheduler.clone(),
        nodes: *nodes,
        extra: extra.clone(),
        rows: Vec::new(),
        noise_floor: None,
    };
    (over.without)(&mut fixed);
    fixed
}

fn chart(
    over: &Over,
    group: &Group<'_>,
    fixed: &Point,
    members: &[&Placed<'_>],
    layout: &Layout<'_>,
) -> Option<Chart> {
    let mut settings: Vec<u64> = members.iter().filter_map(|placed| (over.of)(placed.point)).collect();
    settings.sort_unstable();
    settings.dedup();
    if settings.len() < 2 {
        return None;
    }
    let lines: Vec<_> = layout.labels.iter().map(|label| (*label, steps(over, members, label))).collect();
    let rates = lines.iter().flat_map(|(_, steps)| steps).flat_map(|(_, _, _, rate)| [rate.min, rate.max]);
    let plot = Plot::around(EDGES, settings.iter().map(|setting| *setting as f64), rates)?;
    let drawn = lines.iter().filter(|(_, steps)| !steps.is_empty());
    Some(Chart {
        workload: group.workload.clone(),
        fixed: words::settings(fixed),
        over: over.name,
        across: settings
            .iter()
            .map(|it| Label { place: plot.x(*it as f64), text: figure::tick(&figure::quantity(*it as f64)) })
            .collect(),
        up: plot.ticks_up(figure::quantity),
        lines: drawn.map(|(label, steps)| draw(label, steps, &plot, layout)).collect(),
    })
}

fn steps<'a>(over: &Over, members: &[&Placed<'a>], label: &str) -> Vec<Step<'a>> {
    let step = |placed: &&Placed<'a>| {
        let (cell, row) = placed.rows.iter().find(|(_, row)| row.label == label)?;
        Some(((over.of)(placed.point)?, *cell, *row, row.input_rate?))
    };
    let mut steps: Vec<_> = members.iter().filter_map(step).collect();
    steps.sort_by_key(|step| step.0);
    steps
}

fn draw(label: &str, steps: &[Step<'_>], plot: &Plot, layout: &Layout<'_>) -> Line {
    let (mut path, mut ranges) = (String::new(), String::new());
    let mut marks = Vec::new();
    for (setting, cell, _, rate) in steps {
        let x = plot.x(*setting as f64);
        let [low, middle, high] = [rate.min, rate.median, rate.max].map(|rate| plot.y(rate));
        go_on(&mut path, &x, &middle);
        add_range(&mut ranges, &x, &low, &high);
        let title = format!(
            "{}: {} items/s at {}",
            words::line(label, 60),
            figure::quantity(rate.median),
            figure::count(*setting)
        );
        marks.push(Mark { cell: *cell, x, y: middle, title });
    }
    Line { name: words::line(label, 60), look: layout.look(label), path, ranges, marks }
}
