//! The environment of the measurements: machines, plugins and versions.

use minijinja::{Value, context};
use serde_json::{Map, Value as Json};

use super::layout::Layout;
use crate::compare::metg::model::Sweeps;
use crate::compare::model::{Comparison, Library, SystemProfile};
use crate::compare::trends::model::{CellTrend, Trends};
use crate::first_seen::distinct;
use crate::record::claims::is_claimed;
use crate::report::labels::{self, name, one_line};
use crate::text::json_text;

/// The name of a property, and its value.
type Property = (String, String);

/// Rows that are equal in these share a card.
type Build<'a> = (&'a str, Option<&'a Library>, &'a Map<String, Json>);

/// A card for each machine, and for each build of a workload library or of a backend.
pub(super) fn of_comparison(
    comparison: &Comparison,
    layout: &Layout<'_>,
    sweeps: Option<&Sweeps>,
) -> Vec<Value> {
    let swept = || sweeps.iter().flat_map(|sweeps| &sweeps.rows);
    let libraries = layout.rows().filter_map(|row| row.workload_library.as_ref());
    let libraries = libraries.chain(swept().filter_map(|row| row.workload_library.as_ref()));
    let builds = layout.rows().map(|row| (row.backend.as_str(), row.plugin.as_ref(), &row.versions));
    let builds = builds.chain(swept().map(|row| (row.backend.as_str(), row.plugin.as_ref(), &row.versions)));
    let machines = comparison.machines.iter().chain(sweeps.iter().flat_map(|sweeps| &sweeps.machines));
    cards(&distinct(machines), libraries, builds)
}

pub(super) fn of_sweeps(sweeps: &Sweeps) -> Vec<Value> {
    let libraries = sweeps.rows.iter().filter_map(|row| row.workload_library.as_ref());
    let builds = sweeps.rows.iter().map(|row| (row.backend.as_str(), row.plugin.as_ref(), &row.versions));
    cards(&sweeps.machines.iter().collect::<Vec<_>>(), libraries, builds)
}

/// The machines, and the versions of the newest run of each backend.
pub(super) fn of_trends(trends: &Trends) -> Vec<Value> {
    let machines: Vec<_> = trends.machines.iter().map(|machine| &machine.profile).collect();
    cards(&machines, std::iter::empty(), trends.cells.iter().filter_map(newest_build))
}

fn newest_build(trend: &CellTrend) -> Option<Build<'_>> {
    Some((&trend.cell.backend, None, &trend.runs.last()?.versions))
}

fn cards<'a>(
    machines: &[&SystemProfile],
    libraries: impl Iterator<Item = &'a Library>,
    builds: impl Iterator<Item = Build<'a>>,
) -> Vec<Value> {
    let several = machines.len() > 1;
    let machine = |(number, profile)| {
        let title = if several { format!("Machine {}", number + 1) } else { "Machine".into() };
        context! { title, machine => Some(number), properties => machine_properties(profile) }
    };
    let card = |title: String, properties: Vec<Property>| {
        context! { title, machine => None::<usize>, properties }
    };
    let libraries = distinct(libraries).into_iter();
    let libraries = libraries.map(|library| card("Workload library".into(), library_properties(library)));
    let builds = distinct(builds).into_iter().map(|(backend, plugin, versions)| {
        let plugin = plugin.map(library_properties).into_iter().flatten();
        card(name(backend), plugin.chain(version_properties(versions)).collect())
    });
    machines.iter().copied().enumerate().map(machine).chain(libraries).chain(builds).collect()
}

fn machine_properties(profile: &SystemProfile) -> Vec<Property> {
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let known = [
        ("name", profile.hostname.clone()),
        ("system", profile.os.clone()),
        ("architecture", profile.arch.clone()),
        ("processor", profile.cpu_model.clone()),
        ("cores", number(profile.cpu_physical_cores)),
        ("available hardware threads", number(profile.cpu_logical_cores)),
        ("memory", profile.memory_gb.map(|memory| format!("{memory} GiB"))),
        ("clock governor", profile.governor.clone()),
        ("several threads a core", profile.smt.map(|smt| if smt { "yes" } else { "no" }.to_owned())),
        ("quota of processor time", profile.cpu_quota.map(|cores| format!("{cores} cores"))),
        ("mitigations", profile.mitigations.as_ref().map(labels::mitigations)),
        ("graphics processor", profile.gpu.clone()),
        ("Python", profile.python.clone()),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some(property(name, &value?)));
    known.chain(properties(&profile.other)).collect()
}

fn library_properties(library: &Library) -> Vec<Property> {
    let version = library.version.as_ref().map(|version| property("version", version));
    let file = [property("file", &library.path), property("SHA-256", &library.sha256)];
    file.into_iter().chain(version).chain(properties(&library.build)).collect()
}

/// Versions, of which those that only the backend says are shown as its claim.
fn version_properties(versions: &Map<String, Json>) -> impl Iterator<Item = Property> {
    let claim =
        |(version, _): (&String, _)| if is_claimed(version) { " (claimed by the backend)" } else { "" };
    properties(versions).zip(versions.iter().map(claim)).map(|((name, value), claim)| (name + claim, value))
}

/// The versions that only the backend says: `python 3.11.2, engine 9.1`.
pub(super) fn claimed_versions(versions: &Map<String, Json>) -> String {
    let claimed = properties(versions).zip(versions.keys()).filter(|(_, version)| is_claimed(version));
    claimed.map(|((name, value), _)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

fn properties(map: &Map<String, Json>) -> impl Iterator<Item = Property> {
    map.iter().map(|(name, value)| property(name, &json_text(value)))
}

fn property(property: &str, value: &str) -> Property {
    (name(property), one_line(value, 1000))
}
