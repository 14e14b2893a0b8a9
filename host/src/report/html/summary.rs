//! The first section of the page: what was compared, the warnings, the result tables, and which trials succeeded.

use minijinja::value::Serde;
use minijinja::{Value, context};

use super::layout::{Group, Layout, NumberedPoint};
use crate::compare::model::{Comparison, Rigor, Row, Warning};
use crate::report::labels::{self, TableRow, name, or_none};
use crate::report::number;
use crate::text::plural;

/// How many points a warning names. It may concern hundreds.
const NAMED_POINTS: usize = 4;

pub(super) fn summary(comparison: &Comparison, layout: &Layout<'_>) -> Value {
    let mut notes = labels::notes(comparison).split_off(comparison.warnings.len());
    notes.extend(labels::paired_ratios(comparison));
    context! {
        baseline => comparison.baseline.as_deref().map(name),
        warnings => comparison.warnings.iter().map(|it| warning(it, layout)).collect::<Vec<_>>(),
        notes,
        geomeans => geomeans(comparison),
        geomeans_over => labels::geomeans_over(comparison),
        workloads => layout.groups.iter().map(workload).collect::<Vec<_>>(),
        labels => layout.labels.iter().map(|label| name(label)).collect::<Vec<_>>(),
        outcomes => layout.points().map(|point| outcomes(point, layout)).collect::<Vec<_>>(),
    }
}

/// What was compared, and how.
pub(super) fn lead(comparison: &Comparison, layout: &Layout<'_>) -> String {
    let count = |number: usize, noun: &str| plural(number as u64, noun);
    let trials: u32 = layout.rows().map(|row| row.counts.trials).sum();
    let verified: u32 = layout.rows().map(|row| row.counts.verified).sum();
    format!(
        "{} on {}, {}. {} of {} gave a verified answer. {}",
        count(layout.backends(), "backend"),
        count(layout.groups.len(), "workload"),
        count(comparison.points.len(), "point"),
        number::count(verified.into()),
        plural(trials.into(), "measured trial"),
        method(comparison),
    )
}

fn method(comparison: &Comparison) -> String {
    let margin = number::percent(comparison.margin - 1.0);
    let confidence = match comparison.rigor {
        Rigor::Quick => {
            return "A quick comparison has medians and ratios, but no intervals and no verdicts.".into();
        }
        Rigor::Standard => "Each verdict has a confidence of 95 %",
        Rigor::Publish => "All verdicts together have a confidence of 95 % (Holm)",
    };
    format!("{confidence}; differences of up to {margin} count as equivalent.")
}

fn warning(warning: &Warning, layout: &Layout<'_>) -> Value {
    // A warning about all points does not list them.
    let all = warning.points.len() == layout.points().count();
    let points = if all { &[] } else { warning.points.as_slice() };
    let point = |id: &String| layout.points().find(|point| point.point.id == *id);
    let link =
        |point: &NumberedPoint<'_>| context! { number => point.number, text => labels::point(point.point) };
    context! {
        message => labels::one_line(&warning.message, 1000),
        points => points.iter().take(NAMED_POINTS).filter_map(point).map(link).collect::<Vec<_>>(),
        more => points.len().saturating_sub(NAMED_POINTS),
    }
}

/// None for a single point, whose table has the same ratios, and none without a mean.
fn geomeans(comparison: &Comparison) -> Vec<Value> {
    if labels::geomeans_over(comparison).is_none() {
        return Vec::new();
    }
    let mean = |mean: &crate::compare::model::Geomean| {
        context! {
            backend => name(&mean.backend),
            ratio => or_none(mean.ratio, number::ratio),
            interval => or_none(mean.interval, |it| number::interval(it.low, it.high)),
        }
    };
    comparison.geomeans.iter().map(mean).collect()
}

fn workload(group: &Group<'_>) -> Value {
    let table = |point: &NumberedPoint<'_>| {
        context! {
            number => point.number,
            settings => labels::settings(point.point),
            rows => point.rows.iter().map(|(number, row)| table_row(*number, row)).collect::<Vec<_>>(),
            failures => point.rows.iter().flat_map(|(number, row)| failures(*number, row)).collect::<Vec<_>>(),
        }
    };
    context! { name => &group.workload, points => group.points.iter().map(table).collect::<Vec<_>>() }
}

fn table_row(number: usize, row: &Row) -> Value {
    let more_blocks = row.ratio.as_ref().and_then(labels::more_blocks);
    context! { number, cells => Serde(TableRow::of(row)), more_blocks }
}

fn failures(number: usize, row: &Row) -> impl Iterator<Item = Value> {
    row.failures.iter().map(move |failure| {
        context! { number, label => name(&row.label), text => labels::failure(failure, row) }
    })
}

/// The outcome of each label at a point.
fn outcomes(point: &NumberedPoint<'_>, layout: &Layout<'_>) -> Value {
    let of_label = |label: &&str| Some(outcome(point.rows.iter().find(|(_, row)| row.label == *label)?));
    context! {
        number => point.number,
        name => labels::point(point.point),
        cells => layout.labels.iter().map(of_label).collect::<Vec<_>>(),
    }
}

fn outcome((number, row): &(usize, &Row)) -> Value {
    let TableRow { verdict, verified, all_verified, .. } = TableRow::of(row);
    let (sign, text) = match () {
        () if all_verified => ("✓", format!("verified {verified}")),
        () if !labels::succeeded(&row.counts) => ("✗", format!("{} {verified}", verdict.text)),
        () if row.counts.verified == 0 => ("!", "not verified".into()),
        () => ("!", format!("verified {verified}")),
    };
    context! { number, sign, bad => !all_verified, text }
}
