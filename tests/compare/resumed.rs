//! A comparison that was killed, interrupted or out of time goes on, and says so until it is complete.

use std::collections::HashSet;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::{SMALL, measured, names};
use crate::support::{
    Place, Ran, arguments_in, eventually, plugin, processes_of_sessions_of, with_environment_of,
};

#[test]
fn a_resumed_run_records_no_failure_of_a_backend_whose_engine_was_removed() {
    let place = Place::with_misbehaving();
    let crossrun = |arguments: &str| {
        let mut command = place.command(&arguments.split(' ').collect::<Vec<_>>());
        command.env("CROSSRUN_TEST_PROBE", "not_set_up");
        Ran::of(command)
    };
    let small = "--backends misbehaving --workloads null --items 20 --blocks 2 --run-id r";
    crossrun(&format!("compare {small} --setup --time-budget 1ns")).code(0);
    crossrun("setup misbehaving --remove").code(0);
    crossrun("compare --resume r --workloads NULL").code(3).says("try: crossrun compare --resume r --setup");
    assert_eq!(measured(&place, "r").len(), 1);
    let mut unavailable = place.command(&["compare", "--resume", "r", "--setup"]);
    unavailable.env("CROSSRUN_TEST_PROBE", "unavailable");
    let said = Ran::of(unavailable).code(3).says("not available after its set-up").stderr();
    assert!(!said.contains("try: crossrun"), "{said}");
    let whole = crossrun("compare --resume r --setup").code(0).stdout();
    let folder = format!("--plugin-dir {}", place.plugins().display());
    assert!(whole.contains(&folder), "{whole}");
    assert!(measured(&place, "r").iter().all(|trial| trial["status"] == "verified"));
    // What is complete needs no engine.
    crossrun("setup misbehaving --remove").code(0);
    crossrun("compare --resume r").code(0);
}

#[test]
fn a_run_that_is_resumed_without_its_plugin_folders_prints_a_command_that_has_them() {
    let place = Place::new();
    let small =
        "compare --backends native --workloads null --items 20 --blocks 2 --run-id r --time-budget 1ns";
    place.run(small).code(0);
    let command = place.command(&[]);
    let mut resume = std::process::Command::new(command.get_program());
    resume.args(["compare", "--resume", "r"]).current_dir(place.path());
    let again = Ran::of(with_environment_of(&command, resume)).code(0).stdout();
    assert!(again.contains(&format!("--plugin-dir {}", place.plugins().display())), "{again}");
}

#[test]
fn a_killed_comparison_has_whole_records_and_is_resumed() {
    let place = Place::new();
    let run = "compare --backends native --workloads scheduler_comparison,pipeline --items 60 --blocks 3 --run-id killed \
               --extra sleep_us=200";
    let planned = place.run(&format!("{run} --dry-run --json")).code(0).json();
    assert_eq!(planned["trials"].as_array().unwrap().len(), 6);
    // `.ci/run --full` asks for many.
    let kills =
        std::env::var("CROSSRUN_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(4_u64);
    let mut killed = 0;
    for number in 0..kills {
        let milliseconds = 50 + number * 7919 % 700;
        let begun = place.path().join("results/killed/plan.json").exists();
        let mut command = place.command(&arguments_in(if begun { "compare --resume killed" } else { run }));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        eventually("nothing is left", || processes_of_sessions_of(child.id()).is_empty());
    }
    assert!(killed > 0, "none was killed in time");
    // A kill before the plan was written leaves nothing to go on with.
    if !place.path().join("results/killed/plan.json").exists() {
        place.run(run).code(0);
    }
    place.run("compare --resume killed").code(0);
    let names = names(&measured(&place, "killed"));
    assert_eq!(names.len(), 6, "{names:?}");
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), 6, "{names:?}");
}

#[test]
fn a_run_is_not_resumed_when_a_plugin_has_changed() {
    let place = Place::new();
    place.run(SMALL).code(0);
    let library = place.plugins().join("libnative_runner.so");
    let whole = std::fs::read(&library).unwrap();
    let remedy = "; try: put the file of the run back and resume again, or crossrun compare, as a new run\n";
    let resume = || place.crossrun(&["compare", "--resume", "small"]);
    std::fs::remove_file(&library).unwrap();
    resume().code(6).says("libnative_runner.so: ").says(remedy);
    place.stage(&plugin("native_runner"));
    resume().code(0);
    std::fs::write(&library, [whole.as_slice(), &[0]].concat()).unwrap();
    resume().code(6).says("has changed").says(remedy);
    place.run(SMALL).code(2).says("already holds a run");
    // The remedy is about the run that is there, and not about the one that was asked for.
    let other = SMALL.replace("--run-id small", "--run-id other --output-dir ./results/small");
    let told = place.run(&other).code(2);
    told.says("try: crossrun compare --resume small --output-dir ./results/small, or another --output-dir");
    place.crossrun(&["compare", "--resume", "nosuch"]).code(2).says("there is no run");
}

#[test]
fn a_run_is_resumed_by_its_own_id_and_build_only() {
    let place = Place::new();
    place.run(SMALL).code(0);
    let told = place.run("compare --resume other --output-dir results/small").code(2);
    told.says("results/small holds the run small, and not other")
        .says("try: crossrun compare --resume small");
    place.run("compare --resume small").code(0);
    let path = place.path().join("results/small/plan.json");
    let mut plan: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    plan["crossrun"] = "0.0.1 release".into();
    std::fs::write(&path, plan.to_string()).unwrap();
    place.run("compare --resume small").code(6).says("was started by crossrun 0.0.1 release, and this is");
}

#[test]
fn a_run_of_a_container_is_resumed_under_its_host_name_and_no_run_of_another_machine() {
    let place = Place::new();
    place.run(SMALL).code(0);
    let path = place.path().join("results/small/plan.json");
    let mut plan: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    plan["machine"]["hostname"] = "5f0c2a9e".into();
    std::fs::write(&path, plan.to_string()).unwrap();
    let resume = "compare --resume small";
    place
        .run(resume)
        .code(6)
        .says("try: crossrun compare, as a new run, or resume it under the host name 5f0c2a9e if")
        .says("docker run --hostname 5f0c2a9e");
    plan["machine"]["arch"] = "another".into();
    std::fs::write(&path, plan.to_string()).unwrap();
    let ran = place.run(resume).code(6);
    assert!(ran.stderr().ends_with("try: crossrun compare, as a new run\n"), "{}", ran.explain());
}

#[test]
fn a_plan_that_was_emptied_beside_trials_is_answered_with_what_can_be_done() {
    let place = Place::new();
    for (more, folder, another) in
        [("", "results/small", "--run-id"), (" --output-dir mine", "mine", "--output-dir")]
    {
        place.run(&format!("{SMALL}{more}")).code(0);
        for damaged in ["", "{"] {
            std::fs::write(place.path().join(folder).join("plan.json"), damaged).unwrap();
            let told = place.run(&format!("compare --resume small{more}")).code(2);
            let told = told.says(&format!("{folder}/plan.json cannot be read: EOF"));
            told.says(&format!(
                "try: crossrun report {folder}, for what was measured, and another {another} for the rest\n"
            ));
        }
        place.run(&format!("report {folder}")).code(0);
    }
}

#[test]
fn what_is_no_comparison_is_not_resumed_and_is_reported() {
    let place = Place::new();
    place.run("run --backend native --workload null --output-dir results/null").code(0);
    let told = place.run("compare --resume null").code(2);
    told.says("results/null holds no comparison").says("try: crossrun report results/null");
}

#[test]
fn a_time_budget_counts_also_where_no_engine_starts() {
    let place = Place::with_misbehaving();
    let run =
        "compare --backends misbehaving --workloads null --items 20 --blocks 3 --run-id r --time-budget 1ns";
    let ran = place.run(&format!("{run} --extra behaviour=segfault --extra at=open")).code(4);
    assert!(ran.stderr().contains("the time budget is used up"), "{}", ran.explain());
}

#[test]
fn a_comparison_with_blocks_left_says_so_in_every_report_until_they_are_measured() {
    let place = Place::new();
    let small = "--backends native --workloads null,pipeline --items 20 --blocks 3 --run-id r --no-lock";
    let ran = place.run(&format!("compare {small} --time-budget 1ns")).code(0);
    let resume = "crossrun compare --resume r --no-lock";
    let note = format!("unfinished: 1 of 3 blocks was measured; try: {resume}");
    assert!(ran.stdout().contains(&note), "{}", ran.explain());
    ran.says(&format!("the time budget is used up: the remaining blocks were not run; try: {resume}\n"));
    for page in ["report.html", "report.md"] {
        let text = std::fs::read_to_string(place.path().join("results/r").join(page)).unwrap();
        assert!(text.contains(&note), "{page}: {text}");
    }
    for words in ["report results/r", "report results/r --format md", "report results/r --html -"] {
        let ran = place.run(words).code(0);
        assert!(ran.stdout().contains(&note), "{}", ran.explain());
    }
    let elsewhere = place.run("report ./results/r/trials.jsonl").code(0).stdout();
    assert!(elsewhere.contains("--resume r --output-dir ./results/r --no-lock\n"), "{elsewhere}");
    // A part of the trials in another file says nothing of the run.
    let trials = place.path().join("results/r/trials.jsonl");
    let text = std::fs::read_to_string(&trials).unwrap();
    std::fs::write(place.path().join("results/r/part.jsonl"), &text).unwrap();
    let part = place.run("report results/r/part.jsonl").code(0).stdout();
    assert!(!part.contains("unfinished"), "{part}");
    // A block that was begun is not whole.
    let (kept, _) = text.trim_end().rsplit_once('\n').unwrap();
    std::fs::write(&trials, format!("{kept}\n")).unwrap();
    let begun = place.run("report results/r --json").code(0).json();
    let warning = begun["warnings"].as_array().unwrap().iter().find(|it| it["kind"] == "unfinished").unwrap();
    assert_eq!(warning["message"], format!("unfinished: 0 of 3 blocks were measured; try: {resume}"));
    // Of warm-ups alone there is no report, and the command is told nevertheless.
    let warm_ups = text.lines().filter(|line| line.contains(r#""kind":"warmup""#));
    std::fs::write(&trials, warm_ups.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let refused = place.run("report results/r").code(2).says("there are warm-ups only");
    refused.says(&format!("unfinished: 0 of 3 blocks were measured; try: {resume}\n"));
    std::fs::write(&trials, text).unwrap();
    for words in ["compare --resume r", "report results/r"] {
        let whole = place.run(words).code(0).stdout();
        assert!(!whole.contains("unfinished"), "{words}: {whole}");
    }
}

#[test]
fn what_reads_a_comparison_that_has_not_begun_names_the_command_that_measures_it() {
    let place = Place::new();
    let small = "--backends native --workloads null --items 20 --blocks 1 --run-id r --no-lock";
    place.run(&format!("compare {small}")).code(0);
    // As after an interrupt before the first trial, and during the wait for another measurement.
    let folder = place.path().join("results/r");
    std::fs::remove_file(folder.join("unified_results.jsonl")).unwrap();
    let resume = "crossrun compare --resume r --no-lock";
    std::fs::write(folder.join("trials.jsonl"), "").unwrap();
    for words in ["report results/r", "history results/r", "diff results/r results/r", "show r"] {
        place.run(words).code(2).says(&format!("no records were read; try: {resume}\n"));
    }
    std::fs::remove_file(folder.join("trials.jsonl")).unwrap();
    for (words, why) in [
        ("report results/r", "results/r holds no records"),
        ("history results/r", "results/r holds no records"),
        ("show r", "there is no run \"r\""),
    ] {
        place.run(words).code(2).says(why).says(&format!("; try: {resume}\n"));
    }
    place.run("compare --resume r --no-lock").code(0);
    place.run("report results/r").code(0);
}
