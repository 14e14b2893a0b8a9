//! The ray backend on a cluster of two machines: both work, and a lost node's work is done again or fails the run.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use crate::installed_engine::Installed;
use crate::network::Network;
use crate::node::Node;
use crate::ray_backend::until_at_work;
use crate::support::{Ran, short_folder};

/// A node of a cluster, with one processor.
fn node(ray: &Installed, network: &Network, machine: usize, arguments: &[&str]) -> Node {
    // The paths of its sockets are long.
    let folder = short_folder();
    let mut command = network.command(machine, ray.programs().join("ray"));
    command.args(["start", "--num-cpus=1", "--object-store-memory=100000000", "--block"]).args(arguments);
    command.arg(format!("--temp-dir={}", folder.path().display()));
    command.arg(format!("--node-ip-address={}", network.address(machine)));
    command.env("RAY_AUTH_MODE", "disabled").env("RAY_USAGE_STATS_ENABLED", "0");
    Node::start(command, folder, "will now block")
}

/// A head and a worker node, on a machine each.
struct Cluster {
    ray: Installed,
    other: Node,
    _head: Node,
    address: String,
    // Last: what runs on the machines ends before they go.
    network: Network,
}

impl Cluster {
    fn start(ray: Installed) -> Self {
        let network = Network::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("{}:{port}", network.address(0));
        let (at, to) = (format!("--port={port}"), format!("--address={address}"));
        let head = node(&ray, &network, 0, &["--head", &at, "--include-dashboard=false"]);
        let other = node(&ray, &network, 1, &[&to]);
        Self { ray, other, _head: head, address, network }
    }

    /// `run` with the arguments in `words`, on the head's machine.
    fn command(&self, words: &str) -> std::process::Command {
        let words = format!("{words} --timeout 3m ray_address={}", self.address);
        self.network.moved(0, &self.ray.run_command("ray", &words))
    }

    fn run(&self, words: &str) -> Ran {
        let ran = Ran::of(self.command(words));
        self.ray.left_nothing(&ran);
        ran
    }

    /// Runs, and kills the other node in the middle of it.
    fn run_and_lose_a_node(&self, words: &str) -> Ran {
        let command = self.command(words);
        let running = std::thread::spawn(|| Ran::of(command));
        until_at_work(|| self.other.processes());
        std::thread::sleep(Duration::from_millis(500));
        assert!(!running.is_finished(), "it was too short for this test: {words}");
        self.other.kill();
        let ran = running.join().unwrap();
        self.ray.left_nothing(&ran);
        ran
    }
}

/// What each node did, under its address.
fn work(record: &Value) -> Vec<(String, u64)> {
    let work = record["metadata"]["raw_metrics"]["node_work"].as_object().unwrap();
    let address = |name: &str| name.split(' ').next().unwrap().to_owned();
    work.iter().map(|(name, batches)| (address(name), batches.as_u64().unwrap())).collect()
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn two_nodes_share_the_work_and_the_answer_is_verified() {
    let cluster = Cluster::start(Installed::new("ray"));
    for shape in [
        "--workload word_count --items 2000 batch_size=20",
        "--workload word_count --items 2000 batch_size=20 fusion=off",
        "--workload scheduler_comparison --items 400 sleep_us=2000",
        "--workload scheduler_comparison --items 400 sleep_us=2000 ray_idiom=tasks fusion=off",
    ] {
        let ran = cluster.run(&format!("{shape} --nodes 2")).code(0);
        let record = ran.json();
        let metrics = &record["metadata"]["raw_metrics"];
        let outcome = (&record["metadata"]["verified"], &metrics["nodes"]);
        assert_eq!(outcome, (&true.into(), &2.into()), "{shape}: {metrics}");
        let work = work(&record);
        assert!(work.len() == 2 && work.iter().all(|(_, batches)| *batches > 0), "{shape}: {work:?}");
        if cluster.network.is_real() {
            let addresses = [0, 1].map(|machine| cluster.network.address(machine));
            assert!(work.iter().all(|(name, _)| addresses.contains(&name.as_str())), "{shape}: {work:?}");
        }
    }
    let crowded = cluster.run("--workload null --parallelism 3");
    crowded.code(3).says("parallelism 3 needs as many processors, but the cluster has 2");
    // The session's own node does not count.
    cluster.run("--workload null --nodes 3").code(3).says("3 nodes were asked for, but there are 2");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn the_tasks_of_a_killed_node_run_again() {
    for words in [
        "--workload scheduler_comparison --items 600 sleep_us=20000",
        // What is lost here is not only what was under way: parts of the shuffle were on the node.
        "--workload word_count --items 200000 batch_size=50",
    ] {
        let cluster = Cluster::start(Installed::new("ray"));
        let ran = cluster.run_and_lose_a_node(&format!("{words} --nodes 2 ray_idiom=tasks"));
        let record = ran.verified();
        assert_eq!(record["metadata"]["raw_metrics"]["nodes"], 2, "{}", ran.explain());
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn a_node_that_is_killed_with_an_actor_fails_the_run_and_is_named() {
    let cluster = Cluster::start(Installed::new("ray"));
    let words = "--workload scheduler_comparison --items 3000 --nodes 2 sleep_us=20000 ray_idiom=actors";
    let ran = cluster.run_and_lose_a_node(words).code(4).says("--extra ray_idiom=tasks");
    let record = ran.json();
    assert_eq!((&record["success_rate"], &record["throughput"]), (&0.0.into(), &Value::Null));
    let error = &record["metadata"]["error"];
    assert_eq!((&error["phase"], &error["kind"]), (&"run".into(), &"engine".into()), "{error}");
    let lost = format!("the actor on node {} ", cluster.network.address(1));
    assert!(error["message"].as_str().unwrap().starts_with(&lost), "{error}");
}
