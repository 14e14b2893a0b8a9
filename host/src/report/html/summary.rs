//! The first screen of the page: what was compared, the warnings, and the matrix of all results; and the tables of results.

use minijinja::value::Serde;
use minijinja::{Value, context};

use super::environment::claimed_versions;
use super::layout::{Group, Layout, PlacedPoint};
use crate::compare::model::{Comparison, Point, Rigor, Row, Warning};
use crate::first_seen::distinct;
use crate::report::labels::{self, NONE, TableRow, name, or_none};
use crate::report::notes;
use crate::report::{number, ranking};
use crate::text::{plural, word};

/// How many points a warning names. It may concern hundreds.
const NAMED_POINTS: usize = 4;
/// The longest text of versions in a heading of the matrix.
const MAX_VERSIONS: usize = 60;
/// How many shades the style sheet has for the efficiency.
const SHADES: f64 = 5.0;

pub(super) fn summary(comparison: &Comparison, layout: &Layout<'_>) -> Value {
    let all = [notes::notes(comparison), notes::ratio_notes(comparison)].concat();
    let first_notice = all.first().cloned();
    let notes = all.into_iter().skip(comparison.warnings.len()).collect::<Vec<_>>();
    let columns = columns(layout);
    context! {
        baseline => comparison.baseline.as_deref().map(name),
        notices => notices(comparison.warnings.len(), notes.len()),
        first_notice,
        warnings => comparison.warnings.iter().map(|it| warning(it, layout)).collect::<Vec<_>>(),
        notes,
        geomeans => geomeans(comparison, layout),
        geomeans_over => notes::geomeans_over(comparison),
        workloads => layout.groups.iter().map(|group| workload(group, layout)).collect::<Vec<_>>(),
        matrix => layout
            .groups
            .iter()
            .flat_map(|group| matrix(group, &columns, comparison, layout))
            .collect::<Vec<_>>(),
        columns => columns.iter().map(|label| column(label, layout)).collect::<Vec<_>>(),
    }
}

/// `2 warnings, 1 note`; none without any.
fn notices(warnings: usize, notes: usize) -> Option<String> {
    let counts = [(warnings, "warning"), (notes, "note")].into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<_> = counts.map(|(count, noun)| plural(count as u64, noun)).collect();
    (!counts.is_empty()).then(|| counts.join(", ") + ":")
}

/// What was compared, and how.
pub(super) fn lead(comparison: &Comparison, layout: &Layout<'_>) -> String {
    let count = |number: usize, noun: &str| plural(number as u64, noun);
    let trials: u32 = layout.rows().map(|row| row.counts.trials).sum();
    let verified: u32 = layout.rows().map(|row| row.counts.verified).sum();
    format!(
        "{} on {}, {}. {} of {} gave a verified answer. {}",
        count(distinct(layout.rows().map(|row| row.backend.as_str())).len(), "backend"),
        count(layout.groups.len(), "workload"),
        count(comparison.points.len(), "point"),
        number::count(verified.into()),
        plural(trials.into(), "measured trial"),
        method(comparison),
    )
}

/// The machine of all trials, or how many there are.
pub(super) fn machines(comparison: &Comparison) -> Option<String> {
    // Trials that do not describe theirs may be of another one.
    let all_are_described = comparison.rows().all(|(_, row)| row.machine.is_some());
    let machine = match comparison.machines.as_slice() {
        [machine] if all_are_described => machine,
        [_] => return Some("one machine that is described, and perhaps others".into()),
        machines => return (!machines.is_empty()).then(|| plural(machines.len() as u64, "machine")),
    };
    let threads = machine.cpu_logical_cores.map(|count| plural(count, "hardware thread"));
    let known = [machine.cpu_model.clone(), threads, machine.os.clone()].into_iter().flatten();
    let known: Vec<_> = known.map(|text| labels::one_line(&text, 100)).collect();
    Some(if known.is_empty() { "one machine".into() } else { known.join(", ") })
}

fn method(comparison: &Comparison) -> String {
    let margin = number::percent(comparison.margin - 1.0);
    let confidence = match comparison.rigor {
        Rigor::Quick => {
            return "A quick comparison has medians and ratios, but no intervals and no verdicts.".into();
        }
        Rigor::Standard => "Each verdict has a confidence of 95 %",
        // Equivalence is no difference, and not adjusted.
        Rigor::Publish => {
            "All verdicts of a difference together have a confidence of 95 % (Holm), each of equivalence by itself"
        }
    };
    format!("{confidence}; differences of up to {margin} count as equivalent.")
}

fn warning(warning: &Warning, layout: &Layout<'_>) -> Value {
    // A warning about all points does not list them.
    let all = warning.points.len() == layout.points().count();
    let points = if all { &[] } else { warning.points.as_slice() };
    let point = |id: &String| layout.points().find(|point| point.point.id == *id);
    let link = |point: &PlacedPoint<'_>| context! { id => &point.id, text => labels::point(point.point) };
    context! {
        message => labels::one_line(&warning.message, 1000),
        points => points.iter().take(NAMED_POINTS).filter_map(point).map(link).collect::<Vec<_>>(),
        more => points.len().saturating_sub(NAMED_POINTS),
    }
}

/// None for a single point, whose table has the same ratios, and none without a mean.
fn geomeans(comparison: &Comparison, layout: &Layout<'_>) -> Vec<Value> {
    if notes::geomeans_over(comparison).is_none() {
        return Vec::new();
    }
    let mean = |mean: &crate::compare::model::Geomean| {
        context! {
            backend => name(&mean.backend),
            number => layout.labels.iter().position(|label| *label == mean.backend),
            ratio => or_none(mean.ratio, number::ratio),
            interval => or_none(mean.interval, |it| number::interval(it.low, it.high)),
        }
    };
    comparison.geomeans.iter().map(mean).collect()
}

fn workload(group: &Group<'_>, layout: &Layout<'_>) -> Value {
    let table = |point: &PlacedPoint<'_>| {
        context! {
            id => &point.id,
            settings => labels::settings(point.point),
            rows => point.rows.iter().map(|(id, row)| table_row(id, row, point.point, layout)).collect::<Vec<_>>(),
            failures => point.rows.iter().flat_map(|(id, row)| failures(id, row)).collect::<Vec<_>>(),
        }
    };
    let points = group.points.iter().map(table).collect::<Vec<_>>();
    context! { number => group.number, name => &group.workload, points }
}

fn table_row(id: &str, row: &Row, point: &Point, layout: &Layout<'_>) -> Value {
    let more_blocks = notes::more_blocks(row, point);
    let number = layout.label_number(&row.label);
    context! { id, number, cells => Serde(TableRow::of(row)), more_blocks }
}

fn failures(id: &str, row: &Row) -> impl Iterator<Item = Value> {
    row.failures.iter().map(move |failure| {
        context! { id, label => name(&row.label), text => labels::failure(failure, row) }
    })
}

/// The labels, the fastest first: by the mean of their ratios, each on a logarithmic scale. Labels without a ratio come last.
fn columns<'a>(layout: &Layout<'a>) -> Vec<&'a str> {
    let speed = |label: &str| {
        let rows = layout.rows().filter(|row| row.label == label && labels::succeeded(&row.counts));
        let of_ratio = |row: &Row| labels::shown_ratio(row).map(|ratio| ratio.estimate.ln());
        let ratio = |row: &Row| of_ratio(row).or(row.is_baseline.then_some(0.0));
        let ratios: Vec<f64> = rows.filter_map(ratio).collect();
        if ratios.is_empty() { f64::NEG_INFINITY } else { ratios.iter().sum::<f64>() / ratios.len() as f64 }
    };
    let mut labels: Vec<_> = layout.labels.iter().map(|label| (speed(label), *label)).collect();
    labels.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    labels.into_iter().map(|(_, label)| label).collect()
}

/// The heading of a column of the matrix: a label, and the versions of its rows.
fn column(label: &str, layout: &Layout<'_>) -> Value {
    let rows = layout.rows().filter(|row| row.label == label);
    let versions = rows.map(|row| claimed_versions(&row.versions));
    let versions = distinct(versions.filter(|versions| !versions.is_empty()));
    let versions = match versions.as_slice() {
        [] => None,
        [versions] => Some(labels::one_line(versions, MAX_VERSIONS)),
        _ => Some("several versions".to_owned()),
    };
    context! { name => name(label), label => layout.label_number(label), versions }
}

/// A row for each point of a workload, with a cell for each of the labels.
fn matrix(group: &Group<'_>, columns: &[&str], comparison: &Comparison, layout: &Layout<'_>) -> Vec<Value> {
    let of_point = |point: &PlacedPoint<'_>| {
        let fastest = ranking::fastest(comparison, point.point).map(|row| row.label.as_str());
        let cell = |label: &&str| {
            let row = point.rows.iter().find(|(_, row)| row.label == *label);
            let cell = |(id, row): &(String, &Row)| cell(id, row, fastest == Some(*label));
            // One of a label that was not measured at the point is empty.
            let empty = || context! { id => None::<&str>, class => "" };
            context! { label => layout.label_number(label), ..row.map_or_else(empty, cell) }
        };
        context! {
            id => &point.id,
            group => group.number,
            workload => &group.workload,
            settings => labels::settings(point.point),
            cells => columns.iter().map(cell).collect::<Vec<_>>(),
        }
    };
    group.points.iter().map(of_point).collect()
}

fn cell(id: &str, row: &Row, is_fastest: bool) -> Value {
    let TableRow { median, ratio, interval, efficiency, verdict, verified, all_verified, .. } =
        TableRow::of(row);
    let known = |text: String| Some(text).filter(|text| text != NONE);
    let succeeded = labels::succeeded(&row.counts);
    let share = row.efficiency.and_then(|it| it.efficiency).filter(|_| succeeded).map(|it| it.median);
    let shade = share.map(|share| format!(" e{}", (share * SHADES).floor().clamp(0.0, SHADES - 1.0)));
    context! {
        id,
        class => word(verdict.tone) + &shade.unwrap_or_default(),
        ratio => known(ratio),
        interval => known(interval),
        verdict => match (is_fastest, row.is_baseline) {
            (true, true) => format!("{}, fastest", verdict.text),
            (true, false) => format!("{} fastest", verdict.sign),
            (false, _) => format!("{} {}", verdict.sign, verdict.text).trim().to_owned(),
        },
        median => known(median).filter(|_| succeeded),
        efficiency => known(efficiency).filter(|_| succeeded),
        verified => (succeeded && !all_verified).then_some(verified),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples;

    #[test]
    fn a_machine_is_named_only_if_all_trials_describe_theirs() {
        let mut comparison = examples::several_workloads();
        let named = machines(&comparison).unwrap();
        assert!(named.contains("hardware thread"), "{named}");
        comparison.points[0].rows[0].machine = None;
        let named = machines(&comparison).unwrap();
        assert_eq!(named, "one machine that is described, and perhaps others");
    }

    #[test]
    fn notices_are_counted_in_one_line() {
        assert_eq!(notices(2, 1).as_deref(), Some("2 warnings, 1 note:"));
        assert_eq!(notices(0, 1).as_deref(), Some("1 note:"));
        assert_eq!(notices(0, 0), None);
    }
}
