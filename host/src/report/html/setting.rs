//! On what was measured: machines, plugins, versions.

use serde::Serialize;
use serde_json::{Map, Value};

use super::layout::Layout;
use crate::compare::metg::model::Sweeps;
use crate::compare::model::{Comparison, Library, Row, SystemProfile};
use crate::report::words;

#[derive(Serialize)]
pub(super) struct Setting {
    cards: Vec<Card>,
}

/// A machine, or one build of a backend or of a workload library.
#[derive(Serialize)]
struct Card {
    title: String,
    /// The machine's place among them: rows refer to it.
    machine: Option<usize>,
    pairs: Vec<Pair>,
}

#[derive(Serialize)]
struct Pair {
    name: String,
    value: String,
}

/// What makes two rows of one build.
type Build<'a> = (&'a str, Option<&'a Library>, &'a Map<String, Value>);

impl Setting {
    pub(super) fn of(comparison: &Comparison, layout: &Layout<'_>) -> Self {
        let several = comparison.machines.len() > 1;
        let title = |place| if several { format!("Machine {}", place + 1) } else { "Machine".into() };
        let libraries = layout.rows().filter_map(|(_, _, row)| row.workload_library.as_ref());
        let builds = layout.rows().map(|(_, _, Row { backend, plugin, versions, .. })| {
            (backend.as_str(), plugin.as_ref(), versions)
        });
        Self::new(&comparison.machines, title, libraries, distinct(builds))
    }

    pub(super) fn of_sweeps(sweeps: &Sweeps) -> Self {
        let title = |place| if place == 0 { "Machine".into() } else { format!("Machine {}", place + 1) };
        let libraries = sweeps.rows.iter().filter_map(|row| row.workload_library.as_ref());
        let builds = sweeps.rows.iter().map(|row| (row.backend.as_str(), row.plugin.as_ref(), &row.versions));
        Self::new(&sweeps.machines, title, libraries, builds.collect())
    }

    fn new<'a>(
        machines: &[SystemProfile],
        title: impl Fn(usize) -> String,
        libraries: impl Iterator<Item = &'a Library>,
        builds: Vec<Build<'a>>,
    ) -> Self {
        let machines = machines.iter().enumerate().map(|(place, profile)| Card {
            title: title(place),
            machine: Some(place),
            pairs: machine(profile),
        });
        let libraries = distinct(libraries).into_iter().map(|library| Card {
            title: "Workload library".into(),
            machine: None,
            pairs: library_pairs(library),
        });
        Self { cards: machines.chain(libraries).chain(builds.into_iter().map(version)).collect() }
    }
}

/// Each once, in the order in which they first appear. There are few, so that a set would not pay.
fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for one in all {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    distinct
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

fn version((backend, plugin, versions): Build<'_>) -> Card {
    let plugin = plugin.map(library_pairs).into_iter().flatten();
    Card { title: words::line(backend, 60), machine: None, pairs: plugin.chain(pairs(versions)).collect() }
}

fn library_pairs(library: &Library) -> Vec<Pair> {
    let mut all = vec![pair("file", &library.path), pair("SHA-256", &library.sha256)];
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
