//! A comparison runs every cell once a block and reports its results.

mod data;
mod resumed;

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use crate::support::{Place, Ran, arguments_in, hostile, plugin, repository};

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
fn a_backend_that_fails_is_a_row_and_the_others_go_on() {
    let place = Place::with_misbehaving();
    place.stage(&plugin("native_runner"));
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
    place.stage(&plugin("native_runner"));
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
    let original = repository().join("tests/fixtures/original/unified_results.jsonl");
    std::fs::copy(original, folder.join("unified_results.jsonl")).unwrap();
    std::fs::remove_file(folder.join("unified_results.csv")).unwrap();
    let dry_run = place.run(&format!("{compare} --dry-run")).code(0);
    assert!(!dry_run.stderr().contains("refused"), "{}", dry_run.explain());
}

#[test]
fn a_key_that_no_backend_and_no_workload_reads_is_warned_of() {
    let place = Place::with_misbehaving();
    place.stage(&plugin("native_runner"));
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
    let file = plugin("native_runner");
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
    let records = repository().join("tests/fixtures/original/unified_results.jsonl");
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
    Ran::of(show).code(2).says(without);
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
