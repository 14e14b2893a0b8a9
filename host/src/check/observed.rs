//! Observes a whole session, from loading to the end of the worker, and what it leaves behind.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use plugin_api::WorkloadSpec;

use super::data::{DEPTH, HOST_FILES};
use super::finding::NotPassed;
use super::trials::{run, trial, verified};
use crate::plugin::PluginRef;
use crate::regular_file;
use crate::run::backend::Backend;
use crate::run::engine::Engine;
use crate::run::executor::Executor;
use crate::run::session::Launch;
use crate::sandbox::Teardown;
use crate::slowdown::ScaledLimit;
use crate::worker::protocol::{LibraryFile, ResourceSnapshot};

/// How long threads may take to end after the engine was stopped, on a quiet machine.
const SETTLE: Duration = Duration::from_secs(2);

/// The number of bytes of standard output that are kept.
const BEGINNING: u64 = 200;

/// What was observed of a session.
#[derive(Clone, Debug)]
pub(super) struct ObservedSession {
    /// Why the run failed, if it did.
    pub(super) ran: Result<(), String>,
    /// The seconds that stopping the engine took.
    pub(super) closed: Result<f64, String>,
    /// The resources of the worker's process before the engine was started.
    pub(super) before: ResourceSnapshot,
    /// Those after it was stopped, if it was.
    pub(super) after: Option<ResourceSnapshot>,
    /// The beginning of standard output.
    pub(super) printed: String,
    /// How the worker ended.
    pub(super) teardown: Option<Teardown>,
    /// The files in the data folder at the end.
    pub(super) data: BTreeSet<String>,
}

impl ObservedSession {
    /// Runs a session with one run of `spec`, from loading `plugin` to the end of its worker, which logs to `log`.
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
            Err((error, _)) => return Ok(failed(error.message)),
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

    /// Stops `engine` after a verified run, and ends its worker.
    fn ended(mut engine: Engine, before: ResourceSnapshot, stdout: &Path, data_dir: &Path) -> Self {
        let closed = engine.stop(&mut |_| ()).map_err(|error| error.message);
        let after = closed.is_ok().then(|| snapshot_after_close(&mut engine, before.threads)).flatten();
        let teardown = engine.session.end();
        // Read last: what the C library has in a buffer is written when the worker exits.
        let printed = beginning(stdout);
        Self { ran: Ok(()), closed, before, after, printed, teardown, data: listing(data_dir) }
    }
}

/// The beginning of standard output.
fn beginning(stdout: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = regular_file::open(stdout, File::options().read(true)) {
        let _ = file.take(BEGINNING).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The resources of the worker after its threads had time to end, until no more than `threads` are left.
pub(super) fn snapshot_after_close(engine: &mut Engine, threads: Option<u64>) -> Option<ResourceSnapshot> {
    let (closed, mut limit) = (Instant::now(), ScaledLimit::new(SETTLE));
    loop {
        let snapshot = engine.session.snapshot().ok()?;
        if snapshot.threads <= threads || limit.is_exceeded_by(closed.elapsed()) {
            return Some(snapshot);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The files in the data folder, without those of the host.
fn listing(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    list(folder, "", DEPTH, &mut found);
    found
}

fn list(folder: &Path, prefix: &str, depth: usize, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if prefix.is_empty() && HOST_FILES.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&entry.path(), &format!("{path}/"), depth - 1, found);
        }
        found.insert(path);
    }
}
