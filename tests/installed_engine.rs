//! A backend on an engine that has to be installed, set up once in a data folder that is kept between test runs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use serde_json::Value;

use crate::support::{Place, Ran, build_outside, cargo, executable, profile_option};

/// A backend and its engine, with the native backend and the standard workloads beside it.
pub(crate) struct Installed {
    pub(crate) place: Place,
    name: &'static str,
}

impl Installed {
    pub(crate) fn new(name: &'static str) -> Self {
        static SET_UP: Mutex<Vec<&str>> = Mutex::new(Vec::new());
        let place = Place::new();
        place.stage(&library(name));
        let engine = Self { place, name };
        let mut set_up = SET_UP.lock().unwrap();
        if !set_up.contains(&name) {
            Ran::of(engine.command(&["setup", name])).code(0);
            set_up.push(name);
        }
        engine
    }

    /// With the workloads of the contract's own tests in place of the standard ones.
    pub(crate) fn with_samples(name: &'static str) -> Self {
        static SAMPLES: OnceLock<PathBuf> = OnceLock::new();
        let engine = Self::new(name);
        fs::remove_file(engine.place.plugins().join("libstandard_workloads.so")).unwrap();
        // The table of its functions is there for unit tests only.
        let source = include_str!("../plugin-api/tests/samples/mod.rs");
        let source = source.replace("__crossrun_workloads::table()", "unreachable!()");
        engine.place.stage(SAMPLES.get_or_init(|| build_outside("samples", &source)));
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

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command.env("CROSSRUN_DATA_DIR", self.data()).env("TMPDIR", self.temporary());
        command
    }

    /// Where temporary files go.
    fn temporary(&self) -> PathBuf {
        let folder = self.place.path().join("temporary");
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn left_nothing(&self, ran: &Ran) {
        let left: Vec<_> = fs::read_dir(self.temporary()).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?} was left by {}", ran.explain());
    }

    /// `run` with `words`, where `key=value` is an extra. Does not wait for other measurements: nothing is measured.
    pub(crate) fn run_command(&self, backend: &str, words: &str) -> Command {
        let mut arguments = vec!["run", "--json", "--no-lock", "--backend", backend];
        for word in words.split(' ') {
            arguments.extend(word.contains('=').then_some("--extra"));
            arguments.push(word);
        }
        self.command(&arguments)
    }

    pub(crate) fn run(&self, words: &str) -> Ran {
        Ran::of(self.run_command(self.name, words))
    }

    /// Runs, and demands a verified answer and that nothing was left behind.
    pub(crate) fn verified(&self, words: &str) -> Value {
        let ran = self.run(words).code(0);
        let record = ran.json();
        assert_eq!(record["metadata"]["verified"], true, "{}", ran.explain());
        assert!(!record["metadata"]["warnings"].to_string().contains("left"), "{}", ran.explain());
        self.left_nothing(&ran);
        record
    }

    /// Runs on the native backend too, and demands the same answer.
    pub(crate) fn agrees_with_native(&self, words: &str, own: &str) -> Value {
        let record = self.verified(&format!("{words} {own}"));
        let native = Ran::of(self.run_command("native", words)).code(0).json();
        for key in ["checksum", "results_count"] {
            assert_eq!(record["metadata"][key], native["metadata"][key], "{words} {own}");
        }
        record
    }

    /// What it warns of if it is given this scheduler, and the name of the one that it used.
    pub(crate) fn scheduled(&self, scheduler: &str) -> (String, String) {
        let record = self.verified(&format!("--workload null --items 3 --scheduler {scheduler}"));
        let name = record["metadata"]["scheduler_name"].as_str().unwrap().to_owned();
        (name, record["metadata"]["warnings"].to_string())
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

/// The backend's library, built once.
pub(crate) fn library(name: &str) -> PathBuf {
    static BUILT: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let crate_name = format!("{name}_runner");
    let folder = executable().parent().unwrap();
    let target = folder.parent().unwrap().to_str().unwrap();
    let mut built = BUILT.lock().unwrap();
    if !built.contains(&crate_name) {
        let build = ["build", "--quiet", "--locked", profile_option(), "--target-dir", target];
        cargo(&[&build, ["-p", crate_name.as_str()].as_slice()].concat());
        built.push(crate_name.clone());
    }
    folder.join(format!("lib{crate_name}.so"))
}

const WORKLOADS: [&str; 5] =
    ["null", "pipeline", "imbalance", "word_count", "scheduler_comparison sleep_us=100"];
const ITEMS: [u32; 4] = [0, 1, 7, 1000];
const FUSION: [&str; 2] = ["auto", "off"];
const BATCH_SIZE: [u32; 2] = [1, 64];

/// Every workload at every size: places in the lists above, and of parallelism, batch size and fusion.
fn places() -> impl Iterator<Item = [usize; 5]> {
    let pairs =
        (0..WORKLOADS.len()).flat_map(|workload| (0..ITEMS.len()).map(move |items| (workload, items)));
    pairs.map(|(workload, items)| {
        [
            workload,
            items,
            (workload + items) % 2,
            (workload + items / 2) % 2,
            (workload / 2 + items / 2 + items) % 2,
        ]
    })
}

/// Every workload at every size, and every pair of any two settings.
pub(crate) fn shapes() -> impl Iterator<Item = (String, String)> {
    places().map(|[workload, items, parallelism, batch_size, fusion]| {
        let (workload, items) = (WORKLOADS[workload], ITEMS[items]);
        // A task for each of a thousand items takes long, and shows no more than for some.
        let items = if items == 1000 && BATCH_SIZE[batch_size] == 1 { 200 } else { items };
        let how = format!("--parallelism {} batch_size={}", parallelism + 1, BATCH_SIZE[batch_size]);
        (format!("--workload {workload} --items {items} {how}"), format!("fusion={}", FUSION[fusion]))
    })
}

#[test]
fn the_shapes_cover_every_pair() {
    let sizes = [WORKLOADS.len(), ITEMS.len(), 2, 2, 2];
    for one in 0..sizes.len() {
        for two in one + 1..sizes.len() {
            for (a, b) in (0..sizes[one]).flat_map(|a| (0..sizes[two]).map(move |b| (a, b))) {
                let covered = places().any(|shape| shape[one] == a && shape[two] == b);
                assert!(covered, "no shape has {a} at {one} and {b} at {two}");
            }
        }
    }
}
