//! A backend that is kept to a number of cores stays on them, with every process that it starts.

use std::process::Stdio;

use crate::support::{Place, eventually, not_run, processes_of_sessions_of};

/// The cores that a process may use, as the system lists them; nothing if it has gone.
fn allowed(process: u32) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    Some(line.trim().to_owned())
}

#[test]
fn the_whole_tree_of_a_backend_is_kept_to_its_cores() {
    let place = Place::with_misbehaving();
    for shelter in ["on", "off"] {
        let mut command = place.misbehaving_command("grandchild+sleep", "run", &["--cores", "1"]);
        command.env("CROSSRUN_NAMESPACES", shelter).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let sleeps = |process: &u32| {
            std::fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.trim() == "sleep")
        };
        eventually("the grandchild sleeps", || processes_of_sessions_of(child.id()).iter().any(sleeps));
        let sets: Vec<_> = processes_of_sessions_of(child.id()).into_iter().filter_map(allowed).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        eventually("nothing is left", || processes_of_sessions_of(child.id()).is_empty());
        // Supervisor, worker and grandchild at least: one core, the same for all.
        assert!(sets.len() >= 3 && sets.iter().all(|set| *set == sets[0]), "{sets:?}");
        assert!(sets[0].parse::<usize>().is_ok(), "{sets:?}");
    }
}

#[test]
fn a_backend_that_leaves_its_cores_is_named() {
    if std::thread::available_parallelism().unwrap().get() < 2 {
        return not_run("there is one core");
    }
    let place = Place::with_misbehaving();
    for (behaviour, leaves) in [("leave_cores", true), ("none", false)] {
        let ran = place.misbehave(behaviour, "run", &["--cores", "1", "--items", "100"]).code(0);
        let warnings = ran.json()["metadata"]["warnings"].to_string();
        assert_eq!(warnings.contains("may use other cores"), leaves, "{warnings} {}", ran.explain());
    }
}

#[test]
fn the_record_has_the_cores_and_its_command_uses_as_many() {
    let place = Place::new();
    let run = "run --json --backend native --workload null";
    let record = place.run(&format!("{run} --cores 1")).code(0).json();
    assert_eq!(record["metadata"]["cores"].as_array().unwrap().len(), 1, "{record}");
    assert!(record["metadata"]["command"].as_str().unwrap().contains("--cores 1"), "{record}");
    let free = place.run(run).code(0).json();
    assert!(free["metadata"]["cores"].is_null());
    place.run(&format!("{run} --cores 100000")).code(2).says("this process may use");
    for option in ["--cores 1", "--memory-limit 1GiB", "--process-limit 100", "--log-limit 1MiB"] {
        let name = option.split(' ').next().unwrap();
        place.run(&format!("{run} {option} --isolation none")).code(2).says(name);
    }
}
