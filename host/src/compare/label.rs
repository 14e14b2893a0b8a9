//! The labels of rows where a backend has several.

use super::group::{Group, Identity, Table};
use super::model::{Form, SystemProfile};

/// A unique label for each row: the name of the backend, and the differences from other rows of that name.
pub(super) fn labels(table: &Table<'_>, rows: &[Group<'_>]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::with_capacity(rows.len());
    for row in rows {
        let label = label(table, row, rows);
        labels.push(unique(label, &labels));
    }
    labels
}

/// The label, with the first number that makes it another one than those that are taken.
fn unique(label: String, taken: &[String]) -> String {
    if !taken.contains(&label) {
        return label;
    }
    // There are as many numbers as labels, and the label without a number is one of these.
    let mut numbered = (2..taken.len() + 2).map(|number| format!("{label} #{number}"));
    numbered.find(|other| !taken.contains(other)).unwrap_or_default()
}

fn label(table: &Table<'_>, row: &Group<'_>, rows: &[Group<'_>]) -> String {
    let this = &row.identity;
    let others: Vec<_> =
        rows.iter().map(|other| &other.identity).filter(|other| other.backend == this.backend).collect();
    let differs =
        |same: fn(&Identity<'_>, &Identity<'_>) -> bool| others.iter().any(|other| !same(this, other));
    let other_seed = differs(|one, other| one.seed == other.seed);
    let other_configuration = !other_seed && differs(|one, other| one.config_hash == other.config_hash);
    // Also beside rows of other backends: the two forms are not compared.
    let is_marked =
        row.form() == Some(Form::Stages) && rows.iter().any(|other| other.form() == Some(Form::Graph));
    let machine = machine_name(this.machine, table.machines.profiles.iter().copied());
    let how = if this.conditions.is_single { "single runs" } else { "in blocks" };
    let parts = [
        (is_marked, "stages".to_owned()),
        (differs(|one, other| one.machine == other.machine), format!("on {machine}")),
        (differs(|one, other| one.plugin == other.plugin), format!("plugin {}", short(this.plugin))),
        (
            differs(|one, other| one.workload_library == other.workload_library),
            format!("workloads {}", short(this.workload_library)),
        ),
        (differs(|one, other| one.conditions.cores == other.conditions.cores), this.conditions.cores_label()),
        (differs(|one, other| one.conditions.is_single == other.conditions.is_single), how.to_owned()),
        (other_seed, format!("seed {}", this.seed)),
        (other_configuration, format!("configuration {}", short(this.config_hash))),
    ];
    with_differences(this.backend, parts)
}

/// A name with those of the parts in which it differs from others of that name: `native (plugin ab12cd34)`.
pub(super) fn with_differences(name: &str, parts: impl IntoIterator<Item = (bool, String)>) -> String {
    let differ = parts.into_iter().filter_map(|(differs, part)| differs.then_some(part));
    let differ: Vec<_> = differ.collect();
    if differ.is_empty() { name.to_owned() } else { format!("{name} ({})", differ.join(", ")) }
}

/// The name of the machine at a place among all. Machines of one name, as one before and after an update of its system, have numbers,
/// which are the same at every point.
pub(super) fn machine_name<'m>(
    place: Option<usize>,
    machines: impl Iterator<Item = &'m SystemProfile>,
) -> String {
    const UNKNOWN: &str = "an unknown machine";
    let names: Vec<_> = machines.map(|machine| machine.hostname.as_deref().unwrap_or(UNKNOWN)).collect();
    let Some((place, name)) = place.and_then(|place| Some((place, *names.get(place)?))) else {
        return UNKNOWN.to_owned();
    };
    let before = names[..place].iter().filter(|other| **other == name).count();
    if before == 0 { name.to_owned() } else { format!("{name} #{}", before + 1) }
}

/// What a seed and a configuration tell a cell from: others that have all else in common with it. ` (seed 42)`,
/// ` (configuration 8f22e69a)`; empty if there are none.
pub(super) fn distinction<'c>(
    (seed, config): (u64, Option<&str>),
    others: impl Iterator<Item = (u64, Option<&'c str>)> + Clone,
) -> String {
    let mut text = String::new();
    if others.clone().any(|(other, _)| other != seed) {
        text += &format!(" (seed {seed})");
    }
    if others.into_iter().any(|(other_seed, other)| other_seed == seed && other != config) {
        text += &format!(" (configuration {})", short(config));
    }
    text
}

/// The first characters of a hash.
pub(super) fn short(hash: Option<&str>) -> String {
    hash.map_or_else(|| "unknown".to_owned(), |hash| hash.chars().take(8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_row_of_a_label_has_another_number_than_the_second() {
        let mut labels: Vec<String> = Vec::new();
        for _ in 0..3 {
            labels.push(unique("a".into(), &labels));
        }
        assert_eq!(labels, ["a", "a #2", "a #3"]);
    }

    #[test]
    fn machines_of_one_name_have_numbers() {
        let named = |name: &str| SystemProfile { hostname: Some(name.into()), ..SystemProfile::default() };
        let machines = [named("box"), SystemProfile::default(), named("box"), named("other"), named("box")];
        let name = |place| machine_name(place, machines.iter());
        let names = (0..5).map(|place| name(Some(place))).collect::<Vec<_>>();
        assert_eq!(names, ["box", "an unknown machine", "box #2", "other", "box #3"]);
        assert_eq!(name(None), "an unknown machine");
    }
}
