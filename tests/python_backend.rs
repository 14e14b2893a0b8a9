//! The python backend has the same answers as any other, and every failure of its driver is a row with a reason.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::installed_engine::Installed;
use crate::session::verified;
use crate::support::{
    Place, Ran, WORKLOADS, arguments_in, eventually, plugin, processes_of_sessions_of, repository,
    send_signal, shell_code, shortened, warnings,
};

/// Items, parallelism, batch size and fusion, so that any two values of two of them come together.
const POINTS: [(u64, u32, u32, &str); 12] = [
    (0, 1, 1, "auto"),
    (0, 2, 64, "off"),
    (0, 4, 1, "off"),
    (1, 1, 64, "off"),
    (1, 2, 1, "auto"),
    (1, 4, 64, "auto"),
    (7, 1, 1, "off"),
    (7, 2, 64, "auto"),
    (7, 4, 1, "auto"),
    (1000, 1, 64, "auto"),
    (1000, 2, 1, "off"),
    (1000, 4, 64, "off"),
];

/// The python backend beside the native one.
fn python() -> Place {
    let place = Place::new();
    place.stage(&plugin("python_runner"));
    place
}

fn run_at(
    place: &Place,
    backend: &str,
    workload: &str,
    (items, parallelism, batch_size, fusion): (u64, u32, u32, &str),
) -> Value {
    let run =
        format!("run --json --backend {backend} --workload {workload} {}", shortened(workload).join(" "));
    let how = format!("--parallelism {parallelism} --extra batch_size={batch_size} --extra fusion={fusion}");
    place.run(&format!("{run} --items {items} {how}")).code(0).json()
}

fn behave(place: &Place, behaviour: &str, phase: &str, more: &[&str]) -> Ran {
    Ran::of(behaving(place, behaviour, phase, more))
}

fn behaving(place: &Place, behaviour: &str, phase: &str, more: &[&str]) -> Command {
    let extra = format!("--extra behaviour={behaviour} --extra at={phase}");
    let run = format!("run --json --backend driven --workload word_count {extra}");
    place.command(&[&arguments_in(&run)[..], more].concat())
}

/// The drivers among the processes of a session that `parent` started.
fn drivers_of(parent: u32) -> Vec<u32> {
    let is_driver = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("/python_engine/")
    };
    processes_of_sessions_of(parent).into_iter().filter(is_driver).collect()
}

#[test]
fn every_workload_is_verified_at_every_size_and_shape() {
    let mut lines = Vec::new();
    for (first, workload) in WORKLOADS.iter().enumerate() {
        // A third of the points each, so that each point comes with a workload or two.
        for (items, parallelism, batch_size, fusion) in POINTS.iter().skip(first % 3).step_by(3) {
            let how = format!("--parallelism {parallelism} batch_size={batch_size} fusion={fusion}");
            let shorter = if *workload == "scheduler_comparison" { " sleep_us=100" } else { "" };
            lines.push(format!("--workload {workload} --items {items} {how}{shorter}"));
        }
    }
    verified(&Installed::new("python"), &lines);
}

#[test]
fn python_threads_and_native_threads_have_the_same_answer() {
    let place = python();
    for workload in WORKLOADS {
        let point = (1000, 4, 64, "auto");
        let python = run_at(&place, "python", workload, point);
        let native = run_at(&place, "native", workload, point);
        for key in ["results_count", "checksum"] {
            assert_eq!(python["metadata"][key], native["metadata"][key], "{workload}");
        }
        assert_eq!(python["config_hash"], native["config_hash"], "{workload}");
    }
}

#[test]
fn the_seeds_workload_runs_on_it() {
    let run = ["run", "--backend", "python", "--items", "100", "--parallelism", "4", "--json"];
    let record = python().crossrun(&run).verified();
    assert_eq!(record["metadata"]["results_count"], 50);
    assert_eq!(record["nodes"], 1);
    let version = record["metadata"]["versions"]["python"].as_str().unwrap();
    assert!(version.starts_with("3."), "{version}");
}

#[test]
fn a_scheduler_that_it_does_not_have_runs_as_default_with_a_warning() {
    let run = ["run", "--json", "--backend", "python", "--workload", "null", "--scheduler", "fifo"];
    let ran = python().crossrun(&run).code(0).says("fifo");
    let record = ran.json();
    assert_eq!(record["metadata"]["scheduler_name"], "default");
    assert_eq!(warnings(&record), ["scheduler \"fifo\" is unknown to python; it ran as \"default\""]);
}

#[test]
fn a_driver_is_read_from_the_folder_that_the_environment_names_and_each_run_says_so() {
    let (place, folder) = (python(), tempfile::tempdir().unwrap());
    let own = repository().join("plugins/python_runner/driver.py");
    let text = std::fs::read_to_string(own).unwrap();
    let run = |driver: &str| {
        std::fs::write(folder.path().join("driver.py"), driver).unwrap();
        let mut command = place.command(&["run", "--json", "--backend", "python", "--workload", "null"]);
        command.env("CROSSRUN_DRIVERS", format!("other=/nowhere:python={}", folder.path().display()));
        Ran::of(command)
    };
    let record = run(&text).code(0).json();
    let expected = format!(
        "the driver was read from {}, as CROSSRUN_DRIVERS says, and is not the one in the plugin's file",
        folder.path().display()
    );
    assert!(warnings(&record).contains(&expected.as_str()), "{record}");
    run("raise SystemExit('edited')\n").code(4).says("edited");
    let record = place.run("run --json --backend python --workload null").code(0).json();
    assert_eq!(warnings(&record), [""; 0], "{record}");
}

#[test]
fn without_isolation_the_answer_is_the_same() {
    let place = python();
    let run = ["run", "--json", "--backend", "python", "--workload", "pipeline", "--items", "500"];
    let isolated = place.crossrun(&run).code(0).json();
    let here = place.crossrun(&[&run, ["--isolation", "none"].as_slice()].concat()).code(0).json();
    assert_eq!(isolated["metadata"]["checksum"], here["metadata"]["checksum"]);
}

#[test]
fn without_python_on_the_path_it_is_not_available() {
    let place = python();
    let nowhere = place.path().join("nowhere");
    std::fs::create_dir(&nowhere).unwrap();
    let mut command = place.command(&["run", "--backend", "python", "--workload", "null"]);
    command.env("PATH", &nowhere);
    Ran::of(command).code(3).says("no Python 3.9 to 3.14 is on the PATH; try: PATH=");
}

#[test]
fn an_invalid_python_is_reported() {
    let place = python();
    let launcher = place.path().join("launcher");
    std::fs::create_dir(&launcher).unwrap();
    std::os::unix::fs::symlink("/bin/false", launcher.join("python3")).unwrap();
    let mut command = place.command(&["run", "--backend", "python", "--workload", "null"]);
    command.env("PATH", &launcher);
    Ran::of(command).code(3).says("python3 is not a Python that works: exited with code 1");
}

#[test]
fn setup_does_nothing_but_needs_python() {
    let place = python();
    place.crossrun(&["setup", "python"]).code(0);
    place.crossrun(&["setup", "python", "--remove"]).code(0);
    place
        .crossrun(&["setup", "python", "--python", "/opt/mine/bin/python3"])
        .code(8)
        .says("; try: PATH=/opt/mine/bin:$PATH crossrun run --backend python");
}

#[test]
fn the_users_own_python_settings_do_not_matter() {
    let place = python();
    let trap = place.path().join("trap");
    std::fs::create_dir(&trap).unwrap();
    for module in ["json", "ctypes", "sitecustomize", "driver"] {
        std::fs::write(trap.join(format!("{module}.py")), "raise SystemExit('trapped')\n").unwrap();
    }
    let mut command = place.command(&["run", "--backend", "python", "--workload", "null"]);
    command.env("PYTHONPATH", &trap).env("PYTHONSTARTUP", trap.join("json.py")).env("PYTHONOPTIMIZE", "2");
    command.current_dir(&trap);
    Ran::of(command).code(0);
}

#[test]
fn a_killed_driver_is_a_failed_row_with_its_signal() {
    let place = python();
    for shelter in ["on", "off"] {
        let run = ["run", "--json", "--backend", "python", "--items", "100000"];
        let mut command = place.command(&run);
        command.env("CROSSRUN_NAMESPACES", shelter).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let parent = child.id();
        eventually("the driver runs", || !drivers_of(parent).is_empty());
        // In the middle of the run, which takes minutes.
        std::thread::sleep(std::time::Duration::from_millis(500));
        // One is not found while a process on the way to it ends or starts.
        let kill = |pid: &u32| send_signal(*pid, Signal::KILL).is_ok();
        eventually("a driver is killed", || drivers_of(parent).into_iter().filter(kill).count() > 0);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains("the driver of python was killed by signal 9 (SIGKILL)"), "{said}");
        assert!(processes_of_sessions_of(parent).is_empty());
    }
    let rows = place.records("scheduler_comparison", "trials.jsonl");
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["status"] == "failed"));
}

#[test]
fn every_failure_of_a_driver_is_a_row_with_its_reason() {
    let place = Place::with_driven();
    let cases = [
        (
            "kill",
            "the driver of driven was killed by signal 9 (SIGKILL); its last output: the last words",
            "engine",
        ),
        ("orphan", "was killed by signal 9 (SIGKILL)", "engine"),
        ("exit", "the driver of driven exited with code 3", "engine"),
        ("leave", "the driver of driven exited with code 4", "engine"),
        ("raise", "ValueError: two lines (driver.py:", "engine"),
        ("operator", "a batch is shorter than its header", "workload"),
        ("unsupported", "it cannot do that", "unsupported"),
        ("short", "a sink's state is not", "workload"),
        ("largest", "state", "workload"),
    ];
    for (behaviour, words, kind) in cases {
        let ran = behave(&place, behaviour, "run", &[]).code(4).says(words);
        let error = &ran.json()["metadata"]["error"];
        assert_eq!(error["kind"], kind, "{}", ran.explain());
    }
    assert_eq!(place.records("word_count", "trials.jsonl").len(), cases.len());
}

#[test]
fn a_driver_that_fails_to_open_is_reported() {
    let place = Place::with_driven();
    for (behaviour, code, words) in [
        ("raise", 4, "ValueError: two lines"),
        ("kill", 4, "was killed by signal 9 (SIGKILL)"),
        ("unavailable", 3, "its cluster is gone"),
    ] {
        behave(&place, behaviour, "open", &[]).code(code).says(words);
    }
}

#[test]
fn a_driver_that_fails_to_close_is_a_warning_and_the_answer_is_kept() {
    let place = Place::with_driven();
    for behaviour in ["raise", "kill", "exit"] {
        behave(&place, behaviour, "close", &[]).says("closing the backend failed").verified();
    }
}

#[test]
fn the_output_the_input_and_the_reports_of_a_driver_are_separate() {
    let place = Place::with_driven();
    for behaviour in ["print", "read", "report", "fork", "spawn", "none"] {
        behave(&place, behaviour, "run", &[]).verified();
    }
    behave(&place, "report", "run", &[]).says("a word from the driver");
    let logs = find(&place.data(), "driven.driver.log");
    assert!(logs.iter().any(|log| std::fs::read_to_string(log).unwrap().contains("noise\n")), "{logs:?}");
}

/// Every file called `name` below `folder`.
fn find(folder: &Path, name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => find(&path, name),
            false => Vec::from_iter(path.ends_with(name).then_some(path)),
        })
        .collect()
}

#[test]
fn a_driver_that_is_interrupted_or_hangs_leaves_nothing() {
    let place = Place::with_driven();
    for behaviour in ["obey", "hang"] {
        let child = behaving(&place, behaviour, "run", &[]).stderr(Stdio::null()).spawn().unwrap();
        let parent = child.id();
        eventually("the driver runs", || !drivers_of(parent).is_empty());
        std::thread::sleep(std::time::Duration::from_millis(300));
        send_signal(parent, Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(shell_code(output.status), Some(130), "{behaviour}");
        assert!(processes_of_sessions_of(parent).is_empty(), "{behaviour}");
    }
    behave(&place, "hang", "run", &["--timeout", "1"]).code(4).says("no answer to run within 1 s");
}

/// Runs the unit tests in `folder` below the plugins, with the modules in `path` there.
fn unit_tests(folder: &str, path: &[&str]) {
    let plugins = repository().join("plugins");
    let modules: Vec<PathBuf> = path.iter().map(|path| plugins.join(path)).collect();
    let output = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "."])
        .current_dir(plugins.join(folder))
        .env("PYTHONPATH", std::env::join_paths(modules).unwrap())
        .env("CROSSRUN_TEST_LIBRARY", plugin("standard_workloads"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_driver_that_is_started_by_hand_explains_itself() {
    let place = Place::with_driven();
    behave(&place, "none", "run", &[]).code(0);
    let package = find(&place.data().join("python_engine"), "__main__.py").remove(0);
    let mut by_hand = Command::new("python3");
    by_hand.arg("-I").arg(package.parent().unwrap()).stdin(Stdio::null());
    Ran::of(by_hand).code(1).says("this is a driver of crossrun");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn the_python_side_passes_its_own_tests() {
    unit_tests("python_engine/python/tests", &["python_engine/python"]);
    unit_tests("python_runner/tests", &["python_runner", "python_engine/python"]);
    unit_tests("ray_runner/tests", &["ray_runner", "python_engine/python"]);
    unit_tests("sage_runner/tests", &["sage_runner", "python_engine/python"]);
}
