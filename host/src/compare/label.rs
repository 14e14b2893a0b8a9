//! The labels of rows where a backend has several.

use super::group::{Group, Identity, Table};
use super::model::Form;

/// A unique label for each row: the name of the backend, and the differences from other rows of that name.
pub(super) fn labels(table: &Table<'_>, rows: &[Group<'_>]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::with_capacity(rows.len());
    for row in rows {
        let label = label(table, row, rows);
        let taken = labels.iter().filter(|other| **other == label).count();
        labels.push(if taken == 0 { label } else { format!("{label} #{}", taken + 1) });
    }
    labels
}

fn label(table: &Table<'_>, row: &Group<'_>, rows: &[Group<'_>]) -> String {
    let this = &row.identity;
    let others: Vec<_> =
        rows.iter().map(|other| &other.identity).filter(|other| other.backend == this.backend).collect();
    let differs =
        |same: fn(&Identity<'_>, &Identity<'_>) -> bool| others.iter().any(|other| !same(this, other));
    let mut differences = Vec::new();
    // Also beside rows of other backends: the two forms are not compared.
    if row.form() == Some(Form::Stages) && rows.iter().any(|other| other.form() == Some(Form::Graph)) {
        differences.push("stages".to_owned());
    }
    if differs(|one, other| one.machine == other.machine) {
        let name = this.machine.and_then(|machine| table.machines[machine].hostname.as_deref());
        differences.push(format!("on {}", name.unwrap_or("an unknown machine")));
    }
    if differs(|one, other| one.plugin == other.plugin) {
        differences.push(format!("plugin {}", short(this.plugin)));
    }
    if differs(|one, other| one.workload_library == other.workload_library) {
        differences.push(format!("workloads {}", short(this.workload_library)));
    }
    if differs(|one, other| one.conditions.cores == other.conditions.cores) {
        differences.push(this.conditions.cores_label());
    }
    if differs(|one, other| one.conditions.is_single == other.conditions.is_single) {
        differences.push(if this.conditions.is_single { "single runs" } else { "in blocks" }.to_owned());
    }
    if differs(|one, other| one.seed == other.seed) {
        differences.push(format!("seed {}", this.seed));
    } else if differs(|one, other| one.config_hash == other.config_hash) {
        differences.push(format!("configuration {}", short(this.config_hash)));
    }
    if differences.is_empty() {
        this.backend.to_owned()
    } else {
        format!("{} ({})", this.backend, differences.join(", "))
    }
}

/// The first characters of a hash.
pub(super) fn short(hash: Option<&str>) -> String {
    hash.map_or_else(|| "unknown".to_owned(), |hash| hash.chars().take(8).collect())
}
