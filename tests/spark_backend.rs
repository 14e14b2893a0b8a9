//! The spark backend on the real package: right answers in every shape, failures as failures, nothing left behind.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::installed_engine::{Installed, shapes};
use crate::support::{Ran, eventually};

/// The backend, if there is a Java for it.
fn spark() -> Option<Installed> {
    has_java().then(|| Installed::new("spark"))
}

fn with_samples() -> Option<Installed> {
    has_java().then(|| Installed::with_samples("spark"))
}

fn has_java() -> bool {
    let found = Command::new("java").arg("-version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: no Java");
    }
    found
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn every_workload_comes_to_what_it_comes_to_on_native() {
    let Some(spark) = spark() else { return };
    // Starting Java takes long: a part of the shapes, in which every workload is, and every value of every setting.
    for (words, own) in shapes().step_by(3) {
        let record = spark.agrees_with_native(&words, &own);
        assert_eq!(record["metadata"]["raw_metrics"]["nodes"], 1);
        assert_eq!(record["metadata"]["versions"]["pyspark"], "4.3.0");
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn two_reductions_in_a_row_are_right() {
    let Some(spark) = with_samples() else { return };
    for fusion in ["auto", "off"] {
        spark.verified(&format!(
            "--workload count_of_counts --items 500 --parallelism 3 batch_size=9 fusion={fusion}"
        ));
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn what_fails_in_an_operator_fails_the_run_with_its_reason() {
    let Some(spark) = with_samples() else { return };
    spark.tells_of_faults();
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn a_scheduler_is_reported_as_what_it_was() {
    let Some(spark) = spark() else { return };
    assert_eq!(spark.scheduled("load_aware"), ("load_aware".into(), "[]".into()));
    let (name, text) = spark.scheduled("newest");
    assert!(name == "default" && text.contains("unknown to Spark"), "{name} {text}");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn no_more_operators_work_at_once_than_were_asked_for() {
    let Some(spark) = spark() else { return };
    // Each item waits 20 ms, so 50 items take at least one second of somebody's time.
    let words = "--workload scheduler_comparison --items 50 --parallelism 2 sleep_us=20000";
    let record = spark.verified(words);
    assert!(record["duration_seconds"].as_f64().unwrap() >= 0.5, "{record}");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn a_master_that_is_none_is_refused() {
    let Some(spark) = spark() else { return };
    spark.run("--workload null spark_master=nowhere").code(2).says("spark_master");
    spark.run("--workload null spark_master=spark://127.0.0.1:1").code(3).says("no Spark master answers");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn without_java_it_says_so_and_how_to_get_it() {
    let Some(spark) = spark() else { return };
    let refused = |home: &str, search: &Path| {
        let mut command = spark.run_command("spark", "--workload null");
        command.env("JAVA_HOME", home).env("PATH", search);
        Ran::of(command).code(3).says("spark needs Java 17").says("install")
    };
    refused("", spark.place.path());
    refused("/no/such", Path::new("/usr/bin"));
}

/// A master and workers as processes of their own. They are killed at the end.
struct Cluster {
    processes: Vec<Child>,
    address: String,
    folder: TempDir,
    programs: PathBuf,
}

impl Cluster {
    /// One worker with one core on each of two loopback addresses, which Spark takes for two machines.
    fn start(programs: PathBuf) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let folder = tempfile::tempdir().unwrap();
        let mut cluster =
            Self { processes: Vec::new(), address: format!("spark://{address}"), folder, programs };
        cluster.spawn("127.0.0.1", &["master.Master", "--port", &port.to_string()]);
        eventually("the master listens", || TcpStream::connect(&address).is_ok());
        for host in ["127.0.0.1", "127.0.0.2"] {
            let work = cluster.folder.path().join(host);
            let how = ["worker.Worker", "--cores", "1", "--memory", "1g", "--work-dir"];
            let own = [work.to_str().unwrap(), &cluster.address.clone()];
            cluster.spawn(host, &[how.as_slice(), own.as_slice()].concat());
        }
        cluster
    }

    fn spawn(&mut self, host: &str, arguments: &[&str]) {
        let libraries = fs::read_dir(self.programs.parent().unwrap().join("lib")).unwrap().flatten();
        let folders = libraries.map(|entry| entry.path().join("site-packages/pyspark"));
        let home = folders.into_iter().find(|path| path.exists()).unwrap();
        let mut command = Command::new(home.join("bin/spark-class"));
        let (class, rest) = arguments.split_first().unwrap();
        command.arg(format!("org.apache.spark.deploy.{class}"));
        command.args(["--host", host, "--webui-port", "0"]).args(rest);
        command.env("SPARK_LOCAL_IP", host).env("SPARK_LOCAL_DIRS", self.folder.path());
        command.env("PYSPARK_PYTHON", self.programs.join("python"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.processes.push(command.spawn().unwrap());
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

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn two_nodes_share_the_work() {
    let Some(spark) = spark() else { return };
    let cluster = Cluster::start(spark.programs());
    let words = "--workload word_count --items 2000 --parallelism 2 batch_size=20";
    let own = format!("--nodes 2 spark_master={}", cluster.address);
    let record = spark.verified(&format!("{words} {own}"));
    let native = Ran::of(spark.run_command("native", words)).code(0).json();
    assert_eq!(record["metadata"]["checksum"], native["metadata"]["checksum"]);
    let metrics = &record["metadata"]["raw_metrics"];
    assert_eq!(metrics["nodes"], 2, "{metrics}");
    let work = metrics["node_work"].as_object().unwrap();
    assert!(work.len() == 2 && work.values().all(|tasks| tasks.as_u64().unwrap() > 0), "{metrics}");
    let words = format!("--workload null --nodes 3 spark_master={}", cluster.address);
    spark.run(&words).code(3).says("offered 2");
}
