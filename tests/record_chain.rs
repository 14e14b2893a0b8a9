//! The hash chain: an edit of records is seen, and one during a run is undone.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Place, Ran, repository};

/// What the script in `docs/record-format.md` prints of a file: a line for each that does not follow the line before it.
fn broken(file: &Path) -> Vec<String> {
    let document = std::fs::read_to_string(repository().join("docs/record-format.md")).unwrap();
    let (_, section) = document.split_once("\n## The hash chain\n").unwrap();
    let (_, script) = section.split_once("```python\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    let ran = Command::new("python3").arg("-c").arg(script).arg(file).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Asserts that both files of a folder have so many lines and a chain that the script follows.
fn assert_whole(folder: &Path, trials: usize, measured: usize) {
    for (name, lines) in [("trials.jsonl", trials), ("unified_results.jsonl", measured)] {
        let file = folder.join(name);
        let content = std::fs::read_to_string(&file).unwrap();
        assert_eq!(content.lines().count(), lines, "{name}");
        assert!(content.lines().all(|line| line.contains(",\"chain\":\"")), "{content}");
        assert!(broken(&file).is_empty(), "{:?}\n{content}", broken(&file));
    }
}

const RUN: [&str; 5] = ["run", "--backend", "native", "--workload", "null"];

fn compare<'a>(backend: &'a str, id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let small = ["compare", "--backends", backend, "--workloads", "null", "--items", "10", "--blocks", "2"];
    [&small, ["--run-id", id].as_slice(), more].concat()
}

#[test]
fn the_chain_goes_on_through_the_runs_of_a_folder_also_at_the_same_time() {
    let place = Place::new();
    let folder = place.path().join("results/null");
    place.crossrun(&RUN).code(0);
    let parallel = [RUN.as_slice(), &["--no-lock"]].concat();
    let children: Vec<_> = (0..3).map(|_| place.command(&parallel).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_whole(&folder, 4, 4);
    // A reader has nothing to say of it.
    let told = place.crossrun(&["report", "results/null", "-v"]).code(0).stderr();
    assert!(!told.contains("chain"), "{told}");
}

#[test]
fn a_resumed_comparison_goes_on_with_the_chain() {
    let place = Place::new();
    place.crossrun(&compare("native", "r", &["--time-budget", "1ms"])).code(0);
    let folder = place.path().join("results/r");
    let before = std::fs::read_to_string(folder.join("trials.jsonl")).unwrap();
    place.crossrun(&["compare", "--resume", "r"]).code(0);
    let after = std::fs::read_to_string(folder.join("trials.jsonl")).unwrap();
    assert!(after.starts_with(&before) && after.len() > before.len());
    assert_whole(&folder, after.lines().count(), 2);
}

/// A comparison or sweep on a backend that alters `results/r/trials.jsonl` in each of its runs.
fn altering(place: &Place, how: &str, command: &[&str]) -> Ran {
    let behaviour = format!("behaviour={how}");
    let mut command = place.command(&[command, &["--extra", &behaviour]].concat());
    command.env("CROSSRUN_TEST_RECORDS", place.path().join("results/r/trials.jsonl"));
    Ran::of(command)
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn what_a_backend_alters_during_a_comparison_is_undone_and_exits_with_6() {
    for how in ["edit_records", "remove_records", "replace_records", "forge_records"] {
        let place = Place::with_misbehaving();
        let ran = altering(&place, how, &compare("misbehaving", "r", &[])).code(6);
        let folder = place.path().join("results/r");
        let altered = folder.join("trials.jsonl.altered-1");
        assert!(altered.is_file(), "{how}: {}", ran.explain());
        let told = ran.stderr();
        assert!(
            told.contains("trials.jsonl was altered") && told.contains("trials.jsonl.altered-1"),
            "{told}"
        );
        let trials = place.records("r", "trials.jsonl");
        assert_whole(&folder, trials.len(), 2);
        assert_eq!(trials.iter().filter(|trial| trial["kind"] == "measured").count(), 2, "{how}");
        let report = std::fs::read_to_string(folder.join("report.json")).unwrap();
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["warnings"][0]["kind"], "altered", "{report}");
        // Nothing that reads the records later sees any of it.
        let told = place.crossrun(&["report", "results/r"]).code(0).stderr();
        assert!(!told.contains("chain") && !told.contains("altered"), "{told}");
        assert_eq!(place.crossrun(&["show", "r"]).code(0).stdout().lines().count(), trials.len() + 1);
    }
}

#[test]
fn what_a_backend_alters_during_a_sweep_is_undone_and_exits_with_6() {
    let place = Place::with_misbehaving();
    let sweep = ["metg", "--blocks", "1", "--cores", "1", "--coarsest", "40ns", "--backends", "misbehaving"];
    let sweep = [sweep.as_slice(), &["--run-id", "r"]].concat();
    let told = altering(&place, "edit_records", &sweep).code(6).stderr();
    assert!(told.contains("trials.jsonl was altered"), "{told}");
    assert!(broken(&place.path().join("results/r/trials.jsonl")).is_empty());
}

#[test]
fn an_edit_is_a_warning_that_names_file_and_line_wherever_the_file_is_read() {
    let place = Place::new();
    place.crossrun(&compare("native", "r", &["--time-budget", "1ms"])).code(0);
    let file = place.path().join("results/r/trials.jsonl");
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, whole.replacen("\"duration_seconds\":", "\"duration_seconds\":1", 1)).unwrap();
    let warning = "results/r/trials.jsonl: the hash chain is broken at 1 line: line 1;";
    let reads = [["report", "results/r"].as_slice(), &["show", "r"], &["diff", "results/r", "results/r"]];
    for read in reads.iter().chain(&[["compare", "--resume", "r"].as_slice()]) {
        let told = place.crossrun(read).code(0).stderr();
        assert!(told.contains(warning), "{read:?}: {told}");
    }
    let report = place.crossrun(&["report", "results/r", "--json"]).code(0).json();
    assert_eq!(report["warnings"][0]["kind"], "altered", "{report}");
    let diff = place.crossrun(&["diff", "results/r", "results/r", "--json"]).code(0).json();
    assert!(diff["altered"][0].as_str().unwrap().contains(warning), "{diff}");
    assert_eq!(broken(&file).len(), 1);
}

#[test]
fn files_that_are_put_together_break_once_and_files_without_a_chain_are_named_quietly() {
    let place = Place::new();
    place.crossrun(&compare("native", "a", &[])).code(0);
    place.crossrun(&compare("native", "b", &[])).code(0);
    let read = |run: &str| std::fs::read_to_string(place.path().join(run).join("trials.jsonl")).unwrap();
    let (one, other) = (read("results/a"), read("results/b"));
    std::fs::write(place.path().join("both.jsonl"), one.clone() + &other).unwrap();
    let told = place.crossrun(&["report", "both.jsonl"]).code(0).stderr();
    let seam = format!("is broken at 1 line: line {};", one.lines().count() + 1);
    assert!(told.matches("warning").count() == 1 && told.contains(&seam), "{told}");

    let original = repository().join("tests/fixtures/original/unified_results.jsonl");
    let original = original.to_str().unwrap();
    let told = place.crossrun(&["report", original]).code(0).stderr();
    assert!(!told.contains("chain"), "{told}");
    let told = place.crossrun(&["report", original, "-v"]).code(0).stderr();
    assert_eq!(told.matches("without a hash chain").count(), 1, "{told}");
    let report = place.crossrun(&["report", original, "--json"]).code(0).json();
    assert_eq!(report["without_chain"], serde_json::json!([original]));
}

#[test]
fn what_the_backend_says_is_shown_as_its_claim() {
    let place = Place::with_misbehaving();
    place.misbehave("odd_metrics", "run", &[]).code(0);
    let page = place.crossrun(&["show", "null", "1"]).code(0).stdout();
    let claims = page.lines().find(|line| line.starts_with("claimed by the backend, not checked: "));
    let claims = claims.unwrap_or_else(|| panic!("{page}"));
    assert!(claims.contains("nodes -1e+308") && claims.contains("scheduler \"default\""), "{claims}");
}
