//! The ray backend on the real package: right answers in every shape, failures that are reported as such, nothing left behind.

use std::fs;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::installed_engine::{ITEMS, Installed};
use crate::network::listens_at;
use crate::support::{Ran, WORKLOADS, eventually, plugin, processes_of_sessions_of, repository, send_signal};

fn ray() -> Installed {
    Installed::new("ray")
}

/// What `shapes` come to in one session.
fn outcomes(ray: &Installed, parallelism: u32, shapes: &[Value]) -> Vec<Value> {
    let mut command = ray.script("tests/shapes.py");
    command.arg(plugin("standard_workloads")).arg(ray.place.path());
    command.arg(parallelism.to_string()).arg(Value::from(shapes).to_string());
    let ran = Ran::of(command).code(0);
    ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every workload at every size. By turns they take one of the ways a batch can go, so that each way meets each workload.
fn shapes(turn: usize) -> Vec<Value> {
    let ways = [
        json!({"batch_size": 1}),
        json!({"batch_size": 64, "fusion": "off"}),
        json!({"batch_size": 64, "ray_idiom": "tasks"}),
        json!({"batch_size": 64}),
        json!({"batch_size": 100_000}),
        json!({"batch_size": 64, "fusion": "off", "ray_idiom": "tasks"}),
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
    shapes.push(json!({"workload": "word_count", "items": 300, "extra": {"batch_size": 1, "fusion": "off", "ray_idiom": "tasks"}}));
    shapes
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn every_workload_has_the_same_answer_as_on_native() {
    let ray = ray();
    for parallelism in [1, 2] {
        let shapes = shapes(parallelism as usize);
        let outcomes = outcomes(&ray, parallelism, &shapes);
        assert_eq!(outcomes.len(), shapes.len());
        for (shape, outcome) in shapes.iter().zip(outcomes) {
            let words = format!(
                "--workload {} --items {}{}",
                shape["workload"].as_str().unwrap(),
                shape["items"],
                if shape["extra"]["sleep_us"].is_null() { "" } else { " sleep_us=100" },
            );
            let native = Ran::of(ray.run_command("native", &words)).code(0).json();
            assert_eq!(outcome["checksum"], native["metadata"]["checksum"], "{shape} {outcome}");
            assert_eq!(outcome["count"], native["metadata"]["results_count"], "{shape} {outcome}");
            let extra = &shape["extra"];
            let are_tasks = extra["ray_idiom"] == "tasks" || extra["batch_size"] == 100_000;
            let idiom = if are_tasks { "tasks" } else { "actors" };
            assert_eq!(outcome["idiom"], idiom, "{shape}");
        }
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn no_more_operators_run_at_once_than_the_parallelism_allows() {
    let ray = ray();
    for idiom in ["actors", "tasks"] {
        // Each item waits 10 ms, so 60 items take at least 300 ms of two.
        let words = "--workload scheduler_comparison --items 60 --parallelism 2 sleep_us=10000";
        let record = ray.verified(&format!("{words} ray_idiom={idiom}"));
        assert!(record["duration_seconds"].as_f64().unwrap() >= 0.3, "{record}");
        let metrics = &record["metadata"]["raw_metrics"];
        assert_eq!((&metrics["nodes"], &metrics["idiom"]), (&1.into(), &idiom.into()));
        // Ray decides which process gets a task.
        assert!(idiom == "tasks" || metrics["late_opens"] == 0, "{metrics}");
        assert!(metrics["object_store_bytes"].as_u64() >= Some(256 << 20), "{metrics}");
        let work = metrics["node_work"].as_object().unwrap();
        assert!(work.len() == 1 && work.values().all(|batches| *batches == 60), "{work:?}");
        assert_eq!(record["metadata"]["versions"]["ray"], "2.60.0");
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn the_scheduler_that_was_used_is_reported() {
    let ray = ray();
    assert_eq!(ray.scheduled("default"), ("default".into(), String::new()));
    let (name, text) = ray.scheduled("load_aware");
    assert!(name == "default" && text.contains("unknown to Ray"), "{name} {text}");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn an_error_in_an_operator_fails_the_run_with_its_reason() {
    Installed::with_samples("ray").tells_of_faults();
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn what_it_cannot_run_is_refused_with_the_reason() {
    let ray = ray();
    let run = |words: &str| ray.run(&format!("--workload null {words}"));
    run("ray_idiom=both").code(2).says("is not one of auto, actors, tasks, as ray needs it");
    for address in ["ray://nowhere:1", "local", "nowhere", "a:b", "1"] {
        run(&format!("ray_address={address}")).code(2).says("write host:port");
    }
    run("ray_address=127.0.0.1:1").code(3).says("the Ray cluster at 127.0.0.1:1 cannot be used");
    run("--nodes 2").code(3).says("2 nodes were asked for, but there is 1").says("--nodes 1");
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn the_cluster_of_the_environment_is_used_only_on_request() {
    let ray = ray();
    let with = |address: Option<&str>, words: &str| {
        let mut command = ray.run_command("ray", &format!("--workload null {words}"));
        command.env_remove("RAY_ADDRESS").envs(address.map(|address| ("RAY_ADDRESS", address)));
        Ran::of(command)
    };
    let nobody = Some("127.0.0.1:1");
    with(nobody, "--items 3").code(0);
    with(nobody, "ray_address=auto").code(3).says("the Ray cluster at 127.0.0.1:1 cannot be used");
    with(None, "ray_address=auto").code(2).says("RAY_ADDRESS").says("--extra ray_address=HOST:PORT");
    with(Some("ray://a:1"), "ray_address=auto").code(2).says("RAY_ADDRESS is 'ray://a:1': write host:port");
}

/// Waits until one of the processes runs an operator.
pub(crate) fn until_at_work(mut processes: impl FnMut() -> Vec<u32>) {
    // Ray writes into the title of a worker what it does.
    let is_at_work = |pid: u32| {
        let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        ["ray::Replica.feed", "ray::source"].iter().any(|start| title.starts_with(start.as_bytes()))
    };
    eventually("somebody works", || processes().into_iter().any(is_at_work));
}

/// A run that takes minutes, as soon as the engine is at work on it.
fn at_work(ray: &Installed, words: &str) -> Child {
    let words = format!("--workload scheduler_comparison --items 20000 sleep_us=20000 {words}");
    let mut command = ray.run_command("ray", &words);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until_at_work(|| {
        assert!(run.try_wait().unwrap().is_none(), "it ended: {words}");
        processes_of_sessions_of(run.id())
    });
    run
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn a_session_listens_on_loopback_only_and_leaves_nothing_when_its_driver_is_killed() {
    let ray = ray();
    let run = at_work(&ray, "ray_idiom=tasks");
    let processes = processes_of_sessions_of(run.id());
    let ports: Vec<String> = processes.iter().flat_map(|pid| listens_at(*pid)).collect();
    assert!(ports.len() > 3, "an engine of several processes listens at {ports:?} only");
    for port in &ports {
        let loopback = ["0100007F:", "0000000000000000FFFF00000100007F:"];
        assert!(loopback.iter().any(|address| port.starts_with(address)), "{ports:?}");
    }
    let is_driver = |pid: &&u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&line).into_owned();
        text.contains("\0-I\0") && text.contains("/python_engine/")
    };
    let driver = *processes.iter().find(is_driver).unwrap();
    send_signal(driver, Signal::KILL).unwrap();
    let id = run.id();
    let ran = Ran::ended(run).code(4).says("the driver of ray was killed by signal 9 (SIGKILL)");
    let record = ran.json();
    assert_eq!((&record["success_rate"], &record["throughput"]), (&0.0.into(), &Value::Null));
    assert!(processes_of_sessions_of(id).is_empty(), "{}", ran.explain());
    ray.left_nothing(&ran);
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn nothing_is_left_when_the_host_is_killed() {
    let ray = ray();
    let mut run = at_work(&ray, "ray_idiom=actors");
    run.kill().unwrap();
    run.wait().unwrap();
    eventually("no process of the session is left", || processes_of_sessions_of(run.id()).is_empty());
    eventually("no file is left", || fs::read_dir(ray.temporary()).unwrap().next().is_none());
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn a_ray_that_cannot_be_imported_is_reported_with_the_command_that_repairs_it() {
    let ray = ray();
    // The same files under other names, so that what is written here is written here only.
    let data = ray.data().with_file_name(format!("broken-ray-{}", std::process::id()));
    let environment = ray.programs().parent().unwrap().to_owned();
    let copy = data.join("environments/ray").join(environment.file_name().unwrap());
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    let linked = Command::new("cp").arg("-al").args([&environment, &copy]).status().unwrap();
    assert!(linked.success());
    let lib = fs::read_dir(copy.join("lib")).unwrap().flatten().next().unwrap().path();
    let broken = lib.join("site-packages/ray/__init__.py");
    fs::remove_file(&broken).unwrap();
    fs::write(&broken, "raise ImportError('libnone.so.1: cannot open\\nshared object file')\n").unwrap();
    let mut command = ray.run_command("ray", "--workload null");
    command.env("CROSSRUN_DATA_DIR", &data);
    let ran = Ran::of(command);
    fs::remove_dir_all(data).unwrap();
    let ran =
        ran.code(3).says("Ray cannot be imported: ImportError: libnone.so.1: cannot open shared object file");
    ran.says("; try: crossrun setup ray --remove --plugin-dir ").says(" && crossrun setup ray --plugin-dir ");
}

#[test]
fn the_driver_uses_nothing_that_is_private_to_ray() {
    for entry in fs::read_dir(repository().join("plugins/ray_runner")).unwrap().flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "py") {
            let text = fs::read_to_string(entry.path()).unwrap().replace("ray.__version__", "");
            assert!(!text.contains("ray._"), "{}", entry.path().display());
        }
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn the_scripts_to_compare_with_compute_the_same() {
    let ray = ray();
    ray.agrees_with_script("handwritten.py", "pipeline", 1000, 7);
    ray.agrees_with_script("handwritten.py", "word_count", 1000, 7);
    ray.agrees_with_script("graph.py", "task_graph", 40, 1);
    let mut original = ray.script("benches/original.py");
    original.args(["10", "2"]);
    let said = Ran::of(original).code(0).stdout();
    assert_eq!(said.split_whitespace().nth(1), Some("5"), "{said}");
}
