//! The trend of one cell.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::model::{CellTrend, Change, ChangeCall, Machine, RunValue};
use crate::compare::cells::Cell;
use crate::compare::group::Group;
use crate::compare::model::Status;
use crate::compare::trial::is_debug;
use crate::record::Percentiles;
use crate::stats::{ChangePoint, change_points, median, median_interval};
use crate::text::{json_text, plural};

/// In so many of the newest values changes are looked for, as the memory and the time for that grow with the square of their number.
const SEARCHED: usize = 1000;

/// The rows of one cell in one run.
pub(super) struct RunGroups<'t, 'a> {
    pub(super) id: &'a str,
    pub(super) started: &'a str,
    pub(super) file: &'a str,
    pub(super) groups: Vec<&'t Group<'a>>,
}

/// The trend of a cell on the machine of this number.
pub(super) fn trend(cell: Cell, (at, machine): (usize, &Machine), runs: &[RunGroups<'_, '_>]) -> CellTrend {
    let groups = || runs.iter().flat_map(|run| &run.groups);
    let is_latency = groups().any(|group| group.is_open_loop());
    // What is compared of all runs, in an open loop: the percentile that all trials have.
    let percentile = groups().filter_map(|group| group.percentile).min();
    let values: Vec<_> = runs.iter().map(|run| value(run, percentile)).collect();
    let noise = machine.latency_noise.filter(|_| is_latency).unwrap_or(machine.noise);
    let changes = changes(&values, noise.factor);
    CellTrend {
        machine: at,
        cell,
        is_debug: groups().any(|group| is_debug(group.plugin()) == Some(true)),
        form: groups().find_map(|group| group.form()),
        of: if is_latency { "latency" } else { "time" },
        percentile: percentile.and_then(Percentiles::name),
        is_regression: changes.last().is_some_and(|change| change.call == ChangeCall::Slower),
        runs: values,
        changes,
    }
}

fn value(run: &RunGroups<'_, '_>, percentile: Option<usize>) -> RunValue {
    let successes = || run.groups.iter().flat_map(|group| group.successes());
    let trials = || successes().filter(|(trial, _)| trial.status() == Status::Verified);
    // A run of which a trial has too few items for a percentile has none.
    let compared = run.groups.iter().flat_map(|group| group.compared_at(percentile.min(group.percentile)));
    let verified = compared.filter(|(trial, _)| trial.status() == Status::Verified);
    let values: Vec<_> = verified.map(|(_, value)| value).filter(|value| *value > 0.0).collect();
    let group = run.groups.first();
    let plugin = group.and_then(|group| group.plugin());
    // A trial that failed may not have its versions.
    let versions = trials().map(|(trial, _)| trial).next().or(group.and_then(|group| group.first()));
    RunValue {
        run: run.id.to_owned(),
        started: run.started.to_owned(),
        file: run.file.to_owned(),
        trials: run.groups.iter().map(|group| group.measured.len()).sum(),
        verified: trials().count(),
        successes: values.len(),
        median: median(&values),
        interval: median_interval(&values),
        plugin_version: plugin.and_then(|plugin| plugin.version.clone()),
        plugin_sha256: plugin.map(|plugin| plugin.sha256.clone()),
        workload_sha256: group
            .and_then(|group| group.workload_library())
            .map(|library| library.sha256.clone()),
        versions: versions.map(|trial| trial.metadata().versions.clone()).unwrap_or_default(),
    }
}

/// The changes by at least the factor of noise. Where one is smaller, the values on both sides of it are one level.
fn changes(runs: &[RunValue], noise: f64) -> Vec<Change> {
    let with_value: Vec<_> =
        runs.iter().enumerate().filter_map(|(at, run)| Some((at, run.median?))).collect();
    let with_value = &with_value[with_value.len().saturating_sub(SEARCHED)..];
    let logarithms: Vec<_> = with_value.iter().map(|(_, value)| value.ln()).collect();
    let mut points = change_points(&logarithms);
    loop {
        let levels = levels(with_value, &points);
        let factors = levels.windows(2).map(|sides| (sides[1] / sides[0]).ln().abs());
        let smallest = factors.enumerate().min_by(|one, other| one.1.total_cmp(&other.1));
        match smallest {
            Some((at, factor)) if factor < noise.ln() => {
                points.remove(at);
            }
            _ => {
                let sides = levels.windows(2).zip(&points);
                return sides.map(|(sides, point)| change(runs, with_value, sides, point)).collect();
            }
        }
    }
}

/// Says in how many cells there are values in which no change is looked for.
pub(super) fn beyond_search(cells: &[CellTrend]) -> Option<String> {
    let values = |cell: &CellTrend| cell.runs.iter().filter(|run| run.median.is_some()).count();
    let long = cells.iter().filter(|cell| values(cell) > SEARCHED).count();
    (long > 0).then(|| {
        let cells = plural(long as u64, "cell");
        format!("{cells} with more than {SEARCHED} runs: changes are looked for in the newest {SEARCHED}")
    })
}

/// The median of the values between two change points, for all of them.
fn levels(values: &[(usize, f64)], points: &[ChangePoint]) -> Vec<f64> {
    let ends = points.iter().map(|point| point.index);
    let ends: Vec<_> = [0].into_iter().chain(ends).chain([values.len()]).collect();
    let level = |ends: &[usize]| {
        median(&values[ends[0]..ends[1]].iter().map(|(_, value)| *value).collect::<Vec<_>>())
    };
    ends.windows(2).filter_map(level).collect()
}

fn change(runs: &[RunValue], values: &[(usize, f64)], sides: &[f64], point: &ChangePoint) -> Change {
    let (before, after) = (sides[0], sides[1]);
    let (index, last) = (values[point.index].0, values[point.index - 1].0);
    Change {
        run: runs[index].run.clone(),
        started: runs[index].started.clone(),
        index,
        before,
        after,
        factor: after / before,
        p_value: point.p_value,
        call: if after > before { ChangeCall::Slower } else { ChangeCall::Faster },
        differs: differences(&runs[last], &runs[index]),
    }
}

/// What may explain that one run differs from the one before.
fn differences(old: &RunValue, new: &RunValue) -> Vec<String> {
    let names: BTreeSet<_> = old.versions.keys().chain(new.versions.keys()).collect();
    let version = |versions: &Map<String, Value>, name: &str| {
        versions.get(name).filter(|version| !version.is_null()).map(json_text)
    };
    let short = |hash: &Option<String>| hash.as_ref().map(|hash| hash.chars().take(12).collect());
    let of_versions = names
        .into_iter()
        .map(|name| (name.as_str(), version(&old.versions, name), version(&new.versions, name)));
    let of_files = [
        ("plugin", old.plugin_version.clone(), new.plugin_version.clone()),
        ("plugin file", short(&old.plugin_sha256), short(&new.plugin_sha256)),
        ("workload library", short(&old.workload_sha256), short(&new.workload_sha256)),
    ];
    let all = of_versions.chain(of_files).filter(|(_, old, new)| old != new);
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".into());
    all.map(|(what, old, new)| format!("{what} {} -> {}", or_none(old), or_none(new))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs with these medians, in the order of time.
    fn runs(medians: impl Iterator<Item = f64>) -> Vec<RunValue> {
        let run = |(at, median): (usize, f64)| RunValue {
            run: at.to_string(),
            trials: 1,
            verified: 1,
            successes: 1,
            median: Some(median),
            ..RunValue::default()
        };
        medians.enumerate().map(run).collect()
    }

    fn stepped(first: usize, then: usize) -> Vec<RunValue> {
        runs(std::iter::repeat_n(1.0, first).chain(std::iter::repeat_n(2.0, then)))
    }

    fn cell_of(runs: Vec<RunValue>) -> CellTrend {
        CellTrend {
            machine: 0,
            cell: Cell::default(),
            is_debug: false,
            form: None,
            of: "time",
            percentile: None,
            runs,
            changes: Vec::new(),
            is_regression: false,
        }
    }

    #[test]
    fn changes_are_looked_for_in_the_newest_runs_and_cells_with_more_are_told() {
        let found = changes(&stepped(12, 12), 1.05);
        let found: Vec<_> = found.iter().map(|it| (it.index, it.before, it.after)).collect();
        assert_eq!(found, [(12, 1.0, 2.0)]);
        assert!(changes(&stepped(12, SEARCHED), 1.05).is_empty());
        let cells = [cell_of(stepped(0, SEARCHED)), cell_of(stepped(1, SEARCHED))];
        assert_eq!(beyond_search(&cells[..1]), None);
        let told = beyond_search(&cells).unwrap();
        assert_eq!(told, "1 cell with more than 1000 runs: changes are looked for in the newest 1000");
    }
}
