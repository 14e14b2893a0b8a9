//! The dask backend on the real package: right answers in every shape, failures that are reported as such, nothing left behind.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::installed_engine::{FUSION, Installed, shapes};
use crate::network::Network;
use crate::session::verified;
use crate::support::{Ran, eventually, processes_of_sessions_of, send_signal, short_folder, until_prepared};

fn dask() -> Installed {
    Installed::new("dask")
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn every_workload_is_verified_in_every_shape() {
    for record in verified(&dask(), &shapes().collect::<Vec<_>>()) {
        let metrics = &record["metadata"]["raw_metrics"];
        assert_eq!((&metrics["nodes"], &metrics["late_opens"]), (&1.into(), &0.into()), "{metrics}");
        assert_eq!(record["metadata"]["versions"]["distributed"], "2026.8.0");
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn two_consecutive_reductions_are_right() {
    let words = "--workload count_of_counts --items 500 --parallelism 3 batch_size=9";
    verified(&Installed::with_samples("dask"), &FUSION.map(|fusion| format!("{words} fusion={fusion}")));
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn the_scheduler_keeps_no_more_of_a_reduction_the_more_batches_there_are() {
    dask().passes("bounded.py");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn tasks_are_restricted_only_where_some_workers_are_not_used_and_no_stop_is_lost() {
    dask().passes("cluster_of_threads.py");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn the_scripts_to_compare_with_compute_the_same() {
    let dask = dask();
    dask.agrees_with_script("handwritten.py", "pipeline", 100, 7);
    dask.agrees_with_script("handwritten.py", "word_count", 300, 7);
    dask.agrees_with_script("graph.py", "task_graph", 40, 1);
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn an_error_in_an_operator_fails_the_run_with_its_reason() {
    Installed::with_samples("dask").tells_of_faults();
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn the_scheduler_that_was_used_is_reported() {
    let dask = dask();
    let (name, text) = dask.scheduled("load_aware");
    assert!(name == "load_aware" && text.contains("is its default"), "{name} {text}");
    assert_eq!(dask.scheduled("fifo"), ("fifo".into(), String::new()));
    let (name, text) = dask.scheduled("newest");
    assert!(name == "default" && text.contains("unknown to Dask"), "{name} {text}");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn no_more_operators_run_at_once_than_the_parallelism_allows() {
    // Each item waits 20 ms, so 50 items take at least one second of somebody's time.
    let words = "--workload scheduler_comparison --items 50 --parallelism 2 sleep_us=20000";
    let record = dask().verified(words);
    assert!(record["duration_seconds"].as_f64().unwrap() >= 0.5, "{record}");
}

/// A run on two workers of its own, as soon as both are at work on it.
fn at_work(dask: &Installed, items: u32) -> Child {
    let words = format!("--workload scheduler_comparison --items {items} --parallelism 2 sleep_us=20000");
    let mut command = dask.run_command("dask", &words);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("both work", || {
        assert!(running.try_wait().unwrap().is_none(), "it has ended");
        workers_of(&running).len() == 2
    });
    until_prepared();
    running
}

/// The worker processes of a session that are at work: they have opened the library.
fn workers_of(running: &Child) -> Vec<u32> {
    let mut processes = processes_of_sessions_of(running.id());
    processes.retain(|process| {
        let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
        command_line(*process).contains("multiprocessing.spawn") && maps.contains("standard_workloads")
    });
    processes
}

fn command_line(process: u32) -> String {
    let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).into_owned()
}

fn kill(process: u32) {
    send_signal(process, Signal::KILL).unwrap();
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn the_work_of_a_killed_worker_process_is_done_again() {
    let dask = dask();
    let running = at_work(&dask, 1000);
    kill(workers_of(&running)[0]);
    let ran = Ran::ended(running);
    ran.verified();
    let warnings = ran.json()["metadata"]["warnings"].to_string();
    assert!(
        warnings.contains("of 2 worker processes were lost: their work was done again"),
        "{}",
        ran.explain()
    );
    dask.left_nothing(&ran);
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn the_users_own_settings_do_not_reach_a_session_of_its_own() {
    let (dask, home) = (dask(), tempfile::tempdir().unwrap());
    let folder = home.path().join(".config/dask");
    std::fs::create_dir_all(&folder).unwrap();
    // Whoever reads it fails.
    std::fs::write(folder.join("own.yaml"), "[").unwrap();
    let mut command = dask.run_command("dask", "--workload null --items 100");
    command.env("HOME", home.path());
    Ran::of(command).verified();
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn nothing_is_left_of_a_driver_that_is_killed() {
    let dask = dask();
    let running = at_work(&dask, 100_000);
    let host = running.id();
    let driver = processes_of_sessions_of(host).into_iter().find(|process| {
        let line = command_line(*process);
        line.contains("python_engine") && !line.contains("multiprocessing")
    });
    kill(driver.unwrap());
    let ran = Ran::ended(running).code(4).says("the driver of dask was killed by signal 9 (SIGKILL)");
    assert_eq!(processes_of_sessions_of(host), [0; 0], "{}", ran.explain());
    dask.left_nothing(&ran);
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn nothing_is_left_of_a_host_that_is_killed() {
    let dask = dask();
    let mut running = at_work(&dask, 100_000);
    let host = running.id();
    running.kill().unwrap();
    running.wait().unwrap();
    eventually("no process is left", || processes_of_sessions_of(host).is_empty());
    eventually("no file is left", || std::fs::read_dir(dask.temporary()).unwrap().next().is_none());
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn it_listens_on_loopback_only_on_any_free_port() {
    let dask = dask();
    let mut running = at_work(&dask, 100_000);
    let processes = processes_of_sessions_of(running.id());
    let ports = "import psutil, sys\n\
        for process in sys.argv[1:]:\n    \
            for found in psutil.Process(int(process)).net_connections():\n        \
                if found.status == 'LISTEN':\n            print(found.laddr.ip, found.laddr.port)";
    let mut command = Command::new(dask.programs().join("python"));
    command.args(["-c", ports]).args(processes.iter().map(u32::to_string));
    let listening = Ran::of(command).code(0).stdout();
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(listening.lines().count() >= 3, "the scheduler and two workers listen: {listening}");
    for line in listening.lines() {
        assert!(line.starts_with("127.0.0.1 "), "{line}");
        assert!(!line.ends_with(" 8786") && !line.ends_with(" 8787"), "{line}");
    }
}

/// A scheduler and a worker of one thread on machine 0, and another such worker on machine 1. They are killed at the end.
struct Cluster {
    network: Network,
    address: String,
    processes: Vec<Child>,
    folder: TempDir,
}

/// Who is who among the processes of a cluster.
const SCHEDULER: usize = 0;
const WORKERS: [usize; 2] = [1, 2];

impl Cluster {
    fn start(dask: &Installed) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let network = Network::new();
        let address = format!("tcp://{}:{port}", network.address(0));
        let folder = short_folder();
        let mut cluster = Self { network, address: address.clone(), processes: Vec::new(), folder };
        let own = cluster.network.address(0);
        let port = ["--port", &port, "--dashboard-address", &format!("{own}:0")];
        cluster.spawn(dask, 0, &[["scheduler"].as_slice(), &port].concat());
        for machine in [0, 1] {
            cluster.spawn(dask, machine, &["worker", &address, "--nthreads", "1"]);
        }
        cluster.wait_for(dask, "joined");
        cluster
    }

    fn spawn(&mut self, dask: &Installed, machine: usize, arguments: &[&str]) {
        let mut command = self.network.command(machine, dask.programs().join("dask"));
        command.args(arguments).args(["--host", self.network.address(machine), "--no-dashboard"]);
        command.current_dir(self.folder.path());
        command.env("DASK_CONFIG", "/dev/null").env("TMPDIR", self.folder.path());
        // A node is a group, so that all of it can be killed at once: a worker has a nanny.
        command.process_group(0);
        self.processes.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    /// Waits until both workers have `joined` or are `busy`.
    fn wait_for(&self, dask: &Installed, what: &str) {
        let mut script = dask.script("tests/wait_for.py");
        script.args([&self.address, what, "2"]);
        Ran::of(self.network.moved(0, &script)).code(0);
    }

    /// crossrun on machine 0, with this cluster.
    fn command(&self, dask: &Installed, words: &str) -> Command {
        let words = format!("{words} --parallelism 2 --timeout 240s dask_address={}", self.address);
        self.network.moved(0, &dask.run_command("dask", &words))
    }

    /// A run that is in the middle: both workers have done something, and have more to do.
    fn running(&self, dask: &Installed, words: &str) -> JoinHandle<Ran> {
        let command = self.command(dask, words);
        let running = std::thread::spawn(|| Ran::of(command));
        self.wait_for(dask, "busy");
        running
    }

    /// Takes a node away, with all of its processes.
    fn kill(&self, node: usize) {
        let group = Pid::from_child(&self.processes[node]);
        let _ = kill_process_group(group, Signal::KILL);
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
        for node in 0..self.processes.len() {
            self.kill(node);
        }
        for process in &mut self.processes {
            let _ = process.wait();
        }
    }
}

/// A run of about ten seconds or more, of each kind.
const LONG: [&str; 2] = [
    "--workload scheduler_comparison --items 1000 sleep_us=20000",
    "--workload word_count --items 400000 batch_size=100 fusion=off",
];

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn two_nodes_share_the_work_and_are_left_as_they_were() {
    let dask = dask();
    let cluster = Cluster::start(&dask);
    for shape in [
        "--workload word_count --items 2000 batch_size=20",
        "--workload pipeline --items 2000 batch_size=20 fusion=off",
    ] {
        let ran = Ran::of(cluster.command(&dask, &format!("{shape} --nodes 2"))).code(0);
        let record = ran.json();
        let native = Ran::of(dask.run_command("native", &format!("{shape} --parallelism 2"))).code(0).json();
        assert_eq!(record["metadata"]["checksum"], native["metadata"]["checksum"], "{shape}");
        let metrics = &record["metadata"]["raw_metrics"];
        assert_eq!(metrics["nodes"], 2, "{metrics}");
        let work = metrics["node_work"].as_object().unwrap();
        for machine in [0, 1] {
            let tasks = &work[cluster.network.address(machine)];
            assert!(tasks.as_u64().unwrap() > 0, "{metrics}");
        }
        assert_eq!(cluster.shipped(), 0, "something stayed on the cluster");
        dask.left_nothing(&ran);
    }
    Ran::of(cluster.command(&dask, "--workload null --nodes 3")).code(3).says("but there are 2");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn a_killed_node_does_not_fail_the_run() {
    let dask = dask();
    for words in LONG {
        let cluster = Cluster::start(&dask);
        let running = cluster.running(&dask, words);
        cluster.kill(WORKERS[1]);
        let ran = running.join().unwrap();
        let record = ran.verified();
        let own = cluster.network.address(0);
        let work = record["metadata"]["raw_metrics"]["node_work"].as_object().unwrap();
        assert!(work[own].as_u64().unwrap() > 0, "{work:?}");
        dask.left_nothing(&ran);
    }
}

/// A run on a cluster of which `nodes` are killed in the middle fails, and says so.
fn fails_without(nodes: &[usize], reason: &str) {
    let dask = dask();
    let cluster = Cluster::start(&dask);
    let running = cluster.running(&dask, LONG[0]);
    for node in nodes {
        cluster.kill(*node);
    }
    let ran = running.join().unwrap().code(4).says("LostError: ").says(reason);
    let record = ran.json();
    assert_eq!((&record["success_rate"], &record["throughput"]), (&json!(0.0), &Value::Null));
    dask.left_nothing(&ran);
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn without_any_worker_left_the_run_fails() {
    fails_without(&WORKERS, "all 2 workers of this run");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn without_its_scheduler_the_run_fails() {
    // A call to it may fail first, or the watch over it may: both are reported.
    fails_without(&[SCHEDULER], "scheduler");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn an_unreachable_cluster_is_an_error_with_its_address() {
    let dask = dask();
    dask.run("--workload null dask_address=tcp://127.0.0.1:1").code(3).says("no Dask scheduler answers");
    dask.run("--workload null dask_address=nowhere:x").says("dask_address").code(2);
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn more_nodes_than_there_are_is_an_error() {
    dask().run("--workload null --nodes 2").code(3).says("there is 1").says("dask_address");
}
