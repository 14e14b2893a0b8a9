//! The spark backend on the real package: right answers in every shape, failures that are reported as such, nothing left behind.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::installed_engine::{FUSION, Installed, shapes};
use crate::network::listens_at;
use crate::session::{judged, verified};
use crate::support::{Ran, eventually, processes_of_sessions_of, send_signal, until_prepared, warnings};

pub(crate) fn spark() -> Installed {
    need_java();
    Installed::new("spark")
}

/// What is not there cannot be tested, and a test of nothing must not pass.
fn need_java() {
    let home = env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    let java = home.map_or("java".into(), |home| Path::new(&home).join("bin/java"));
    let found = Command::new(java).arg("-version").output().is_ok_and(|output| output.status.success());
    let remedy = "sudo apt update && sudo apt install openjdk-17-jre-headless";
    assert!(
        found,
        "this test needs Java 17 or later on the PATH or in JAVA_HOME, and there is none, such as by: {remedy}"
    );
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn every_workload_is_verified_in_every_shape() {
    let lines: Vec<_> = shapes().collect();
    for (words, record) in lines.iter().zip(verified(&spark(), &lines)) {
        let metrics = &record["metadata"]["raw_metrics"];
        assert_eq!(metrics["nodes"], 1);
        assert!(metrics["late_opens"].is_u64() && metrics["node_work"]["127.0.0.1"].is_u64(), "{metrics}");
        let idiom = if words.ends_with("fusion=off") { "a message for each" } else { "mapPartitions" };
        assert!(metrics["idiom"].as_str().unwrap().starts_with(idiom), "{words}: {metrics}");
        assert_eq!(record["metadata"]["versions"]["pyspark"], "4.3.0");
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn two_consecutive_reductions_are_right() {
    need_java();
    let words = "--workload count_of_counts --items 500 --parallelism 3 batch_size=9";
    verified(&Installed::with_samples("spark"), &FUSION.map(|fusion| format!("{words} fusion={fusion}")));
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn the_script_to_compare_with_computes_the_same() {
    let spark = spark();
    spark.agrees_with_script("handwritten.py", "pipeline", 100, 7);
    spark.agrees_with_script("handwritten.py", "word_count", 300, 7);
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn an_error_in_an_operator_fails_the_run_with_its_reason() {
    need_java();
    Installed::with_samples("spark").tells_of_faults();
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn the_scheduler_that_was_used_is_reported() {
    let spark = spark();
    let words = "--workload null --parallelism 2 --scheduler load_aware --items";
    let record = spark.verified(&format!("{words} 100"));
    assert_eq!((&record["metadata"]["scheduler_name"], warnings(&record).len()), (&"load_aware".into(), 0));
    // Of three batches each is a task of its own in any case.
    for scheduler in ["fifo", "load_aware"] {
        let (name, text) = spark.scheduled(scheduler);
        assert!(name == scheduler && text.contains("had 3 tasks, as by default"), "{name} {text}");
    }
    let of_one = spark.verified(&format!("{words} 1"));
    assert!(warnings(&of_one).iter().any(|text| text.contains("had 1 task, as by default")), "{of_one}");
    let (name, text) = spark.scheduled("newest");
    assert!(name == "default" && text.contains("unknown to Spark"), "{name} {text}");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn no_more_operators_run_at_once_than_the_parallelism_allows() {
    // Each item waits 20 ms, so 50 items take at least one second of somebody's time.
    let words = "--workload scheduler_comparison --items 50 --parallelism 2 sleep_us=20000";
    for record in verified(&spark(), &FUSION.map(|fusion| format!("{words} fusion={fusion}"))) {
        assert!(record["metadata"]["worker_elapsed"].as_f64().unwrap() >= 0.5, "{record}");
    }
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs Spark: CROSSRUN_TEST_ENGINES=all")]
fn workloads_that_its_workers_open_in_a_run_are_counted() {
    spark().passes("late_opens.py");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn a_run_in_which_nothing_is_lost_does_not_ask_for_executors_in_its_time() {
    spark().passes("looks.py");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn an_open_loop_has_a_task_for_each_core_and_is_refused_without_fusion() {
    let spark = spark();
    let run = |fusion: &str| {
        let what = "--workload open_loop --items 40 --parallelism 2 rate=100 iters=10";
        spark.run(&format!("{what} fusion={fusion}"))
    };
    let record = run("auto").json();
    judged(&record).unwrap();
    assert_eq!(record["metadata"]["raw_metrics"]["slices"], 2);
    let refused = run("off").code(4).says("--extra fusion=auto");
    assert_eq!(refused.json()["metadata"]["error"]["kind"], "unsupported");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn what_it_cannot_run_is_refused_with_the_reason() {
    let spark = spark();
    let run = |words: &str| spark.run(&format!("--workload null {words}"));
    for master in ["nowhere", "local[2]", "yarn", "spark://"] {
        run(&format!("spark_master={master}")).code(2).says("--extra spark_master=spark://HOST:PORT");
    }
    for master in ["spark://127.0.0.1:1", "spark://127.0.0.1", "spark://127.0.0.1:99999"] {
        run(&format!("spark_master={master}")).code(3).says("no Spark master answers");
    }
    run("--nodes 2").code(3).says("2 nodes were asked for").says("spark_master");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn without_a_suitable_java_the_error_has_a_remedy() {
    // This needs no Java.
    let spark = Installed::new("spark");
    let folder = spark.place.path().join("java");
    fs::create_dir_all(folder.join("bin")).unwrap();
    let (bare, good) = (spark.place.path().to_owned(), spark.place.path().join("good"));
    fs::create_dir(&good).unwrap();
    let java = |at: &Path, script: &str| {
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        assert!(Command::new("sh").args(["-c", write]).arg(at).arg(script).status().unwrap().success());
    };
    java(&good.join("java"), "echo 'openjdk version \"21.0.2\" 2024-01-16' >&2");
    let refused = |home: &str, search: &Path, words: &str, remedy: &str| {
        let mut command = spark.run_command("spark", "--workload null");
        command.env("JAVA_HOME", home).env("PATH", search);
        let ran = Ran::of(command).code(3).says("spark needs Java 17 or later").says(words).says(remedy);
        assert_eq!(ran.stderr().lines().filter(|line| line.starts_with("error:")).count(), 1);
        // The listing says the same.
        let mut listing = spark.command(&["backends", "--json"]);
        listing.env("JAVA_HOME", home).env("PATH", search);
        let rows = Ran::of(listing).code(0).json();
        let row = rows.as_array().unwrap().iter().find(|row| row["name"] == "spark").unwrap();
        assert_eq!(row["status"], "unavailable", "{row}");
        assert!(row["reason"].as_str().unwrap().contains(words), "{row}");
    };
    // On Debian the command is known whatever the PATH has.
    let named = "; try: export JAVA_HOME=FOLDER_OF_A_JAVA_17_OR_LATER";
    let [install, unset] = match Path::new("/etc/debian_version").exists() {
        true => ["apt update && ", "; try: unset JAVA_HOME; "],
        false => [named; 2],
    };
    refused("", &bare, "and there is no java on the PATH or in JAVA_HOME", install);
    let gone = "but JAVA_HOME=/no/such has no bin/java";
    refused("/no/such", &bare, gone, unset);
    refused("/no/such", &good, gone, "; try: unset JAVA_HOME\n");
    let (home, own) = (folder.to_str().unwrap(), folder.join("bin/java"));
    java(&own, "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2");
    refused(home, &good, "bin/java is 11.0.2", "; try: unset JAVA_HOME\n");
    java(&own, "echo 'Picked up X: y' >&2; echo 'Error: could not find libjava.so' >&2; exit 2");
    let broken = "bin/java does not work: Error: could not find libjava.so";
    refused(home, &bare, broken, unset);
}

fn command_line(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// Waits until one of the processes runs an operator: a Python worker of Spark with a library of workloads in it.
pub(crate) fn until_at_work(mut processes: impl FnMut() -> Vec<u32>) {
    let is_at_work = |pid: u32| {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        let has_library =
            maps.lines().any(|line| line.contains("standard_workloads") || line.contains("/crossrun-"));
        has_library && command_line(pid).contains("pyspark.daemon")
    };
    eventually("somebody works", || processes().into_iter().any(is_at_work));
    until_prepared();
}

/// A run that takes minutes, as soon as the engine is at work on it.
fn at_work(spark: &Installed) -> Child {
    let words = "--workload scheduler_comparison --items 20000 --parallelism 2 sleep_us=20000";
    let mut command = spark.run_command("spark", words);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until_at_work(|| {
        assert!(run.try_wait().unwrap().is_none(), "it ended");
        processes_of_sessions_of(run.id())
    });
    run
}

/// The first process of the run whose command line contains these words.
fn process_of(run: &Child, words: &str) -> u32 {
    let processes = processes_of_sessions_of(run.id());
    processes.into_iter().find(|pid| command_line(*pid).contains(words)).unwrap()
}

/// Asserts that it failed with this message, and that neither process nor file is left.
fn died(spark: &Installed, run: Child, words: &str) {
    let id = run.id();
    let ran = Ran::ended(run).code(4).says(words);
    let record = ran.json();
    assert_eq!((&record["success_rate"], &record["throughput"]), (&0.0.into(), &Value::Null));
    assert!(processes_of_sessions_of(id).is_empty(), "{}", ran.explain());
    spark.left_nothing(&ran);
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn a_session_listens_on_loopback_only_and_leaves_nothing_when_its_driver_is_killed() {
    let spark = spark();
    let run = at_work(&spark);
    let processes = processes_of_sessions_of(run.id());
    let ports: Vec<String> = processes.iter().flat_map(|pid| listens_at(*pid)).collect();
    assert!(ports.len() >= 3, "Java and Python listen at {ports:?} only");
    for port in &ports {
        let loopback = ["0100007F:", "0000000000000000FFFF00000100007F:"];
        assert!(loopback.iter().any(|address| port.starts_with(address)), "{ports:?}");
        // 4040 is where the web interface would be.
        assert!(!port.ends_with(":0FC8"), "{ports:?}");
    }
    send_signal(process_of(&run, "/python_engine/"), Signal::KILL).unwrap();
    died(&spark, run, "the driver of spark was killed by signal 9 (SIGKILL)");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn a_killed_java_fails_the_run_and_is_named() {
    let spark = spark();
    let run = at_work(&spark);
    send_signal(process_of(&run, "org.apache.spark.deploy.SparkSubmit"), Signal::KILL).unwrap();
    died(&spark, run, "Spark's Java process was killed by signal 9");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn nothing_is_left_when_the_host_is_killed() {
    let spark = spark();
    let mut run = at_work(&spark);
    run.kill().unwrap();
    run.wait().unwrap();
    eventually("no process of the session is left", || processes_of_sessions_of(run.id()).is_empty());
    eventually("no file is left", || fs::read_dir(spark.temporary()).unwrap().next().is_none());
}
