//! What stands first: what was compared, what to beware of, the tables, and what worked where.

use serde::Serialize;

use super::layout::{Group, Layout, Placed};
use crate::compare::model::{Comparison, Rigor, Row, Warning};
use crate::report::figure;
use crate::report::words::{self, Call, Line};
use crate::text::plural;

#[derive(Serialize)]
pub(super) struct Summary {
    lead: String,
    method: String,
    baseline: Option<String>,
    notices: Vec<Notice>,
    notes: Vec<String>,
    geomeans: Vec<Mean>,
    workloads: Vec<Workload>,
    matrix: Matrix,
}

/// A warning, and the points that it concerns.
#[derive(Serialize)]
struct Notice {
    message: String,
    points: Vec<Link>,
    more: usize,
}

#[derive(Serialize)]
struct Link {
    number: usize,
    text: String,
}

#[derive(Serialize)]
struct Mean {
    backend: String,
    ratio: String,
    coverage: String,
}

#[derive(Serialize)]
struct Workload {
    name: String,
    points: Vec<Table>,
}

#[derive(Serialize)]
struct Table {
    number: usize,
    settings: String,
    rows: Vec<Entry>,
    failures: Vec<Told>,
}

#[derive(Serialize)]
struct Entry {
    cell: usize,
    line: Line,
    more_blocks: Option<u32>,
}

/// A failure in words, and the row that it is of.
#[derive(Serialize)]
struct Told {
    cell: usize,
    label: String,
    text: String,
}

/// What worked: a line a point, a column a label.
#[derive(Serialize)]
struct Matrix {
    labels: Vec<String>,
    points: Vec<Worked>,
}

#[derive(Serialize)]
struct Worked {
    number: usize,
    name: String,
    cells: Vec<Option<Outcome>>,
}

#[derive(Serialize)]
struct Outcome {
    cell: usize,
    sign: &'static str,
    bad: bool,
    text: String,
}

/// How many points a warning names: it may concern hundreds.
const NAMED: usize = 4;

impl Summary {
    pub(super) fn of(comparison: &Comparison, layout: &Layout<'_>) -> Self {
        Self {
            lead: lead(comparison, layout),
            method: method(comparison),
            baseline: comparison.baseline.as_deref().map(|name| words::line(name, 60)),
            notices: comparison.warnings.iter().map(|warning| notice(warning, layout)).collect(),
            notes: words::notes(comparison).split_off(comparison.warnings.len()),
            geomeans: means(comparison),
            workloads: layout.groups.iter().map(workload).collect(),
            matrix: matrix(layout),
        }
    }
}

fn lead(comparison: &Comparison, layout: &Layout<'_>) -> String {
    let count = |number: usize, noun: &str| plural(number as u64, noun);
    let trials: u32 = layout.rows().map(|(_, _, row)| row.counts.trials).sum();
    let verified: u32 = layout.rows().map(|(_, _, row)| row.counts.verified).sum();
    format!(
        "{} on {}, {}. Of {} measured, {} gave a verified answer.",
        count(layout.backends(), "backend"),
        count(layout.groups.len(), "workload"),
        count(comparison.points.len(), "point"),
        plural(trials.into(), "trial"),
        figure::count(verified.into()),
    )
}

fn method(comparison: &Comparison) -> String {
    let margin = figure::percent(comparison.margin - 1.0);
    match comparison.rigor {
        Rigor::Quick => "A quick comparison: medians and ratios, without intervals and verdicts.".into(),
        Rigor::Standard => {
            format!(
                "A verdict holds with 95 % confidence for itself; differences up to {margin} count for nothing."
            )
        }
        Rigor::Publish => format!(
            "Verdicts hold for the table as a whole (Holm, 95 %); differences up to {margin} count for nothing."
        ),
    }
}

fn notice(warning: &Warning, layout: &Layout<'_>) -> Notice {
    let link = |placed: &Placed<'_>| Link { number: placed.number, text: words::point(placed.point) };
    // What concerns every point needs no list of them.
    let everywhere = warning.points.len() == layout.points().count();
    let points = if everywhere { &[] } else { warning.points.as_slice() };
    let named = points.iter().take(NAMED).filter_map(|id| layout.point(id));
    Notice {
        message: words::line(&warning.message, 1000),
        points: named.map(link).collect(),
        more: points.len().saturating_sub(NAMED),
    }
}

/// None where they would repeat the only point, or say nothing.
fn means(comparison: &Comparison) -> Vec<Mean> {
    let mean = |mean: &crate::compare::model::Geomean| Mean {
        backend: words::line(&mean.backend, 60),
        ratio: mean.ratio.map_or_else(|| words::NONE.into(), figure::ratio),
        coverage: format!("{} of {}", mean.covered, plural(mean.points.into(), "point")),
    };
    let tells = comparison.points.len() > 1 && comparison.geomeans.iter().any(|mean| mean.ratio.is_some());
    if tells { comparison.geomeans.iter().map(mean).collect() } else { Vec::new() }
}

fn workload(group: &Group<'_>) -> Workload {
    let table = |placed: &Placed<'_>| Table {
        number: placed.number,
        settings: words::settings(placed.point),
        rows: placed.rows.iter().map(|(cell, row)| entry(*cell, row)).collect(),
        failures: placed.rows.iter().flat_map(|(cell, row)| told(*cell, row)).collect(),
    };
    Workload { name: group.workload.clone(), points: group.points.iter().map(table).collect() }
}

fn entry(cell: usize, row: &Row) -> Entry {
    Entry { cell, line: Line::of(row), more_blocks: row.ratio.as_ref().and_then(words::more_blocks) }
}

fn told(cell: usize, row: &Row) -> impl Iterator<Item = Told> {
    let label = words::line(&row.label, 60);
    row.failures.iter().map(move |failure| Told {
        cell,
        label: label.clone(),
        text: words::failure(failure, row),
    })
}

fn matrix(layout: &Layout<'_>) -> Matrix {
    let labels = &layout.labels;
    let worked = |placed: &Placed<'_>| Worked {
        number: placed.number,
        name: words::point(placed.point),
        cells: labels.iter().map(|label| outcome(placed, label)).collect(),
    };
    Matrix {
        labels: labels.iter().map(|label| words::line(label, 60)).collect(),
        points: layout.groups.iter().flat_map(|group| &group.points).map(worked).collect(),
    }
}

fn outcome(placed: &Placed<'_>, label: &str) -> Option<Outcome> {
    let (cell, row) = placed.rows.iter().find(|(_, row)| row.label == label)?;
    let Line { call: Call { word, .. }, verified, all_verified, .. } = Line::of(row);
    let (sign, text) = match () {
        () if all_verified => ("✓", format!("verified {verified}")),
        () if !words::succeeded(&row.counts) => ("✗", format!("{word} {verified}")),
        () if row.counts.verified == 0 => ("!", "not verified".into()),
        () => ("!", format!("verified {verified}")),
    };
    Some(Outcome { cell: *cell, sign, bad: !all_verified, text })
}
