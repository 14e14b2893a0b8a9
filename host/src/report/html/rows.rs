//! Charts with a line a row: throughput, ratios, stages, memory and processor time.

use std::fmt::Write;

use serde::Serialize;

use super::chart::Label;
use super::layout::{Group, Layout, Placed};
use crate::compare::model::{Comparison, Row, Spread};
use crate::report::axis::{Axis, Scale};
use crate::report::{figure, words};

/// Charts of one kind, one a workload.
#[derive(Serialize)]
pub(super) struct Section {
    id: &'static str,
    title: &'static str,
    explanation: String,
    legend: Vec<Key>,
    charts: Vec<Chart>,
}

/// What a shape stands for where the rows do not tell.
#[derive(Serialize)]
struct Key {
    name: &'static str,
    shape: usize,
}

#[derive(Serialize)]
struct Chart {
    workload: String,
    ticks: Vec<Label>,
    /// Where the axis has the ratio 1 and the margin around it.
    one: Option<String>,
    band: Option<[String; 2]>,
    points: Vec<Lines>,
    /// How many rows are not drawn, in words.
    left_out: Option<String>,
}

#[derive(Serialize)]
struct Lines {
    settings: String,
    rows: Vec<Drawn>,
}

/// A row with its drawing: a path a thing, over a width of 1000 that the browser stretches.
#[derive(Serialize)]
struct Drawn {
    cell: usize,
    name: String,
    look: usize,
    raw: String,
    range: String,
    bar: Option<String>,
    marks: Vec<Mark>,
    said: String,
}

#[derive(Serialize)]
struct Mark {
    place: String,
    shape: usize,
    title: String,
}

/// About how many rows a chart has: more than a screen of them nobody compares by eye.
const ROWS: usize = 32;

/// What a chart shows of a row.
#[derive(Default)]
struct Figures {
    /// One of each block.
    raw: Vec<f64>,
    /// From where to where it reaches.
    range: Option<(f64, f64)>,
    /// From zero to here.
    bar: Option<f64>,
    /// What stands out: the figure, the shape (none: that of the row's label), and what it is.
    marks: Vec<(f64, Option<usize>, String)>,
    said: String,
}

impl Figures {
    fn all(&self) -> impl Iterator<Item = f64> {
        let ends = self.range.into_iter().flat_map(|(low, high)| [low, high]);
        let marks = self.marks.iter().map(|mark| mark.0);
        self.raw.iter().copied().chain(ends).chain(self.bar).chain(marks)
    }
}

/// How charts of one kind are made.
struct Kind {
    id: &'static str,
    title: &'static str,
    explanation: String,
    legend: Vec<Key>,
    scale: Scale,
    tick: fn(f64) -> String,
    figures: fn(&Row) -> Option<Figures>,
    /// Differences that count for nothing, in a chart of ratios.
    margin: Option<f64>,
}

/// How fast each row is.
pub(super) fn speed(comparison: &Comparison, layout: &Layout<'_>) -> Vec<Section> {
    sections([throughputs(), ratios(comparison)], layout)
}

/// What each row costs beside its runs.
pub(super) fn costs(layout: &Layout<'_>) -> Vec<Section> {
    sections([all_stages(), memories(), processors()], layout)
}

/// The kinds of which there is anything to show.
fn sections(kinds: impl IntoIterator<Item = Kind>, layout: &Layout<'_>) -> Vec<Section> {
    let sections = kinds.into_iter().map(|kind| {
        let charts = layout.groups.iter().filter_map(|group| chart(&kind, group, layout)).collect();
        let Kind { id, title, explanation, legend, .. } = kind;
        Section { id, title, explanation, legend, charts }
    });
    sections.filter(|section| !section.charts.is_empty()).collect()
}

fn throughputs() -> Kind {
    Kind {
        id: "throughput",
        title: "Throughput",
        explanation:
            "Items that went in per second (where records do not count them: items that came out); more is \
                      better. A stroke is one block, the mark their median. The axis is logarithmic."
                .into(),
        legend: Vec::new(),
        scale: Scale::Logarithmic,
        tick: figure::quantity,
        figures: throughput,
        margin: None,
    }
}

fn ratios(comparison: &Comparison) -> Kind {
    let baseline = comparison.baseline.as_deref().map_or_else(String::new, |name| words::line(name, 60));
    let margin = figure::percent(comparison.margin - 1.0);
    Kind {
        id: "ratios",
        title: "Ratios",
        explanation: format!(
            "How many times as fast as {baseline}; right of the dashed line is faster. The bar is the interval, the \
             band the {margin} that count for nothing. The axis is logarithmic."
        ),
        legend: Vec::new(),
        scale: Scale::Logarithmic,
        tick: figure::ratio,
        figures: ratio,
        margin: Some(comparison.margin),
    }
}

fn all_stages() -> Kind {
    Kind {
        id: "stages",
        title: "Start, first run, steady state, shutdown",
        explanation: "Medians over the blocks; less is better. The axis is logarithmic.".into(),
        legend: STAGES.map(|(name, shape)| Key { name, shape }).into(),
        scale: Scale::Logarithmic,
        tick: figure::duration,
        figures: stages,
        margin: None,
    }
}

fn memories() -> Kind {
    Kind {
        id: "memory",
        title: "Memory",
        explanation:
            "The sum of the peaks of resident memory of all processes of the tree: median, and from the \
                      smallest to the largest."
                .into(),
        legend: Vec::new(),
        scale: Scale::Linear,
        tick: mebibytes,
        figures: memory,
        margin: None,
    }
}

fn processors() -> Kind {
    Kind {
        id: "processor",
        title: "Processor time",
        explanation:
            "What the whole process tree used in a run, user and system together: median, and from the \
                      smallest to the largest."
                .into(),
        legend: Vec::new(),
        scale: Scale::Linear,
        tick: figure::duration,
        figures: processor,
        margin: None,
    }
}

/// The stages, and the shape of each.
const STAGES: [(&str, usize); 5] =
    [("load", 4), ("start of the engine", 1), ("first run", 3), ("steady run", 0), ("shutdown", 2)];

const MEBIBYTE: f64 = 1_048_576.0;

fn mebibytes(mebibytes: f64) -> String {
    figure::memory(mebibytes * MEBIBYTE)
}

fn throughput(row: &Row) -> Option<Figures> {
    let (spread, said) = match (&row.input_rate, &row.output_rate) {
        (Some(input), _) => (input, figure::quantity(input.median)),
        (None, Some(output)) => (output, format!("{} out", figure::quantity(output.median))),
        (None, None) => return None,
    };
    // A rate is a constant over the duration, so the median's constant places every sample.
    let constant = row.duration.map_or(0.0, |duration| duration.median * spread.median);
    let raw = row.samples.iter().filter_map(|sample| sample.duration).map(|duration| constant / duration);
    let title = format!("{said} items/s, median of {}", spread.n);
    Some(Figures {
        raw: raw.collect(),
        marks: vec![(spread.median, None, title)],
        said,
        ..Figures::default()
    })
}

fn ratio(row: &Row) -> Option<Figures> {
    let ratio = row.ratio?;
    let interval = ratio.interval.map(|interval| (interval.low, interval.high));
    let mut said = figure::ratio(ratio.estimate);
    if let Some((low, high)) = interval {
        let _ = write!(said, " ({})", figure::interval(low, high));
    }
    let marks = vec![(ratio.estimate, None, said.clone())];
    Some(Figures { range: interval, marks, said, ..Figures::default() })
}

fn stages(row: &Row) -> Option<Figures> {
    let of = [row.stages.load, row.stages.open, row.stages.first, row.duration, row.stages.close];
    let marks = of.iter().zip(STAGES).filter_map(|(spread, (name, shape))| {
        let median = spread.as_ref()?.median;
        Some((median, Some(shape), format!("{name}: {}", figure::duration(median))))
    });
    let marks: Vec<_> = marks.collect();
    // The steady state alone stands in the tables.
    (marks.len() > 1).then(|| Figures { marks, ..Figures::default() })
}

fn memory(row: &Row) -> Option<Figures> {
    let spread = row.resources?.peak_memory_bytes?;
    Some(bar(&spread, MEBIBYTE, figure::memory))
}

fn processor(row: &Row) -> Option<Figures> {
    Some(bar(&row.resources?.cpu_seconds?, 1.0, figure::duration))
}

fn bar(spread: &Spread, unit: f64, words: fn(f64) -> String) -> Figures {
    let said = words(spread.median);
    Figures {
        range: Some((spread.min / unit, spread.max / unit)),
        bar: Some(spread.median / unit),
        marks: vec![(spread.median / unit, None, format!("{said}, median of {}", spread.n))],
        said,
        ..Figures::default()
    }
}

/// A point with what there is to show of its rows.
type Shown<'a> = (&'a Placed<'a>, Vec<(usize, &'a Row, Figures)>);

fn chart(kind: &Kind, group: &Group<'_>, layout: &Layout<'_>) -> Option<Chart> {
    let (shown, left_out) = shown(kind, group);
    let rows = shown.iter().flat_map(|(_, rows)| rows);
    let margin = kind.margin.map(|margin| [1.0 / margin, margin]);
    let figures = rows.flat_map(|(_, _, figures)| figures.all()).chain(margin.into_iter().flatten());
    let axis = Axis::around(kind.scale, figures).filter(|_| !shown.is_empty())?;
    let label = |tick: crate::report::axis::Tick| Label {
        place: part(tick.place),
        text: figure::tick(&(kind.tick)(tick.value)),
    };
    let lines = |(placed, rows): &Shown<'_>| Lines {
        settings: words::settings(placed.point),
        rows: rows.iter().map(|(cell, row, figures)| draw(*cell, row, figures, &axis, layout)).collect(),
    };
    Some(Chart {
        workload: group.workload.clone(),
        ticks: axis.ticks().into_iter().map(label).collect(),
        one: margin.map(|_| part(axis.place(1.0))),
        band: margin.map(|ends| {
            let [low, high] = ends.map(|end| axis.place(end));
            [part(low), part(high - low)]
        }),
        points: shown.iter().map(lines).collect(),
        left_out: (left_out > 0).then(|| crate::text::plural(left_out as u64, "more row")),
    })
}

/// The first points, until their rows are [`ROWS`], and how many rows are left out.
fn shown<'a>(kind: &Kind, group: &'a Group<'a>) -> (Vec<Shown<'a>>, usize) {
    let (mut shown, mut drawn, mut left_out) = (Vec::new(), 0, 0);
    for placed in &group.points {
        let figures = |(cell, row): &(usize, &'a Row)| Some((*cell, *row, (kind.figures)(row)?));
        let rows: Vec<_> = placed.rows.iter().filter_map(figures).collect();
        if rows.is_empty() {
            continue;
        }
        if drawn > 0 && drawn + rows.len() > ROWS {
            left_out += rows.len();
        } else {
            drawn += rows.len();
            shown.push((placed, rows));
        }
    }
    (shown, left_out)
}

fn draw(cell: usize, row: &Row, figures: &Figures, axis: &Axis, layout: &Layout<'_>) -> Drawn {
    let look = layout.look(&row.label);
    let mark = |(value, shape, title): &(f64, Option<usize>, String)| Mark {
        place: part(axis.place(*value)),
        shape: shape.unwrap_or(look),
        title: title.clone(),
    };
    Drawn {
        cell,
        name: words::line(&row.label, 60),
        look,
        raw: figures
            .raw
            .iter()
            .fold(String::new(), |path, value| path + &format!("M{} 6v14", along(axis, *value))),
        range: figures.range.map_or_else(String::new, |(low, high)| {
            let (low, high) = (along(axis, low), along(axis, high));
            format!("M{low} 13H{high}M{low} 8v10M{high} 8v10")
        }),
        bar: figures.bar.map(|value| part(axis.place(value))),
        marks: figures.marks.iter().map(mark).collect(),
        said: figures.said.clone(),
    }
}

/// A place in a drawing of a width of 1000.
fn along(axis: &Axis, value: f64) -> u32 {
    (axis.place(value) * 10.0).round() as u32
}

/// A part of the width, in percent.
fn part(place: f64) -> String {
    format!("{place:.1}")
}
