//! Printed and recorded commands repeat what was run when they are pasted; and a resumed comparison keeps the options with which it
//! was started.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::field::wrappers::with_environment_of;
use crate::support::{Place, Ran, arguments_in, executable, hostile, plugin};

const QUICK: &str = "compare --workloads null --items 10 --blocks 1";

/// Runs `line` in a shell that finds crossrun.
fn pasted(place: &Place, line: &str) -> Ran {
    let folder = executable().parent().unwrap();
    let path = std::env::join_paths([folder, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", line]).env("PATH", path).current_dir(place.path());
    Ran::of(with_environment_of(&place.command(&[]), command))
}

fn trials(place: &Place, run: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(place.path().join("results").join(run).join("trials.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn command_of(trial: &Value) -> String {
    trial["record"]["metadata"]["command"].as_str().unwrap().to_owned()
}

#[test]
fn the_command_of_a_trial_has_its_limits_and_finds_a_plugin_that_was_given_as_a_file() {
    let place = Place::new();
    let file = place.path().join("elsewhere");
    std::fs::create_dir(&file).unwrap();
    // A name by which no plugin folder would find it.
    let file = file.join("old build.so");
    std::fs::copy(plugin("native_runner"), &file).unwrap();
    let backends = format!("native,old={}", file.display());
    let more = ["--backends", &backends, "--timeout", "77s", "--memory-limit", "3GiB", "--run-id", "files"];
    place.crossrun(&[&arguments_in(QUICK)[..], &more].concat()).code(0);
    let old = trials(&place, "files").into_iter().find(|trial| trial["record"]["backend"] == "old").unwrap();
    let command = command_of(&old);
    for words in ["--timeout 77s", "--memory-limit 3221225472", "old build.so"] {
        assert!(command.contains(words), "no {words:?} in {command}");
    }
    let again = pasted(&place, &format!("{command} --json")).code(0).json();
    assert_eq!(again["backend"], "old");
    for key in ["checksum", "results_count"] {
        assert_eq!(again["metadata"][key], old["record"]["metadata"][key]);
    }
}

#[test]
fn the_command_of_the_page_measures_all_of_it_again() {
    let place = Place::new();
    place.run(&format!("{QUICK} --backends native --data-seed 7 --timeout 2m --run-id page")).code(0);
    let page = std::fs::read_to_string(place.path().join("results/page/report.html")).unwrap();
    let start = page.find("crossrun compare --backends").unwrap_or_else(|| panic!("{page}"));
    let command = page[start..].split('<').next().unwrap().replace("&#x2f;", "/").replace("&#x27;", "'");
    pasted(&place, &format!("{command} --run-id again")).code(0);
    let seeds = |run: &str| -> Vec<_> {
        trials(&place, run).iter().map(|trial| trial["record"]["metadata"]["data_seed"].clone()).collect()
    };
    assert!(seeds("again").len() >= 3);
    assert_eq!(seeds("again").last(), seeds("page").last());
}

#[test]
fn a_run_is_resumed_with_its_original_options_or_not_at_all() {
    let place = Place::new();
    place.run(&format!("{QUICK} --backends native --timeout 2m --process-limit 99 --run-id begun")).code(0);
    let resume = ["compare", "--resume", "begun"];
    for other in [
        ["--backends", "native,other"],
        ["--workloads", "pipeline"],
        ["--items", "11"],
        ["--blocks", "2"],
        ["--parallelism", "3"],
        ["--schedulers", "fifo"],
        ["--seed", "1"],
        ["--data-seed", "1"],
        ["--nodes", "2"],
        ["--timeout", "3m"],
        ["--extra", "batch_size=2"],
        ["--baseline", "other"],
        ["--memory-limit", "1GiB"],
        ["--process-limit", "98"],
    ] {
        let words = format!("another {}", other[0]);
        place.crossrun(&[&resume, other.as_slice()].concat()).code(2).says(&words).says("--resume begun");
    }
    for other in ["--publish", "--quick", "--aa", "--insist"] {
        place.crossrun(&[&resume, [other].as_slice()].concat()).code(2).says(&format!("another {other}"));
    }
    // The environment does not change the limits of a resumed run.
    let mut variable = place.command(&resume);
    variable.env("CROSSRUN_PROCESS_LIMIT", "98");
    Ran::of(variable).code(0);
    let same = "--backends NATIVE --items 10 --timeout 120s --process-limit 99 --log-limit 64MiB";
    place.run(&format!("compare --resume begun {same}")).code(0);
    // A plan of a version that did not record limits.
    let plan = place.path().join("results/begun/plan.json");
    let mut json: Value = serde_json::from_str(&std::fs::read_to_string(&plan).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("limits").unwrap();
    std::fs::write(&plan, json.to_string()).unwrap();
    place.crossrun(&[&resume, ["--process-limit", "98"].as_slice()].concat()).code(0);
}

#[test]
fn a_plugin_under_a_path_that_is_not_utf8_takes_part_and_is_resumed() {
    let place = Place::empty();
    let folder = place.path().join(OsStr::from_bytes(b"pl\xffugins"));
    std::fs::create_dir(&folder).unwrap();
    for name in ["native_runner", "standard_workloads"] {
        std::fs::copy(plugin(name), folder.join(format!("lib{name}.so"))).unwrap();
    }
    let crossrun = |arguments: &[&str]| {
        let mut command = with_environment_of(&place.command(&[]), Command::new(executable()));
        command.args(arguments).arg("--plugin-dir").arg(&folder).current_dir(place.path());
        Ran::of(command)
    };
    crossrun(&["run", "--backend", "native", "--workload", "null"]).code(0);
    // The commands name the folder by all of its bytes.
    let command = command_of(&trials(&place, "null")[0]);
    assert!(command.contains("\\377ugins") && !command.contains('\u{fffd}'), "{command}");
    pasted(&place, &command).code(0);
    assert_eq!(trials(&place, "null").len(), 2);
    crossrun(&arguments_in(&format!("{QUICK} --backends native --run-id odd"))).code(0);
    crossrun(&["compare", "--resume", "odd"]).code(0);
}

#[test]
fn a_data_folder_that_is_not_utf8_is_a_usage_error_and_not_a_trial() {
    let place = Place::new();
    let mut command = place.command(&["run", "--backend", "native", "--workload", "null"]);
    command.env("CROSSRUN_DATA_DIR", place.path().join(OsStr::from_bytes(b"da\xffta")));
    Ran::of(command).code(2).says("not UTF-8").says("export CROSSRUN_DATA_DIR=");
    assert!(!place.path().join("results").exists());
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn an_oracle_that_is_too_slow_for_one_size_fails_no_other() {
    let place = Place::new();
    place.stage(&hostile("misbehaving_workloads"));
    let compare = "compare --backends native --workloads slow_oracle --items 10,1000 --blocks 2 --timeout 5s --run-id slow";
    let mut command = place.command(&arguments_in(compare));
    // What does not hang is far faster, on any machine.
    command.env("CROSSRUN_DEADLINES", "expect=5s");
    Ran::of(command).code(4);
    let measured = trials(&place, "slow").into_iter().filter(|trial| trial["kind"] == "measured");
    let ended: Vec<_> = measured
        .map(|trial| (trial["record"]["metadata"]["total_items"].as_u64().unwrap(), trial["status"].clone()))
        .collect();
    let count =
        |items: u64, status: &str| ended.iter().filter(|(of, ended)| *of == items && ended == status).count();
    assert_eq!((count(10, "verified"), count(1000, "failed"), ended.len()), (2, 2, 4), "{ended:?}");
}

#[test]
fn a_value_that_begins_like_an_option_is_pasted_as_a_value() {
    let place = Place::new();
    let run = "run --backend native --workload null --extra=-k=1 --scheduler=-x --json";
    let command = place.run(run).code(0).json()["metadata"]["command"].as_str().unwrap().to_owned();
    pasted(&place, &command).code(0);
}

#[test]
fn a_name_that_could_be_a_path_is_refused_and_a_folder_is_no_backend() {
    let place = Place::new();
    let file = plugin("native_runner");
    for name in ["../../x", "a/b", "", "-x", "é", "a b"] {
        let named = format!("--backend={name}={}", file.display());
        let allowed = name == "-x";
        let ran = place.crossrun(&["run", "--workload", "null", &named]);
        if allowed { drop(ran.code(0)) } else { drop(ran.code(2).says("a name has 1 to 64 of")) }
    }
    let folder = format!("--backend=x={}", place.path().display());
    place.crossrun(&["run", "--workload", "null", &folder]).code(3).says("is a folder, not a backend");
}

#[test]
fn json_replaces_the_invalid_bytes_of_paths_that_are_not_utf8() {
    let place = Place::empty();
    let folder = place.path().join(OsStr::from_bytes(b"pl\xffugins"));
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("libnative_runner.so");
    std::fs::copy(plugin("native_runner"), &file).unwrap();
    let said = |arguments: &[&OsStr], code: i32| {
        let mut command = with_environment_of(&place.command(&[]), Command::new(executable()));
        command.args(arguments).arg("--json").current_dir(place.path());
        let ran = Ran::of(command).code(code);
        assert!(ran.json().to_string().contains("pl\u{fffd}ugins"), "{}", ran.explain());
    };
    let (list, dir) = (OsStr::new("backends"), OsStr::new("--plugin-dir"));
    said(&[list, dir, folder.as_os_str()], 0);
    said(&[list, OsStr::new("inspect"), file.as_os_str()], 0);
    said(
        &[list, OsStr::new("check"), file.as_os_str(), OsStr::new("--include"), OsStr::new("file.metadata")],
        0,
    );
    said(&[OsStr::new("doctor"), dir, folder.as_os_str()], 0);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn every_printed_command_says_that_other_measurements_were_not_waited_for() {
    let place = Place::new();
    let recorded = |run: &str| {
        let metadata = trials(&place, run)[0]["record"]["metadata"].clone();
        ["command", "full_command"].map(|key| metadata[key].as_str().unwrap_or_default().to_owned())
    };
    for (locked, more) in [(true, ""), (false, "--no-lock")] {
        let run = format!("locked-{locked}");
        let options = format!("--blocks 2 --backends native --run-id {run} --time-budget 1ns");
        let compare = format!("compare --workloads null --items 10 {options} {more}");
        place.run(&compare).code(0);
        for command in recorded(&run) {
            assert_eq!(command.contains("--no-lock"), !locked, "{command}");
        }
        let taken = place.run(&compare).code(2).stderr();
        assert_eq!(taken.contains("--no-lock"), !locked, "{taken}");
        // The plan keeps it for the rest of the run.
        place.crossrun(&["compare", "--resume", &run]).code(0);
        for trial in trials(&place, &run) {
            assert_eq!(trial["record"]["metadata"]["locked"], locked, "{trial}");
            assert_eq!(command_of(&trial).contains("--no-lock"), !locked, "{trial}");
        }
        let record = place.run(&format!("run --json --backend native --workload null {more}")).code(0).json();
        assert_eq!(
            record["metadata"]["command"].as_str().unwrap().contains("--no-lock"),
            !locked,
            "{record}"
        );
    }
    let sweep = ["metg", "--backends", "native", "--quick", "--coarsest", "1ms", "--cores", "1", "--no-lock"];
    place.crossrun(&[&sweep[..], &["--run-id", "sweep"]].concat());
    for command in recorded("sweep") {
        assert!(command.contains("--no-lock"), "{command}");
    }
}
