//! What can be seen of a whole session, from loading to the end of the worker, and what is left of it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use plugin_api::WorkloadSpec;

use super::data::{DEPTH, OURS};
use super::finding::NotPassed;
use super::trials::{run, trial, verified};
use crate::plugin::PluginRef;
use crate::run::backend::Backend;
use crate::run::engine::Engine;
use crate::run::executor::Executor;
use crate::run::session::Launch;
use crate::sandbox::Teardown;
use crate::slowdown::ScaledLimit;
use crate::worker::protocol::{LibraryFile, ResourceSnapshot};

/// How long threads may take to leave after the engine was stopped, on a quiet machine.
const SETTLE: Duration = Duration::from_secs(2);

/// How much is looked at of what is printed.
const BEGINNING: u64 = 200;

/// How a session went.
#[derive(Clone, Debug)]
pub(super) struct ObservedSession {
    /// What the run came to.
    pub(super) ran: Result<(), String>,
    /// How many seconds stopping the engine took.
    pub(super) closed: Result<f64, String>,
    /// What the worker's process had before the engine was started.
    pub(super) before: ResourceSnapshot,
    /// And after it was stopped, if it was.
    pub(super) after: Option<ResourceSnapshot>,
    /// The beginning of what was printed on standard output.
    pub(super) printed: String,
    /// How the end of the worker's process tree went.
    pub(super) teardown: Option<Teardown>,
    /// What was in the data folder at the end.
    pub(super) data: BTreeSet<String>,
}

impl ObservedSession {
    /// A session with one run of `spec`, from loading `plugin` to the end of its worker, whose log is `log`.
    pub(super) fn of(
        executor: &mut Executor,
        launch: &Launch,
        plugin: &PluginRef,
        log: &Path,
        spec: &WorkloadSpec,
    ) -> Result<Self, NotPassed> {
        let (name, folders) = (plugin.name(), executor.setting.folders.clone());
        let stdout = log.with_extension("stdout.log");
        let library = LibraryFile::from(plugin);
        let mut backend = Backend::load_any_name(launch, &library, name, log, Some(&stdout))?;
        let before = backend.session.snapshot()?;
        let failed = |why| Self {
            ran: Err(why),
            closed: Err("the run failed".to_owned()),
            before: before.clone(),
            after: None,
            printed: beginning(&stdout),
            teardown: None,
            data: listing(&folders.data_dir),
        };
        let trial = trial(name, spec, 1);
        let mut engine = match backend.open(trial.session(&folders), &mut |_| ()) {
            Ok(engine) => engine,
            Err(not_opened) => return Ok(failed(not_opened.error.message)),
        };
        match run(executor, &mut engine, &trial).and_then(|result| verified(&result)) {
            Ok(()) => Ok(Self::ended(engine, before, &stdout, &folders.data_dir)),
            Err(not_passed) => {
                engine.session.discard();
                match not_passed {
                    NotPassed::Failed(why) => Ok(failed(why)),
                    other => Err(other),
                }
            }
        }
    }

    /// Stops `engine`, on which the run was verified, and ends its worker.
    fn ended(mut engine: Engine, before: ResourceSnapshot, stdout: &Path, data_dir: &Path) -> Self {
        let closed = engine.stop(&mut |_| ()).map_err(|error| error.message);
        let after = closed.is_ok().then(|| settled(&mut engine, &before)).flatten();
        let printed = beginning(stdout);
        let teardown = engine.session.end();
        Self { ran: Ok(()), closed, before, after, printed, teardown, data: listing(data_dir) }
    }
}

/// The beginning of what was printed.
fn beginning(stdout: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(stdout) {
        let _ = file.take(BEGINNING).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is there when threads had time to leave.
fn settled(engine: &mut Engine, before: &ResourceSnapshot) -> Option<ResourceSnapshot> {
    let (closed, mut limit) = (Instant::now(), ScaledLimit::new(SETTLE));
    loop {
        let snapshot = engine.session.snapshot().ok()?;
        if snapshot.threads <= before.threads || limit.is_exceeded_by(closed.elapsed()) {
            return Some(snapshot);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What is in the folder, but for what the host keeps there.
fn listing(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    list(folder, "", DEPTH, &mut found);
    found
}

fn list(folder: &Path, prefix: &str, depth: usize, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if prefix.is_empty() && OURS.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&entry.path(), &format!("{path}/"), depth - 1, found);
        }
        found.insert(path);
    }
}
