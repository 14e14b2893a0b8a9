//! The warnings of a comparison.

use std::collections::{BTreeMap, BTreeSet};

use super::group::{Group, PointGroup, Table};
use super::model::{Incomparable, NoInterval, Point, Row, Warning, WarningKind};
use super::trial::{Trial, is_debug};
use crate::plan::defaults::SLEEPING;
use crate::text::{plural, with_remedy, without_remedy};

/// Of a comparison or a sweep with `--data-seed`.
pub(super) const CHOSEN_DATA: &str =
    "the data were chosen with --data-seed: a backend can know them, and may have prepared its answers";

/// Of trials that did not wait until no other measurement ran.
pub(super) const UNLOCKED: &str = "another measurement may have run on the machine at the same time";

/// Of rows of these backends.
pub(super) fn debug_builds(backends: &BTreeSet<&str>) -> String {
    let names = backends.iter().copied().collect::<Vec<_>>().join(", ");
    format!("debug builds were measured ({names}): a release build has another speed")
}

/// Of records of trials that other records are of, as in a copy of a run.
pub(super) fn doubled(count: usize) -> String {
    format!("only the first record of a trial is used: {} left out", plural(count as u64, "duplicate"))
}

/// All warnings, in the order of their kinds.
pub(super) fn warnings(table: &Table<'_>, points: &[Point]) -> Vec<Warning> {
    let rows = || points.iter().flat_map(|point| &point.rows);
    let with_row = |holds: &dyn Fn(&Row) -> bool| {
        let found = points.iter().filter(|point| point.rows.iter().any(holds));
        found.map(|point| point.id.clone()).collect::<Vec<_>>()
    };
    let with_group = |holds: &dyn Fn(&Group<'_>) -> bool| {
        let found = table.points.iter().filter(|point| point.rows.iter().any(holds));
        found.map(|point| point.id.clone()).collect::<Vec<_>>()
    };
    let differs = |of: fn(&Incomparable) -> bool| with_row(&|row| row.incomparable.iter().any(of));
    let mut configurations = with_group(&has_wrong_hash);
    configurations.extend(differs(|it| matches!(it, Incomparable::Configuration { .. })));
    let is_debug_build = |row: &Row| is_debug(row.plugin.as_ref()).unwrap_or(false);
    let with_debug_builds: BTreeSet<_> =
        rows().filter(|row| is_debug_build(row)).map(|row| &*row.backend).collect();
    let unverified: u32 = rows().map(|row| row.counts.unverified).sum();
    let failures: u32 = rows().map(|row| row.counts.went_wrong()).sum();
    let trials: u32 = rows().map(|row| row.counts.trials).sum();
    let duplicates: usize =
        table.points.iter().flat_map(|point| &point.rows).map(|group| group.duplicates).sum();
    let only_sleep = points.iter().all(|point| point.workload == SLEEPING);
    let sleeping = points.iter().filter(|_| only_sleep).map(|point| point.id.clone());
    let all = [
        (
            WarningKind::Machines,
            differs(|it| matches!(it, Incomparable::Machine { .. })),
            match table.machines.profiles.len() {
                0 | 1 => "some records do not describe their machine: they have no ratio".into(),
                count => format!(
                    "the records are from {count} machines: rows from another machine than the baseline have no ratio"
                ),
            },
        ),
        (
            WarningKind::Configuration,
            BTreeSet::from_iter(configurations).into_iter().collect(),
            "some rows have another configuration than the baseline, or a hash that does not match their configuration"
                .into(),
        ),
        (
            WarningKind::DebugBuild,
            with_row(&is_debug_build),
            debug_builds(&with_debug_builds),
        ),
        (
            WarningKind::WorkloadLibraries,
            with_row(&|row| row.incomparable.contains(&Incomparable::WorkloadLibrary)),
            "rows used different workload libraries: two builds of the same work may differ in speed".into(),
        ),
        (
            WarningKind::GraphForms,
            with_row(&|row| row.incomparable.contains(&Incomparable::GraphForm)),
            "rows ran the graph in different forms, in stages and by its dependencies: to compare all in stages, give --extra form=stages".into(),
        ),
        (
            WarningKind::Unverified,
            with_row(&|row| row.counts.unverified > 0),
            format!("the answers of {} were not verified", plural(unverified.into(), "trial")),
        ),
        (
            WarningKind::Failures,
            with_row(&|row| row.counts.went_wrong() > 0),
            format!(
                "{failures} of {} failed, gave a wrong answer or cannot be right",
                plural(trials.into(), "trial"),
            ),
        ),
        (
            WarningKind::Doubts,
            with_row(&|row| !row.doubts.is_empty()),
            "some rows have no verdict, as no honest backend has such runs".into(),
        ),
        (
            WarningKind::Unlocked,
            with_group(&|group| group.measured.iter().any(|trial| trial.metadata().locked == Some(false))),
            UNLOCKED.into(),
        ),
        (
            WarningKind::Unpaired,
            with_row(&|row| row.ratio.is_some_and(|it| it.no_interval == Some(NoInterval::Unpaired))),
            "some records do not assign trials to blocks: their ratios have no interval, and beside blocks they are those of a first run \
             to warm ones"
                .into(),
        ),
        (
            WarningKind::Doubled,
            with_group(&|group| group.duplicates > 0),
            doubled(duplicates),
        ),
        (
            WarningKind::ChosenData,
            with_group(&|group| group.trials().any(|trial| trial.metadata().data_seed_chosen)),
            CHOSEN_DATA.into(),
        ),
        (
            WarningKind::OnlySleep,
            sleeping.collect(),
            format!("`{SLEEPING}` only sleeps: it compares schedulers, and shows little of an engine's speed"),
        ),
    ];
    let concerned = all.into_iter().filter(|(_, points, _)| !points.is_empty());
    concerned.map(|(kind, points, message)| Warning { kind, message, points }).chain(noted(table)).collect()
}

/// Whether the recorded hash does not match the recorded configuration.
fn has_wrong_hash(group: &Group<'_>) -> bool {
    let hash = group.identity.config_hash;
    group.config().zip(hash).is_some_and(|(config, hash)| config.hash() != hash)
}

/// A warning of trials with how many trials have it. Its remedy stays at the end, so that it can be pasted.
pub(super) fn with_count(note: &str, trials: &str) -> String {
    let (message, remedy) = without_remedy(note);
    with_remedy(&format!("{message} ({trials})"), remedy)
}

/// The warnings of the trials, each once with the number of trials, and with the backends where there are several.
fn noted(table: &Table<'_>) -> Vec<Warning> {
    let mut notes: BTreeMap<&str, (BTreeSet<&str>, BTreeMap<&str, u64>)> = BTreeMap::new();
    for PointGroup { id, rows, .. } in &table.points {
        for row in rows {
            for note in row.trials().flat_map(|trial: &Trial<'_>| &trial.metadata().warnings) {
                let (points, backends) = notes.entry(note).or_default();
                points.insert(id);
                *backends.entry(row.identity.backend).or_default() += 1;
            }
        }
    }
    let counted = |(backend, count): (&&str, &u64)| match table.backends.len() {
        1 => plural(*count, "trial"),
        _ => format!("{backend}: {}", plural(*count, "trial")),
    };
    let warning = |(note, (points, backends)): (&str, (BTreeSet<&str>, BTreeMap<&str, u64>))| Warning {
        kind: WarningKind::Noted,
        message: with_count(note, &backends.iter().map(counted).collect::<Vec<_>>().join(", ")),
        points: points.into_iter().map(str::to_owned).collect(),
    };
    notes.into_iter().map(warning).collect()
}
