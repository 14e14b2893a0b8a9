//! The spark backend on a cluster of two machines: both work, and a lost node's work is done again.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::installed_engine::Installed;
use crate::network::Network;
use crate::node::Node;
use crate::spark_backend::{spark, until_at_work};
use crate::support::Ran;

/// A master or a worker: starts `class` and waits until its log says `ready`.
fn node(
    spark: &Installed,
    network: &Network,
    machine: usize,
    class: &str,
    arguments: &[&str],
    ready: &str,
) -> Node {
    let (folder, address) = (tempfile::tempdir().unwrap(), network.address(machine));
    let mut command = network.command(machine, home(spark).join("bin/spark-class"));
    command.arg(format!("org.apache.spark.deploy.{class}"));
    command.args(["--host", address, "--webui-port", "0"]).args(arguments).current_dir(folder.path());
    command.env("SPARK_LOCAL_IP", address).env("SPARK_LOCAL_DIRS", folder.path());
    command.env("SPARK_WORKER_DIR", folder.path());
    Node::start(command, folder, ready)
}

/// The folder of Spark's own scripts.
fn home(spark: &Installed) -> PathBuf {
    let libraries = fs::read_dir(spark.programs().parent().unwrap().join("lib")).unwrap().flatten();
    let mut folders = libraries.map(|entry| entry.path().join("site-packages/pyspark"));
    folders.find(|path| path.exists()).unwrap()
}

/// A master on machine 0, and a worker with one core on each machine.
struct Cluster {
    spark: Installed,
    workers: [Node; 2],
    _master: Node,
    address: String,
    // Last: what runs on the machines ends before they go.
    network: Network,
}

impl Cluster {
    fn start() -> Self {
        let (spark, network) = (spark(), Network::new());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
        let address = format!("spark://{}:{port}", network.address(0));
        let master = node(&spark, &network, 0, "master.Master", &["--port", &port], "Starting Spark master");
        let arguments = ["--cores", "1", "--memory", "1g", &address];
        let workers = [0, 1].map(|machine| {
            node(&spark, &network, machine, "worker.Worker", &arguments, "Successfully registered")
        });
        Self { spark, workers, _master: master, address, network }
    }

    /// `run` with the arguments in `words`, on the master's machine; by default with one core of each worker.
    fn command(&self, words: &str) -> Command {
        let parallelism = if words.contains("--parallelism") { "" } else { " --parallelism 2" };
        let words = format!("--timeout 5m{parallelism} {words} spark_master={}", self.address);
        let mut command = self.network.moved(0, &self.spark.run_command("spark", &words));
        command.env("PYSPARK_PYTHON", self.spark.programs().join("python"));
        command
    }

    fn run(&self, words: &str) -> Ran {
        let ran = Ran::of(self.command(words));
        self.spark.left_nothing(&ran);
        ran
    }

    /// Runs, and kills nodes in the middle of it.
    fn run_and_lose(&self, nodes: &[&Node], words: &str) -> Ran {
        let command = self.command(words);
        let running = std::thread::spawn(|| Ran::of(command));
        for node in nodes {
            until_at_work(|| {
                assert!(!running.is_finished(), "it was too short for this test: {words}");
                node.processes()
            });
        }
        std::thread::sleep(Duration::from_millis(500));
        assert!(!running.is_finished(), "it was too short for this test: {words}");
        nodes.iter().for_each(|node| node.kill());
        let ran = running.join().unwrap();
        self.spark.left_nothing(&ran);
        ran
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn two_nodes_share_the_work_and_the_answer_is_verified() {
    let cluster = Cluster::start();
    for shape in [
        "--workload word_count --items 2000 batch_size=20",
        "--workload word_count --items 2000 batch_size=20 fusion=off",
        "--workload scheduler_comparison --items 400 sleep_us=2000",
    ] {
        let record = cluster.run(&format!("{shape} --nodes 2")).code(0).json();
        let metrics = &record["metadata"]["raw_metrics"];
        assert_eq!((&record["metadata"]["verified"], &metrics["nodes"]), (&true.into(), &2.into()));
        let work = metrics["node_work"].as_object().unwrap();
        let addresses = [0, 1].map(|machine| cluster.network.address(machine));
        assert_eq!(work.keys().map(String::as_str).collect::<Vec<_>>(), addresses, "{shape}");
        assert!(work.values().all(|tasks| tasks.as_u64().unwrap() > 0), "{shape}: {work:?}");
    }
    cluster.run("--workload null --nodes 3").code(3).says("3 nodes were asked for").says("offered 2");
    let crowded = cluster.run("--workload null --parallelism 3");
    crowded.code(3).says("parallelism 3 needs as many cores").says("offered 2");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn the_work_of_a_killed_node_is_done_again_and_the_node_is_named() {
    for words in [
        "--workload scheduler_comparison --items 1000 sleep_us=20000",
        // What is lost here is not only what was under way: parts of the shuffle were on the node.
        "--workload word_count --items 40000000 batch_size=1000",
    ] {
        let cluster = Cluster::start();
        let ran = cluster.run_and_lose(&[&cluster.workers[1]], &format!("{words} --nodes 2"));
        let record = ran.verified();
        let lost = format!("an executor on {} was lost", cluster.network.address(1));
        assert!(record["metadata"]["warnings"].to_string().contains(&lost), "{}", ran.explain());
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn a_run_without_any_node_left_fails_and_names_the_nodes() {
    let cluster = Cluster::start();
    let words = "--workload scheduler_comparison --items 20000 --nodes 2 sleep_us=20000";
    let both = [&cluster.workers[0], &cluster.workers[1]];
    let ran = cluster.run_and_lose(&both, words).code(4).says("all executors of spark://");
    let record = ran.json();
    assert_eq!((&record["success_rate"], &record["throughput"]), (&0.0.into(), &Value::Null));
    let error = &record["metadata"]["error"];
    assert_eq!((&error["phase"], &error["kind"]), (&"run".into(), &"engine".into()), "{error}");
    for machine in [0, 1] {
        let lost = format!("an executor on {} was lost", cluster.network.address(machine));
        assert!(error["message"].as_str().unwrap().contains(&lost), "{error}");
    }
}
