//! A backend and its engine, set up once in a data folder that is kept between test runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::pairwise::cover;
use crate::support::{
    Place, Ran, build_outside, executable, once, plugin, repository, run_arguments, short_folder, warnings,
};

/// What came of setting up an engine.
type SetUp = Arc<OnceLock<Result<(), String>>>;

/// A backend and its engine, with the native backend and the standard workloads beside it.
pub(crate) struct Installed {
    pub(crate) place: Place,
    pub(crate) name: &'static str,
    temporary: TempDir,
}

impl Installed {
    /// The engine is set up by the first that needs it in this process; other processes wait, as crossrun itself makes
    /// them.
    pub(crate) fn new(name: &'static str) -> Self {
        static SET_UP: Mutex<BTreeMap<&str, SetUp>> = Mutex::new(BTreeMap::new());
        let place = Place::new();
        place.stage(&library(name));
        let engine = Self { place, name, temporary: short_folder() };
        let mut set_up = SET_UP.lock().unwrap_or_else(PoisonError::into_inner);
        let done = Arc::clone(set_up.entry(name).or_default());
        // One engine does not wait for another.
        drop(set_up);
        once(&done, || engine.set_up());
        engine
    }

    /// Fails with what is needed, if that cannot be. A package index that does not answer now may answer a moment later.
    fn set_up(&self) {
        let attempt = || Ran::of(self.command(&["setup", self.name]));
        let cannot_be_reached = |ran: &Ran| ran.stderr().contains("no package index could be reached");
        let mut ran = attempt();
        for pause in [10, 30] {
            if cannot_be_reached(&ran) {
                std::thread::sleep(Duration::from_secs(pause));
                ran = attempt();
            }
        }
        ran.code(0);
        let mut row = self.listed();
        // On a busy machine its Python, or Java, may take longer to say what it is than a probe waits.
        for _ in 0..4 {
            if row["reason"].as_str().is_some_and(|why| why.contains("no answer ")) {
                row = self.listed();
            }
        }
        assert_eq!(row["status"], "available", "{}: {}; try: {}", self.name, row["reason"], row["remedy"]);
    }

    /// Its row in the list of backends.
    fn listed(&self) -> Value {
        let rows = Ran::of(self.command(&["backends", "--json"])).code(0).json();
        let is_own = |row: &&Value| row["name"] == self.name;
        rows.as_array().unwrap().iter().find(is_own).unwrap().clone()
    }

    /// With the workloads of the contract's own tests in place of the standard ones.
    pub(crate) fn with_samples(name: &'static str) -> Self {
        let engine = Self::new(name);
        fs::remove_file(engine.place.plugins().join("libstandard_workloads.so")).unwrap();
        engine.place.stage(samples());
        engine
    }

    /// Where it is installed: one folder for all engines, kept between test runs.
    pub(crate) fn data(&self) -> PathBuf {
        executable().parent().unwrap().parent().unwrap().join("engines")
    }

    /// The folder of its programs.
    pub(crate) fn programs(&self) -> PathBuf {
        let environments = fs::read_dir(self.data().join("environments").join(self.name)).unwrap().flatten();
        environments.map(|entry| entry.path().join("bin")).find(|path| path.join("python").exists()).unwrap()
    }

    /// The engine's Python on a file of the backend's.
    pub(crate) fn script(&self, file: &str) -> Command {
        let folder = repository().join("plugins").join(format!("{}_runner", self.name));
        let shared =
            ["plugins/python_engine/python", "tests/peers/python"].map(|path| repository().join(path));
        let path = std::env::join_paths([&folder].into_iter().chain(&shared)).unwrap();
        let mut command = Command::new(self.programs().join("python"));
        command.arg(folder.join(file)).env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("TMPDIR", self.temporary());
        command
    }

    /// Demands that a script of the backend's tests passes.
    pub(crate) fn passes(&self, script: &str) {
        let mut command = self.script(&format!("tests/{script}"));
        command.arg(plugin("standard_workloads"));
        Ran::of(command).code(0);
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command.env("CROSSRUN_DATA_DIR", self.data()).env("TMPDIR", self.temporary());
        command
    }

    /// Where temporary files go, and nobody else's.
    pub(crate) fn temporary(&self) -> &Path {
        self.temporary.path()
    }

    pub(crate) fn left_nothing(&self, ran: &Ran) {
        let left: Vec<_> = fs::read_dir(self.temporary()).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?} was left by {}", ran.explain());
    }

    /// `run` with `words`, where `key=value` is an extra.
    pub(crate) fn run_command(&self, backend: &str, words: &str) -> Command {
        self.command(&run_arguments(&format!("--backend {backend} {words}")))
    }

    pub(crate) fn run(&self, words: &str) -> Ran {
        Ran::of(self.run_command(self.name, words))
    }

    /// Runs, and demands a verified answer and that nothing was left behind.
    pub(crate) fn verified(&self, words: &str) -> Value {
        let ran = self.run(words);
        let record = ran.verified();
        assert!(!record["metadata"]["warnings"].to_string().contains("left"), "{}", ran.explain());
        self.left_nothing(&ran);
        record
    }

    /// Demands that a script which is measured beside the backend computes the same.
    pub(crate) fn agrees_with_script(&self, name: &str, workload: &str, items: u32, batch_size: u32) {
        let words = format!("--workload {workload} --items {items} --parallelism 2 batch_size={batch_size}");
        let record = self.verified(&words);
        let spec = json!({
            "schema": 1, "name": workload, "total_items": items, "parallelism": 2, "seed": record["seed"],
            "extra": {"batch_size": batch_size}, "use": if workload == "task_graph" { &["graph"][..] } else { &[][..] },
        });
        let mut script = self.script(&format!("benches/{name}"));
        script.arg(plugin("standard_workloads")).arg(spec.to_string());
        let ran = Ran::of(script).code(0);
        let said = ran.stdout();
        let outcome: Vec<_> = said.split_whitespace().skip(1).collect();
        let (count, checksum) = (&record["metadata"]["results_count"], &record["metadata"]["checksum"]);
        assert_eq!(outcome, [&count.to_string(), checksum.as_str().unwrap()], "{}", ran.explain());
    }

    /// What it warns of if it is given this scheduler, and the name of the one that it used.
    pub(crate) fn scheduled(&self, scheduler: &str) -> (String, String) {
        let record = self.verified(&format!("--workload null --items 3 --scheduler {scheduler}"));
        let name = record["metadata"]["scheduler_name"].as_str().unwrap().to_owned();
        (name, warnings(&record).join("; "))
    }

    /// Demands that what an operator says when it fails is what the run says.
    pub(crate) fn tells_of_faults(&self) {
        let faults = [
            ("map_fails", "the map said no", "auto"),
            ("map_panics", "the map gave up", "off"),
            ("fold_panics", "the fold gave up", "auto"),
        ];
        for (fault, reason, fusion) in faults {
            let words = format!("--workload faulty --items 200 fault={fault} fusion={fusion} batch_size=20");
            let ran = self.run(&words).code(4).says(reason);
            self.left_nothing(&ran);
            let record = ran.json();
            assert_eq!(record["success_rate"], 0.0);
            assert_eq!(record["metadata"]["error"]["kind"], "workload", "{record}");
        }
    }
}

/// The workloads of the contract's own tests.
pub(crate) fn samples() -> &'static Path {
    static SAMPLES: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&SAMPLES, || {
        // The table of its functions is there for unit tests only.
        let source = include_str!("../plugin-api/tests/samples/mod.rs");
        build_outside("samples", &source.replace("__crossrun_workloads::table()", "unreachable!()"))
    })
    .as_path()
}

/// The backend's library.
pub(crate) fn library(name: &str) -> PathBuf {
    plugin(&format!("{name}_runner"))
}

#[test]
fn without_a_setup_its_command_is_shown() {
    for engine in ["ray", "dask", "spark"] {
        let place = Place::new();
        place.stage(&library(engine));
        place.run(&format!("run --backend {engine}")).code(3).says(&format!("crossrun setup {engine}"));
    }
}

pub(crate) const WORKLOADS: [&str; 5] =
    ["null", "pipeline", "imbalance", "word_count", "scheduler_comparison sleep_us=100"];
pub(crate) const ITEMS: [u32; 4] = [0, 1, 7, 1000];
const PARALLELISM: [u32; 2] = [1, 2];
const BATCH_SIZE: [u32; 2] = [1, 64];
pub(crate) const FUSION: [&str; 2] = ["auto", "off"];

/// Every workload at every size, and every pair of any two settings.
pub(crate) fn shapes() -> impl Iterator<Item = String> {
    let sizes = [WORKLOADS.len(), ITEMS.len(), PARALLELISM.len(), BATCH_SIZE.len(), FUSION.len()];
    cover(sizes).into_iter().map(|[workload, items, parallelism, batch_size, fusion]| {
        let (workload, items) = (WORKLOADS[workload], ITEMS[items]);
        // A task for each of a thousand items takes long, and shows no more than for some.
        let items = if items == 1000 && BATCH_SIZE[batch_size] == 1 { 200 } else { items };
        let how = format!("--parallelism {} batch_size={}", PARALLELISM[parallelism], BATCH_SIZE[batch_size]);
        format!("--workload {workload} --items {items} {how} fusion={}", FUSION[fusion])
    })
}
