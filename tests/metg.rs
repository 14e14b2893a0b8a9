//! METG is measured, verified and recorded, and a bound is written as one. No test here judges how fast anything is.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::released::planted::{folder, point};
use crate::support::{
    Place, Ran, arguments_in, eventually, hostile, not_run, plugin, send_signal, shell_code,
};

/// A sweep of one block.
const SHORT: &str = "metg --json --backends native --blocks 1 --cores 1";

fn events(ran: &Ran) -> Vec<Value> {
    ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The last event: what the sweeps came to.
fn metg(ran: &Ran) -> Value {
    let last = events(ran).pop().unwrap();
    assert_eq!(last["event"], "metg", "{}", ran.explain());
    last["metg"].clone()
}

/// Demands that everything was measured. On a machine that is slow just while the reference is timed, a backend looks more
/// efficient than can be, which is told with another exit code.
fn measured(ran: Ran) -> Ran {
    assert!(matches!(ran.output.status.code(), Some(0 | 6)), "{}", ran.explain());
    ran
}

/// Whether a trial has the right answer, and only such a reference says that it took too short.
fn is_right(trial: &Value) -> bool {
    let message = trial["record"]["metadata"]["error"]["message"].as_str().unwrap_or_default();
    match trial["status"].as_str().unwrap() {
        "verified" => true,
        "invalid" => message.contains("by the serial reference"),
        _ => false,
    }
}

#[test]
fn a_quick_sweep_has_a_table_a_chart_reports_and_verified_records() {
    let place = Place::new();
    let run = ["metg", "--backends", "native", "--quick", "--cores", "1", "--run-id", "quick"];
    let ran = measured(place.crossrun(&run));
    let text = ran.stdout();
    for words in ["METG(50 %)", "floor", "checks", "n native"] {
        assert!(text.contains(words), "no {words:?} in {}", ran.explain());
    }
    let folder = place.path().join("results/quick");
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("<svg viewBox=\"0 0 400 270\"") && page.trim_end().ends_with("</html>"));
    for name in ["report.md", "report.json", "unified_results.csv"] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    // A report of both would leave the sweep out.
    let single = ["run", "--backend", "native", "--no-lock", "--output-dir", "results/quick"];
    place.crossrun(&single).code(2).says("holds METG sweeps");

    let trials = place.records("quick", "trials.jsonl");
    let points: Vec<_> = trials.iter().filter(|trial| trial["kind"] == "measured").collect();
    assert!(points.len() >= 3 && points.len() < trials.len(), "{}", ran.explain());
    for trial in &trials {
        assert!(is_right(trial), "{trial}");
        let (record, metadata) = (&trial["record"], &trial["record"]["metadata"]);
        let extra = &metadata["extra"];
        assert_eq!(
            (&extra["stages"], &extra["batch_size"], &extra["fusion"]),
            (&1.into(), &1.into(), &"off".into())
        );
        assert_eq!(
            (record["parallelism"].as_u64(), metadata["cores"].as_array().unwrap().len()),
            (Some(1), 1)
        );
        let (each, kernel) =
            (&metadata["metg"]["seconds_per_iteration"], &metadata["metg"]["kernel_seconds"]);
        let kernel_by_hand = each.as_f64().unwrap() * extra["iters"].as_f64().unwrap();
        assert!((kernel.as_f64().unwrap() / kernel_by_hand - 1.0).abs() < 1e-9, "{metadata}");
    }
    // Within a block no two points share their data, so that no answer can come from memory.
    let seeds = points.iter().filter(|trial| trial["record"]["metadata"]["block"] == 0);
    let seeds: Vec<_> = seeds.map(|trial| trial["record"]["metadata"]["data_seed"].to_string()).collect();
    assert_eq!(seeds.iter().collect::<std::collections::HashSet<_>>().len(), seeds.len());

    let command = trials[0]["record"]["metadata"]["full_command"].as_str().unwrap();
    assert!(command.contains(" --coarsest 2s "), "{command}");

    // The records alone give the same table, and are no comparison.
    let again = place.crossrun(&["report", "results/quick"]).code(0).stdout();
    assert_eq!(again, text);
    for (option, value, remedy) in [
        ("--baseline", " native", "leave --baseline out"),
        ("--publish", "", "leave --publish out"),
        ("--insist", "", "leave --insist out"),
        ("--csv", " rows.csv", "--json"),
        ("--format csv", "", "--json"),
    ] {
        let refused = place.run(&format!("report results/quick {option}{value}")).code(2);
        let why = "is for comparisons, but these are records of METG sweeps";
        refused.says(&format!("error: {option} {why}; try: {remedy}\n"));
    }
    place.crossrun(&run).code(2).says("already holds a run");
}

#[test]
fn json_streams_events_and_ends_with_everything() {
    let place = Place::new();
    let ran = measured(place.run(&format!("{SHORT} --coarsest 1ms")));
    let of = |kind: &str| events(&ran).iter().filter(|event| event["event"] == kind).count();
    let metg = metg(&ran);
    let row = &metg["rows"][0];
    let points = row["blocks"][0]["points"].as_array().unwrap();
    assert_eq!((of("reference"), of("trial")), (1, points.len()), "{}", ran.explain());
    assert_eq!(
        (&row["backend"], &row["cores"], &row["interval"]),
        (&"native".into(), &1.into(), &Value::Null)
    );
    // Another one has no figures: see `is_right`.
    for point in points.iter().filter(|point| point["status"] == "verified") {
        let of = |key: &str| point[key].as_f64().unwrap();
        // On one core, the granularity is the time of the run divided by the tasks.
        assert!((of("granularity_seconds") / (of("seconds") / of("tasks")) - 1.0).abs() < 1e-9, "{point}");
        assert!(
            (of("efficiency") / (of("kernel_seconds") / of("granularity_seconds")) - 1.0).abs() < 1e-9,
            "{point}"
        );
    }
    let command = points[0]["command"].as_str().unwrap();
    assert!(
        command.starts_with("crossrun run --backend native") && command.contains("--cores 1"),
        "{command}"
    );
}

#[test]
fn without_a_kernel_that_reaches_90_percent_there_is_no_value() {
    let place = Place::new();
    let sweep = "metg --backends native --blocks 1 --cores 1";
    // No engine hands out a task in the time of some iterations.
    let ran = place.run(&format!("{sweep} --coarsest 40ns --run-id short")).code(6);
    assert!(ran.stdout().contains("never reached 90 %"), "{}", ran.explain());
    assert!(ran.stdout().contains("native has no METG: its longest kernels reached"), "{}", ran.explain());
    place.crossrun(&["report", "results/short"]).code(0);
    let report = std::fs::read_to_string(place.path().join("results/short/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let row = &report["rows"][0];
    assert_eq!((&row["metg"], &row["value"]), (&Value::Null, &Value::Null), "{report}");
    let outcome = &row["blocks"][0]["outcome"];
    assert_eq!(outcome["outcome"], "never_efficient", "{report}");
    assert!(outcome["efficiency"].as_f64().unwrap() < 0.9, "{report}");
    assert!(
        std::fs::read_to_string(place.path().join("results/short/report.md"))
            .unwrap()
            .contains("never reached")
    );
    place.run(&format!("{sweep} --coarsest 1us --finest 1ms")).code(2).says("--finest");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn with_quick_the_kernels_of_a_graph_are_bounded_unless_the_longest_is_given() {
    let place = Place::new();
    let run = ["metg", "--backends", "native", "--quick", "--cores", "1"];
    let graph = ["--pattern", "trivial", "--extra", "width=1"];
    let swept = |run_id: &str, more: &[&str]| {
        let ran = measured(place.crossrun(&[&run[..], &graph, more, &["--run-id", run_id]].concat()));
        let trial = place.records(run_id, "trials.jsonl").swap_remove(0);
        (ran, trial["record"]["metadata"]["full_command"].as_str().unwrap().to_owned())
    };
    // The kernels of 32 tasks on one core take 16 s.
    let (ran, command) = swept("bounded", &[]);
    assert!(command.contains(" --coarsest 0.5s "), "{command}");
    ran.says("no kernel is longer than 500 ms, so that those of a run take at most 16 s");
    let (ran, command) = swept("given", &["--coarsest", "1ms"]);
    assert!(command.contains(" --coarsest 0.001s "), "{command}");
    assert!(!ran.stderr().contains("no kernel is longer"), "{}", ran.explain());
}

#[test]
fn a_cluster_that_the_user_names_has_no_metg() {
    let place = Place::new();
    let run = ["metg", "--backends", "native", "--quick", "--extra", "mine_address=localhost:1"];
    place.crossrun(&run).code(2).says("--extra mine_address is not allowed: METG is about the cores");
}

#[test]
fn a_wrong_answer_and_a_failure_are_rows_and_make_no_value() {
    let place = Place::with_misbehaving();
    place.stage(&plugin("native_runner"));
    for (behaviour, code, status) in [("drop", 5, "wrong"), ("segfault", 4, "failed")] {
        let run = "metg --json --backends native,misbehaving --blocks 1 --coarsest 100us --cores 1";
        let ran = place.run(&format!("{run} --extra behaviour={behaviour} --run-id {behaviour}")).code(code);
        let metg = metg(&ran);
        let rows = metg["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["backend"] == "misbehaving").unwrap();
        assert_eq!((&row["metg"], &row["floor"]), (&Value::Null, &Value::Null), "{}", ran.explain());
        assert_eq!(row["blocks"][0]["outcome"]["status"], status, "{}", ran.explain());
        let trials = place.records(behaviour, "trials.jsonl");
        let of_native: Vec<_> =
            trials.iter().filter(|trial| trial["record"]["backend"] == "native").collect();
        assert!(!of_native.is_empty() && of_native.iter().all(|trial| is_right(trial)), "{}", ran.explain());
    }
}

#[test]
fn an_interrupted_sweep_reports_the_runs_so_far() {
    let place = Place::new();
    let run = ["metg", "--backends", "native", "--cores", "1", "--run-id", "cut"];
    let mut child = place.command(&run).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("a sweep has begun", || {
        let trials = place.path().join("results/cut/trials.jsonl");
        std::fs::read_to_string(trials).is_ok_and(|text| text.contains("\"kind\":\"measured\""))
    });
    send_signal(child.id(), Signal::INT).unwrap();
    assert_eq!(shell_code(child.wait().unwrap()), Some(130));
    let report = place.crossrun(&["report", "results/cut"]).code(0);
    // Also where the signal came between two sweeps.
    let shown = report.stdout().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("of 7 sweeps of run cut came to an end"), "{}", report.explain());
}

#[test]
fn a_sweep_that_was_interrupted_before_its_first_measured_trial_has_no_report() {
    let place = Place::new();
    place.stage(&hostile("misbehaving_runner"));
    // The engine never starts, so that nothing is measured.
    let run = "metg --backends misbehaving --cores 1 --blocks 1 --run-id cut --no-lock";
    let run = format!("{run} --extra behaviour=sleep --extra at=open");
    let mut command = place.command(&arguments_in(&run));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("the folder of the run is there", || place.path().join("results/cut/trials.jsonl").exists());
    send_signal(child.id(), Signal::INT).unwrap();
    let ran = Ran::ended(child).code(130);
    // The command is one of a new run.
    let ran = ran.says("; try: crossrun metg --backends misbehaving ");
    assert!(!ran.stderr().contains("--run-id"), "{}", ran.explain());
    place.crossrun(&["report", "results/cut"]).code(2).says("no records were read");

    // A run of which nothing was recorded has not used up its id.
    place.run("compare --resume cut").code(2).says("there is no run in results/cut");
    measured(place.run("metg --backends native --blocks 1 --cores 1 --coarsest 40ns --run-id cut"));
    // As if it had been interrupted after its warm-ups.
    let trials = place.path().join("results/cut/trials.jsonl");
    let text = std::fs::read_to_string(&trials).unwrap();
    let warm_ups = text.lines().filter(|line| line.contains("\"kind\":\"warmup\""));
    let warm_ups: String = warm_ups.map(|line| format!("{line}\n")).collect();
    assert!(!warm_ups.is_empty(), "{text}");
    std::fs::write(place.path().join("warm.jsonl"), warm_ups).unwrap();
    for format in ["", "--format bencher", "--format junit"] {
        let ran = place.run(&format!("report warm.jsonl {format}")).code(2);
        ran.says("ended before its first measured trial, so there is nothing to report; try: crossrun show warm.jsonl\n");
    }
    place.crossrun(&["show", "warm.jsonl"]).code(0);
}

#[test]
fn an_impossible_sweep_is_refused() {
    let place = Place::new();
    place.crossrun(&["metg", "--cores", "100000"]).code(2).says("this process may use");
    place.crossrun(&["metg", "--extra", "iters=5"]).code(2).says("a sweep sets it");
    place.crossrun(&["metg", "--backends", "nosuch"]).code(3).says("nosuch");
    place.crossrun(&["metg", "--quick", "--blocks", "5"]).code(2);
}

#[test]
fn the_tasks_of_each_graph_are_measured_in_a_row_of_their_own() {
    let place = Place::new();
    let graphs = "--pattern trivial,nearest --radix 1,3 --steps 120 --extra width=2 --run-id r";
    let metg = metg(&measured(place.run(&format!("{SHORT} --coarsest 200us {graphs}"))));
    let graph = |row: &Value| {
        let graph = &row["graph"];
        assert_eq!(
            (&graph["steps"], &graph["width"], &graph["form"]),
            (&120.into(), &2.into(), &"graph".into())
        );
        (
            graph["pattern"].as_str().unwrap().to_owned(),
            graph["radix"].as_u64(),
            graph["output_bytes"].as_u64(),
        )
    };
    let rows: Vec<_> = metg["rows"].as_array().unwrap().iter().map(graph).collect();
    let expected = [("nearest", Some(1)), ("nearest", Some(3)), ("trivial", None)];
    assert_eq!(rows, expected.map(|(pattern, radix)| (pattern.to_owned(), radix, Some(64))));
    assert!(!metg["warnings"].to_string().contains("stages"), "{}", metg["warnings"]);
    for trial in place.records("r", "trials.jsonl") {
        let (record, metadata) = (&trial["record"], &trial["record"]["metadata"]);
        assert!(is_right(&trial) && metadata["total_items"] == 240, "{record}");
        let (each, kernel) =
            (&metadata["metg"]["seconds_per_iteration"], &metadata["metg"]["kernel_seconds"]);
        // Making the output is work too.
        let iterations = metadata["extra"]["iters"].as_f64().unwrap();
        assert!(kernel.as_f64().unwrap() > each.as_f64().unwrap() * iterations, "{metadata}");
        let command = metadata["full_command"].as_str().unwrap();
        assert!(
            command.contains(" --pattern trivial,nearest --radix 1,3 --steps 120 ")
                && command.contains("width=2"),
            "{command}"
        );
    }
    let text = place.crossrun(&["report", "results/r"]).code(0).stdout();
    for words in ["native nearest(1) 64 B", "native nearest(3) 64 B", "native trivial 64 B"] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
}

#[test]
fn the_graph_of_another_author_is_swept_as_its_description_says() {
    let place = Place::new();
    place.stage(&hostile("graph_workloads"));
    let graphs = "--workload rotating_graph --vary shift=0,1 --extra width=2 --run-id mine";
    let metg = metg(&measured(place.run(&format!("{SHORT} --coarsest 200us {graphs}"))));
    let graph = |row: &Value| {
        let graph = &row["graph"];
        assert_eq!(
            (&graph["workload"], &graph["width"], &graph["steps"], &graph["output_bytes"], &graph["form"]),
            (&"rotating_graph".into(), &2.into(), &100.into(), &8.into(), &"graph".into()),
            "{graph}"
        );
        assert_eq!((graph.get("pattern"), graph.get("radix")), (None, None), "{graph}");
        graph["settings"]["shift"].as_u64()
    };
    let rows = metg["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(graph).collect::<Vec<_>>(), [Some(0), Some(1)]);
    let table = &metg["tables"][0];
    assert_eq!((&table["by"], &table["columns"][0]["backend"]), (&"shift".into(), &"native".into()));
    let lines = table["groups"][0]["lines"].as_array().unwrap();
    let lines: Vec<_> = lines.iter().map(|line| (line["value"].as_u64(), line["rows"][0].as_u64())).collect();
    assert_eq!(lines, [(Some(0), Some(0)), (Some(1), Some(1))]);
    for trial in place.records("mine", "trials.jsonl") {
        assert!(is_right(&trial) && trial["record"]["workload"] == "rotating_graph", "{trial}");
        let command = trial["record"]["metadata"]["full_command"].as_str().unwrap();
        assert!(
            command.contains(" --workload rotating_graph ") && command.contains(" --vary shift=0,1 "),
            "{command}"
        );
    }
    let text = place.crossrun(&["report", "results/mine"]).code(0).stdout();
    for words in ["native rotating_graph shift=1 8 B", "METG(50 %) by shift"] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
}

#[test]
fn a_workload_whose_description_has_no_such_graph_is_refused() {
    let place = Place::new();
    place.stage(&hostile("graph_workloads"));
    for (options, words) in [
        ("--workload pipeline", "--workload pipeline: its description has no graph of tasks"),
        (
            "--workload short_graph",
            "parameter iters is a whole number from 1 to 1000000, but a sweep needs one from 0 to 536870912",
        ),
        ("--workload growing_graph", "the graph of 800 items has 772 tasks, so some rows have fewer tasks"),
        ("--workload rotating_graph --pattern fft", "--pattern: rotating_graph has no parameter pattern"),
        ("--workload rotating_graph --radix 3", "it reads width, iters, shift"),
        ("--workload rotating_graph --vary shift=8", "--vary shift: 8 is not a whole number from 0 to 7"),
        ("--workload rotating_graph --vary iters=8", "--vary iters is not allowed"),
        ("--workload rotating_graph --extra width=66", "--extra width: 66 is not a whole number"),
        ("--pattern fft --vary color=1", "--vary color: task_graph has no parameter color"),
        ("--vary shift=1", "--vary is for tasks that need each other"),
    ] {
        let ran = place.run(&format!("metg --backends native --cores 1 {options}")).code(2).says(words);
        assert!(!place.path().join("results").exists(), "{}", ran.explain());
    }
    place.run("metg --backends native --workload nosuch").code(3).says("nosuch");
}

#[test]
fn graphs_of_which_no_value_can_be_had_are_refused() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return not_run("this process may use one core only");
    }
    let place = Place::new();
    for (options, words) in [
        ("--pattern trivial,tree", "--pattern tree: the graph of"),
        ("--pattern dom", "--pattern dom"),
        ("--pattern round", "--pattern: \"round\" is not one of stencil_1d"),
        ("--pattern nearest --radix 9999", "--radix: 9999 is not a whole number from 0 to"),
        ("--pattern fft --output-bytes 8", "--output-bytes: 8 is not a whole number from 24 to"),
        ("--pattern fft --extra width=3", "a multiple of the 2 cores"),
        ("--pattern fft --extra radix=3", "--extra radix is not allowed"),
        ("--radix 3", "--pattern"),
        ("--output-bytes 64", "--pattern"),
        ("--steps 200", "--pattern"),
        ("--pattern fft --steps 31", "\"31\" is not a whole number from 32 to 16777216"),
        ("--pattern fft --steps 99999999999", "has at most 16777216 steps; try: --steps 100"),
    ] {
        let ran = place.run(&format!("metg --backends native --cores 2 {options}")).code(2).says(words);
        assert!(!place.path().join("results").exists(), "{}", ran.explain());
    }
}

#[test]
fn a_block_is_one_where_a_part_of_its_run_stands_beside_a_copy_of_the_measured_trials() {
    let place = Place::empty();
    let at = |second: usize, mut trial: Value| {
        trial["record"]["timestamp"] = format!("2026-03-01T04:00:0{second}.000000+00:00").into();
        trial
    };
    // The file of trials begins with a warm-up, and the copy with a measured trial.
    let mut warm_up = at(0, point("native", 0, 64, 0.1));
    warm_up["kind"] = "warmup".into();
    let of_kernel = |iterations: u32| f64::from(iterations) / (f64::from(iterations) + 500.0);
    let kernels = [16_384, 4096, 1024, 256, 64].into_iter().enumerate();
    let points: Vec<_> = kernels
        .map(|(number, iterations)| at(number + 1, point("native", 0, iterations, of_kernel(iterations))))
        .collect();
    folder(&place, "part", &[&[warm_up][..], &points[..3]].concat());
    let lines: String = points.iter().map(|trial| format!("{}\n", trial["record"])).collect();
    std::fs::write(place.path().join("measured.jsonl"), lines).unwrap();
    for files in ["part/trials.jsonl measured.jsonl", "measured.jsonl part/trials.jsonl"] {
        let sweeps = place.run(&format!("report {files} --json")).code(0).json();
        let [row] = sweeps["rows"].as_array().unwrap().as_slice() else { panic!("{files}: {sweeps}") };
        let [block] = row["blocks"].as_array().unwrap().as_slice() else { panic!("{files}: {row}") };
        assert_eq!(block["points"].as_array().unwrap().len(), points.len(), "{files}: {block}");
        assert_eq!(block["outcome"]["outcome"], "value", "{files}: {block}");
    }
}
