//! The ray backend on the real package: right answers in every shape, failures as failures, nothing left behind.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Place, Ran, build_outside, cargo, executable, plugin, profile_option, repository};

/// The backend's library, built once.
fn ray_runner() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let folder = executable().parent().unwrap();
    let target = folder.parent().unwrap().to_str().unwrap();
    BUILT.get_or_init(|| {
        let build = ["build", "--quiet", "--locked", profile_option(), "--target-dir", target];
        cargo(&[&build, ["-p", "ray_runner"].as_slice()].concat());
    });
    folder.join("libray_runner.so")
}

/// The ray backend, set up in a data folder that all of these tests share, as installing takes a while.
///
/// One at a time: each starts a dozen processes, and several at once only wait for each other.
struct Ray {
    place: Place,
    _turn: MutexGuard<'static, ()>,
}

impl Ray {
    fn new() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Place::new();
        place.stage(&ray_runner());
        let ray = Self { place, _turn: turn };
        static SET_UP: OnceLock<()> = OnceLock::new();
        SET_UP.get_or_init(|| drop(Ran::of(ray.command(&["setup", "ray"])).code(0)));
        ray
    }

    /// With the workloads of the contract's own tests in place of the standard ones.
    fn with_samples() -> Self {
        let ray = Self::new();
        fs::remove_file(ray.place.plugins().join("libstandard_workloads.so")).unwrap();
        static SAMPLES: OnceLock<PathBuf> = OnceLock::new();
        // The table of its functions is there for unit tests only.
        let source = include_str!("../plugin-api/tests/samples/mod.rs");
        let source = source.replace("__crossrun_workloads::table()", "unreachable!()");
        ray.place.stage(SAMPLES.get_or_init(|| build_outside("ray_samples", &source)));
        ray
    }

    fn data() -> PathBuf {
        executable().parent().unwrap().parent().unwrap().join("ray-data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command.env("CROSSRUN_DATA_DIR", Self::data());
        command
    }

    /// `run` with `words`, where `key=value` is an extra. Does not wait for other measurements: nothing is measured.
    fn run_on(&self, backend: &str, words: &str, temporary: &Path) -> Ran {
        let mut arguments = vec!["run", "--json", "--no-lock", "--backend", backend];
        for word in words.split(' ') {
            arguments.extend(word.contains('=').then_some("--extra"));
            arguments.push(word);
        }
        let mut command = self.command(&arguments);
        command.env("TMPDIR", temporary);
        Ran::of(command)
    }

    fn run(&self, words: &str) -> Ran {
        self.run_on("ray", words, &std::env::temp_dir())
    }

    /// A program of the environment.
    fn program(name: &str) -> PathBuf {
        let environments = fs::read_dir(Self::data().join("environments/ray")).unwrap().flatten();
        let mut programs = environments.map(|entry| entry.path().join("bin").join(name));
        programs.find(|path| path.exists()).unwrap()
    }

    /// What `shapes` come to in one session.
    fn outcomes(&self, parallelism: u32, shapes: &[Value]) -> Vec<Value> {
        let folder = repository().join("plugins/ray_runner");
        let engine = repository().join("plugins/python_engine/python");
        let path = std::env::join_paths([&folder, &engine]).unwrap();
        let mut command = Command::new(Self::program("python"));
        command.arg(folder.join("tests/shapes.py")).env("PYTHONPATH", path);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(plugin("standard_workloads")).arg(self.place.path());
        command.arg(parallelism.to_string()).arg(Value::from(shapes).to_string());
        let ran = Ran::of(command).code(0);
        ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A node of a cluster, with one processor. It ends, with what it started, when this is dropped.
struct Node(Child);

impl Node {
    fn start(place: &Place, name: &str, arguments: &[&str]) -> Self {
        let log = place.path().join(name);
        let mut command = Command::new(Ray::program("ray"));
        command.args(["start", "--num-cpus=1", "--object-store-memory=100000000", "--block"]).args(arguments);
        command.env("RAY_AUTH_MODE", "disabled").env("RAY_USAGE_STATS_ENABLED", "0");
        let file = fs::File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let node = Self(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        while !fs::read_to_string(&log).unwrap().contains("will now block") {
            assert!(Instant::now() < deadline, "{}", fs::read_to_string(&log).unwrap());
            std::thread::sleep(Duration::from_millis(100));
        }
        node
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).unwrap();
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM);
        let _ = self.0.wait();
    }
}

const WORKLOADS: [&str; 5] = ["null", "pipeline", "imbalance", "word_count", "scheduler_comparison"];
const ITEMS: [u32; 4] = [0, 1, 7, 1000];

/// Every workload at every size. By turns they take one of the ways a batch can go, so that each way meets each workload.
fn shapes(turn: usize) -> Vec<Value> {
    let ways = [
        json!({"batch_size": 1}),
        json!({"batch_size": 64, "fusion": "off"}),
        json!({"batch_size": 64, "ray_idiom": "tasks"}),
        json!({"batch_size": 64}),
        json!({"batch_size": 10_000}),
    ];
    let mut shapes = Vec::new();
    for (place, workload) in WORKLOADS.iter().enumerate() {
        for (size, items) in ITEMS.iter().enumerate() {
            let mut extra = ways[(place + size + turn) % ways.len()].clone();
            if *workload == "scheduler_comparison" {
                extra["sleep_us"] = json!(100);
            }
            shapes.push(json!({"workload": workload, "items": items, "extra": extra}));
        }
    }
    // Enough batches for a tree of more than one level.
    shapes.push(json!({"workload": "word_count", "items": 300, "extra": {"batch_size": 1, "fusion": "off"}}));
    shapes
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn every_workload_comes_to_what_it_comes_to_on_native() {
    let ray = Ray::new();
    for parallelism in [1, 2] {
        let shapes = shapes(parallelism as usize);
        let outcomes = ray.outcomes(parallelism, &shapes);
        assert_eq!(outcomes.len(), shapes.len());
        for (shape, outcome) in shapes.iter().zip(outcomes) {
            let words = format!(
                "--workload {} --items {}{}",
                shape["workload"].as_str().unwrap(),
                shape["items"],
                if shape["extra"]["sleep_us"].is_null() { "" } else { " sleep_us=100" },
            );
            let native = ray.run_on("native", &words, &std::env::temp_dir()).code(0).json();
            assert_eq!(outcome["checksum"], native["metadata"]["checksum"], "{shape} {outcome}");
            assert_eq!(outcome["count"], native["metadata"]["results_count"], "{shape} {outcome}");
            let extra = &shape["extra"];
            let are_tasks = extra["fusion"] == "off" || extra["ray_idiom"] == "tasks";
            let idiom = if are_tasks || extra["batch_size"] == 10_000 { "tasks" } else { "actors" };
            assert_eq!(outcome["idiom"], idiom, "{shape}");
        }
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn no_more_operators_work_at_once_than_were_asked_for() {
    let ray = Ray::new();
    for idiom in ["actors", "tasks"] {
        // Each item waits 10 ms, so 60 items take at least 300 ms of two.
        let words = format!(
            "--workload scheduler_comparison --items 60 --parallelism 2 --scheduler fifo sleep_us=10000 ray_idiom={idiom}"
        );
        let ran = ray.run(&words).code(0);
        let record = ran.json();
        assert!(record["duration_seconds"].as_f64().unwrap() >= 0.3, "{}", ran.explain());
        let metadata = &record["metadata"];
        assert_eq!((&metadata["verified"], &metadata["raw_metrics"]["nodes"]), (&true.into(), &1.into()));
        assert_eq!(metadata["scheduler_name"], "default");
        assert!(metadata["warnings"].to_string().contains("no scheduler"), "{record}");
        assert_eq!(metadata["versions"]["ray"], "2.60.0");
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn what_fails_in_an_operator_fails_the_run_with_its_reason_and_leaves_nothing() {
    let ray = Ray::with_samples();
    let temporary = tempfile::Builder::new().prefix("t").tempdir_in("/tmp").unwrap();
    for (fault, idiom, reason) in
        [("map_fails", "actors", "the map said no"), ("fold_panics", "tasks", "the fold gave up")]
    {
        let words = format!("--workload faulty --items 2000 --parallelism 2 fault={fault} ray_idiom={idiom}");
        let record = ray.run_on("ray", &words, temporary.path()).code(4).says(reason).json();
        assert_eq!(record["success_rate"], 0.0);
        assert_eq!(record["metadata"]["error"]["kind"], "workload", "{record}");
        let left: Vec<_> = fs::read_dir(temporary.path()).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn what_it_cannot_run_is_refused_with_the_reason() {
    let ray = Ray::new();
    let run = |extra: &str| ray.run(&format!("--workload null {extra}"));
    run("ray_idiom=both").code(2).says("must be one of auto, actors, tasks");
    run("ray_idiom=actors fusion=off").code(2).says("fusion=off needs tasks");
    run("ray_address=ray://nowhere:1").code(2).says("write host:port");
    run("ray_address=127.0.0.1:1").code(3).says("the Ray cluster at 127.0.0.1:1 cannot be used");
    run("--nodes 2").code(3).says("2 nodes are asked for, but Ray has 1");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn two_nodes_of_a_cluster_share_the_work() {
    let ray = Ray::new();
    let temporary = tempfile::Builder::new().prefix("t").tempdir_in("/tmp").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (at, folder) = (format!("--port={port}"), format!("--temp-dir={}", temporary.path().display()));
    let _head = Node::start(&ray.place, "head.log", &["--head", &at, &folder, "--include-dashboard=false"]);
    let _other = Node::start(&ray.place, "other.log", &[&format!("--address=127.0.0.1:{port}")]);
    let words = "--workload word_count --items 1000 --nodes 2 batch_size=20";
    let ran = ray.run(&format!("{words} ray_address=127.0.0.1:{port}")).code(0);
    let record = ran.json();
    assert_eq!(record["metadata"]["verified"], true);
    assert_eq!(record["metadata"]["raw_metrics"]["nodes"], 2, "{}", ran.explain());
    let crowded = ray.run(&format!("--workload null --parallelism 3 ray_address=127.0.0.1:{port}"));
    crowded.code(3).says("parallelism 3 needs as many processors, but the cluster has 2");
}

#[test]
fn without_a_set_up_the_command_for_it_is_shown() {
    let place = Place::new();
    place.stage(&ray_runner());
    place.crossrun(&["run", "--backend", "ray"]).code(3).says("crossrun setup ray");
}
