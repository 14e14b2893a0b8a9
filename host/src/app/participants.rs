//! Who takes part in a measurement, and in what.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::availability::{NotReady, make_available};
use super::context::Context;
use super::resolve::{Chosen, library_file, rejected};
use super::{Exit, Problem};
use crate::app::ui::Ui;
use crate::plan::{BackendChoice, Plan, WorkloadChoice};
use crate::plugin::inspect;
use crate::plugin::survey::Row;
use crate::record::Library;
use crate::run::rig::Performer;
use crate::worker::protocol::LibraryFile;

/// A plugin that plays a backend, as a run's files have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Its own name, which is another than that of its part if it plays two, or was named on the command line.
    pub(crate) name: String,
    pub(crate) library: Library,
}

/// Who plays each part, for those who run it.
pub(crate) fn performers(parts: &BTreeMap<String, Part>) -> BTreeMap<String, Performer> {
    let performer = |part: &Part| Performer { name: part.name.clone(), library: library_file(&part.library) };
    parts.iter().map(|(name, part)| (name.clone(), performer(part))).collect()
}

/// The library of each workload, for those who run it.
pub(crate) fn library_files(libraries: &BTreeMap<String, Library>) -> BTreeMap<String, LibraryFile> {
    libraries.iter().map(|(name, library)| (name.clone(), library_file(library))).collect()
}

/// What runs when no workload is named, at a size that takes about a second on two native threads. An item that is
/// scheduled alone measures the scheduler, so all but the first travel in batches.
fn usual(name: &str) -> (u64, Value) {
    match name {
        "scheduler_comparison" => (100, json!({})),
        "pipeline" => (200_000, json!({"batch_size": 1000})),
        // Few items a batch: a batch of many evens out what this workload is for.
        "imbalance" => (6_000, json!({"batch_size": 10, "distribution": "bimodal", "iters": 100_000})),
        "word_count" => (2_000_000, json!({"batch_size": 10_000})),
        // Enough items for a 99th percentile of those that pass the filter.
        // The rate is said, so that every report of it says what was offered.
        "open_loop" => (2_000, json!({"iters": 50_000, "rate": 1000})),
        "null" => (2_000_000, json!({"batch_size": 1000})),
        _ => (10_000, json!({"batch_size": 100})),
    }
}

/// The workloads that run when none is named.
const WORKLOADS: [&str; 4] = ["scheduler_comparison", "pipeline", "imbalance", "word_count"];

/// The backend that others are compared with when none is named and it takes part.
const BASELINE: &str = "native";

/// Who takes part, and in what.
pub(crate) struct Lineup {
    /// Each with the name under which it takes part.
    backends: Vec<(String, Chosen)>,
    workloads: Vec<(String, Chosen)>,
}

impl Lineup {
    /// Those that were named, else all that are available; what is not is told with what mends it.
    pub(crate) fn choose(
        context: &Context,
        backends: &[String],
        workloads: &[String],
        setup: bool,
        ui: &mut Ui,
    ) -> Result<Self, Problem> {
        let workloads =
            if workloads.is_empty() { WORKLOADS.map(str::to_owned).to_vec() } else { workloads.to_vec() };
        let library = |name: &String| Ok((name.clone(), context.workload_library(name)?));
        let workloads = workloads.iter().map(library).collect::<Result<_, Problem>>()?;
        let backends = if backends.is_empty() {
            all_available(context, setup, ui)?
        } else {
            named(context, backends, setup, ui)?
        };
        if backends.is_empty() {
            let message = "no backend is available";
            return Err(Problem::new(Exit::Unavailable, message).with_remedy("crossrun backends"));
        }
        Ok(Self { backends, workloads })
    }

    /// The first one's name.
    pub(crate) fn first(&self) -> String {
        self.backends.first().map(|(name, _)| name.clone()).unwrap_or_default()
    }

    /// The backend that the others are compared with.
    pub(crate) fn baseline(&self, asked_for: Option<&str>) -> Result<String, Problem> {
        let takes_part = |name: &str| self.backends.iter().any(|(part, _)| part == name);
        match asked_for.map(str::to_lowercase) {
            Some(name) if takes_part(&name) => Ok(name),
            Some(name) => Err(Problem::usage(format!("--baseline {name} does not take part"))),
            None if takes_part(BASELINE) => Ok(BASELINE.into()),
            None => Ok(self.first()),
        }
    }

    pub(crate) fn backends(&self) -> Vec<BackendChoice> {
        let choice = |(name, plugin): &(String, Chosen)| BackendChoice {
            name: name.clone(),
            runs: plugin.metadata.name.clone(),
        };
        self.backends.iter().map(choice).collect()
    }

    /// The workloads with `items` each, or a usual number; what `options` say is not said again.
    pub(crate) fn workloads(&self, items: &[u64], options: &Map<String, Value>) -> Vec<WorkloadChoice> {
        let choice = |(name, _): &(String, Chosen)| {
            let (usual_items, extra) = usual(name);
            let items = if items.is_empty() { vec![usual_items] } else { items.to_vec() };
            let mut extra = object(extra);
            extra.retain(|key, _| !options.contains_key(key));
            WorkloadChoice { name: name.clone(), items, extra }
        };
        self.workloads.iter().map(choice).collect()
    }

    /// Who plays each part of the plan: the second of `--aa` is played by the same as the first.
    pub(crate) fn performers(&self, plan: &Plan) -> BTreeMap<String, Part> {
        let sessions = plan.blocks.iter().flat_map(|block| &block.sessions);
        let parts = sessions.map(|session| &session.backend).filter_map(|part| {
            let plays = |(name, _): &&(String, Chosen)| *name == part.name;
            let plays_again = |(_, plugin): &&(String, Chosen)| plugin.metadata.name == part.runs;
            let (_, plugin) =
                self.backends.iter().find(plays).or_else(|| self.backends.iter().find(plays_again))?;
            Some((part.name.clone(), Part { name: part.runs.clone(), library: plugin.record() }))
        });
        parts.collect()
    }

    pub(crate) fn libraries(&self) -> BTreeMap<String, Library> {
        self.workloads.iter().map(|(name, library)| (name.clone(), library.record())).collect()
    }

    /// A debug build beside a release build compares compilers.
    pub(crate) fn check_builds(&self, insist: bool) -> Result<(), Problem> {
        let debug = |plugin: &Chosen| plugin.metadata.is_debug_build();
        let names = |wanted: bool| {
            let parts = self.backends.iter().filter(|(_, plugin)| debug(plugin) == wanted);
            parts.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        };
        let (debug, release) = (names(true), names(false));
        if insist || debug.is_empty() || release.is_empty() {
            return Ok(());
        }
        let message =
            format!("{debug} was built for debugging, but {release} for release: that is no comparison");
        Err(Problem::new(Exit::Invalid, message).with_remedy("cargo build --release, or --insist"))
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn all_available(context: &Context, setup: bool, ui: &mut Ui) -> Result<Vec<(String, Chosen)>, Problem> {
    let mut chosen = Vec::new();
    for name in context.survey().runners.names() {
        let plugin =
            context.runner(&name).and_then(|plugin| ready(context, &plugin, setup, ui).map(|()| plugin));
        match plugin {
            Ok(plugin) => chosen.push((name, plugin)),
            Err(problem) if problem.exit == Exit::Interrupted => return Err(problem),
            // The others can be compared without it.
            Err(problem) => ui.note(&format!("left out: {}", problem.line())),
        }
    }
    for Row { path, reason, .. } in context.survey().rows.iter().filter(|row| row.name.is_none()) {
        ui.note(&format!("left out: {}: {}", path.display(), reason.as_deref().unwrap_or_default()));
    }
    Ok(chosen)
}

fn named(
    context: &Context,
    names: &[String],
    setup: bool,
    ui: &mut Ui,
) -> Result<Vec<(String, Chosen)>, Problem> {
    let mut chosen = Vec::new();
    for name in names {
        let (part, plugin) = match name.split_once('=') {
            Some((part, file)) => (part.to_lowercase(), from_file(context, file)?),
            None => (name.to_lowercase(), context.runner(name)?),
        };
        ready(context, &plugin, setup, ui)?;
        chosen.push((part, plugin));
    }
    Ok(chosen)
}

/// A library that need not be in a plugins folder.
fn from_file(context: &Context, file: &str) -> Result<Chosen, Problem> {
    let path = Path::new(file);
    let trusted = context.trust().check_file(path).map_err(inspect::Rejection::from);
    let plugin =
        trusted.and_then(|()| inspect::inspect(path)).map_err(|rejection| rejected(path, rejection))?;
    match plugin.metadata.kind {
        inspect::Kind::Runner => context.choose(&plugin),
        inspect::Kind::Workloads(_) => {
            Err(Problem::new(Exit::Unavailable, format!("{file}: a library of workloads, not a backend")))
        }
    }
}

/// Asks a backend whether it could start, and sets it up if that was asked for.
fn ready(context: &Context, plugin: &Chosen, setup: bool, ui: &mut Ui) -> Result<(), Problem> {
    let name = &plugin.metadata.name;
    let folders = context.folders("compare")?;
    let mut backend = context.load(plugin, &folders)?;
    let ready = make_available(context, &mut backend, name, setup, &folders, ui);
    ui.still();
    backend.end();
    context.tidy(&folders);
    ready.map_err(|not_ready| match not_ready {
        NotReady::Call(error) => error.into(),
        NotReady::Problem(problem) => problem,
    })
}
