//! A kill at any moment: each file that was being written is there whole or not at all, and the same command can be given again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::field::wrappers::{nosyscall, wrapped};
use crate::support::{Place, Ran, eventually, plugin, processes_of_sessions_of, shell_code};

/// How often each command is killed; `.ci/run --full` asks for many.
fn kills() -> u64 {
    let asked = std::env::var("CROSSRUN_TEST_KILLS").ok().and_then(|kills| kills.parse().ok());
    asked.unwrap_or(3)
}

/// Kills a command at moments that are spread over the time that it takes here and now, and checks what is there after each kill.
/// Nothing that is checked depends on the moment, and the command may also have ended before it.
fn killed(command: impl Fn() -> Command, check: impl Fn()) {
    let started = Instant::now();
    Ran::of(command()).code(0);
    let whole = started.elapsed();
    for number in 0..kills() {
        // The fractional parts of the multiples of the golden ratio: spread evenly, however many there are.
        let part = (0.3 + number as f64 * 0.618_034).fract();
        let mut command = command();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole.mul_f64(part).min(Duration::from_secs(60)));
        child.kill().unwrap();
        child.wait().unwrap();
        eventually("nothing is left running", || processes_of_sessions_of(child.id()).is_empty());
        check();
    }
    Ran::of(command()).code(0);
    check();
}

/// The lines of a file. The last may be torn.
fn whole_lines(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        let parsed: Result<Value, _> = serde_json::from_str(line);
        assert!(parsed.is_ok(), "{}: {line:.200}", path.display());
    }
    whole.lines().count()
}

#[test]
fn a_run_that_is_killed_costs_no_record_of_another() {
    let place = Place::new();
    let run = ["run", "--backend", "native", "--workload", "null", "--items=10", "--no-lock"];
    let folder = place.path().join("results/null");
    let before = std::cell::Cell::new(0);
    let check = || {
        let recorded = whole_lines(&folder.join("trials.jsonl"));
        assert!(recorded >= before.replace(recorded));
        whole_lines(&folder.join("unified_results.jsonl"));
    };
    killed(|| place.command(&run), check);
    // All is whole again, with every trial in each file.
    let trials = place.records("null", "trials.jsonl").len();
    assert_eq!(place.records("null", "unified_results.jsonl").len(), trials);
    let table = fs::read_to_string(folder.join("unified_results.csv")).unwrap();
    assert_eq!(table.lines().count(), trials + 1);
    place.crossrun(&["report", "results/null"]).code(0);
}

#[test]
fn exports_and_lock_files_that_are_replaced_are_the_old_or_the_new_ones() {
    let place = Place::new();
    place.crossrun(&["run", "--backend", "native", "--workload", "null", "--items=10", "--no-lock"]).code(0);
    let exports = ["--csv", "out.csv", "--md", "out.md", "--html", "out.html"];
    let files = ["out.csv", "out.md", "out.html"].map(|name| place.path().join(name));
    let report = || place.command(&[&["report", "results/null"], exports.as_slice()].concat());
    Ran::of(report()).code(0);
    // The page has the time at which it was made.
    let read = |file: &std::path::PathBuf| -> Vec<String> {
        let text = fs::read_to_string(file).unwrap();
        text.lines().filter(|line| !line.contains("Created on")).map(str::to_owned).collect()
    };
    let whole = files.each_ref().map(read);
    killed(report, || assert!(files.each_ref().map(read) == whole));

    let lock = place.data().join("plugins.lock");
    let locking = || place.command(&["backends", "lock"]);
    Ran::of(locking()).code(0);
    let whole = fs::read(&lock).unwrap();
    killed(locking, || assert!(fs::read(&lock).unwrap() == whole));
}

/// Every file below a folder, with what is in it.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            found.extend(contents(&path).into_iter().map(|(below, text)| (format!("{name}/{below}"), text)));
        } else {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn a_project_is_made_whole_or_not_at_all() {
    let place = Place::empty();
    let project = place.path().join("mine");
    let new = || {
        let _ = fs::remove_dir_all(&project);
        place.command(&["backends", "new", "mine", "--dir", "mine"])
    };
    Ran::of(new()).code(0);
    let whole = contents(&project);
    killed(new, || assert!(!project.exists() || contents(&project) == whole));
}

#[test]
fn a_driver_of_which_a_part_was_written_is_not_run() {
    let place = Place::empty();
    place.stage(&plugin("standard_workloads"));
    place.stage(&plugin("python_runner"));
    let run = ["run", "--backend", "python", "--workload", "null", "--items=10", "--no-lock"];
    let written = place.data().join("python_engine");
    let first = || {
        let _ = fs::remove_dir_all(&written);
        place.command(&run)
    };
    killed(first, || drop(place.crossrun(&run).code(0)));
}

#[test]
fn what_a_killed_process_was_making_is_removed_by_the_next_that_writes_there() {
    let Some(nosyscall) = nosyscall() else { return };
    let place = Place::new();
    place.crossrun(&["run", "--backend", "native", "--workload", "null", "--items=10", "--no-lock"]).code(0);
    for (words, folder) in [
        (&["report", "results/null", "--csv", "out/table.csv"][..], "out"),
        (&["report", "results/null", "--html", "out/page.html"], "out"),
        (&["backends", "lock", "--output", "out/plugins.lock"], "out"),
        (&["backends", "new", "mine", "--dir", "out"], "out"),
        (&["backends", "new", "mine", "--dir", "out/mine"], "out"),
        (&["workloads", "new", "mine", "--dir", "out"], "out"),
    ] {
        let folder = place.path().join(folder);
        let left = || {
            let names = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
            names.filter(|name| name.to_string_lossy().starts_with(".crossrun-")).count()
        };
        // At rename, renameat or renameat2.
        let is_killed = ["82", "264", "316"].iter().any(|number| {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            let ran = Ran::of(wrapped(&nosyscall, &[*number, "0"], &place.command(words)));
            shell_code(ran.output.status) == Some(128 + 31)
        });
        assert!(is_killed && left() == 1, "{words:?}");
        place.crossrun(words).code(0);
        assert_eq!(left(), 0, "{words:?}");
    }
}
