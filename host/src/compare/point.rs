//! Compares the rows of a point with the baseline.

use std::cell::LazyCell;
use std::collections::HashSet;

use super::comparability::{can_be_overridden, differences};
use super::doubt::{Least, doubts};
use super::group::{Group, PointGroup, Table};
use super::input::Options;
use super::label::labels;
use super::model::{NoRatio, NoiseFloor, Point, Rigor, Row};
use super::ratio::{by_repetition, interval, ratio};
use super::row::summarized;

/// The point with its rows compared.
pub(super) fn compared(
    group: &PointGroup<'_>,
    table: &Table<'_>,
    baseline: Option<&str>,
    options: &Options,
) -> Point {
    let baselines = baselines(&group.rows, baseline);
    let labels = labels(table, &group.rows);
    let least = Least::of(&group.rows);
    let compared = |(at, group_of_row): (usize, &Group<'_>)| {
        let row =
            Row { doubts: doubts(group_of_row, &least), ..summarized(group_of_row, labels[at].clone()) };
        if baselines.contains(&at) {
            return Row { is_baseline: true, ..row };
        }
        let difference =
            |baseline: &usize| (*baseline, differences(table, group_of_row, &group.rows[*baseline]));
        // Of several baselines the first with the fewest differences, which was run in the same way, and beside it, if there is one.
        let other_way = |at: usize| group.rows[at].identity.conditions != group_of_row.identity.conditions;
        let is_apart = |at: usize| baselines.len() > 1 && !share_a_block(&group.rows[at], group_of_row);
        let nearest = |(at, it): &(usize, Vec<_>)| (it.len(), other_way(*at), is_apart(*at));
        let Some((baseline, incomparable)) = baselines.iter().map(difference).min_by_key(nearest) else {
            return Row { no_ratio: Some(NoRatio::NoBaseline), ..row };
        };
        let comparable =
            incomparable.is_empty() || (options.insist && incomparable.iter().all(can_be_overridden));
        let ratio = if comparable {
            ratio(group_of_row, &group.rows[baseline], options.rigor)
        } else {
            Err(NoRatio::Incomparable)
        };
        let compared_with = Some(labels[baseline].clone());
        Row { compared_with, incomparable, ratio: ratio.ok(), no_ratio: ratio.err(), ..row }
    };
    let mut rows: Vec<Row> = group.rows.iter().enumerate().map(compared).collect();
    let has_intervals = options.rigor != Rigor::Quick;
    let noise_floor = if has_intervals { noise_floor(table, &group.rows, &rows, &baselines) } else { None };
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
        noise_floor,
    }
}

/// The rows that others are compared with: the first row of the baseline, and its first row on the same machine for each
/// other configuration, for other conditions, and for each other library of workloads; and those of another file, in blocks of which
/// it has none.
fn baselines(rows: &[Group<'_>], baseline: Option<&str>) -> Vec<usize> {
    let own = |at: &usize| Some(rows[*at].identity.backend) == baseline;
    let mut chosen: Vec<usize> = Vec::new();
    for at in (0..rows.len()).filter(own) {
        let this = &rows[at].identity;
        let known = chosen.iter().any(|place| {
            let other = &rows[*place].identity;
            (other.seed, other.config_hash, other.conditions, other.workload_library)
                == (this.seed, this.config_hash, this.conditions, this.workload_library)
                // Blocks pair within a run only: after a rebuilt file nothing pairs with the first one.
                && (this.conditions.is_single || share_a_block(&rows[*place], &rows[at]))
        });
        let same_machine = chosen.first().is_none_or(|first| rows[*first].identity.machine == this.machine);
        if !known && same_machine {
            chosen.push(at);
        }
    }
    chosen
}

/// Whether two rows have trials in one block.
fn share_a_block(one: &Group<'_>, other: &Group<'_>) -> bool {
    let blocks: HashSet<_> = one.measured.iter().filter_map(|trial| trial.place()).collect();
    other.measured.iter().any(|trial| trial.place().is_some_and(|place| blocks.contains(&place)))
}

/// The largest difference between two rows of the same plugin file (an A/A comparison), of which neither has failures or doubts: what
/// these differ by is not noise alone. That on another machine than the baseline's says nothing of the ratios. `rows` are those of the
/// `groups`, in their order.
fn noise_floor(
    table: &Table<'_>,
    groups: &[Group<'_>],
    rows: &[Row],
    baselines: &[usize],
) -> Option<NoiseFloor> {
    let machine = |group: &Group<'_>| group.identity.machine;
    let counts = |(group, row): &(&Group<'_>, &Row)| {
        let here = baselines.first().is_none_or(|baseline| machine(&groups[*baseline]) == machine(group));
        here && row.is_sound()
    };
    let counted: Vec<_> = groups.iter().zip(rows).filter(counts).collect();
    let mut largest: Option<NoiseFloor> = None;
    for (at, (first, row)) in counted.iter().enumerate() {
        let baseline = LazyCell::new(|| by_repetition(first));
        for (second, again) in &counted[at + 1..] {
            if !is_same_file(table, first, second) {
                continue;
            }
            let Some(ratio) = interval(second, &baseline) else { continue };
            let factor = ratio.high.max(1.0 / ratio.low);
            if factor.is_finite() && largest.as_ref().is_none_or(|floor| floor.factor < factor) {
                largest = Some(NoiseFloor { names: [row.label.clone(), again.label.clone()], ratio, factor });
            }
        }
    }
    largest
}

/// Whether two names stand for one plugin file, and nothing else is in the way of a comparison.
fn is_same_file(table: &Table<'_>, first: &Group<'_>, second: &Group<'_>) -> bool {
    let (one, other) = (&first.identity, &second.identity);
    let same_file = one.backend != other.backend && one.plugin.is_some() && one.plugin == other.plugin;
    same_file && differences(table, second, first).is_empty()
}
