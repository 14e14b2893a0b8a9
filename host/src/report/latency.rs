//! What the formats share about the latency of open loops: the percentiles, and the reasons for missing ones.

use super::labels::{self, name};
use super::number;
use super::ranking::fastest_first;
use crate::compare::model::{Comparison, OpenLoopLatency, PercentileSpread, Point, Row, Spread};
use crate::first_seen::distinct;

/// A kind of latency: its name, and its value at a percentile.
type Kind = (&'static str, fn(&PercentileSpread) -> Option<Spread>);

/// The kinds of latency, in the order of every table.
pub(super) const KINDS: [Kind; 3] =
    [("scheduled", |it| it.scheduled), ("service", |it| it.service), ("lag", |it| it.generator_lag)];

pub(super) const MEANING: &str = "scheduled: from when an item was due; service: from when it was made; lag: how late \
                                  the load generator was";

/// The points with an open loop, in the order of the tables.
pub(super) fn points(comparison: &Comparison) -> Vec<&Point> {
    let is_open = |point: &&Point| point.rows.iter().any(|row| row.open_loop.is_some());
    labels::by_workload(comparison).concat().into_iter().filter(is_open).collect()
}

/// The names of the percentiles.
pub(super) fn names(points: &[&Point]) -> Vec<String> {
    let table = points.iter().flat_map(|point| &point.rows).find_map(|row| row.open_loop.as_ref());
    table.iter().flat_map(|table| &table.percentiles).map(|it| it.name.clone()).collect()
}

/// The median of a percentile over the blocks.
pub(super) fn cell(spread: Option<Spread>) -> String {
    labels::median(spread, number::duration)
}

/// A row for each backend and kind of latency: the label, the kind, and a cell for each percentile.
pub(super) fn rows(point: &Point) -> Vec<(&str, &'static str, Vec<String>)> {
    let of_row = |row: &'_ Row| {
        let percentiles = row.open_loop.iter().flat_map(|table| &table.percentiles);
        // What reductions made has no service time and no lag.
        let measured =
            |of: fn(&PercentileSpread) -> Option<Spread>| percentiles.clone().any(|it| of(it).is_some());
        let cells = |of: fn(&PercentileSpread) -> Option<Spread>| {
            percentiles.clone().map(|it| cell(of(it))).collect()
        };
        KINDS.iter().filter(|(_, of)| measured(*of)).map(|(kind, of)| (*kind, cells(*of))).collect::<Vec<_>>()
    };
    let labelled = |row| of_row(row).into_iter().map(|(kind, cells)| (row.label.as_str(), kind, cells));
    fastest_first(point).into_iter().flat_map(labelled).collect()
}

/// The reasons for missing percentiles, each once.
pub(super) fn reasons(point: &Point) -> Vec<String> {
    distinct(
        fastest_first(point)
            .into_iter()
            .filter_map(|row| Some(format!("{}: {}", name(&row.label), reason(row)?))),
    )
}

/// Why a row lacks percentiles. None if it has all of them.
pub(super) fn reason(row: &Row) -> Option<String> {
    let Some(table) = &row.open_loop else { return Some("no latency, because no trial is valid".into()) };
    if !table.shared_clock {
        return Some("no latency, because source and sinks do not share a clock".into());
    }
    let missing: Vec<_> = table.percentiles.iter().filter(|it| it.scheduled.is_none()).collect();
    let (first, last) = (missing.first()?, missing.last()?);
    let names = if missing.len() == 1 { first.name.clone() } else { format!("{} and above", first.name) };
    let [least, most] = [first, last].map(|it| number::count(it.samples_needed));
    let needed = if least == most { least } else { format!("{least} to {most}") };
    Some(format!(
        "{names} cannot be measured with {} in a run: {needed} are needed",
        number::items(table.samples)
    ))
}

/// Why one percentile is missing.
pub(super) fn missing(table: &OpenLoopLatency, percentile: &PercentileSpread) -> String {
    let (items, needed) = (number::items(table.samples), number::count(percentile.samples_needed));
    format!("cannot be measured with {items}: {needed} are needed")
}

/// The range of a percentile over the blocks. None for a single block.
pub(super) fn range(spread: Option<Spread>) -> Option<String> {
    let spread = spread.filter(|spread| spread.n > 1)?;
    let [low, high] = [spread.min, spread.max].map(number::duration);
    Some(if low == high { low } else { format!("{low} – {high}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples;
    use crate::report::labels::NONE;

    #[test]
    fn a_percentile_without_enough_items_has_a_reason_instead_of_a_number() {
        let comparison = examples::open_loop();
        let points = points(&comparison);
        assert_eq!(names(&points), ["p50", "p90", "p95", "p99", "p99.9"]);
        let few = rows(points[1]);
        assert_eq!((few[0].1, few[0].2[0].as_str()), ("scheduled", "700 µs"));
        assert_eq!(few[0].2[3..], [NONE, NONE]);
        assert_eq!(
            reasons(points[1])[0],
            "alpha: p99 and above cannot be measured with 400 items in a run: 662 to 6\u{202f}636 are needed"
        );
        // A backend on several machines and a backend without a valid trial have no row.
        assert!(rows(points[0]).iter().all(|row| ["alpha", "beta"].contains(&row.0)));
        assert_eq!(
            reasons(points[0]),
            [
                "gamma: no latency, because source and sinks do not share a clock",
                "delta: no latency, because no trial is valid"
            ]
        );
    }
}
