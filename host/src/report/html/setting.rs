//! On what was measured: machines, plugins, versions.

use serde::Serialize;
use serde_json::{Map, Value};

use super::layout::Layout;
use crate::compare::model::{Comparison, Library, Row, SystemProfile};
use crate::report::words;

#[derive(Serialize)]
pub(super) struct Setting {
    machines: Vec<Vec<Pair>>,
    versions: Vec<Version>,
}

/// A name and what it has.
#[derive(Serialize)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) value: String,
}

/// One build of a backend. The rows that ran it name it by its place in the list.
#[derive(Serialize)]
struct Version {
    label: String,
    pairs: Vec<Pair>,
}

/// What makes two rows of one build.
type Build<'a> = (&'a str, Option<&'a Library>, Option<&'a Library>, &'a Map<String, Value>);

impl Setting {
    pub(super) fn of(comparison: &Comparison, layout: &Layout<'_>) -> Self {
        let mut builds: Vec<Build<'_>> = Vec::new();
        for (_, _, row) in layout.rows() {
            let build = build(row);
            if !builds.contains(&build) {
                builds.push(build);
            }
        }
        Self {
            machines: comparison.machines.iter().map(machine).collect(),
            versions: builds.into_iter().map(version).collect(),
        }
    }
}

fn build(row: &Row) -> Build<'_> {
    (&row.backend, row.plugin.as_ref(), row.workload_library.as_ref(), &row.versions)
}

fn machine(profile: &SystemProfile) -> Vec<Pair> {
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let known = [
        ("name", profile.hostname.clone()),
        ("system", profile.os.clone()),
        ("architecture", profile.arch.clone()),
        ("processor", profile.cpu_model.clone()),
        ("cores", number(profile.cpu_physical_cores)),
        ("hardware threads to use", number(profile.cpu_logical_cores)),
        ("memory", profile.memory_gb.map(|memory| format!("{memory} GiB"))),
        ("clock governor", profile.governor.clone()),
        ("graphics processor", profile.gpu.clone()),
        ("Python", profile.python.clone()),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some(pair(name, &value?)));
    known.chain(pairs(&profile.other)).collect()
}

fn version((backend, plugin, workloads, versions): Build<'_>) -> Version {
    let mut all = Vec::new();
    all.extend(plugin.map(|library| library_pairs("plugin", library)).into_iter().flatten());
    all.extend(workloads.map(|library| library_pairs("workload library", library)).into_iter().flatten());
    all.extend(pairs(versions));
    Version { label: words::line(backend, 60), pairs: all }
}

fn library_pairs(what: &str, library: &Library) -> Vec<Pair> {
    let mut all = vec![pair(what, &library.path), pair("SHA-256", &library.sha256)];
    all.extend(library.version.as_ref().map(|version| pair("version", version)));
    all.extend(pairs(&library.build));
    all
}

fn pairs(map: &Map<String, Value>) -> impl Iterator<Item = Pair> {
    map.iter().map(|(name, value)| match value {
        Value::String(text) => pair(name, text),
        other => pair(name, &other.to_string()),
    })
}

fn pair(name: &str, value: &str) -> Pair {
    Pair { name: words::line(name, 60), value: words::line(value, 300) }
}
