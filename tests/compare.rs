//! A comparison runs every cell once a block, can be killed at any time, and reports its results.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::field::wrappers::with_environment_of;
use crate::support::{Place, arguments_in, eventually, hostile, processes_of_sessions_of};

/// A comparison that takes a moment.
const SMALL: &str = "compare --backends native --workloads null,pipeline --items 200 --extra batch_size=50 --blocks 2 \
                     --run-id small";

fn measured(place: &Place, run: &str) -> Vec<Value> {
    place.records(run, "trials.jsonl").into_iter().filter(|trial| trial["kind"] == "measured").collect()
}

fn names(trials: &[Value]) -> Vec<String> {
    let name = |trial: &Value| {
        let record = &trial["record"];
        format!("{} {} {}", record["run_id"], record["backend"], record["metadata"]["block"])
    };
    trials.iter().map(name).collect()
}

#[test]
fn every_cell_is_measured_once_a_block_and_the_reports_are_written() {
    let place = Place::new();
    let ran = place.run(SMALL).code(0);
    let trials = measured(&place, "small");
    assert_eq!(trials.len(), 4, "{}", ran.explain());
    assert_eq!(names(&trials).into_iter().collect::<HashSet<_>>().len(), 4);
    assert!(trials.iter().all(|trial| trial["status"] == "verified"));
    // What is asked for goes before what is usual.
    assert!(trials.iter().all(|trial| trial["record"]["metadata"]["extra"]["batch_size"] == 50));
    assert_eq!(place.records("small", "unified_results.jsonl").len(), 4);
    let folder = place.path().join("results/small");
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("pipeline") && page.trim_end().ends_with("</html>"), "{}", page.len());
    for name in ["report.md", "report.json", "unified_results.csv", "plan.json"] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    assert!(ran.stdout().contains("2/2"), "{}", ran.explain());
}

#[test]
fn the_conditions_of_a_comparison_are_in_its_records_and_reports() {
    let place = Place::new();
    let ran = place.run(&format!("{SMALL} --cores 1")).code(0);
    let text = std::fs::read_to_string(place.path().join("results/small/report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let command = report["commands"][0].as_str().unwrap().to_owned();
    assert!(command.starts_with("crossrun compare ") && command.contains(" --cores 1"), "{command}");
    assert!(ran.stdout().contains(&format!("again: {command}\n")), "{}", ran.explain());
    let trials = measured(&place, "small");
    assert!(trials.iter().all(|trial| trial["record"]["metadata"]["full_command"] == *command), "{command}");
    // Before one session in each block, which is postponed at most twice, and after it.
    let checks = report["machine_checks"].as_array().unwrap();
    assert!((4..=8).contains(&checks.len()), "{checks:?}");
    let after: Vec<_> = checks.iter().filter(|check| check["after_session"] == true).collect();
    assert_eq!(after.iter().map(|check| check["block"].as_u64()).collect::<Vec<_>>(), [Some(0), Some(1)]);
    assert_eq!(after.last(), checks.last().as_ref());
    assert!(checks.iter().all(|check| check["nanos_per_iteration"].as_f64().unwrap() > 0.0), "{checks:?}");
    // The first trial of each session, and the last.
    let with_checks =
        trials.iter().filter(|trial| trial["record"]["metadata"].get("machine_checks").is_some());
    assert_eq!(with_checks.count(), 4);
    for trial in &trials {
        let used = &trial["record"]["metadata"]["resources"];
        assert_eq!(used["memory_source"], "proportional", "{used}");
        assert!(
            used["memory_bytes"].as_u64().unwrap() <= used["peak_memory_bytes"].as_u64().unwrap(),
            "{used}"
        );
    }
    for (arguments, words) in [
        (["report", "-v", "results/small"], "machine check of small, block 1, before native"),
        (["report", "-v", "results/small"], "machine check of small, block 2, after native"),
        (["show", "small", "1"], "alone and as a cold run without warm-ups: crossrun run"),
    ] {
        let ran = place.crossrun(&arguments).code(0);
        assert!(ran.stdout().contains(words), "no {words:?} in:\n{}", ran.explain());
    }
}

#[test]
fn blocks_have_their_own_data_and_backends_of_a_point_share_them() {
    let place = Place::with_misbehaving();
    place.stage(&crate::support::plugin("native_runner"));
    let run = "compare --backends native,misbehaving --workloads pipeline --items 50 --blocks 2 --run-id r";
    place.run(run).code(0);
    let seeds = |block: u32, backend: &str| {
        let trials = measured(&place, "r");
        let trial = trials.into_iter().find(|trial| {
            trial["record"]["metadata"]["block"] == block && trial["record"]["backend"] == backend
        });
        trial.unwrap()["record"]["metadata"]["data_seed"].as_u64().unwrap()
    };
    assert_eq!(seeds(0, "native"), seeds(0, "misbehaving"));
    assert_ne!(seeds(0, "native"), seeds(1, "native"));
    // The records of one point are of one configuration, whatever the block and the backend.
    let hashes: HashSet<_> =
        measured(&place, "r").iter().map(|trial| trial["record"]["config_hash"].to_string()).collect();
    assert_eq!(hashes.len(), 1);
}

/// The block, point and kind of a trial, and the seed of its data.
fn data_seed(trial: &Value) -> (String, u64) {
    let (record, metadata) = (&trial["record"], &trial["record"]["metadata"]);
    let point = record["run_id"].as_str().unwrap().split_once('/').unwrap().1;
    (format!("{} {point} {}", metadata["block"], trial["kind"]), metadata["data_seed"].as_u64().unwrap())
}

const SCHEDULERS: &str = "compare --backends misbehaving --workloads null,pipeline --schedulers default,fifo --items 20 \
                          --blocks 2 --extra behaviour=memoise";

#[test]
fn a_backend_that_remembers_answers_sees_no_data_twice() {
    let place = Place::with_misbehaving();
    // On a busy machine a trial may be invalid.
    let ran = place.run(&format!("{SCHEDULERS} --run-id r --parallelism 1,2"));
    let trials = place.records("r", "trials.jsonl");
    assert!(trials.len() >= 16, "{}", ran.explain());
    for trial in &trials {
        assert_eq!(trial["record"]["metadata"]["raw_metrics"]["remembered"], false, "{trial}");
        // The seed by which cells of two runs pair is the one that was configured.
        assert_eq!(trial["record"]["seed"], 42);
    }
    let seeds: HashSet<_> = trials.iter().map(|trial| data_seed(trial).1).collect();
    assert_eq!(seeds.len(), trials.len(), "one backend sees all data once");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn two_comparisons_have_different_data_unless_it_is_chosen() {
    let place = Place::with_misbehaving();
    let seeds = |run: &str, more: &str| {
        let ran = place.run(&format!("{SCHEDULERS} --run-id {run} {more}"));
        let chosen = more.contains("--data-seed");
        assert_eq!(
            ran.stdout().contains("the data were chosen with --data-seed"),
            chosen,
            "{}",
            ran.explain()
        );
        for trial in place.records(run, "trials.jsonl") {
            let recorded = trial["record"]["metadata"].get("data_seed_chosen");
            assert_eq!(recorded, chosen.then_some(&Value::from(true)));
        }
        let verified = |trial: &&Value| trial["status"] == "verified";
        measured(&place, run).iter().filter(verified).map(data_seed).collect::<BTreeMap<_, _>>()
    };
    let same = |one: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>| {
        let both: Vec<_> = one.iter().filter_map(|(what, seed)| Some(*seed == *other.get(what)?)).collect();
        assert!(both.len() >= 4, "{one:?} {other:?}");
        let same = both.iter().filter(|same| **same).count();
        assert!(same == 0 || same == both.len(), "{one:?} {other:?}");
        same > 0
    };
    let (one, other) = (seeds("one", ""), seeds("other", ""));
    assert!(!same(&one, &other));
    let again = seeds("again", "--data-seed 7");
    assert!(same(&again, &seeds("once_more", "--data-seed 7")));
    assert!(!same(&again, &seeds("another", "--data-seed 8")));
    assert_eq!(again.values().collect::<HashSet<_>>().len(), again.len());
    let plan = std::fs::read_to_string(place.path().join("results/one/plan.json")).unwrap();
    assert!(one.values().all(|seed| !plan.contains(&seed.to_string())), "{plan}");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_resumed_block_has_the_data_of_its_records() {
    let place = Place::with_misbehaving();
    place.stage(&crate::support::plugin("native_runner"));
    place.run(&format!("{SCHEDULERS} --backends native --run-id r --insist"));
    let path = place.path().join("results/r/trials.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    // As if it had been killed in the first session of a block, and in a later one.
    for length in [lines.len() / 2 - 2, lines.len() / 2 + 3] {
        std::fs::write(&path, lines[..length].join("\n") + "\n").unwrap();
        std::fs::remove_file(path.with_file_name("unified_results.jsonl")).unwrap();
        place.crossrun(&["compare", "--resume", "r"]);
        let seeds = |backend: &str| {
            let mut seeds = BTreeMap::<_, BTreeSet<u64>>::new();
            let all = place.records("r", "trials.jsonl");
            for (what, seed) in
                all.iter().filter(|trial| trial["record"]["backend"] == backend).map(data_seed)
            {
                seeds.entry(what).or_default().insert(seed);
            }
            seeds
        };
        let (one, other) = (seeds("native"), seeds("misbehaving"));
        assert!(one.len() >= 8, "{one:#?}");
        for (what, one) in one {
            // One of them may need more warm-ups.
            let Some(other) = other.get(&what) else { continue };
            assert!(one.is_subset(other) || other.is_subset(&one), "{what}: {one:?} {other:?}");
        }
    }
}

#[test]
fn a_backend_that_fails_is_a_row_and_the_others_go_on() {
    let place = Place::with_misbehaving();
    place.stage(&crate::support::plugin("native_runner"));
    for (behaviour, code, status) in
        [("segfault", 4, "failed"), ("drop", 5, "wrong"), ("claim_more_time", 6, "invalid")]
    {
        let run = "compare --backends native,misbehaving --workloads null,pipeline --items 20 --blocks 1";
        let ran = place.run(&format!("{run} --run-id {behaviour} --extra behaviour={behaviour}")).code(code);
        let trials = measured(&place, behaviour);
        assert_eq!(trials.len(), 4, "{}", ran.explain());
        for trial in trials {
            let expected = if trial["record"]["backend"] == "native" { "verified" } else { status };
            assert_eq!(trial["status"], expected, "{}", ran.explain());
        }
    }
}

#[test]
fn a_wrong_answer_counts_for_more_than_a_report_that_cannot_be_written_and_only_in_its_own_run() {
    let place = Place::with_misbehaving();
    place.stage(&crate::support::plugin("native_runner"));
    let wrong = "--workloads null --items 20 --blocks 1 --run-id r --extra behaviour=drop";
    place.run(&format!("compare --backends misbehaving {wrong}")).code(5);
    let page = place.path().join("results/r/report.html");
    std::fs::remove_file(&page).unwrap();
    std::fs::create_dir(&page).unwrap();
    let others = ["report.md", "report.json"].map(|name| page.with_file_name(name));
    others.iter().for_each(|report| std::fs::remove_file(report).unwrap());
    place.run("compare --resume r").code(5).says("cannot write").says("report.html");
    assert!(others.iter().all(|report| report.is_file()));
    // A trial that an earlier version let a comparison begin beside is none of the comparison.
    place.run("compare --backends native --workloads null --items 20 --blocks 1 --run-id s").code(0);
    let plan = std::fs::read(place.path().join("results/s/plan.json")).unwrap();
    std::fs::remove_file(place.path().join("results/s/plan.json")).unwrap();
    place
        .run("run --backend misbehaving --workload null --extra behaviour=drop --output-dir results/s")
        .code(5);
    std::fs::write(place.path().join("results/s/plan.json"), plan).unwrap();
    place.run("compare --resume s").code(0);
}

#[test]
fn a_comparison_does_not_begin_beside_the_trials_of_another_run() {
    let place = Place::new();
    let compare = "compare --backends native --workloads null --items 20 --blocks 1";
    place.run("run --backend native --workload null").code(0);
    let before = place.records("null", "trials.jsonl");
    for (folder, remedy) in [
        ("--run-id null", "another --run-id"),
        ("--run-id other --output-dir ./results/null", "another --output-dir"),
    ] {
        let told = place.run(&format!("{compare} {folder}")).code(2);
        told.says("results/null already holds a run").says(&format!("; try: {remedy}\n"));
    }
    assert_eq!(place.records("null", "trials.jsonl"), before);
    assert!(!place.path().join("results/null/plan.json").exists());
    // A file without any is what a run leaves that was stopped before its first trial.
    std::fs::create_dir(place.path().join("results/c")).unwrap();
    std::fs::write(place.path().join("results/c/trials.jsonl"), "").unwrap();
    // Nor beside its own, without the plan that says which they are.
    let dry_run = |run: &str| place.run(&format!("{compare} --dry-run --run-id {run}")).code(0).stderr();
    assert!(!dry_run("c").contains("refused"), "{}", dry_run("c"));
    place.run(&format!("{compare} --run-id c")).code(0);
    for (run, remedy) in
        [("c", "crossrun compare --resume c, or another --run-id"), ("null", "another --run-id")]
    {
        let why = format!("would be refused: results/{run} already holds a run; try: {remedy}\n");
        assert!(dry_run(run).contains(&why), "{}", dry_run(run));
    }
    for name in ["plan.json", "report.html", "report.md", "report.json"] {
        std::fs::remove_file(place.path().join("results/c").join(name)).unwrap();
    }
    place.run(&format!("{compare} --run-id c")).code(2).says("results/c already holds a run");
}

#[test]
fn no_run_begins_beside_the_measured_trials_of_another_comparison() {
    let place = Place::new();
    let compare = "compare --backends native --workloads null --items 20 --blocks 1 --run-id c";
    let metg = "metg --quick --cores 1 --backends native --run-id c";
    place.run(compare).code(0);
    let folder = place.path().join("results/c");
    for name in ["plan.json", "report.html", "report.md", "report.json"] {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    let before = place.records("c", "unified_results.jsonl");
    std::fs::write(folder.join("trials.jsonl"), "").unwrap();
    for is_removed in [false, true] {
        if is_removed {
            std::fs::remove_file(folder.join("trials.jsonl")).unwrap();
        }
        for command in [compare, metg] {
            let told = place.run(command).code(2);
            told.says("results/c already holds a run; try: another --run-id\n");
        }
        assert_eq!(place.records("c", "unified_results.jsonl"), before);
        assert!(!folder.join("plan.json").exists());
    }
    // Records of the original project are in no block, and a comparison may begin beside them.
    let original = crate::support::repository().join("tests/fixtures/original/unified_results.jsonl");
    std::fs::copy(original, folder.join("unified_results.jsonl")).unwrap();
    std::fs::remove_file(folder.join("unified_results.csv")).unwrap();
    let dry_run = place.run(&format!("{compare} --dry-run")).code(0);
    assert!(!dry_run.stderr().contains("refused"), "{}", dry_run.explain());
}

#[test]
fn a_key_that_no_backend_and_no_workload_reads_is_warned_of() {
    let place = Place::with_misbehaving();
    place.stage(&crate::support::plugin("native_runner"));
    let small = "--backends native,misbehaving --workloads null,pipeline --items 20 --blocks 1";
    let extra = "--extra batchsize=3 --extra behaviour=none --extra stages=2 --extra max_wait_seconds=9";
    let said = place.run(&format!("compare {small} {extra}")).code(0).stderr();
    for (key, is_unread) in
        [("batchsize", true), ("behaviour", false), ("stages", false), ("max_wait_seconds", true)]
    {
        assert_eq!(said.contains(&format!("extra.{key} has no effect")), is_unread, "{key}: {said}");
    }
    let sweep = "metg --backends native --blocks 1 --cores 1 --coarsest 40ns --extra batchsize=3";
    let none = "extra.batchsize has no effect: the workloads and the backends read none\n";
    let swept = place.run(sweep).says(none).stderr();
    // A sweep sets these, and refuses them.
    assert!(!swept.contains("iters") && !swept.contains("stages"), "{swept}");
}

#[test]
fn a_value_that_a_workload_cannot_have_is_refused_before_anything_is_measured() {
    let place = Place::new();
    let compare = "compare --backends native --workloads word_count --items 20 --blocks 1 --extra keys=0";
    place.run(compare).code(2).says("--extra keys: 0 is not").says("as word_count needs it");
    let compare = "compare --backends native --workloads null --items 20 --blocks 1 --extra fusion=some";
    place.run(compare).code(2).says("--extra fusion: \"some\" is not");
    place
        .run("metg --backends native --quick --pattern stencil_1d --extra fusion=some")
        .code(2)
        .says("fusion");
    assert!(!place.path().join("results").exists());
}

#[test]
fn a_backend_that_ends_when_it_is_asked_is_named_among_the_others() {
    let place = Place::with_misbehaving();
    place.stage(&crate::support::plugin("native_runner"));
    let mut command = place.command(&["compare", "--dry-run", "--workloads", "null", "--items", "20"]);
    command.env("CROSSRUN_TEST_PROBE", "abort");
    crate::support::Ran::of(command).code(0).says("left out: backend \"misbehaving\": ");
}

#[test]
fn a_resumed_run_records_no_failure_of_a_backend_whose_engine_was_removed() {
    let place = Place::with_misbehaving();
    let crossrun = |arguments: &str| {
        let mut command = place.command(&arguments.split(' ').collect::<Vec<_>>());
        command.env("CROSSRUN_TEST_PROBE", "not_set_up");
        crate::support::Ran::of(command)
    };
    let small = "--backends misbehaving --workloads null --items 20 --blocks 2 --run-id r";
    crossrun(&format!("compare {small} --setup --time-budget 1ns")).code(0);
    crossrun("setup misbehaving --remove").code(0);
    crossrun("compare --resume r --workloads NULL").code(3).says("try: crossrun compare --resume r --setup");
    assert_eq!(measured(&place, "r").len(), 1);
    let mut unavailable = place.command(&["compare", "--resume", "r", "--setup"]);
    unavailable.env("CROSSRUN_TEST_PROBE", "unavailable");
    let said = crate::support::Ran::of(unavailable).code(3).says("not available after its set-up").stderr();
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
    let again = crate::support::Ran::of(with_environment_of(&command, resume)).code(0).stdout();
    assert!(again.contains(&format!("--plugin-dir {}", place.plugins().display())), "{again}");
}

#[test]
fn a_dry_run_prints_every_cell_and_leaves_nothing() {
    let place = Place::new();
    let ran = place.run(&format!("{SMALL} --dry-run")).code(0);
    assert_eq!(
        ran.stdout().lines().filter(|line| line.starts_with("block ")).count(),
        4,
        "{}",
        ran.explain()
    );
    assert!(!place.path().join("results").exists());
}

#[test]
fn a_suite_stands_for_its_workloads() {
    let place = Place::new();
    let trials = |more: &[&str]| {
        let dry_run = ["compare", "--backends", "native", "--blocks", "1", "--dry-run", "--json"];
        place.crossrun(&[&dry_run, more].concat()).code(0).json()["trials"].as_array().unwrap().clone()
    };
    let workloads = |more: &[&str]| {
        let trials = trials(more);
        // A run's name, and then the workload's.
        let names = trials
            .iter()
            .map(|trial| trial["run_id"].as_str().unwrap().split('/').nth(1).unwrap().to_owned());
        names.collect::<BTreeSet<_>>()
    };
    assert_eq!(workloads(&["--suite", "basic"]), workloads(&[]));
    assert!(workloads(&["--suite", "batch"]).contains("group"));
    let stream = workloads(&["--suite", "stream"]);
    assert!(stream.len() == 10 && stream.iter().all(|name| name.starts_with("nexmark_q")), "{stream:?}");
    place.run("compare --suite stream --workloads null --dry-run").code(2).says("--workloads");
    place.crossrun(&["compare", "--suite", "streams"]).code(2).says("basic, batch, stream");
}

#[test]
fn json_streams_events_one_a_line() {
    let place = Place::new();
    let ran = place.run(&format!("{SMALL} --json")).code(0);
    let events: Vec<Value> = ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((of("trial"), of("comparison")), (4, 1), "{}", ran.explain());
    assert_eq!(events.last().unwrap()["comparison"]["points"].as_array().unwrap().len(), 2);
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
    let mut bytes = std::fs::read(&library).unwrap();
    bytes.push(0);
    std::fs::write(&library, bytes).unwrap();
    place.crossrun(&["compare", "--resume", "small"]).code(6).says("has changed");
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
    let mut plan: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    plan["crossrun"] = "0.0.1 release".into();
    std::fs::write(&path, plan.to_string()).unwrap();
    place.run("compare --resume small").code(6).says("was started by crossrun 0.0.1 release, and this is");
}

#[test]
fn what_is_no_comparison_is_not_resumed_and_is_reported() {
    let place = Place::new();
    place.run("run --backend native --workload null --output-dir results/null").code(0);
    let told = place.run("compare --resume null").code(2);
    told.says("results/null holds no comparison").says("try: crossrun report results/null");
}

#[test]
fn a_debug_build_beside_a_release_build_is_refused() {
    let place = Place::new();
    // The build in the metadata is text of one length: what it says is what counts.
    let bytes = std::fs::read(hostile("misbehaving_runner")).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains("opt_level=0") && text.contains("debug_assertions=true"));
    let at =
        |needle: &[u8], bytes: &[u8]| bytes.windows(needle.len()).position(|found| found == needle).unwrap();
    let mut release = bytes.clone();
    let place_of = at(b"opt_level=0", &release);
    release[place_of + 10] = b'3';
    let place_of = at(b"debug_assertions=true", &release);
    release[place_of..place_of + 21].copy_from_slice(b"debug_assertions=no  ");
    std::fs::write(place.plugins().join("libmisbehaving_runner.so"), release).unwrap();
    let run = "compare --backends native,misbehaving --workloads null --items 5 --blocks 1";
    place.run(run).code(6).says("is a debug build");
    place.run(&format!("{run} --insist")).code(0);
}

#[test]
fn the_remedy_for_a_debug_build_is_in_the_terms_of_its_language() {
    let place = Place::new();
    place.stage(crate::c_backend::threaded());
    let minimal = "plugin-api/examples/c/minimal_backend.c";
    let debug = crate::c_backend::compiled(minimal, "minimal_debug", &["-O0"]);
    place.stage_as(&debug, "libminimal_runner.so");
    for (backend, remedy) in [
        ("native", "try: cargo build --release, or --insist"),
        ("minimal", "try: compile with -O2 and -DNDEBUG, without a sanitizer, or --insist"),
        ("native,minimal", "try: build each of them with optimisation, or --insist"),
    ] {
        let run = format!("compare --backends threaded,{backend} --workloads null --items 5 --blocks 1");
        place.run(&run).code(6).says(remedy);
    }
}

#[test]
fn a_library_may_take_part_under_another_name() {
    let place = Place::new();
    let file = crate::support::plugin("native_runner");
    let backends = format!("old={0},new={0}", file.display());
    let mut compare = arguments_in("compare --workloads null --items 5 --blocks 1 --run-id two");
    compare.extend(["--backends", &backends]);
    place.crossrun(&compare).code(0);
    let backends: HashSet<_> =
        measured(&place, "two").iter().map(|trial| trial["record"]["backend"].to_string()).collect();
    assert_eq!(backends, HashSet::from(["\"old\"".to_owned(), "\"new\"".to_owned()]));
}

#[test]
fn records_of_the_original_project_are_reported() {
    let place = Place::empty();
    let records = crate::support::repository().join("tests/fixtures/original/unified_results.jsonl");
    let html = place.path().join("page.html");
    let ran =
        place.crossrun(&["report", records.to_str().unwrap(), "--html", html.to_str().unwrap()]).code(0);
    assert!(ran.stdout().contains("sage"), "{}", ran.explain());
    assert!(std::fs::read_to_string(html).unwrap().contains("SHUHAO-THINKPAD"));
    place.crossrun(&["report", "nosuch.jsonl"]).code(2).says("nosuch.jsonl");
}

#[test]
fn a_trial_is_shown_whole_with_the_command_that_repeats_it() {
    let place = Place::new();
    place.run(SMALL).code(0);
    let list = place.crossrun(&["show", "small"]).code(0).stdout();
    assert!(list.lines().count() > 4 && list.contains("backend=native/block=1"), "{list}");
    // For people the first block is 1, for programs it is 0.
    assert!(!list.contains("block=0"), "{list}");
    let shown = place.crossrun(&["show", "small", "--json"]).code(0).json();
    assert_eq!(shown[0]["record"]["metadata"]["block"], 0, "{shown}");
    let one = place.crossrun(&["show", "small", "1"]).code(0).stdout();
    assert!(
        one.contains("again, alone and as a cold run without warm-ups: crossrun run --backend native"),
        "{one}"
    );
    // A measured trial has a name of its own, although it is the beginning of those of its warm-ups.
    let named = |line: &&str| line.ends_with("backend=native/block=1");
    let name = list.lines().find(named).unwrap().split_whitespace().last().unwrap();
    let measured = place.crossrun(&["show", "small", name, "--json"]).code(0).json();
    assert_eq!(
        (&measured["kind"], &measured["record"]["metadata"]["block"]),
        (&"measured".into(), &0.into())
    );
    let log = "a log that was removed";
    let trials = place.path().join("results/small/trials.jsonl");
    let text = std::fs::read_to_string(&trials).unwrap();
    std::fs::write(&trials, text.replace("\"log\":null", &format!("\"log\":\"{log}\""))).unwrap();
    let shown = place.crossrun(&["show", "small", "1"]).code(0).stdout();
    assert!(shown.contains(&format!("{log} cannot be read")), "{shown}");
    for none in ["nosuch", "999"] {
        place
            .crossrun(&["show", "small", none])
            .code(2)
            .says("this run has no trial")
            .says("try: crossrun show");
    }
    place.crossrun(&["show", "nosuch"]).code(2).says("there is no run").says("try: ls results");
    let measured = std::fs::File::open(place.path().join("results/small/unified_results.jsonl")).unwrap();
    let mut show = place.command(&["show", "-"]);
    show.stdin(measured);
    let without = "standard input has records without their trials, as in trials.jsonl; try: crossrun report, \
                   with the file itself in place of -";
    crate::support::Ran::of(show).code(2).says(without);
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

#[test]
fn an_address_is_a_cluster_only_to_a_backend_that_reads_it() {
    let place = Place::new();
    place.stage(&hostile("misbehaving_runner"));
    for (backend, address, is_seen) in
        [("native", "h:1", true), ("misbehaving", "none", true), ("misbehaving", "h:1", false)]
    {
        let run = format!("run --no-lock --backend {backend} --extra cluster_address={address} --json");
        let record = place
            .run(&format!("{run} --workload pipeline --items 20000 --extra batch_size=100"))
            .code(0)
            .json();
        let bounds = if is_seen { "checked" } else { "not checked" };
        assert_eq!(record["metadata"]["reference"]["bounds"], bounds, "{record}");
        assert_eq!(record["metadata"]["efficiency"].is_number(), is_seen, "{record}");
    }
    let run = "run --no-lock --backend native --extra cluster_address=h:1 --json";
    let open_loop = format!("{run} --workload open_loop --items 800 --parallelism 1 --extra rate=1000");
    assert_eq!(place.run(&open_loop).json()["metadata"]["open_loop"]["shared_clock"], true);
}
