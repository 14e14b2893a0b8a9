//! What was measured is shown and kept: full disks, folders that take nothing, old bad lines, files that go away, and runs that
//! would mix.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::outputs::may_mount;
use super::wrappers::{COMPARE, with_environment_of, wrapped};
use crate::support::{Place, Ran, eventually, plugin, without_chain};

const RUN: [&str; 4] = ["run", "--backend", "native", "--no-lock"];

/// The command as a line of a shell.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| format!("'{}'", word.to_str().unwrap())).collect::<Vec<_>>().join(" ")
}

/// Runs a script in which `small` is a file system of `size`.
fn on_a_small_disk(place: &Place, size: &str, script: &str) -> Ran {
    fs::create_dir_all(place.path().join("small")).unwrap();
    let script = format!("mount -t tmpfs -o size={size} tmpfs small && {script}");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", &script]).current_dir(place.path());
    Ran::of(with_environment_of(&place.command(&[]), command))
}

#[test]
fn a_run_looks_whether_its_folder_takes_records_before_it_measures() {
    let place = Place::new();
    fs::write(place.path().join("file"), "").unwrap();
    fs::create_dir_all(place.path().join("a/trials.jsonl")).unwrap();
    fs::create_dir_all(place.path().join("b/unified_results.csv")).unwrap();
    std::os::unix::fs::symlink("nowhere/at/all", place.path().join("c")).unwrap();
    std::os::unix::fs::symlink("d", place.path().join("d")).unwrap();
    fs::create_dir(place.path().join("e")).unwrap();
    let fifo = Command::new("mkfifo").arg(place.path().join("e/trials.jsonl")).status();
    assert!(fifo.unwrap().success());
    place.crossrun(&[&COMPARE[..], &["--output-dir", "e"]].concat()).code(1).says("it is not a regular file");
    for folder in ["file", "/proc/none", "a", "b", "c", "c/d", "d", "e"] {
        // An engine that started would take as long as a test may.
        let more = ["--output-dir", folder, "--items", "1000000000", "--workload", "pipeline", "--json"];
        let ran = place.crossrun(&[&RUN[..], &more].concat()).code(1);
        let error = &ran.json()["error"];
        assert_eq!(error["exit_code"], Value::from(1));
        assert!(error["remedy"].is_string(), "{error}");
    }
    // Nothing is left of a folder that was only looked at.
    let more = ["--output-dir", "new/er", "--backend", "missing"];
    place.crossrun(&[&["run", "--no-lock"][..], &more].concat()).code(3);
    assert!(!place.path().join("new").exists());
}

#[test]
fn a_disk_that_is_full_swallows_no_result() {
    let Some(()) = may_mount() else { return };
    let place = Place::new();
    // The folder is looked at before, with more room than that.
    let run = line(&place.command(&[&RUN[..], &["--output-dir", "small/r", "--json"]].concat()));
    let ran = on_a_small_disk(&place, "4k", &run).code(1).says("No space left on device");
    assert!(ran.json()["error"].is_object());
    // There is room for what the check writes, but not for the record of a trial with large metadata.
    let large = format!("note={}", "x".repeat(30_000));
    let run = line(&place.command(&[&RUN[..], &["--output-dir", "small/r", "--extra", &large]].concat()));
    let ran = on_a_small_disk(&place, "20k", &run).code(1);
    assert!(ran.stdout().contains("verified: "), "{}", ran.explain());
    ran.says("the trial is not recorded").says("free some space");
    // Programs are told, too.
    let ran = on_a_small_disk(&place, "20k", &format!("{run} --json")).code(1);
    let lines: Vec<Value> = ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [record, told] = &lines[..] else { panic!("{}", ran.explain()) };
    assert_eq!(record["metadata"]["verified"], true);
    assert!(told["error"]["message"].as_str().unwrap().starts_with("the trial is not recorded: "), "{told}");
    assert_eq!(told["error"]["exit_code"], 1);
}

/// The unified files lack the trial, and the next run appends it to them.
#[test]
fn a_trial_for_which_only_the_first_file_has_room_is_not_told_as_not_recorded() {
    let Some(()) = may_mount() else { return };
    let place = Place::new();
    // Records of many pages: a few bytes more or less, as of the figures, are none of them.
    let large = format!("note={}", "x".repeat(30_000));
    let run =
        |folder: &str| place.command(&[&RUN[..], &["--output-dir", folder, "--extra", &large]].concat());
    Ran::of(run("r")).code(0);
    let page = rustix::param::page_size() as u64;
    let pages = |name: &str| fs::metadata(place.path().join("r").join(name)).unwrap().len().div_ceil(page);
    let room = pages("trials.jsonl") + pages("unified_results.jsonl") / 2;
    let run = line(&run("small/r"));
    let script = format!("{run}; code=$?; wc -l < small/r/trials.jsonl; exit $code");
    let ran = on_a_small_disk(&place, &(room * page).to_string(), &script).code(1);
    assert!(ran.stdout().contains("verified: ") && ran.stdout().ends_with("\n1\n"), "{}", ran.explain());
    assert!(!ran.stderr().contains("is not recorded"), "{}", ran.explain());
    ran.says("the files of records are not complete").says("free some space");
}

#[test]
fn a_report_on_a_full_disk_leaves_the_old_one() {
    let place = Place::new();
    place.run("run --backend native --workload null --output-dir r").code(0);
    let report = line(&place.command(&["report", "r", "--html", "small/page.html"]));
    // The folder itself and this file: there is room for bytes, and none for another file.
    let script = format!("printf old > small/page.html; {{ {report}; echo code $?; cat small/page.html; }}");
    let ran = on_a_small_disk(&place, "512k,nr_inodes=2", &script).code(0).says("No space left on device");
    assert!(ran.stdout().ends_with("code 1\nold"), "{}", ran.explain());
}

#[test]
fn a_limit_of_the_size_of_files_swallows_no_result() {
    let place = Place::new();
    // In KiB, as bash has it.
    let limited = |kib: u32, more: &[&str]| {
        let script = format!("ulimit -f {kib}; exec \"$@\"");
        let run = place.command(&[&RUN[..], &["--output-dir", "r"], more].concat());
        Ran::of(wrapped("bash", &["-c", &script, "bash"], &run)).code(1)
    };
    limited(1, &[]).says("cannot write into r").says("ulimit -f unlimited");
    // The limit is reached only by the record.
    let large = format!("note={}", "x".repeat(30_000));
    let ran = limited(20, &["--extra", &large]);
    assert!(ran.stdout().contains("verified: "), "{}", ran.explain());
    ran.says("the trial is not recorded").says("ulimit -f unlimited");
}

#[test]
fn reports_and_tables_that_are_of_something_else_are_not_replaced() {
    let place = Place::new();
    let precious = |folder: &str, name: &str| {
        fs::create_dir_all(place.path().join(folder)).unwrap();
        let path = place.path().join(folder).join(name);
        fs::write(&path, "precious\n").unwrap();
        path
    };
    let metg = ["metg", "--quick", "--no-lock", "--backends", "native"];
    for (number, name) in ["report.html", "report.md", "report.json"].into_iter().enumerate() {
        let folder = format!("f{number}");
        let path = precious(&folder, name);
        for verb in [&COMPARE[..], &metg] {
            let ran = place.crossrun(&[verb, &["--output-dir", &folder]].concat()).code(2);
            ran.says(name).says("would be replaced").says("--output-dir with another folder");
        }
        assert_eq!(fs::read_to_string(path).unwrap(), "precious\n");
        assert!(!place.path().join(&folder).join("plan.json").exists());
    }
    let path = precious("t", "unified_results.csv");
    for verb in [&RUN[..], &COMPARE, &metg] {
        let ran = place.crossrun(&[verb, &["--output-dir", "t"]].concat()).code(2);
        ran.says("unified_results.csv").says("would be replaced").says("choose another folder");
    }
    assert_eq!(fs::read_to_string(path).unwrap(), "precious\n");
    // Nor is one beside a file of trials that has none.
    for (folder, trials) in [("u", ""), ("v", "notes\n")] {
        let path = precious(folder, "unified_results.csv");
        fs::write(place.path().join(folder).join("trials.jsonl"), trials).unwrap();
        let of_metg = if trials.is_empty() { "would be replaced" } else { "already holds a run" };
        for (verb, says) in
            [(&RUN[..], "would be replaced"), (&COMPARE, "would be replaced"), (&metg, of_metg)]
        {
            place.crossrun(&[verb, &["--output-dir", folder]].concat()).code(2).says(says);
        }
        assert_eq!(fs::read_to_string(path).unwrap(), "precious\n");
    }
    // The table of a run that measured nothing has no rows.
    let place = Place::new();
    place.crossrun(&[&RUN[..], &["--output-dir", "w"]].concat()).code(0);
    let table = place.path().join("w/unified_results.csv");
    let text = fs::read_to_string(&table).unwrap();
    fs::write(&table, format!("{}\n", text.lines().next().unwrap())).unwrap();
    for name in ["trials.jsonl", "unified_results.jsonl"] {
        fs::write(place.path().join("w").join(name), "").unwrap();
    }
    place.crossrun(&[&RUN[..], &["--output-dir", "w"]].concat()).code(0);
    assert_eq!(fs::read_to_string(&table).unwrap().lines().count(), 2);
}

/// The size of a file system with room for the plan of the comparison and half of its records: for a trial, and not for all. How
/// long records are depends on the machine that they describe.
fn room_for_half() -> String {
    let place = Place::new();
    place.crossrun(&COMPARE).code(0);
    let length = |name: &str| fs::metadata(place.path().join("results/c").join(name)).unwrap().len();
    let half = (length("trials.jsonl") + length("unified_results.jsonl")) / 2;
    let page = rustix::param::page_size() as u64;
    let pages: u64 = [length("plan.json"), half].iter().map(|bytes| bytes.div_ceil(page)).sum();
    // The folder is looked at before, with more room than that.
    format!("{}", (pages * page).max(20 << 10))
}

#[test]
fn a_comparison_goes_on_after_the_disk_was_full_and_its_files_are_made_whole() {
    let Some(()) = may_mount() else { return };
    let place = Place::new();
    let compare = line(&place.command(&[&COMPARE[..], &["--output-dir", "small/c"]].concat()));
    let resume = ["compare", "--no-lock", "--resume", "c", "--output-dir", "small/c"];
    let resume = line(&place.command(&resume));
    let copy = "mkdir -p kept && cp small/c/* kept/";
    let script = format!(
        "{{ {compare}; echo code $?; cp small/c/trials.jsonl before; mount -o remount,size=4m small && {resume} && {copy}; }}"
    );
    let ran = on_a_small_disk(&place, &room_for_half(), &script).code(0);
    assert!(ran.stdout().contains("code 1"), "{}", ran.explain());
    let ran = ran.says("free some space").says("--resume c");
    let read = |file: &str| -> Vec<Value> {
        let text = fs::read_to_string(place.path().join(file)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert!(!read("before").is_empty(), "{}", ran.explain());
    assert_whole(&read("kept/trials.jsonl"), &read("kept/unified_results.jsonl"));
    let rows = fs::read_to_string(place.path().join("kept/unified_results.csv")).unwrap();
    assert_eq!(rows.lines().count(), 4, "{rows}");
}

#[test]
fn a_table_for_which_the_disk_has_no_room_is_named_with_what_to_do() {
    let Some(()) = may_mount() else { return };
    let place = Place::new();
    place.crossrun(&COMPARE).code(0);
    let resume = ["compare", "--no-lock", "--resume", "c", "--output-dir", "small/c"];
    let resume = line(&place.command(&resume));
    let script = format!("cp -r results/c small/c && {{ cat /dev/zero > small/filler; {resume}; }}");
    let ran = on_a_small_disk(&place, "8m", &script).code(1);
    ran.says("cannot write small/c/unified_results.csv: No space left on device")
        .says("; try: free some space (or remove files, if df -i shows none left), or choose a folder on another disk\n");
}

/// Asserts that the measured trials are three, and that all are unified records.
fn assert_whole(trials: &[Value], unified: &[Value]) {
    let measured: Vec<_> =
        trials.iter().filter(|it| it["kind"] == "measured").map(|it| it["record"].clone()).collect();
    let unified: Vec<_> = unified.iter().cloned().map(without_chain).collect();
    assert_eq!(measured.len(), 3);
    assert_eq!(unified.len(), 3);
    assert!(measured.iter().all(|record| unified.contains(record)));
}

#[test]
fn unified_files_are_made_whole_from_the_trials_when_a_run_is_resumed() {
    let place = Place::new();
    place.crossrun(&COMPARE).code(0);
    let folder = place.path().join("results/c");
    let lines = fs::read_to_string(folder.join("unified_results.jsonl")).unwrap();
    let first = lines.lines().next().unwrap().to_owned() + "\n";
    for left in [Some(first), Some(String::new()), None] {
        match left {
            Some(left) => fs::write(folder.join("unified_results.jsonl"), left).unwrap(),
            None => fs::remove_file(folder.join("unified_results.jsonl")).unwrap(),
        }
        place.crossrun(&["compare", "--no-lock", "--resume", "c"]).code(0);
        assert_whole(&place.records("c", "trials.jsonl"), &place.records("c", "unified_results.jsonl"));
        let rows = fs::read_to_string(folder.join("unified_results.csv")).unwrap();
        assert_eq!(rows.lines().count(), 4, "{rows}");
        let told = place.crossrun(&["report", "results/c/unified_results.jsonl"]).code(0);
        assert!(!told.stderr().contains("chain"), "{}", told.explain());
    }
}

#[test]
fn unified_files_are_made_whole_by_the_next_run_too() {
    let place = Place::new();
    let run = [&RUN[..], &["--items", "3", "--output-dir", "results/r"]].concat();
    place.crossrun(&run).code(0);
    let folder = place.path().join("results/r");
    for (lost, records) in [("unified_results.jsonl", 2), ("unified_results.csv", 3)] {
        fs::remove_file(folder.join(lost)).unwrap();
        place.crossrun(&run).code(0);
        let unified = place.records("r", "unified_results.jsonl");
        assert_eq!((unified.len(), place.records("r", "trials.jsonl").len()), (records, records), "{lost}");
        let rows = fs::read_to_string(folder.join("unified_results.csv")).unwrap();
        assert_eq!(rows.lines().count(), records + 1, "{rows}");
    }
}

#[test]
fn a_plan_that_was_not_written_is_explained_and_leaves_no_run_behind() {
    let place = Place::new();
    fs::create_dir_all(place.path().join("results/c")).unwrap();
    fs::write(place.path().join("results/c/plan.json"), "").unwrap();
    let ran = place.crossrun(&["compare", "--no-lock", "--resume", "c"]).code(2);
    ran.says("plan.json is empty: the disk was full").says("rm results/c/plan.json");
    place.crossrun(&COMPARE).code(2).says("compare --resume c");
    for damaged in ["{", "{}"] {
        fs::write(place.path().join("results/c/plan.json"), damaged).unwrap();
        let ran = place.crossrun(&["compare", "--no-lock", "--resume", "c"]).code(2);
        ran.says("plan.json cannot be read").says("try: crossrun report results/c");
    }
    fs::write(place.path().join("results/c/plan.json"), "").unwrap();
    let Some(()) = may_mount() else { return };
    let compare = line(&place.command(&[&COMPARE[..], &["--output-dir", "small/c"]].concat()));
    let script = format!(
        "{{ head -c 4096 /dev/zero > small/filler; {compare}; ls small/c; mount -o remount,size=4m small && {compare}; }}"
    );
    let ran = on_a_small_disk(&place, "4k", &script).code(0);
    assert!(!ran.stdout().lines().any(|line| line == "plan.json"), "{}", ran.explain());
}

#[test]
fn a_file_that_a_run_writes_beside_its_trials_names_the_report_of_the_run() {
    let place = Place::new();
    place.crossrun(&COMPARE).code(0);
    for name in ["report.html", "report.md", "report.json", "plan.json", "unified_results.csv"] {
        let file = format!("results/c/{name}");
        for verb in ["report", "show", "history"] {
            let told = place.crossrun(&[verb, &file]).code(2);
            told.says(&format!(
                "{file} cannot be read: it is no file of records; try: crossrun report results/c\n"
            ));
        }
        let mut command = place.command(&["report", name]);
        command.current_dir(place.path().join("results/c"));
        Ran::of(command).code(2).says("it is no file of records; try: crossrun report .\n");
    }
    // Nothing is known of one without trials beside it.
    fs::copy(place.path().join("results/c/plan.json"), place.path().join("plan.json")).unwrap();
    place.crossrun(&["report", "plan.json"]).code(2).says("on several lines each; try: jq -c . plan.json");
}

#[test]
fn old_bad_lines_keep_no_result_back() {
    let place = Place::new();
    place.crossrun(&RUN).code(0);
    let folder = place.path().join("results/scheduler_comparison");
    for name in ["trials.jsonl", "unified_results.jsonl"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        fs::write(folder.join(name), format!("{text}garbage\n{{\"format_version\": 99}}\n[1]\ntorn"))
            .unwrap();
    }
    let ran = place.crossrun(&RUN).code(0).says("cannot be read and");
    assert!(ran.stdout().contains("verified: "));
    // A comparison goes on too.
    place.crossrun(&COMPARE).code(0);
    let trials = place.path().join("results/c/trials.jsonl");
    let text = fs::read_to_string(&trials).unwrap();
    let kept: Vec<_> = text.lines().take(5).collect();
    fs::write(&trials, kept.join("\n") + "\ngarbage\n").unwrap();
    fs::remove_file(trials.with_file_name("unified_results.jsonl")).unwrap();
    let ran = place.crossrun(&["compare", "--no-lock", "--resume", "c"]);
    assert!(ran.stdout().contains("3/3"), "{}", ran.explain());
    ran.says("1 line cannot be read");
}

#[test]
fn a_single_run_is_no_part_of_a_comparison() {
    let place = Place::new();
    place.crossrun(&COMPARE).code(0);
    let before = place.records("c", "trials.jsonl");
    place.crossrun(&[&RUN[..], &["--output-dir", "results/c"]].concat()).code(2).says("holds a comparison");
    assert_eq!(place.records("c", "trials.jsonl"), before);
}

#[test]
fn a_single_run_is_not_recorded_in_a_comparison_that_began_beside_it() {
    let place = Place::with_misbehaving();
    place.stage(&plugin("native_runner"));
    let go = place.path().join("go");
    let mut command = place.misbehaving_command("wait", "open", &["--no-lock", "--output-dir", "results/c"]);
    command.env("CROSSRUN_TEST_GO", &go).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    eventually("the backend waits", || go.with_extension("begun").exists());
    place.crossrun(&COMPARE).code(0);
    let before = place.records("c", "trials.jsonl");
    fs::write(&go, "").unwrap();
    let ran = Ran::ended(child).code(2);
    // What was measured is shown nevertheless.
    assert!(ran.stdout().contains("\"verified\":true"), "{}", ran.explain());
    ran.says("the trial is not recorded: results/c holds a comparison, and a single run is no part of it");
    assert_eq!(place.records("c", "trials.jsonl"), before);
}

#[test]
fn a_folder_that_another_comparison_measures_into_is_refused_before_anything_runs() {
    let place = Place::new();
    place.crossrun(&COMPARE).code(0);
    let held = fs::File::open(place.path().join("results/c")).unwrap();
    held.try_lock().unwrap();
    place.crossrun(&["compare", "--no-lock", "--resume", "c"]).code(1).says("another process measures into");
    fs::remove_file(place.path().join("results/c/plan.json")).unwrap();
    place.crossrun(&[&RUN[..], &["--output-dir", "results/c"]].concat()).code(1).says("another process");
    // A child that another test is just starting has the open file too, and holds the lock with it.
    held.unlock().unwrap();
    place.crossrun(&[&RUN[..], &["--output-dir", "results/c"]].concat()).code(0);
}

#[test]
fn files_that_go_away_during_a_comparison_are_put_back_at_once_and_told() {
    for whole_folder in [false, true] {
        let place = Place::with_misbehaving();
        let mut arguments = COMPARE.to_vec();
        (arguments[1], arguments[4]) = ("--blocks=9", "--backends=misbehaving");
        arguments.extend(["--extra", "behaviour=wait_in_third", "--extra", "at=open"]);
        let go = place.path().join("go");
        let mut command = place.command(&arguments);
        command.env("CROSSRUN_TEST_GO", &go).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let folder = place.path().join("results/c");
        eventually("the backend waits in its third session", || go.with_extension("begun").exists());
        assert!(place.records_so_far("c") >= 2);
        if whole_folder {
            fs::remove_dir_all(&folder).unwrap();
        } else {
            for name in ["trials.jsonl", "plan.json"] {
                fs::remove_file(folder.join(name)).unwrap();
            }
        }
        fs::write(&go, "").unwrap();
        let ran = Ran::ended(child).code(6);
        let ran =
            ran.says("trials.jsonl was altered while this run wrote to it").says("plan.json was removed");
        let trials = place.records("c", "trials.jsonl");
        let measured = trials.iter().filter(|trial| trial["kind"] == "measured").count();
        assert_eq!(measured, 9, "{}", ran.explain());
        place.crossrun(&["compare", "--no-lock", "--resume", "c"]);
        assert_eq!(place.records("c", "trials.jsonl"), trials, "nothing was left to do");
    }
}

#[test]
fn the_time_budget_counts_from_the_first_trial_so_that_each_call_runs_a_block() {
    let place = Place::new();
    let ran = place.crossrun(&[&COMPARE[..], &["--time-budget", "1ns"]].concat()).code(0);
    ran.says("the time budget is used up");
    let blocks = || {
        let trials = place.records("c", "trials.jsonl");
        let blocks = trials.iter().map(|trial| trial["record"]["metadata"]["block"].as_u64());
        blocks.collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!(blocks(), 1);
    for (code, done) in [(0, 2), (0, 3)] {
        place.crossrun(&["compare", "--resume", "c", "--time-budget", "1ns"]).code(code);
        assert_eq!(blocks(), done);
    }
}

#[test]
fn a_name_of_a_workload_in_other_letters_is_the_same_workload() {
    let place = Place::new();
    let mut arguments = COMPARE.to_vec();
    arguments[5] = "--workloads=Pipeline";
    place.crossrun(&arguments).code(0);
    place
        .crossrun(&[&RUN[..], &["--workload", "PIPELINE", "--output-dir", "results/pipeline"]].concat())
        .code(0);
    assert_eq!(place.records("pipeline", "trials.jsonl")[0]["record"]["workload"], "pipeline");
    // The folder of its records is the same, too.
    place.crossrun(&[&RUN[..], &["--workload", "PIPELINE"]].concat()).code(0);
    assert_eq!(place.records("pipeline", "trials.jsonl").len(), 2);
    assert!(!place.path().join("results/PIPELINE").exists());
}

#[test]
fn a_run_id_that_looks_like_an_option_is_printed_so_that_it_can_be_pasted() {
    let place = Place::new();
    let mut arguments = COMPARE.to_vec();
    arguments[3] = "--run-id=-x";
    place.crossrun(&arguments).code(0);
    place.crossrun(&arguments).code(2).says("compare --resume=-x");
    place.crossrun(&["compare", "--no-lock", "--resume=-x"]).code(0);
}
