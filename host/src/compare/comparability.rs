//! The differences that make two rows incomparable.

use super::group::{Group, Table};
use super::model::Incomparable;
use super::trial::is_debug;
use crate::record::{Library, distinguishing_keys};

/// The differences between two rows of one point.
pub(super) fn differences(table: &Table<'_>, row: &Group<'_>, baseline: &Group<'_>) -> Vec<Incomparable> {
    let found = [
        machine(table, row, baseline),
        configuration(row, baseline),
        debug_beside_release(row.plugin(), baseline.plugin()),
        workload_library(row, baseline),
        graph_form(row, baseline),
    ];
    found.into_iter().flatten().collect()
}

/// Whether rows with this difference are compared if the user insists.
pub(super) fn can_be_overridden(difference: &Incomparable) -> bool {
    match difference {
        Incomparable::DebugBesideRelease { .. } | Incomparable::WorkloadLibrary | Incomparable::GraphForm => {
            true
        }
        Incomparable::Machine { .. } | Incomparable::Configuration { .. } => false,
    }
}

/// A machine without a description counts as another machine.
fn machine(table: &Table<'_>, row: &Group<'_>, baseline: &Group<'_>) -> Option<Incomparable> {
    let keys = match (row.identity.machine, baseline.identity.machine) {
        (Some(one), Some(other)) if one == other => return None,
        (Some(one), Some(other)) => {
            let [one, other] = [one, other].map(|place| table.machines.profiles[place]);
            distinguishing_keys(one, other)
        }
        _ => vec!["system_profile"],
    };
    Some(Incomparable::Machine { keys: keys.into_iter().map(str::to_owned).collect() })
}

/// Rows of one point have the same workload, items, parallelism, scheduler, nodes and options. The recorded hashes are
/// compared only if both records have the configuration: those of the original project include the backend's name.
fn configuration(row: &Group<'_>, baseline: &Group<'_>) -> Option<Incomparable> {
    let (one, other) = (&row.identity, &baseline.identity);
    let mut keys = Vec::new();
    if one.seed != other.seed {
        keys.push("seed".to_owned());
    }
    if one.conditions.cores != other.conditions.cores {
        keys.push("cores".to_owned());
    }
    let hashes = row.config().is_some() && baseline.config().is_some();
    // Records without the number of items are compared by the number of results.
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
    let (this, that) = (is_debug(row)?, is_debug(baseline)?);
    (this != that).then_some(Incomparable::DebugBesideRelease { this_is_debug: this })
}

fn workload_library(row: &Group<'_>, baseline: &Group<'_>) -> Option<Incomparable> {
    let (one, other) = (row.identity.workload_library, baseline.identity.workload_library);
    (one != other).then_some(Incomparable::WorkloadLibrary)
}

fn graph_form(row: &Group<'_>, baseline: &Group<'_>) -> Option<Incomparable> {
    let (form, _) = baseline.form().zip(row.form())?;
    row.forms().chain(baseline.forms()).any(|other| other != form).then_some(Incomparable::GraphForm)
}
