//! The rows of a point, each beside the baseline.

use super::comparability::{differences, may_be_insisted_on};
use super::group::{Group, PointGroup, Table};
use super::input::Options;
use super::label::labels;
use super::model::{NoRatio, NoiseFloor, Point, RatioInterval, Rigor, Row};
use super::ratio::{paired, ratio};
use super::row::summed_up;

/// The point with its rows compared.
pub(super) fn compared(
    group: &PointGroup<'_>,
    table: &Table<'_>,
    baseline: Option<&str>,
    options: &Options,
) -> Point {
    let baselines = baselines(&group.rows, baseline);
    let labels = labels(table, &group.rows);
    let mut rows: Vec<Row> = (0..group.rows.len())
        .map(|at| {
            let row = summed_up(&group.rows[at], labels[at].clone());
            beside_baseline(
                row,
                at,
                &Beside { table, groups: &group.rows, baselines: &baselines, labels: &labels },
                options,
            )
        })
        .collect();
    rows.sort_by_key(|row| !row.is_baseline);
    let point = &group.point;
    Point {
        id: group.id.clone(),
        workload: point.workload.to_owned(),
        items: point.items,
        parallelism: point.parallelism,
        scheduler: point.scheduler.to_owned(),
        nodes: point.nodes,
        extra: point.extra.clone(),
        rows,
        noise_floor: if options.rigor == Rigor::Quick {
            None
        } else {
            noise_floor(table, &group.rows, &labels)
        },
    }
}

/// The rows that others are compared with: the baseline's first row, and its first on the same machine for each other
/// configuration.
fn baselines(rows: &[Group<'_>], baseline: Option<&str>) -> Vec<usize> {
    let own = |at: &usize| Some(rows[*at].circumstances.backend) == baseline;
    let mut chosen: Vec<usize> = Vec::new();
    for at in (0..rows.len()).filter(own) {
        let this = &rows[at].circumstances;
        let known = chosen.iter().any(|other| {
            let other = &rows[*other].circumstances;
            (other.seed, other.config_hash) == (this.seed, this.config_hash)
        });
        let same_machine =
            chosen.first().is_none_or(|first| rows[*first].circumstances.machine == this.machine);
        if !known && same_machine {
            chosen.push(at);
        }
    }
    chosen
}

/// What a row stands beside.
struct Beside<'t, 'a> {
    table: &'t Table<'a>,
    groups: &'t [Group<'a>],
    baselines: &'t [usize],
    labels: &'t [String],
}

fn beside_baseline(mut row: Row, at: usize, beside: &Beside<'_, '_>, options: &Options) -> Row {
    if beside.baselines.contains(&at) {
        row.is_baseline = true;
        return row;
    }
    let this = &beside.groups[at];
    let candidates = beside
        .baselines
        .iter()
        .map(|baseline| (*baseline, differences(beside.table, this, &beside.groups[*baseline])));
    // The first of those with the fewest differences.
    let Some((baseline, incomparable)) = candidates.min_by_key(|(_, differences)| differences.len()) else {
        row.no_ratio = Some(NoRatio::NoBaseline);
        return row;
    };
    row.compared_with = Some(beside.labels[baseline].clone());
    row.incomparable = incomparable;
    let insisted = options.insist && row.incomparable.iter().all(may_be_insisted_on);
    if !row.incomparable.is_empty() && !insisted {
        row.no_ratio = Some(NoRatio::Incomparable);
        return row;
    }
    match ratio(this, &beside.groups[baseline], options.rigor) {
        Ok(ratio) => row.ratio = Some(ratio),
        Err(why) => row.no_ratio = Some(why),
    }
    row
}

/// From the same plugin file under two names: the pair that differs most.
fn noise_floor(table: &Table<'_>, groups: &[Group<'_>], labels: &[String]) -> Option<NoiseFloor> {
    let mut largest: Option<NoiseFloor> = None;
    for (at, first) in groups.iter().enumerate() {
        for (second, label) in groups[at + 1..].iter().zip(&labels[at + 1..]) {
            let Some(ratio) = noise(table, first, second) else { continue };
            let factor = ratio.high.max(1.0 / ratio.low);
            if factor.is_finite() && largest.as_ref().is_none_or(|floor| floor.factor < factor) {
                largest = Some(NoiseFloor { names: [labels[at].clone(), label.clone()], ratio, factor });
            }
        }
    }
    largest
}

fn noise(table: &Table<'_>, first: &Group<'_>, second: &Group<'_>) -> Option<RatioInterval> {
    let (one, other) = (&first.circumstances, &second.circumstances);
    let twins = one.backend != other.backend && one.plugin.is_some() && one.plugin == other.plugin;
    if !twins || !differences(table, second, first).is_empty() {
        return None;
    }
    Some(paired(second, first)?.interval?.exp())
}
