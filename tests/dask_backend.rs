//! The dask backend on the real package: right answers in every shape, failures as failures, nothing left behind.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::installed_engine::{Installed, library, shapes};
use crate::support::{Place, Ran};

fn dask() -> Installed {
    Installed::new("dask")
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn every_workload_comes_to_what_it_comes_to_on_native() {
    let dask = dask();
    for (words, own) in shapes() {
        let record = dask.agrees_with_native(&words, &own);
        assert_eq!(record["metadata"]["raw_metrics"]["nodes"], 1);
        assert_eq!(record["metadata"]["versions"]["distributed"], "2026.8.0");
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn two_reductions_in_a_row_are_right() {
    let dask = Installed::with_samples("dask");
    for fusion in ["auto", "off"] {
        dask.verified(&format!(
            "--workload count_of_counts --items 500 --parallelism 3 batch_size=9 fusion={fusion}"
        ));
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn what_fails_in_an_operator_fails_the_run_with_its_reason() {
    Installed::with_samples("dask").tells_of_faults();
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn a_scheduler_is_reported_as_what_it_was() {
    let dask = dask();
    let (name, text) = dask.scheduled("load_aware");
    assert!(name == "load_aware" && text.contains("is its default"), "{name} {text}");
    assert_eq!(dask.scheduled("fifo"), ("fifo".into(), "[]".into()));
    let (name, text) = dask.scheduled("newest");
    assert!(name == "default" && text.contains("unknown to Dask"), "{name} {text}");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn no_more_operators_work_at_once_than_were_asked_for() {
    // Each item waits 20 ms, so 50 items take at least one second of somebody's time.
    let words = "--workload scheduler_comparison --items 50 --parallelism 2 sleep_us=20000";
    let record = dask().verified(words);
    assert!(record["duration_seconds"].as_f64().unwrap() >= 0.5, "{record}");
}

#[test]
fn without_a_set_up_the_command_for_it_is_shown() {
    let place = Place::new();
    place.stage(&library("dask"));
    place.crossrun(&["run", "--backend", "dask"]).code(3).says("crossrun setup dask");
}

/// A scheduler and workers as processes of their own. They are killed at the end.
struct Cluster {
    processes: Vec<Child>,
    address: String,
    folder: TempDir,
}

impl Cluster {
    /// One worker with one thread on each of two loopback addresses, which Dask takes for two machines.
    fn start(programs: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("tcp://127.0.0.1:{port}");
        let mut cluster = Self { processes: Vec::new(), address, folder: tempfile::tempdir().unwrap() };
        let (address, port) = (cluster.address.clone(), port.to_string());
        cluster.spawn(programs, &["scheduler", "--host", "127.0.0.1", "--port", &port, "--no-dashboard"]);
        for host in ["127.0.0.1", "127.0.0.2"] {
            cluster.spawn(
                programs,
                &["worker", &address, "--host", host, "--nthreads", "1", "--no-dashboard", "--no-nanny"],
            );
        }
        cluster
    }

    fn spawn(&mut self, programs: &Path, arguments: &[&str]) {
        let mut command = Command::new(programs.join("dask"));
        command.args(arguments).current_dir(self.folder.path());
        command.env("DASK_CONFIG", "/dev/null").env("TMPDIR", self.folder.path());
        self.processes.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    /// The libraries and the code that are there.
    fn shipped(&self) -> usize {
        let found =
            Command::new("find").arg(self.folder.path()).args(["-name", "crossrun-*"]).output().unwrap();
        String::from_utf8(found.stdout).unwrap().lines().count()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Runs until both workers have joined.
fn on_both(dask: &Installed, cluster: &Cluster, words: &str) -> Value {
    let words = format!("{words} dask_address={}", cluster.address);
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        let ran = dask.run(&format!("{words} --nodes 2"));
        if ran.output.status.success() || Instant::now() > deadline {
            return ran.code(0).json();
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn two_nodes_share_the_work_and_are_left_as_they_were() {
    let dask = dask();
    let cluster = Cluster::start(&dask.programs());
    let words = "--workload word_count --items 2000 --parallelism 2 batch_size=20";
    let record = on_both(&dask, &cluster, words);
    let native = Ran::of(dask.run_command("native", words)).code(0).json();
    assert_eq!(record["metadata"]["checksum"], native["metadata"]["checksum"]);
    let metrics = &record["metadata"]["raw_metrics"];
    assert_eq!(metrics["nodes"], 2, "{metrics}");
    let work = metrics["node_work"].as_object().unwrap();
    assert!(work.len() == 2 && work.values().all(|tasks| tasks.as_u64().unwrap() > 0), "{metrics}");
    assert_eq!(cluster.shipped(), 0, "something stayed on the cluster");
    let address = &cluster.address;
    dask.run(&format!("--workload null --nodes 3 dask_address={address}")).code(3).says("there are 2");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn a_worker_that_is_killed_does_not_cost_an_answer() {
    let dask = dask();
    let mut cluster = Cluster::start(&dask.programs());
    on_both(&dask, &cluster, "--workload null --items 4");
    let words = format!(
        "--workload scheduler_comparison --items 400 --parallelism 2 sleep_us=20000 dask_address={}",
        cluster.address
    );
    let command = dask.run_command("dask", &words);
    let running = std::thread::spawn(|| Ran::of(command));
    crate::support::eventually("the workers have the library", || cluster.shipped() >= 4);
    std::thread::sleep(Duration::from_millis(500));
    cluster.processes[2].kill().unwrap();
    let record = running.join().unwrap().code(0).json();
    assert_eq!(record["metadata"]["verified"], true, "{record}");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn a_cluster_that_is_not_there_is_an_error_with_its_address() {
    let dask = dask();
    dask.run("--workload null dask_address=tcp://127.0.0.1:1").code(3).says("no Dask scheduler answers");
    dask.run("--workload null dask_address=nowhere:x").says("dask_address").code(2);
}
