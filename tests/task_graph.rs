//! Graphs of tasks: both forms have the right answer, and a record says which graph was run, and how.

use std::sync::Arc;

use crossrun::internals::worker::load;
use plugin_api::{ErrorKind, RunContext, Session, WorkloadSpec};
use serde_json::{Value, json};

use crate::c_backend::{Impatient, compiled, file, run};
use crate::installed_engine::Installed;
use crate::session::verified;
use crate::support::{Place, Ran, assert_once_at_most, plugin, repository, warnings};

const PATTERNS: [&str; 11] = [
    "stencil_1d",
    "stencil_1d_periodic",
    "trivial",
    "no_comm",
    "dom",
    "tree",
    "fft",
    "all_to_all",
    "nearest",
    "spread",
    "random_nearest",
];

/// Every pattern at some parallelisms, and graphs of unusual sizes.
fn graphs(parallelisms: &[u32], tasks: u64) -> Vec<String> {
    let small = |pattern: &str, parallelism: u32| {
        format!(
            "--workload task_graph --items {tasks} --parallelism {parallelism} pattern={pattern} width=8 iters=9"
        )
    };
    let patterns = PATTERNS.iter().flat_map(|pattern| parallelisms.iter().map(|at| small(pattern, *at)));
    let unusual = [
        "--items 300 pattern=no_comm width=1 kernel=empty",
        "--items 0",
        "--items 7 width=8",
        "--items 200 pattern=fft width=5 output_bytes=100000 kernel=memory span_bytes=800 iters=2",
        "--items 200 pattern=spread radix=9 width=4 imbalance=2 output_bytes=24",
    ];
    patterns.chain(unusual.map(|words| format!("--workload task_graph --parallelism 2 {words}"))).collect()
}

fn all_by_tasks(engine: &Installed, lines: &[String]) {
    for record in verified(engine, lines) {
        let graph = &record["metadata"]["graph"];
        let (steps, width) = (graph["steps"].as_u64().unwrap(), graph["width"].as_u64().unwrap());
        assert_eq!(graph["form"], "graph", "{record}");
        assert!(steps * width <= record["metadata"]["total_items"].as_u64().unwrap());
    }
}

#[test]
fn native_runs_each_task_when_its_inputs_are_there() {
    let mut lines = graphs(&[1, 3], 400);
    // Far more steps than stages could have.
    lines.push(
        "--workload task_graph --parallelism 2 --items 4000 pattern=stencil_1d_periodic width=2 iters=0"
            .into(),
    );
    all_by_tasks(&Installed::new("native"), &lines);
}

#[test]
fn the_reference_of_a_graph_has_the_length_of_its_longest_path() {
    // Of 50 rows of 8 points, but for the two patterns with narrow rows.
    let lines = PATTERNS.map(|pattern| {
        format!("--workload task_graph --items 400 --parallelism 2 pattern={pattern} width=8 iters=9")
    });
    for (pattern, record) in PATTERNS.iter().zip(verified(&Installed::new("native"), &lines)) {
        let share = record["metadata"]["reference"]["path_share"].as_f64().unwrap();
        let tasks = match *pattern {
            // Rows of 1, 2 and so on up to 8 points, and back at the end.
            "dom" => 50 * 8 - 2 * (1 + 2 + 3 + 4 + 5 + 6 + 7),
            "tree" => 1 + 2 + 4 + 47 * 8,
            _ => 50 * 8,
        };
        let longest = if *pattern == "trivial" { 1.0 } else { 50.0 };
        assert!((share * f64::from(tasks) - longest).abs() < 1e-6, "{pattern}: {share}");
    }
    let other = Installed::new("native").verified("--workload null --items 1000");
    assert_eq!(other["metadata"]["reference"].get("path_share"), None, "{other}");
}

#[test]
fn timely_runs_each_task_when_its_inputs_are_there() {
    // With one worker, with a row that they divide, and with more workers than some rows have tasks.
    let mut lines = graphs(&[1, 2, 5], 400);
    // Far more steps than stages could have, and than the window of steps that may run.
    for pattern in ["stencil_1d_periodic width=2", "trivial width=3", "all_to_all width=4 output_bytes=3000"]
    {
        lines.push(format!("--workload task_graph --parallelism 2 --items 4000 pattern={pattern} iters=0"));
    }
    all_by_tasks(&Installed::new("timely"), &lines);
}

#[test]
fn a_scheduler_that_has_no_effect_on_a_graph_is_not_in_its_record() {
    let graph = "--workload task_graph --items 80 --parallelism 2 width=8 iters=9 --scheduler fifo";
    for name in ["native", "timely"] {
        let engine = Installed::new(name);
        let told = |line: &str| {
            let record = engine.verified(line);
            let scheduler = record["metadata"]["scheduler_name"].as_str().unwrap().to_owned();
            (scheduler, warnings(&record).join("; ").contains("\"fifo\" has no effect on a graph of tasks"))
        };
        assert_eq!(told(graph), ("default".into(), true), "{name}");
        assert_eq!(told(&format!("{graph} form=stages")), ("fifo".into(), false), "{name}");
    }
}

#[test]
fn a_graph_that_is_cancelled_stops_by_itself() {
    let workloads = load::workloads(&file(&plugin("standard_workloads"))).unwrap();
    // Takes a day and more.
    let mut spec = WorkloadSpec { total_items: 64 << 20, parallelism: 2, ..WorkloadSpec::new("task_graph") };
    spec.extra.insert("iters".into(), 1_000_000.into());
    spec.granted.push("graph".into());
    for backend in ["native_runner", "timely_runner"] {
        let host = Arc::new(Impatient::default());
        let mut runner = load::runner(&file(&plugin(backend)), host.clone(), log::LevelFilter::Info).unwrap();
        let context = RunContext::new(workloads.open(&spec).unwrap(), host, "/d".into(), "/l".into(), None);
        runner.open(&Session::default()).unwrap();
        assert_eq!(runner.run(&spec, &context).unwrap_err().kind, ErrorKind::Cancelled, "{backend}");
    }
}

/// Runs a graph and one of ten times the steps, and compares the peaks of memory: rows that are done are given up.
fn memory_is_that_of_a_row(backend: &Installed) {
    let peak = |items: u32| {
        let graph = "pattern=no_comm width=4 iters=0 output_bytes=65536";
        let line = format!("--workload task_graph --items {items} --parallelism 2 {graph}");
        backend.verified(&line)["metadata"]["resources"]["peak_memory_bytes"].as_f64().unwrap()
    };
    // The outputs of all tasks are 26 MB, then 262 MB. Where a thread waits for a core, rows gather.
    let growth = || peak(4000) / peak(400);
    assert_once_at_most(1.2, "times as much memory for ten times the steps", growth);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn memory_does_not_grow_with_the_steps() {
    for name in ["native", "timely", "python"] {
        memory_is_that_of_a_row(&Installed::new(name));
    }
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn memory_of_dask_does_not_grow_with_the_steps() {
    memory_is_that_of_a_row(&Installed::new("dask"));
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn memory_of_ray_does_not_grow_with_the_steps() {
    memory_is_that_of_a_row(&Installed::new("ray"));
}

#[test]
fn python_runs_each_task_when_its_inputs_are_there() {
    all_by_tasks(&Installed::new("python"), &graphs(&[3], 96));
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn dask_takes_futures_as_inputs_of_tasks() {
    all_by_tasks(&Installed::new("dask"), &graphs(&[2], 96));
}

#[test]
#[ignore = "installs a large engine: .ci/run --full"]
fn ray_takes_object_references_as_inputs_of_tasks() {
    all_by_tasks(&Installed::new("ray"), &graphs(&[2], 96));
}

/// The native backend, and one called `threaded` that does not run graphs.
fn with_stages_only() -> Place {
    let place = Place::new();
    let examples = format!("-I{}", repository().join("plugin-api/examples/c").display());
    place.stage(&compiled("tests/fixtures/c/stages_backend.c", "stages_only", &[&examples]));
    place
}

#[test]
fn a_backend_without_graphs_runs_stages_and_says_so() {
    let place = with_stages_only();
    let record = run(&place, "threaded", "--workload task_graph --parallelism 2 --items 1000 iters=9");
    let record = record.code(0).json();
    let graph = json!({"form": "stages", "steps": 15, "width": 64, "output_bytes": 64});
    assert_eq!(record["metadata"]["graph"], graph, "{record}");
    let warnings = record["metadata"]["warnings"].to_string();
    assert!(warnings.contains("in stages"), "{warnings}");
}

#[test]
fn more_steps_than_stages_can_have_need_a_backend_that_runs_graphs() {
    let place = with_stages_only();
    let refused = run(&place, "threaded", "--workload task_graph --items 1000 width=5").code(4);
    let record = refused.says("unsupported: needs graph").json();
    let error = &record["metadata"]["error"];
    assert_eq!((&error["kind"], &error["phase"]), (&json!("unsupported"), &json!("negotiation")), "{record}");
    assert_eq!(record["metadata"]["phases"]["open_seconds"], Value::Null, "an engine was started: {record}");
    let compare = "compare --backends native,threaded --workloads task_graph,null --quick --items 1000";
    let compared = place.run(&format!("{compare} --extra width=5 --extra iters=1 --no-lock --insist"));
    compared.code(0).says("unsupported: needs graph");
    // What nobody can run is an error of whoever asked for it.
    let asked = run(&place, "threaded", "--workload task_graph --items 1000 width=5 form=stages").code(2);
    asked.says("1000 items are 200 steps of width 5").says("--items 500 or --extra width=10");
}

/// The run of a backend that supports graphs, with a fault.
fn faulty(place: &Place, fault: &str) -> Ran {
    let behaviour = format!("behaviour={fault}");
    let run = ["run", "--json", "--backend", "misbehaving", "--workload", "task_graph", "--items", "48"];
    place.crossrun(&[&run[..], &["--extra", "width=8", "--extra", "iters=3", "--extra", &behaviour]].concat())
}

#[test]
fn no_fault_in_a_graph_is_a_right_answer() {
    let place = Place::with_misbehaving();
    let honest = faulty(&place, "none").code(0).json();
    assert_eq!(
        (&honest["metadata"]["verified"], &honest["metadata"]["graph"]["form"]),
        (&json!(true), &json!("graph"))
    );
    // The task is refused; what a backend makes of that is its own failure.
    for (fault, why) in [
        ("edge_dropped", "needs 3 inputs; it was given 2"),
        ("edge_doubled", "needs 3 inputs; it was given 4"),
        ("edges_swapped", "needs the output of step 2, point 3"),
        ("edge_from_wrong_step", "needs the output of step 2, point 3"),
        ("payload_cut", "needs the output of step 2, point 3, of 64 bytes"),
        ("before_its_inputs", "needs 2 inputs; it was given 0"),
        ("needed_output_in_sink", ""),
    ] {
        let ran = faulty(&place, fault);
        assert_ne!(ran.json()["metadata"]["verified"], true, "{fault}: {}", ran.explain());
        ran.says(why);
    }
    for fault in [
        "payload_of_wrong_step",
        "edge_dropped_and_forged",
        "payload_zeroed",
        "refusal_passed_over",
        "output_twice",
        "task_left_out",
    ] {
        let ran = faulty(&place, fault).code(5);
        assert_eq!(ran.json()["metadata"]["verified"], false, "{fault}: {}", ran.explain());
    }
}

#[test]
fn a_backend_that_supports_graphs_and_runs_stages_fails() {
    let place = Place::with_misbehaving();
    let ran = faulty(&place, "stages").code(4).says("supports graph, but ran the stages");
    assert_ne!(ran.json()["metadata"]["verified"], true, "{}", ran.explain());
}

#[test]
fn rows_and_tasks_that_there_are_not_harm_nobody() {
    faulty(&Place::with_misbehaving(), "nonsense").verified();
}

#[test]
fn a_user_can_ask_for_stages_on_a_backend_that_supports_graphs() {
    for backend in ["native", "timely"] {
        let engine = Installed::new(backend);
        let run = |more: &str| {
            let words = format!("--workload task_graph --parallelism 2 --items 400 iters=9 width=8 {more}");
            engine.run(&words).code(0).json()["metadata"].clone()
        };
        let (graph, stages) = (run("form=graph"), run("form=stages"));
        assert_eq!((&graph["graph"]["form"], &stages["graph"]["form"]), (&json!("graph"), &json!("stages")));
        assert_eq!(graph["results_count"], stages["results_count"]);
        assert!(!stages["warnings"].to_string().contains("in stages"), "{stages}");
    }
    let native = Installed::new("native");
    let refused = native.run("--workload task_graph --items 1000 width=5 form=stages").code(2);
    native.left_nothing(&refused.says("at most 100 in stages"));
}

#[test]
fn the_page_of_a_comparison_shows_the_graph() {
    let place = Place::new();
    let compare =
        "compare --backends native --workloads task_graph --items 64 --quick --no-lock --run-id graph";
    place.run(&format!("{compare} --extra width=8 --extra iters=1")).code(0);
    let page = std::fs::read_to_string(place.path().join("results/graph/report.html")).unwrap();
    let (_, graph) = page.split_once("<section id=\"graphs\">").unwrap();
    assert!(graph.contains(": the first 64 tasks"), "{graph}");
    // A task of a row needs three of the row before, and two at the ends.
    assert_eq!(graph.matches("<circle ").count(), 64);
    assert_eq!(graph.matches(" to step ").count(), 7 * (3 * 8 - 2));
}

#[test]
fn tasks_that_go_through_memory_do_so_a_few_times_by_default() {
    let place = Place::new();
    let points = |more: &str| {
        place.run(&format!("compare --backends native --workloads task_graph --blocks 1 --dry-run {more}"))
    };
    for (more, iters) in [
        ("", "100000\n"),
        ("--extra kernel=memory", "10/kernel=memory\n"),
        ("--extra kernel=memory --extra iters=3", "3/kernel=memory\n"),
    ] {
        let told = points(more).code(0).stdout();
        assert!(
            told.contains("task_graph/items=3328/") && told.contains(&format!("/iters={iters}")),
            "{told}"
        );
    }
    let both = "--vary kernel=busy,memory";
    let told = "--vary kernel: no default iters of task_graph is right for all of its values";
    points(both).code(2).says(told).says("; try: --extra iters=COUNT");
    points(&format!("{both} --extra iters=50")).code(0);
    points(&format!("{both} --vary iters=50,60")).code(0);
}
