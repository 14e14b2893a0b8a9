//! What must be the same for two rows to be compared.

use super::group::{Group, Table};
use super::machine::machine_keys;
use super::model::Incomparable;
use super::trial::is_debug;
use crate::record::Library;

/// What differs between two rows of one point though it should not.
pub(super) fn differences(table: &Table<'_>, row: &Group<'_>, baseline: &Group<'_>) -> Vec<Incomparable> {
    let found = [
        machine(table, row, baseline),
        configuration(row, baseline),
        debug_beside_release(row.plugin(), baseline.plugin()),
        workload_library(row, baseline),
    ];
    found.into_iter().flatten().collect()
}

/// Whether the two may be compared if the user insists.
pub(super) fn may_be_insisted_on(difference: &Incomparable) -> bool {
    match difference {
        Incomparable::DebugBesideRelease { .. } | Incomparable::WorkloadLibrary => true,
        Incomparable::Machine { .. } | Incomparable::Configuration { .. } => false,
    }
}

/// A machine that is not described may be any.
fn machine(table: &Table<'_>, row: &Group<'_>, baseline: &Group<'_>) -> Option<Incomparable> {
    let keys = match (row.circumstances.machine, baseline.circumstances.machine) {
        (Some(one), Some(other)) if one == other => return None,
        (Some(one), Some(other)) => machine_keys(table.machines[one], table.machines[other]),
        _ => vec!["system_profile"],
    };
    Some(Incomparable::Machine { keys: keys.into_iter().map(str::to_owned).collect() })
}

/// The point is the same, hence workload, items, parallelism, scheduler, nodes and options. The recorded hash counts
/// only if both records have what it is the hash of: the original project's has the backend's name in it.
fn configuration(row: &Group<'_>, baseline: &Group<'_>) -> Option<Incomparable> {
    let (one, other) = (&row.circumstances, &baseline.circumstances);
    let mut keys = Vec::new();
    if one.seed != other.seed {
        keys.push("seed".to_owned());
    }
    let hashes = row.config().is_some() && baseline.config().is_some();
    // Where the number of items is not recorded, that of the results has to do.
    let results = |group: &Group<'_>| {
        let (trial, _) = group.successes().next()?;
        if trial.items().is_none() { trial.metadata().results_count } else { None }
    };
    if results(row).zip(results(baseline)).is_some_and(|(one, other)| one != other) {
        keys.push("results_count".to_owned());
    }
    let differ = !keys.is_empty() || (hashes && one.config_hash != other.config_hash);
    differ.then_some(Incomparable::Configuration { keys })
}

fn debug_beside_release(row: Option<&Library>, baseline: Option<&Library>) -> Option<Incomparable> {
    let (this, that) = (is_debug(&row?.build)?, is_debug(&baseline?.build)?);
    (this != that).then_some(Incomparable::DebugBesideRelease { this_is_debug: this })
}

fn workload_library(row: &Group<'_>, baseline: &Group<'_>) -> Option<Incomparable> {
    let (one, other) = (row.circumstances.workload_library, baseline.circumstances.workload_library);
    (one != other).then_some(Incomparable::WorkloadLibrary)
}
