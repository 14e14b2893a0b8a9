//! A backend whose engine has to be set up, and scripts in its environment.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::pair::{Pair, selected};

/// One way to run a workload.
#[derive(Clone, Copy)]
pub struct Point {
    /// The workload's name.
    pub workload: &'static str,
    /// How many items.
    pub items: u64,
    /// How many operator calls at once.
    pub parallelism: u32,
    /// Parameters and options, as a JSON object; with `batch_size`.
    pub extra: &'static str,
}

impl Point {
    fn extra(&self) -> Map<String, Value> {
        serde_json::from_str(self.extra).unwrap()
    }

    /// The arguments of the command line, without the workload.
    fn arguments(&self) -> Vec<String> {
        let [items, parallelism] = [self.items, self.parallelism.into()].map(|number| number.to_string());
        let extra =
            self.extra().into_iter().flat_map(|(key, value)| ["--extra".into(), format!("{key}={value}")]);
        ["--items".into(), items, "--parallelism".into(), parallelism].into_iter().chain(extra).collect()
    }

    fn spec(&self, seed: u64) -> Value {
        let Self { workload, items, parallelism, .. } = self;
        // Graphs that the backend runs by their dependencies, the script runs so too.
        let granted = if *workload == "task_graph" { vec!["graph"] } else { Vec::new() };
        json!({
            "schema": 1, "name": workload, "total_items": items, "parallelism": parallelism, "seed": seed,
            "extra": self.extra(), "use": granted,
        })
    }
}

/// A release build, and a backend that is set up in a data folder: that of `CROSSRUN_DATA_DIR`, or one beside the build. It is kept
/// for the next benchmark.
pub struct Engine {
    name: &'static str,
    crate_folder: &'static Path,
    built: PathBuf,
    data: PathBuf,
    work: TempDir,
}

/// The result of a trial.
#[derive(Debug)]
struct Measured {
    seconds: f64,
    count: u64,
    checksum: String,
    seed: u64,
}

impl Engine {
    /// Builds everything, and sets the backend `name` up; `crate_folder` is that of the crate whose benchmark this is.
    pub fn set_up(name: &'static str, crate_folder: &'static str) -> Self {
        let crate_folder = Path::new(crate_folder);
        let repository = crate_folder.ancestors().nth(2).unwrap();
        let build = ["build", "--quiet", "--release", "--locked"];
        assert!(Command::new(env!("CARGO")).args(build).current_dir(repository).status().unwrap().success());
        // The benchmark's own file is in `deps`.
        let built = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
        let data =
            std::env::var_os("CROSSRUN_DATA_DIR").map_or_else(|| built.join("bench-data"), PathBuf::from);
        let engine = Self { name, crate_folder, built, data, work: tempfile::tempdir().unwrap() };
        assert!(engine.crossrun(&["setup", name]).status().unwrap().success());
        engine
    }

    /// A plugin of the build.
    pub fn library(&self, name: &str) -> PathBuf {
        self.built.join(format!("lib{name}.so"))
    }

    /// The command line, with the data folder in which the backend is set up.
    pub fn crossrun(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.built.join("crossrun"));
        command.args(arguments).env("CROSSRUN_DATA_DIR", &self.data).current_dir(self.work.path());
        command.stderr(Stdio::null());
        command
    }

    /// The interpreter of the engine's environment on `benches/SCRIPT` of the crate, with the package through which
    /// scripts call the library of workloads.
    pub fn script(&self, script: &str) -> Command {
        let environments =
            std::fs::read_dir(self.data.join("environments").join(self.name)).unwrap().flatten();
        let mut pythons = environments.map(|entry| entry.path().join("bin/python"));
        let python = pythons.find(|python| python.exists()).unwrap();
        let mut command = Command::new(python);
        command.arg(self.crate_folder.join("benches").join(script)).current_dir(self.work.path());
        let (kernel, peer) = (
            self.crate_folder.join("../python_engine/python"),
            self.crate_folder.join("../../tests/peers/python"),
        );
        command.env("PYTHONPATH", std::env::join_paths([kernel, peer]).unwrap());
        command.env("PYTHONDONTWRITEBYTECODE", "1").stderr(Stdio::null());
        command
    }

    /// Prints the row that compares `point` on the backend with `benches/SCRIPT`, which is written by hand for the engine
    /// and uses `python/peer.py`. The script must have the count and checksum of the backend. In each round both sides are
    /// new processes, which are warmed up.
    pub fn beside_script(&self, script: &str, point: Point, bar: &str, rounds: usize) {
        let Point { workload, items, parallelism, extra } = point;
        let name = format!("{workload}, {items} items, parallelism {parallelism}, {extra}, beside {script}");
        if !selected(&name) {
            return;
        }
        let expected = self.measured(point);
        let checked = |measured: Measured| {
            assert_eq!((measured.count, &measured.checksum), (expected.count, &expected.checksum), "{name}");
            measured.seconds
        };
        let with = || checked(self.measured(point));
        let without = || checked(self.handwritten(script, point, expected.seed));
        Pair { with, without }.compare(&name, bar, rounds);
    }

    /// Seconds of a run of the backend in a session that was warmed up.
    pub fn seconds(&self, point: Point) -> f64 {
        self.measured(point).seconds
    }

    fn measured(&self, point: Point) -> Measured {
        let folder = tempfile::tempdir_in(self.work.path()).unwrap();
        let mut command = self.crossrun(&["compare", "--json", "--backends", self.name, "--blocks", "1"]);
        // Each comparison draws other data, and the script is to have the backend's answer.
        command.args(["--workloads", point.workload, "--run-id", "bench", "--data-seed", "7"]);
        command.args(point.arguments());
        command.current_dir(folder.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stdout));
        let text =
            std::fs::read_to_string(folder.path().join("results/bench/unified_results.jsonl")).unwrap();
        let record: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let metadata = &record["metadata"];
        Measured {
            seconds: record["duration_seconds"].as_f64().unwrap(),
            count: metadata["results_count"].as_u64().unwrap(),
            checksum: metadata["checksum"].as_str().unwrap().to_owned(),
            seed: metadata["data_seed"].as_u64().unwrap(),
        }
    }

    fn handwritten(&self, script: &str, point: Point, seed: u64) -> Measured {
        let mut command = self.script(script);
        command.arg(self.library("standard_workloads")).arg(point.spec(seed).to_string());
        let words = words(command);
        Measured {
            seconds: words[0].parse().unwrap(),
            count: words[1].parse().unwrap(),
            checksum: words[2].clone(),
            seed,
        }
    }

    /// Prints the peak memory of runs of the backend `backend` at each number of items, if the row is selected.
    pub fn print_peaks(&self, backend: &str, items: [u64; 2], point: Point) {
        let [few, many] = items;
        let name = format!(
            "{backend}: peak of all processes at {few} and {many} items of {}, {}",
            point.workload, point.extra
        );
        if selected(&name) {
            let [few, many] = items.map(|items| self.peak_mib(backend, Point { items, ..point }));
            println!("{name}: {few:.0} and {many:.0} MiB");
        }
    }

    /// The peak of all processes of a run, in MiB.
    fn peak_mib(&self, backend: &str, point: Point) -> f64 {
        let (items, parallelism) = (point.items.to_string(), point.parallelism.to_string());
        let mut command =
            self.crossrun(&["run", "--json", "--backend", backend, "--workload", point.workload]);
        command.args(["--items", &items, "--parallelism", &parallelism]);
        for (key, value) in point.extra() {
            command.arg("--extra").arg(format!("{key}={value}"));
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}");
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        record["metadata"]["resources"]["peak_memory_bytes"].as_f64().unwrap() / f64::from(1 << 20)
    }
}

/// The fields that a script prints.
pub fn words(mut command: Command) -> Vec<String> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
}
