//! What the formats have in common about the latency of an open loop: how each percentile is put into words, and why one is
//! not there.

use super::figure;
use super::words;
use crate::compare::model::{Comparison, OpenLoopLatency, PercentileSpread, Point, Row, Spread};

/// A kind of latency: its name, and its figure of a percentile.
type Kind = (&'static str, fn(&PercentileSpread) -> Option<Spread>);

/// The kinds of latency, in the order of every table.
pub(super) const KINDS: [Kind; 3] =
    [("scheduled", |it| it.scheduled), ("service", |it| it.service), ("lag", |it| it.generator_lag)];

pub(super) const MEANING: &str = "scheduled: from when an item was due; service: from when it was made; lag: how late the \
                                  source was by itself";

/// The points at which a backend ran in an open loop, in the order of the tables.
pub(super) fn points(comparison: &Comparison) -> Vec<&Point> {
    let is_open = |point: &&Point| point.rows.iter().any(|row| row.open_loop.is_some());
    words::by_workload(comparison).concat().into_iter().filter(is_open).collect()
}

pub(super) fn names(points: &[&Point]) -> Vec<String> {
    let mut tables = points.iter().flat_map(|point| &point.rows).filter_map(|row| row.open_loop.as_ref());
    tables
        .next()
        .map(|table| table.percentiles.iter().map(|it| it.name.clone()).collect())
        .unwrap_or_default()
}

/// The middle of a percentile over the blocks.
pub(super) fn cell(spread: Option<Spread>) -> String {
    words::median(spread.as_ref(), figure::duration)
}

/// A line for each backend and kind: the label, the kind, and a cell a percentile.
pub(super) fn lines(point: &Point) -> Vec<(&str, &'static str, Vec<String>)> {
    let of_row = |row| {
        let row: &Row = row;
        let percentiles = row.open_loop.iter().flat_map(|table| &table.percentiles);
        let measured = percentiles.clone().any(|it| it.scheduled.is_some());
        let kinds = KINDS.iter().filter(move |_| measured);
        kinds.map(move |(kind, of)| {
            (row.label.as_str(), *kind, percentiles.clone().map(|it| cell(of(it))).collect())
        })
    };
    point.rows.iter().flat_map(of_row).collect()
}

/// Why a backend lacks percentiles, one sentence each; equal ones once.
pub(super) fn reasons(point: &Point) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for row in &point.rows {
        let Some(reason) = reason(row) else { continue };
        let reason = format!("{}: {reason}", words::line(&row.label, 60));
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

/// Why a row lacks percentiles; nothing if it has all of them.
pub(super) fn reason(row: &Row) -> Option<String> {
    let Some(table) = &row.open_loop else { return Some("no trial counts, so there is no latency".into()) };
    if !table.shared_clock {
        return Some("no latency, as source and sinks do not share a clock".into());
    }
    let missing: Vec<_> = table.percentiles.iter().filter(|it| it.scheduled.is_none()).collect();
    let (first, last) = (missing.first()?, missing.last()?);
    let names = if missing.len() == 1 { first.name.clone() } else { format!("{} and above", first.name) };
    let needed = if missing.len() == 1 || first.samples_needed == last.samples_needed {
        figure::count(first.samples_needed)
    } else {
        format!("{} to {}", figure::count(first.samples_needed), figure::count(last.samples_needed))
    };
    Some(format!("{names} not measurable with {} in a run: it takes {needed}", items(table)))
}

/// Why one percentile is not there.
pub(super) fn missing(table: &OpenLoopLatency, percentile: &PercentileSpread) -> String {
    if !table.shared_clock {
        return "not measurable: source and sinks do not share a clock".into();
    }
    format!("not measurable with {}: it takes {}", items(table), figure::count(percentile.samples_needed))
}

fn items(table: &OpenLoopLatency) -> String {
    let noun = if table.samples == 1 { "item" } else { "items" };
    format!("{} {noun}", figure::count(table.samples))
}

/// A cell of the range of a percentile over the blocks; nothing of a single one.
pub(super) fn range(spread: Option<Spread>) -> Option<String> {
    let spread = spread.filter(|spread| spread.n > 1)?;
    let [low, high] = [spread.min, spread.max].map(figure::duration);
    Some(if low == high { low } else { format!("{low} – {high}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples;
    use crate::report::words::NONE;

    #[test]
    fn a_percentile_without_enough_items_is_a_reason_and_not_a_number() {
        let comparison = examples::open_loop();
        let points = points(&comparison);
        assert_eq!(names(&points), ["p50", "p90", "p95", "p99", "p99.9"]);
        let few = lines(points[1]);
        assert_eq!((few[0].1, few[0].2[0].as_str()), ("scheduled", "700 µs"));
        assert_eq!(few[0].2[3..], [NONE, NONE]);
        assert_eq!(
            reasons(points[1])[0],
            "alpha: p99 and above not measurable with 400 items in a run: it takes 662 to 6\u{202f}636"
        );
        // A backend on several machines, and one without a valid trial, have no line of figures at all.
        assert!(lines(points[0]).iter().all(|line| ["alpha", "beta"].contains(&line.0)));
        assert_eq!(
            reasons(points[0]),
            [
                "gamma: no latency, as source and sinks do not share a clock",
                "delta: no trial counts, so there is no latency"
            ]
        );
    }

    #[test]
    fn what_is_no_open_loop_has_no_latency() {
        assert!(points(&examples::several_workloads()).is_empty());
        assert!(points(&examples::empty()).is_empty());
    }
}
