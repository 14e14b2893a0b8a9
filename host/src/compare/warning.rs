//! What the reader must know before believing any of it.

use std::collections::{BTreeMap, BTreeSet};

use super::group::{Group, PointGroup, Table};
use super::model::{Incomparable, NoInterval, Point, Row, Warning, WarningKind};
use super::trial::is_debug;
use crate::plan::defaults::SLEEPING;
use crate::text::plural;

/// Everything that there is to say, by kind.
pub(super) fn warnings(table: &Table<'_>, points: &[Point]) -> Vec<Warning> {
    let about_rows = [
        machines(table, points),
        configurations(table, points),
        debug_builds(points),
        workload_libraries(points),
        unverified(points),
        failures(points),
        unlocked(table),
        unpaired(points),
        doubled(table),
        only_sleep(points),
    ];
    about_rows.into_iter().flatten().chain(noted(table)).collect()
}

/// The ids of the points that have such a row.
fn with_row(points: &[Point], holds: impl Fn(&Row) -> bool) -> Vec<String> {
    let found = points.iter().filter(|point| point.rows.iter().any(&holds));
    found.map(|point| point.id.clone()).collect()
}

/// The ids of the points that have such a group.
fn with_group(table: &Table<'_>, holds: impl Fn(&Group<'_>) -> bool) -> Vec<String> {
    let found = table.points.iter().filter(|point| point.rows.iter().any(&holds));
    found.map(|point| point.id.clone()).collect()
}

/// A warning about these points; none if there are none.
fn about(kind: WarningKind, points: Vec<String>, message: impl Into<String>) -> Option<Warning> {
    (!points.is_empty()).then(|| Warning { kind, message: message.into(), points })
}

fn machines(table: &Table<'_>, points: &[Point]) -> Option<Warning> {
    let other = with_row(points, |row| {
        row.incomparable.iter().any(|difference| matches!(difference, Incomparable::Machine { .. }))
    });
    let message = match table.machines.len() {
        0 | 1 => "some records do not describe their machine: they have no ratio".to_owned(),
        count => format!(
            "the records are of {count} machines: rows of another one than the baseline's have no ratio"
        ),
    };
    about(WarningKind::Machines, other, message)
}

fn configurations(table: &Table<'_>, points: &[Point]) -> Option<Warning> {
    let mut concerned: BTreeSet<_> = with_group(table, forged).into_iter().collect();
    concerned.extend(with_row(points, |row| {
        row.incomparable.iter().any(|difference| matches!(difference, Incomparable::Configuration { .. }))
    }));
    let message = "some rows were configured differently from the baseline, or have a hash that is not that of \
                   their configuration";
    about(WarningKind::Configuration, concerned.into_iter().collect(), message)
}

/// Whether the recorded hash is another than that of what the record says was configured.
fn forged(group: &Group<'_>) -> bool {
    let hash = group.circumstances.config_hash;
    group.config().zip(hash).is_some_and(|(config, hash)| config.hash() != hash)
}

fn debug_builds(points: &[Point]) -> Option<Warning> {
    let is_debug =
        |row: &Row| row.plugin.as_ref().and_then(|plugin| is_debug(&plugin.build)).unwrap_or(false);
    let rows = points.iter().flat_map(|point| &point.rows).filter(|row| is_debug(row));
    let names: BTreeSet<_> = rows.map(|row| row.backend.as_str()).collect();
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let message =
        format!("debug builds were measured ({names}): their speed says nothing of a release build's");
    about(WarningKind::DebugBuild, with_row(points, is_debug), message)
}

fn workload_libraries(points: &[Point]) -> Option<Warning> {
    let other = with_row(points, |row| row.incomparable.contains(&Incomparable::WorkloadLibrary));
    let message = "the work came from different libraries: two builds of the same work may differ in speed";
    about(WarningKind::WorkloadLibraries, other, message)
}

fn unverified(points: &[Point]) -> Option<Warning> {
    let count: u32 = points.iter().flat_map(|point| &point.rows).map(|row| row.counts.unverified).sum();
    let message = format!("nobody verified the answers of {}", plural(count.into(), "trial"));
    about(WarningKind::Unverified, with_row(points, |row| row.counts.unverified > 0), message)
}

fn failures(points: &[Point]) -> Option<Warning> {
    let failed = |row: &Row| row.counts.wrong + row.counts.invalid + row.counts.failed;
    let rows = || points.iter().flat_map(|point| &point.rows);
    let [count, all] = [rows().map(failed).sum::<u32>(), rows().map(|row| row.counts.trials).sum()];
    let message =
        format!("{count} of {} failed, gave a wrong answer or cannot be right", plural(all.into(), "trial"));
    about(WarningKind::Failures, with_row(points, |row| failed(row) > 0), message)
}

fn unlocked(table: &Table<'_>) -> Option<Warning> {
    let open = |group: &Group<'_>| group.measured.iter().any(|trial| trial.metadata().locked == Some(false));
    let message = "another measurement may have run on the machine at the same time";
    about(WarningKind::Unlocked, with_group(table, open), message)
}

fn unpaired(points: &[Point]) -> Option<Warning> {
    let unpaired = with_row(points, |row| {
        row.ratio.is_some_and(|ratio| ratio.no_interval == Some(NoInterval::Unpaired))
    });
    let message = "some records do not say which trials belong to one block: their ratios have no interval";
    about(WarningKind::Unpaired, unpaired, message)
}

fn doubled(table: &Table<'_>) -> Option<Warning> {
    let groups = table.points.iter().flat_map(|point| &point.rows);
    let count: usize = groups.map(|group| group.doubled).sum();
    let are = if count == 1 { "is" } else { "are" };
    let message =
        format!("{} {are} recorded twice: the first record of each counts", plural(count as u64, "trial"));
    about(WarningKind::Doubled, with_group(table, |group| group.doubled > 0), message)
}

fn only_sleep(points: &[Point]) -> Option<Warning> {
    let only = points.iter().all(|point| point.workload == SLEEPING);
    let ids: Vec<_> = points.iter().map(|point| point.id.clone()).collect();
    let message = format!(
        "`{SLEEPING}` only sleeps: it tells schedulers apart, and says little of how fast an engine is"
    );
    about(WarningKind::OnlySleep, ids, message).filter(|_| only)
}

/// What the trials themselves were noted to have, equal notes together.
fn noted(table: &Table<'_>) -> Vec<Warning> {
    let mut notes: BTreeMap<&str, (BTreeSet<&str>, u64)> = BTreeMap::new();
    for PointGroup { id, rows, .. } in &table.points {
        for trial in rows.iter().flat_map(|group| group.warm_ups.iter().chain(&group.measured)) {
            for note in &trial.metadata().warnings {
                let (points, count) = notes.entry(note).or_default();
                points.insert(id);
                *count += 1;
            }
        }
    }
    let warning = |(note, (points, count)): (&str, (BTreeSet<&str>, u64))| Warning {
        kind: WarningKind::Noted,
        message: format!("{note} ({})", plural(count, "trial")),
        points: points.into_iter().map(str::to_owned).collect(),
    };
    notes.into_iter().map(warning).collect()
}
