//! The sage backend on the real package: right answers in every shape, failures that are reported as such, nothing left behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::installed_engine::{FUSION, ITEMS, Installed, WORKLOADS, library};
use crate::pairwise::cover;
use crate::session::{judged, verified};
use crate::support::{Place, Ran, eventually, send_signal, short_folder, warnings};

fn sage() -> Installed {
    Installed::new("sage")
}

fn with_samples() -> Installed {
    Installed::with_samples("sage")
}

/// A FlowNet node as a process of its own. It is killed at the end.
struct Node {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Node {
    /// Another program may take a port that was free before Python has begun: then it is tried with others.
    fn start(sage: &Installed) -> Self {
        let started = (0..10).find_map(|_| Self::at(sage, format!("127.0.0.1:{}", two_free_ports())));
        started.expect("no node says that it is ready")
    }

    /// None if it ends before it is ready.
    fn at(sage: &Installed, address: String) -> Option<Self> {
        let folder = short_folder();
        let mut command = sage.script("node.py");
        command.arg(&address).env("TMPDIR", folder.path()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let node = Self { process, address, folder };
        if line.is_empty() {
            return None;
        }
        assert_eq!(line, format!("ready {} {}\n", node.address, node.process.id()));
        Some(node)
    }

    fn signal(&self, signal: Signal) {
        send_signal(self.process.id(), signal).unwrap();
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

const PARALLELISM: [u32; 3] = [1, 2, 4];
const BATCH_SIZE: [u32; 3] = [1, 64, 1000];
const MODE: [&str; 2] = ["batch", "stream"];
const ENVIRONMENT: [&str; 2] = ["flownet", "local"];

#[test]
fn every_workload_is_verified_in_every_mode_and_environment() {
    let sizes = [WORKLOADS.len(), ITEMS.len(), PARALLELISM.len(), BATCH_SIZE.len(), 2, 2, 2];
    let rows = cover(sizes);
    let words = |row: &[usize; 7]| {
        let [workload, items, parallelism, batch_size, mode, environment, fusion] = *row;
        let what = format!("--workload {} --items {}", WORKLOADS[workload], ITEMS[items]);
        let how = format!("--parallelism {} fusion={}", PARALLELISM[parallelism], FUSION[fusion]);
        let own = format!("sage_mode={} sage_environment={}", MODE[mode], ENVIRONMENT[environment]);
        format!("{what} {how} {own} batch_size={}", BATCH_SIZE[batch_size])
    };
    let records = verified(&sage(), &rows.iter().map(words).collect::<Vec<_>>());
    for ([.., mode, environment, _], record) in rows.into_iter().zip(records) {
        let metrics = &record["metadata"]["raw_metrics"];
        let ran = (&metrics["sage_mode"], &metrics["sage_environment"]);
        assert_eq!(ran, (&MODE[mode].into(), &ENVIRONMENT[environment].into()));
        assert_eq!(metrics["nodes"], 1);
        assert_eq!(record["metadata"]["versions"]["isage"], "0.3.2.4");
    }
}

#[test]
fn two_consecutive_reductions_are_right_in_every_mode_and_environment() {
    let mut lines = Vec::new();
    for mode in MODE {
        for environment in ENVIRONMENT {
            for fusion in FUSION {
                let own = format!("sage_mode={mode} sage_environment={environment} fusion={fusion}");
                let what = "--workload count_of_counts --items 500 --parallelism 3 batch_size=9";
                lines.push(format!("{what} {own}"));
            }
        }
    }
    verified(&with_samples(), &lines);
}

#[test]
fn batches_are_counted_once_a_stream_ends_and_no_more_operators_work_at_once_than_were_asked_for() {
    // Each item waits 10 ms, so 60 items take at least 600 ms of somebody's time.
    let waits = "--workload scheduler_comparison --items 60 --parallelism 2 sleep_us=10000";
    let lines = [
        "--workload pipeline --items 1100 --parallelism 2".to_owned(),
        "--workload null --items 7 --parallelism 2 sage_mode=stream".to_owned(),
        format!("{waits} fusion=auto"),
        format!("{waits} sage_environment=local"),
        format!("{waits} sage_mode=stream"),
    ];
    let records = verified(&sage(), &lines);
    let seconds = |number: usize| records[number]["metadata"]["worker_elapsed"].as_f64().unwrap();
    // More batches than a window holds.
    assert_eq!(records[0]["metadata"]["raw_metrics"]["windows"], 3);
    // A source that ends with nothing is polled for ten more seconds, each time. A busy machine may take as long, but not always.
    let again = || sage().verified(&lines[1])["duration_seconds"].as_f64().unwrap();
    assert!(seconds(1) < 10.0 || (0..10).any(|_| again() < 10.0), "{}", records[1]);
    for (number, at_once) in [(2, 2.0), (3, 2.0), (4, 1.0)] {
        assert!(seconds(number) >= 0.6 / at_once, "{}", records[number]);
    }
}

#[test]
fn the_scheduler_that_was_used_is_reported() {
    let sage = sage();
    let warnings = |scheduler: &str| {
        let record = sage.verified(&format!("--workload null --items 3 --scheduler {scheduler}"));
        let name = record["metadata"]["scheduler_name"].as_str().unwrap().to_owned();
        (name, warnings(&record).join("; "))
    };
    let (name, text) = warnings("load_aware");
    assert!(name == "load_aware" && text.contains("accepted and ignored by SAGE 0.3.2.4"), "{name} {text}");
    let (name, text) = warnings("newest");
    assert!(name == "default" && text.contains("unknown to SAGE"), "{name} {text}");
    assert_eq!(warnings("default"), ("default".into(), String::new()));
}

#[test]
fn an_error_in_an_operator_fails_the_run_with_its_reason() {
    let sage = with_samples();
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
    let sage = sage();
    let run = |extra: &str| sage.run(&format!("--workload null {extra}"));
    run("sage_mode=sideways").code(2).says("is not one of batch, stream, as sage needs it");
    run("sage_address=nowhere").code(2).says("write host:port");
    run("sage_address=8.8.8.8:7300").code(2).says("not on a private network");
    run("sage_address=127.0.0.1:1").code(3).says("the FlowNet nodes cannot be used");
    let mut public = sage.script("node.py");
    let refused = Ran::of({
        public.arg("0.0.0.0:7300");
        public
    });
    assert!(refused.stderr().contains("not on a private network"), "{}", refused.explain());
}

#[test]
fn an_open_loop_is_a_stream_and_refused_in_batches() {
    let sage = sage();
    let run = |extra: &str| {
        sage.run(&format!("--workload open_loop --items 20 --parallelism 2 rate=200 iters=10{extra}"))
    };
    let record = run("").json();
    judged(&record).unwrap();
    assert_eq!(record["metadata"]["raw_metrics"]["sage_mode"], "stream");
    let refused = run(" sage_mode=batch").code(4).says("--extra sage_mode=stream");
    assert_eq!(refused.json()["metadata"]["error"]["kind"], "unsupported");
}

#[test]
fn without_a_setup_its_command_is_shown() {
    let place = Place::new();
    place.stage(&library("sage"));
    place.crossrun(&["run"]).code(3).says("crossrun setup sage");
}

#[test]
fn fifty_runs_in_one_session_leave_nothing_behind() {
    sage().passes("many_runs.py");
}

#[test]
fn nodes_free_what_they_keep_of_a_run_when_it_has_been_timed() {
    sage().passes("free_between_runs.py");
}

#[test]
fn the_script_to_compare_with_computes_the_same() {
    sage().agrees_with_script("handwritten.py", "pipeline", 100, 7);
}

/// What each node says it has done.
fn work(record: &Value) -> Vec<u64> {
    let work = record["metadata"]["raw_metrics"]["node_work"].as_object().unwrap();
    work.values().map(|calls| calls.as_u64().unwrap()).collect()
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn two_nodes_share_the_work_and_the_answer_is_verified() {
    let sage = sage();
    let (one, two) = (Node::start(&sage), Node::start(&sage));
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
    // All items are due within a moment, so that no machine is too busy to make them in time.
    let open_loop = "--workload open_loop --items 400 --parallelism 4 rate=1000000 iters=10";
    let record = sage.run(&format!("{open_loop} {both}")).json();
    judged(&record).unwrap();
    assert_eq!(record["metadata"]["raw_metrics"]["nodes"], 2, "{record}");
    // One replica works on one node.
    assert_eq!(
        sage.verified(&format!("--workload null --parallelism 1 {both}"))["metadata"]["raw_metrics"]["nodes"],
        1
    );
}

#[test]
fn an_error_on_a_node_is_the_runs_error() {
    let sage = with_samples();
    let node = Node::start(&sage);
    let address = format!("sage_address={}", node.address);
    let crowded = sage.run(&format!("--workload faulty --parallelism 65 {address}"));
    crowded.code(3).says("actor_not_found:slot-64");
    let words = format!("--workload faulty fault=map_fails {address}");
    let record = sage.run(&words).code(4).says("the map said no").says(&node.address).json();
    assert_eq!(record["metadata"]["error"]["kind"], "workload");
}

/// Takes a node away in the middle of a run of about half a minute.
fn lose_a_node(extra: &str, how: Signal) -> Ran {
    let sage = sage();
    let (one, two) = (Node::start(&sage), Node::start(&sage));
    let words = format!(
        "--workload scheduler_comparison --items 6000 --parallelism 4 sleep_us=20000 {extra} sage_address={},{}",
        one.address, two.address
    );
    let command = sage.run_command("sage", &words);
    let running = std::thread::spawn(|| Ran::of(command));
    eventually("both nodes have the library", || one.libraries() + two.libraries() == 2);
    std::thread::sleep(Duration::from_millis(500));
    two.signal(how);
    running.join().unwrap()
}

#[test]
fn a_node_that_is_killed_fails_the_run() {
    let record = lose_a_node("sage_timeout=600", Signal::KILL).code(4).says("is gone").json();
    assert_eq!((&record["success_rate"], &record["throughput"]), (&0.0.into(), &Value::Null));
}

#[test]
fn a_node_that_hangs_fails_the_run_when_its_time_is_over() {
    // Every call may take so long, also that which brings the library to a node of a busy machine.
    let record = lose_a_node("sage_timeout=8", Signal::STOP).code(4).says("did not answer within 8 s").json();
    assert_eq!(record["success_rate"], 0.0);
}
