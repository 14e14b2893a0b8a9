//! Records: a line for every trial, failures included, whole or not at all.

use std::os::unix::fs::MetadataExt as _;

use serde_json::Value;

use crate::support::{Place, Ran, repository, without_chain};

const KEYS: &str = "backend workload run_id seed nodes parallelism throughput latency_p50 latency_p95 latency_p99 \
                    success_rate duration_seconds timestamp config_hash backend_hash metadata";

fn original() -> Value {
    let path = repository().join("tests/fixtures/original/unified_results.jsonl");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_record_has_the_keys_of_the_original_project_in_their_order() {
    let place = Place::new();
    let ran = place.crossrun(&["run", "--json", "--backend", "native", "--workload", "null"]).code(0);
    let line = ran.stdout();
    let places: Vec<_> = KEYS.split(' ').map(|key| line.find(&format!("\"{key}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{line}");
    let mut theirs: Vec<_> = original().as_object().unwrap().keys().cloned().collect();
    let mut ours: Vec<_> = ran.json().as_object().unwrap().keys().cloned().collect();
    theirs.sort();
    ours.sort();
    assert_eq!(ours, theirs);
    for (key, value) in original()["metadata"].as_object().unwrap() {
        // These two are the original's own versions; ours stand under `versions`.
        if !["sage_version", "benchmark_version"].contains(&key.as_str()) {
            let ours = &ran.json()["metadata"][key];
            assert_eq!(value.is_object(), ours.is_object(), "{key}: {ours}");
        }
    }
}

#[test]
fn what_a_run_prints_is_what_it_writes() {
    let place = Place::new();
    let printed = place.run("run --json --backend native --workload null").code(0).json();
    let written = place.records("null", "unified_results.jsonl");
    assert_eq!(written.into_iter().map(without_chain).collect::<Vec<_>>(), std::slice::from_ref(&printed));
    let trials = place.records("null", "trials.jsonl");
    assert_eq!(trials.len(), 1);
    assert_eq!(trials[0]["record"], printed);
    assert_eq!(
        (trials[0]["kind"].as_str(), trials[0]["status"].as_str()),
        (Some("measured"), Some("verified"))
    );
}

#[test]
fn a_failure_is_a_row_with_null_figures() {
    let place = Place::with_misbehaving();
    place.misbehave("abort", "run", &[]).code(4);
    place.misbehave("nothing", "run", &[]).code(0);
    let rows = place.records("null", "unified_results.jsonl");
    let failed = &rows[0];
    for key in ["throughput", "latency_p50", "duration_seconds"] {
        assert_eq!(failed.get(key), Some(&Value::Null), "{key}");
    }
    assert_eq!(failed["success_rate"], 0.0);
    assert_eq!(failed["metadata"]["error"]["kind"], "crashed");
    assert_eq!(rows[1]["success_rate"], 1.0);
    let table = std::fs::read_to_string(place.path().join("results/null/unified_results.csv")).unwrap();
    let columns = KEYS.strip_suffix(" metadata").unwrap().replace(' ', ",");
    assert_eq!(table.lines().next().unwrap(), columns);
    assert_eq!(table.lines().count(), 3);
}

#[test]
fn the_configuration_hash_names_no_backend() {
    let place = Place::with_misbehaving();
    place.stage(&crate::support::plugin("native_runner"));
    let hash_of = |backend: &str| {
        let run = ["run", "--json", "--backend", backend, "--workload", "null"];
        place.crossrun(&run).code(0).json()["config_hash"].clone()
    };
    assert_eq!(hash_of("native"), hash_of("misbehaving"));
}

#[test]
fn a_torn_line_is_moved_to_another_file_and_no_trial_is_lost() {
    let place = Place::new();
    let run = ["run", "--json", "--backend", "native", "--workload", "null"];
    place.crossrun(&run).code(0);
    let file = place.path().join("results/null/trials.jsonl");
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{whole}{}", &whole[..40])).unwrap();
    place.crossrun(&run).code(0);
    assert_eq!(place.records("null", "trials.jsonl").len(), 2);
    let torn = std::fs::read_to_string(place.path().join("results/null/trials.jsonl.torn")).unwrap();
    assert_eq!(torn.trim_end(), &whole[..40]);
}

#[test]
fn concurrent_runs_write_whole_lines() {
    let place = Place::new();
    let run = ["run", "--no-lock", "--backend", "native", "--workload", "null"];
    let children: Vec<_> =
        (0..4).map(|_| place.command(&run).stdout(std::process::Stdio::null()).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let rows = place.records("null", "unified_results.jsonl");
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row["metadata"]["locked"] == false));
    let ids: std::collections::HashSet<_> = rows.iter().map(|row| row["run_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 4);
    let table = std::fs::read_to_string(place.path().join("results/null/unified_results.csv")).unwrap();
    let in_table: Vec<_> = table.lines().skip(1).map(|row| row.split(',').nth(2).unwrap()).collect();
    assert_eq!(in_table, rows.iter().map(|row| row["run_id"].as_str().unwrap()).collect::<Vec<_>>());
}

#[test]
fn a_run_appends_its_row_to_the_table_and_changes_nothing_else() {
    let place = Place::new();
    let run = ["run", "--backend", "native", "--workload", "null"];
    let table = place.path().join("results/null/unified_results.csv");
    let mut before = String::new();
    let mut files = std::collections::HashSet::new();
    for rows in 1..4 {
        place.crossrun(&run).code(0);
        let text = std::fs::read_to_string(&table).unwrap();
        assert!(text.starts_with(&before) && text.lines().count() == rows + 1, "{text}");
        before = text;
        files.insert(std::fs::metadata(&table).unwrap().ino());
    }
    // A table that is written anew is another file.
    assert_eq!(files.len(), 1);
}

#[test]
fn an_unreadable_line_is_reported_and_the_others_are_read() {
    let place = Place::new();
    let run = ["run", "--backend", "native", "--workload", "null"];
    place.crossrun(&run).code(0);
    let folder = place.path().join("results/null");
    let [trials, unified] = ["trials.jsonl", "unified_results.jsonl"].map(|name| folder.join(name));
    for file in [&trials, &unified] {
        let text = std::fs::read_to_string(file).unwrap();
        std::fs::write(file, format!("rubbish\n{text}{{}}\n")).unwrap();
    }
    let rows = || std::fs::read_to_string(folder.join("unified_results.csv")).unwrap().lines().count() - 1;
    for row in [2, 3] {
        let told = "unified_results.jsonl: 2 lines cannot be read and are left out: line 1, 3";
        place.crossrun(&run).code(0).says(told).says("try: correct or remove");
        assert_eq!(rows(), row);
    }
    // What is made of such a file has less in it, which the exit code says too.
    let told = "trials.jsonl: 2 lines cannot be read and are left out: line 1, 3";
    let report = place.crossrun(&["report", "results/null"]).code(2).says(told);
    assert!(report.stdout().contains("native"), "{}", report.explain());
    let exported = ["null.html", "null.md"].map(|name| place.path().join(name));
    let [html, md] = exported.each_ref().map(|path| path.to_str().unwrap());
    let report = ["report", "results/null", "--json", "--html", html, "--md", md];
    let json = place.crossrun(&report).code(2).says(told).json();
    assert_eq!(json["warnings"][0]["kind"], "unreadable", "{json}");
    for file in exported {
        assert!(std::fs::read_to_string(file).unwrap().contains("2 lines cannot be read"));
    }
    place.crossrun(&["diff", "results/null", "results/null"]).code(2).says(told);
    let shown = place.crossrun(&["show", "null", "--json"]).code(2).says(told).json();
    assert_eq!(shown.as_array().unwrap().len(), 3);
    // It is mended as the warning says.
    for file in [&trials, &unified] {
        let text = std::fs::read_to_string(file).unwrap();
        let kept = text.lines().filter(|line| line.len() > 10).map(|line| format!("{line}\n"));
        std::fs::write(file, kept.collect::<String>()).unwrap();
    }
    let mended = place.crossrun(&run).code(0);
    assert!(!mended.stderr().contains("cannot be read"), "{}", mended.explain());
    assert_eq!(rows(), 4);
    place.crossrun(&["report", "results/null"]).code(0);
}

#[test]
fn a_comparison_with_a_damaged_line_is_resumed_and_reported_with_a_warning() {
    // An object that is no record says nothing of the lines after it.
    for line in ["rubbish\n", "{}\n"] {
        let place = Place::new();
        place.run("compare --backends native --workloads null --items 5 --blocks 1 --run-id c").code(0);
        let folder = place.path().join("results/c");
        for file in ["trials.jsonl", "unified_results.jsonl"].map(|name| folder.join(name)) {
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(&file, format!("{line}{text}")).unwrap();
        }
        let ran = place.run("compare --resume c").code(0);
        let ran = ran.says("trials.jsonl: 1 line cannot").says("unified_results.jsonl: 1 line cannot");
        let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
        assert!(page.contains("1 line cannot be read"), "{}", ran.explain());
    }
}

#[test]
fn a_report_of_nothing_is_an_error() {
    let place = Place::empty();
    std::fs::write(place.path().join("empty.jsonl"), "").unwrap();
    for words in ["report empty.jsonl", "report empty.jsonl --format junit", "show empty.jsonl", "report -"] {
        let mut command = place.command(&words.split(' ').collect::<Vec<_>>());
        command.stdin(std::process::Stdio::null());
        Ran::of(command).code(2).says("no records were read");
    }
}

/// Two runs of the original project, in the folders in which its scripts put them.
fn artifacts(place: &Place) {
    for (run, config, scheduler) in [("default", "16e642c8dad9", "default"), ("fifo", "ee27ecc0aa8a", "fifo")]
    {
        let mut record = original();
        record["run_id"] = format!("laptop-{run}-20260221").into();
        record["metadata"]["scheduler_name"] = scheduler.into();
        let folder = format!("run_id=laptop-{run}-20260221/config_hash={config}/backends/sage");
        let folder = place.path().join("artifacts/paired_backend_runs").join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("unified_results.jsonl"), format!("{record}\n")).unwrap();
        std::fs::write(folder.join("unified_results.csv"), "backend\n").unwrap();
        std::fs::write(folder.join("run.log"), "").unwrap();
    }
}

#[test]
fn records_are_found_below_a_folder_as_in_the_original_project() {
    let place = Place::empty();
    artifacts(&place);
    let trials = |arguments: &[&str]| -> u64 {
        let report = place.crossrun(&[&["report", "--json"], arguments].concat()).code(0).json();
        let rows =
            report["points"].as_array().unwrap().iter().flat_map(|point| point["rows"].as_array().unwrap());
        rows.map(|row| row["counts"]["trials"].as_u64().unwrap()).sum()
    };
    assert_eq!(trials(&["artifacts"]), 2);
    // Whichever way a file is named, it counts once.
    let fifo = "artifacts/paired_backend_runs/run_id=laptop-fifo-20260221";
    assert_eq!(trials(&[fifo]), 1);
    assert_eq!(trials(&[fifo, "artifacts", "./artifacts/"]), 2);
    let told = "artifacts: 2 files of records: artifacts/paired_backend_runs/run_id=laptop-default-20260221/";
    place.crossrun(&["report", "artifacts"]).code(0).says(told);
    let both = place.crossrun(&["diff", "artifacts", "artifacts", "--json"]).code(0).json();
    assert_eq!(both["changes"].as_array().unwrap().len(), 2, "{both}");
    // Of one folder the trials are read, among which the measured ones are.
    let sage = place.path().join(fifo).join("config_hash=ee27ecc0aa8a/backends/sage");
    let record = std::fs::read_to_string(sage.join("unified_results.jsonl")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let trial =
        serde_json::json!({"format_version": 1, "kind": "measured", "status": "verified", "record": record});
    std::fs::write(sage.join("trials.jsonl"), format!("{trial}\n")).unwrap();
    assert_eq!(trials(&[fifo]), 1);
    let shown = place.crossrun(&["show", "artifacts", "--json"]).code(0).json();
    assert_eq!(shown[0]["record"]["run_id"], "laptop-fifo-20260221");
    // A folder with records of its own is read with what is below it.
    std::fs::write(place.path().join("artifacts/trials.jsonl"), format!("{trial}\n")).unwrap();
    assert_eq!(trials(&[fifo]), 1);
    place.run("report artifacts").code(0).says("artifacts: 3 files of records: artifacts/trials.jsonl,");
    std::fs::create_dir(place.path().join("empty")).unwrap();
    place.crossrun(&["report", "empty"]).code(2).says("holds no records");
}

#[test]
fn measured_records_that_were_in_a_folder_before_its_trials_are_read_with_them() {
    let place = Place::new();
    let folder = place.path().join("results/null");
    std::fs::create_dir_all(&folder).unwrap();
    let fixture = repository().join("tests/fixtures/original/unified_results.jsonl");
    std::fs::copy(fixture, folder.join("unified_results.jsonl")).unwrap();
    let run = "run --backend native --workload null";
    place.run(run).code(0);
    let backends = || {
        let ran = place.run("report results/null --json").code(0);
        let report = ran.json();
        let points = report["points"].as_array().unwrap().iter();
        let rows = points.flat_map(|point| point["rows"].as_array().unwrap().clone());
        let trials = |row: Value| (row["backend"].to_string(), row["counts"]["trials"].as_u64().unwrap());
        (ran.stderr(), rows.map(trials).collect::<std::collections::BTreeMap<_, _>>())
    };
    let sage = original()["backend"].to_string();
    let (told, rows) = backends();
    assert_eq!((rows.get(&sage), rows.get("\"native\"")), (Some(&1), Some(&1)), "{told}");
    let note = "results/null/unified_results.jsonl: 1 record that trials.jsonl lacks is read too\n";
    assert!(told.contains(note) && !told.contains("warning: results"), "{told}");
    // A record that both files have counts once, and a file that is named itself is read alone.
    place.run(run).code(0);
    assert_eq!(backends().1.get("\"native\""), Some(&2));
    let alone = place.run("report results/null/trials.jsonl").code(0);
    assert!(!alone.stderr().contains("is read too"), "{}", alone.explain());
    // What cannot be read there is told, as something of it is read.
    let text = std::fs::read_to_string(folder.join("unified_results.jsonl")).unwrap();
    std::fs::write(folder.join("unified_results.jsonl"), format!("{text}rubbish\n")).unwrap();
    place.run("report results/null").code(2).says("unified_results.jsonl: 1 line cannot be read");
}

#[test]
fn records_of_a_comparison_whose_trials_were_removed_are_told_or_read() {
    let place = Place::new();
    place.run("compare --backends native --workloads null --items 5 --blocks 2 --run-id c").code(0);
    let folder = place.path().join("results/c");
    let trials = std::fs::read_to_string(folder.join("trials.jsonl")).unwrap();
    let (others, _) = trials.trim_end().rsplit_once('\n').unwrap();
    std::fs::write(folder.join("trials.jsonl"), format!("{others}\n")).unwrap();
    let told = "results/c/unified_results.jsonl: 1 record is left out, whose run has other trials in trials.jsonl, \
                as after lines were removed there; try: crossrun report results/c/unified_results.jsonl\n";
    place.run("report results/c").says(told);
    place.run("report results/c/unified_results.jsonl").code(0);
    // Without any trial of it, nothing says that it goes on.
    std::fs::remove_file(folder.join("trials.jsonl")).unwrap();
    std::fs::remove_file(folder.join("plan.json")).unwrap();
    place.run("run --backend native --workload null --output-dir results/c").code(0);
    place
        .run("report results/c")
        .code(0)
        .says("unified_results.jsonl: 2 records that trials.jsonl lacks are read too");
}

/// The characters of a file that could steer a terminal.
fn steering(path: &std::path::Path) -> Vec<char> {
    let text = std::fs::read_to_string(path).unwrap();
    text.chars().filter(|c| c.is_control() && !matches!(c, '\n' | '\t')).collect()
}

#[test]
fn json_in_files_equals_the_printed_json_and_no_file_has_control_characters() {
    let place = Place::with_misbehaving();
    let compare = "compare --json --backends misbehaving --workloads null --items 5 --blocks 1 --no-lock --insist \
                   --run-id red --extra behaviour=result_in_colour --extra at=run";
    let printed = place.run(compare).code(0).stdout();
    let folder = place.path().join("results/red");
    let events: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let report = std::fs::read_to_string(folder.join("report.json")).unwrap();
    let comparison = &events.last().unwrap()["comparison"];
    assert!(comparison.to_string().contains('\u{9b}'), "{comparison}");
    assert_eq!(&serde_json::from_str::<Value>(&report).unwrap(), comparison);
    let trials = std::fs::read_to_string(folder.join("trials.jsonl")).unwrap();
    let trial: Value = serde_json::from_str(trials.lines().last().unwrap()).unwrap();
    assert!(trial.to_string().contains('\u{9b}'), "{trial}");

    let exported = ["red.html", "red.md", "red.csv"].map(|name| place.path().join(name));
    let [html, md, csv] = exported.each_ref().map(|path| path.to_str().unwrap());
    place.crossrun(&["report", folder.to_str().unwrap(), "--html", html, "--md", md, "--csv", csv]).code(0);
    let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    for file in files.filter(|file| file.is_file()).chain(exported) {
        assert_eq!(steering(&file), [], "{}", file.display());
    }
}
