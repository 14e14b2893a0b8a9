//! The sage backend on the real package: right answers in every shape, failures as failures, nothing left behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Place, Ran, build_outside, cargo, eventually, executable, plugin, profile_option, repository,
};

/// The backend's library, built once.
fn sage_runner() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let folder = executable().parent().unwrap();
    let target = folder.parent().unwrap().to_str().unwrap();
    BUILT.get_or_init(|| {
        let build = ["build", "--quiet", "--locked", profile_option(), "--target-dir", target];
        cargo(&[&build, ["-p", "sage_runner"].as_slice()].concat());
    });
    folder.join("libsage_runner.so")
}

/// The sage backend, set up in a data folder that all of these tests share, as installing takes a while.
struct Sage {
    place: Place,
}

impl Sage {
    fn new() -> Self {
        let place = Place::new();
        place.stage(&sage_runner());
        let sage = Self { place };
        static SET_UP: OnceLock<()> = OnceLock::new();
        SET_UP.get_or_init(|| drop(sage.crossrun(&["setup", "sage"]).code(0)));
        sage
    }

    /// With the workloads of the contract's own tests in place of the standard ones.
    fn with_samples() -> Self {
        let sage = Self::new();
        fs::remove_file(sage.place.plugins().join("libstandard_workloads.so")).unwrap();
        static SAMPLES: OnceLock<PathBuf> = OnceLock::new();
        // The table of its functions is there for unit tests only.
        let source = include_str!("../plugin-api/tests/samples/mod.rs");
        let source = source.replace("__crossrun_workloads::table()", "unreachable!()");
        sage.place.stage(SAMPLES.get_or_init(|| build_outside("samples", &source)));
        sage
    }

    fn data() -> PathBuf {
        executable().parent().unwrap().parent().unwrap().join("sage-data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(arguments);
        command.env("CROSSRUN_DATA_DIR", Self::data());
        command
    }

    fn crossrun(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments))
    }

    /// `run` with `words`, where `key=value` is an extra. Does not wait for other measurements: nothing is measured.
    fn run_command(&self, backend: &str, words: &str) -> Command {
        let mut arguments = vec!["run", "--json", "--no-lock", "--backend", backend];
        for word in words.split(' ') {
            arguments.extend(word.contains('=').then_some("--extra"));
            arguments.push(word);
        }
        self.command(&arguments)
    }

    fn run(&self, words: &str) -> Ran {
        Ran::of(self.run_command("sage", words))
    }

    /// Runs on sage, and demands a verified answer.
    fn verified(&self, words: &str) -> Value {
        let ran = self.run(words).code(0);
        let record = ran.json();
        assert_eq!(record["metadata"]["verified"], true, "{}", ran.explain());
        record
    }

    fn python() -> PathBuf {
        let environments = fs::read_dir(Self::data().join("environments/sage")).unwrap().flatten();
        environments.map(|entry| entry.path().join("bin/python")).find(|path| path.exists()).unwrap()
    }

    /// SAGE's Python on a file of the backend's.
    fn script(file: &str) -> Command {
        let folder = repository().join("plugins/sage_runner");
        let engine = repository().join("plugins/python_engine/python");
        let path = std::env::join_paths([&folder, &engine]).unwrap();
        let mut command = Command::new(Self::python());
        command.arg(folder.join(file)).env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// A FlowNet node as a process of its own. It is killed at the end.
struct Node {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Node {
    fn start() -> Self {
        let address = format!("127.0.0.1:{}", two_free_ports());
        let folder = tempfile::tempdir().unwrap();
        let mut command = Sage::script("node.py");
        command.arg(&address).env("TMPDIR", folder.path()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, format!("ready {address} {}\n", process.id()));
        Self { process, address, folder }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// How many libraries it has received.
    fn libraries(&self) -> usize {
        let inner = fs::read_dir(self.folder.path()).unwrap().flatten();
        let files = inner.flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten());
        files.filter(|file| file.path().extension().is_some_and(|extension| extension == "so")).count()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that is free, as the next one is.
fn two_free_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

const WORKLOADS: [&str; 5] =
    ["null", "pipeline", "imbalance", "word_count", "scheduler_comparison sleep_us=100"];
const ITEMS: [u32; 4] = [0, 1, 7, 1000];
const PARALLELISM: [u32; 3] = [1, 2, 4];
const BATCH_SIZE: [u32; 3] = [1, 64, 1000];
const MODE: [&str; 2] = ["batch", "stream"];
const ENVIRONMENT: [&str; 2] = ["flownet", "local"];
const FUSION: [&str; 2] = ["auto", "off"];

/// Every workload at every size, and every pair of any two settings, by their places in the lists above.
const SHAPES: [[usize; 7]; 20] = [
    [0, 0, 1, 0, 1, 0, 0],
    [0, 1, 1, 1, 1, 1, 0],
    [0, 2, 0, 1, 0, 0, 1],
    [0, 3, 2, 2, 1, 0, 0],
    [1, 0, 0, 0, 1, 1, 0],
    [1, 1, 0, 2, 1, 0, 1],
    [1, 2, 1, 1, 1, 0, 1],
    [1, 3, 2, 0, 0, 0, 0],
    [2, 0, 2, 0, 1, 0, 1],
    [2, 1, 0, 2, 1, 1, 0],
    [2, 2, 0, 2, 0, 0, 1],
    [2, 3, 1, 1, 1, 1, 1],
    [3, 0, 2, 1, 0, 1, 1],
    [3, 1, 0, 0, 1, 0, 0],
    [3, 2, 2, 2, 0, 0, 0],
    [3, 3, 1, 0, 1, 1, 0],
    [4, 0, 1, 2, 1, 0, 1],
    [4, 1, 2, 0, 0, 0, 0],
    [4, 2, 1, 0, 0, 1, 0],
    [4, 3, 0, 1, 0, 0, 0],
];

#[test]
fn the_shapes_cover_every_pair() {
    let sizes = [WORKLOADS.len(), ITEMS.len(), PARALLELISM.len(), BATCH_SIZE.len(), 2, 2, 2];
    for one in 0..sizes.len() {
        for two in one + 1..sizes.len() {
            for (a, b) in (0..sizes[one]).flat_map(|a| (0..sizes[two]).map(move |b| (a, b))) {
                let covered = SHAPES.iter().any(|shape| shape[one] == a && shape[two] == b);
                assert!(covered, "no shape has {a} at {one} and {b} at {two}");
            }
        }
    }
}

#[test]
fn every_workload_comes_to_what_it_comes_to_on_native() {
    let sage = Sage::new();
    for [workload, items, parallelism, batch_size, mode, environment, fusion] in SHAPES {
        let words = format!(
            "--workload {} --items {} --parallelism {} batch_size={}",
            WORKLOADS[workload], ITEMS[items], PARALLELISM[parallelism], BATCH_SIZE[batch_size],
        );
        let native = Ran::of(sage.run_command("native", &words)).code(0).json();
        let (mode, environment, fusion) = (MODE[mode], ENVIRONMENT[environment], FUSION[fusion]);
        let own = format!("sage_mode={mode} sage_environment={environment} fusion={fusion}");
        let record = sage.verified(&format!("{words} {own}"));
        for key in ["checksum", "results_count"] {
            assert_eq!(record["metadata"][key], native["metadata"][key], "{words} {own}");
        }
        let metrics = &record["metadata"]["raw_metrics"];
        assert_eq!(
            (&metrics["sage_mode"], &metrics["sage_environment"]),
            (&mode.into(), &environment.into())
        );
        assert_eq!(metrics["nodes"], 1);
        assert_eq!(record["metadata"]["versions"]["isage"], "0.3.2.4");
    }
}

#[test]
fn two_reductions_in_a_row_are_right_in_every_mode_and_environment() {
    let sage = Sage::with_samples();
    for (mode, environment) in
        MODE.iter().flat_map(|mode| ENVIRONMENT.iter().map(move |environment| (mode, environment)))
    {
        for fusion in FUSION {
            let own = format!("sage_mode={mode} sage_environment={environment} fusion={fusion}");
            sage.verified(&format!(
                "--workload count_of_counts --items 500 --parallelism 3 batch_size=9 {own}"
            ));
        }
    }
}

#[test]
fn more_batches_than_a_window_holds_are_counted_once() {
    let record = Sage::new().verified("--workload pipeline --items 1100 --parallelism 2");
    assert_eq!(record["metadata"]["raw_metrics"]["windows"], 3);
}

#[test]
fn a_stream_ends_with_its_source() {
    // A source that ends with nothing is polled for ten more seconds.
    let record = Sage::new().verified("--workload null --items 7 sage_mode=stream");
    assert!(record["duration_seconds"].as_f64().unwrap() < 5.0, "{record}");
}

#[test]
fn no_more_operators_work_at_once_than_were_asked_for() {
    let sage = Sage::new();
    // Each item waits 10 ms, so 60 items take at least 600 ms of somebody's time.
    for (own, at_once) in [("fusion=auto", 2.0), ("sage_environment=local", 2.0), ("sage_mode=stream", 1.0)] {
        let words = "--workload scheduler_comparison --items 60 --parallelism 2 sleep_us=10000";
        let record = sage.verified(&format!("{words} {own}"));
        assert!(record["duration_seconds"].as_f64().unwrap() >= 0.6 / at_once, "{own}: {record}");
    }
}

#[test]
fn a_scheduler_is_reported_as_what_it_was() {
    let sage = Sage::new();
    let warnings = |scheduler: &str| {
        let record = sage.verified(&format!("--workload null --items 3 --scheduler {scheduler}"));
        let text = record["metadata"]["warnings"].to_string();
        (record["metadata"]["scheduler_name"].as_str().unwrap().to_owned(), text)
    };
    let (name, text) = warnings("load_aware");
    assert!(name == "load_aware" && text.contains("accepted and ignored by SAGE 0.3.2.4"), "{name} {text}");
    let (name, text) = warnings("newest");
    assert!(name == "default" && text.contains("unknown to SAGE"), "{name} {text}");
    assert_eq!(warnings("default"), ("default".into(), "[]".into()));
}

#[test]
fn what_fails_in_an_operator_fails_the_run_with_its_reason() {
    let sage = Sage::with_samples();
    let faults = [
        ("map_fails", "the map said no"),
        ("map_panics", "the map gave up"),
        ("fold_panics", "the fold gave up"),
    ];
    for mode in ["sage_mode=batch", "sage_mode=stream", "sage_environment=local"] {
        for (fault, reason) in faults {
            let words = format!("--workload faulty --items 2000 --parallelism 4 fault={fault} {mode}");
            let record = sage.run(&words).code(4).says(reason).json();
            assert_eq!(record["success_rate"], 0.0);
            assert_eq!(record["metadata"]["error"]["kind"], "workload", "{record}");
        }
    }
}

#[test]
fn what_it_cannot_run_is_refused_with_the_reason() {
    let sage = Sage::new();
    let run = |extra: &str| sage.run(&format!("--workload null {extra}"));
    run("sage_mode=sideways").code(2).says("must be one of batch, stream");
    run("sage_address=nowhere").code(2).says("write host:port");
    run("sage_address=8.8.8.8:7300").code(2).says("not on a private network");
    run("sage_address=127.0.0.1:1").code(3).says("the FlowNet nodes cannot be used");
    let mut public = Sage::script("node.py");
    let refused = Ran::of({
        public.arg("0.0.0.0:7300");
        public
    });
    assert!(refused.stderr().contains("not on a private network"), "{}", refused.explain());
}

#[test]
fn without_a_set_up_the_command_for_it_is_shown() {
    let place = Place::new();
    place.stage(&sage_runner());
    place.crossrun(&["run"]).code(3).says("crossrun setup sage");
}

#[test]
fn fifty_runs_in_one_session_leave_nothing_behind() {
    drop(Sage::new());
    let mut command = Sage::script("tests/many_runs.py");
    command.arg(plugin("standard_workloads"));
    Ran::of(command).code(0);
}

#[test]
fn the_script_to_compare_with_computes_the_same() {
    let sage = Sage::new();
    let record = sage.verified("--workload pipeline --items 100 batch_size=7");
    let mut script = Sage::script("benches/handwritten.py");
    script.arg(plugin("standard_workloads")).args(["pipeline", "100", "2", "7"]);
    let ran = Ran::of(script).code(0);
    let said = ran.stdout();
    let outcome: Vec<_> = said.split_whitespace().skip(1).collect();
    assert_eq!(outcome, ["50", record["metadata"]["checksum"].as_str().unwrap()], "{}", ran.explain());
}

/// What each node says it has done.
fn work(record: &Value) -> Vec<u64> {
    let work = record["metadata"]["raw_metrics"]["node_work"].as_object().unwrap();
    work.values().map(|calls| calls.as_u64().unwrap()).collect()
}

#[test]
fn two_nodes_share_the_work_and_the_answer_holds() {
    let sage = Sage::new();
    let (one, two) = (Node::start(), Node::start());
    let both = format!("sage_address={},{}", one.address, two.address);
    for shape in [
        "--workload pipeline --items 64",
        "--workload word_count --items 300 batch_size=20",
        "--workload word_count --items 300 batch_size=20 sage_mode=stream",
        "--workload imbalance --items 40 fusion=off",
    ] {
        let words = format!("{shape} --parallelism 4");
        let native =
            Ran::of(sage.run_command("native", &words.replace(" sage_mode=stream", ""))).code(0).json();
        let record = sage.verified(&format!("{words} {both}"));
        assert_eq!(record["metadata"]["checksum"], native["metadata"]["checksum"], "{words}");
        assert_eq!(record["metadata"]["raw_metrics"]["nodes"], 2);
        let calls = work(&record);
        assert!(calls.len() == 2 && calls.iter().all(|calls| *calls > 0), "{words}: {calls:?}");
    }
    assert_eq!((one.libraries(), two.libraries()), (1, 1), "the library travels to each node once");
    // One replica works on one node.
    assert_eq!(
        sage.verified(&format!("--workload null --parallelism 1 {both}"))["metadata"]["raw_metrics"]["nodes"],
        1
    );
}

#[test]
fn an_error_on_a_node_is_the_runs_error() {
    let sage = Sage::with_samples();
    let node = Node::start();
    let address = format!("sage_address={}", node.address);
    let crowded = sage.run(&format!("--workload faulty --parallelism 65 {address}"));
    crowded.code(3).says("actor_not_found:slot-64");
    let words = format!("--workload faulty fault=map_fails {address}");
    let record = sage.run(&words).code(4).says("the map said no").says(&node.address).json();
    assert_eq!(record["metadata"]["error"]["kind"], "workload");
}

/// Takes a node away in the middle of a run of about half a minute.
fn lose_a_node(extra: &str, how: Signal) -> (Ran, Duration) {
    let sage = Sage::new();
    let (one, two) = (Node::start(), Node::start());
    let words = format!(
        "--workload scheduler_comparison --items 6000 --parallelism 4 sleep_us=20000 {extra} sage_address={},{}",
        one.address, two.address
    );
    let command = sage.run_command("sage", &words);
    let running = std::thread::spawn(|| Ran::of(command));
    eventually("both nodes have the library", || one.libraries() + two.libraries() == 2);
    std::thread::sleep(Duration::from_millis(500));
    two.signal(how);
    let lost = Instant::now();
    let ran = running.join().unwrap();
    (ran, lost.elapsed())
}

#[test]
fn a_node_that_is_killed_fails_the_run() {
    let (ran, took) = lose_a_node("sage_timeout=20", Signal::KILL);
    let record = ran.code(4).says("is gone").json();
    assert_eq!((&record["success_rate"], &record["throughput"]), (&0.0.into(), &Value::Null));
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_node_that_hangs_fails_the_run_when_its_time_is_over() {
    let (ran, took) = lose_a_node("sage_timeout=2", Signal::STOP);
    let record = ran.code(4).says("did not answer within 2 s").json();
    assert_eq!(record["success_rate"], 0.0);
    assert!(took < Duration::from_secs(20), "{took:?}");
}
