//! The timely backend: right answers in every shape, failures that are reported as such, and memory that does not grow with the run.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::installed_engine::{FUSION, Installed, shapes};
use crate::session::verified;
use crate::support::{assert_once_at_most, eventually, processes_of_sessions_of, send_signal};

fn timely() -> Installed {
    Installed::new("timely")
}

#[test]
fn every_workload_is_verified_in_every_shape() {
    for record in verified(&timely(), &shapes().collect::<Vec<_>>()) {
        assert_eq!(record["metadata"]["raw_metrics"]["nodes"], 1);
    }
}

#[test]
fn a_chain_is_one_operator_with_fusion_and_one_a_stage_without() {
    let timely = timely();
    for (fusion, operators) in [("auto", 2), ("off", 6)] {
        let record = timely.verified(&format!("--workload pipeline --items 100 fusion={fusion}"));
        let metrics = &record["metadata"]["raw_metrics"];
        assert_eq!(metrics["operators"].as_array().unwrap().len(), operators, "{metrics}");
    }
}

#[test]
fn two_consecutive_reductions_are_right() {
    let words = "--workload count_of_counts --items 500 --parallelism 3 batch_size=9";
    verified(&Installed::with_samples("timely"), &FUSION.map(|fusion| format!("{words} fusion={fusion}")));
}

#[test]
fn an_error_in_an_operator_fails_the_run_with_its_reason() {
    let timely = Installed::with_samples("timely");
    let faults = [
        ("map_fails", "the map said no"),
        ("map_panics", "the map gave up"),
        ("fold_panics", "the fold gave up"),
    ];
    for (fault, reason) in faults {
        for fusion in FUSION {
            let words =
                format!("--workload faulty --items 2000 --parallelism 3 fault={fault} fusion={fusion}");
            let record = timely.run(&words).code(4).says(reason).json();
            assert_eq!(record["success_rate"], 0.0);
            assert_eq!(record["metadata"]["error"]["kind"], "workload", "{record}");
        }
    }
}

#[test]
fn memory_does_not_grow_with_the_run() {
    let timely = timely();
    let peak = |items: u32| {
        let words = format!("--workload word_count --items {items} --parallelism 2 batch_size=1000");
        timely.verified(&words)["metadata"]["resources"]["peak_memory_bytes"].as_f64().unwrap()
    };
    // The items that the longer run has more are some 6 MB in batches. Where a worker waits for a core, some of them gather.
    assert_once_at_most(4e6, "bytes more for the longer run", || peak(500_000) - peak(50_000));
}

#[test]
fn the_scheduler_that_was_used_is_reported() {
    let timely = timely();
    for known in ["default", "fifo"] {
        assert_eq!(timely.scheduled(known), (known.into(), String::new()));
    }
    let (name, text) = timely.scheduled("load_aware");
    assert!(name == "load_aware" && text.contains("is the default of timely"), "{name} {text}");
    let (name, text) = timely.scheduled("newest");
    assert!(name == "default" && text.contains("unknown to timely"), "{name} {text}");
}

#[test]
fn a_killed_worker_process_is_a_failed_row() {
    let timely = timely();
    // Takes a minute and more.
    let mut command = timely.run_command("timely", "--workload scheduler_comparison --items 20000");
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let parent = running.id();
    let works = |pid: &u32| threads(*pid).iter().any(|name| name.starts_with("timely:work-"));
    let workers = || processes_of_sessions_of(parent).into_iter().filter(works).collect::<Vec<_>>();
    eventually("its threads work", || !workers().is_empty());
    for worker in workers() {
        send_signal(worker, Signal::KILL).unwrap();
    }
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&record["success_rate"], &record["throughput"]), (&0.0.into(), &Value::Null), "{record}");
    assert!(record["metadata"]["error"]["message"].to_string().contains("signal 9 (SIGKILL)"), "{record}");
    assert!(processes_of_sessions_of(parent).is_empty());
}

/// The names of a process's threads.
fn threads(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok()).collect()
}
