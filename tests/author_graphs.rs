//! Graphs of tasks by authors: workloads in C on top of the kit, and backends that were written from the pages for authors alone.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crossrun::internals::worker::load;
use plugin_api::workload::capi::status;
use plugin_api::{WorkloadError, WorkloadHandle, WorkloadSpec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::c_backend::{agrees_with_native, compiled, file, run, threaded};
use crate::conformance::file_conforms;
use crate::support::{Place, Ran, plugin, repository, run_arguments};

/// Graphs of unusual shapes: rows that grow, tasks that need a row twice, tasks without inputs, one task a row, and no tasks.
const GRAPHS: [&str; 8] = [
    "--items 240 pattern=stencil_1d_periodic width=5",
    "--items 240 pattern=dom width=8",
    "--items 240 pattern=tree width=8 output_bytes=5000",
    "--items 240 pattern=all_to_all width=6",
    "--items 240 pattern=spread radix=9 width=4",
    "--items 240 pattern=trivial width=3",
    "--items 300 pattern=no_comm width=1",
    "--items 0",
];

fn library(name: &str, source: &str) -> PathBuf {
    let kit = repository().join("plugin-api/kit/crossrun_workload_kit.c");
    compiled(source, name, &[kit.to_str().unwrap()])
}

/// The example of a graph.
fn grid() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| library("grid_workload", "plugin-api/examples/c/grid_workload.c"))
}

/// Graphs with a fault each.
fn rows() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| library("rows_workload", "tests/fixtures/c/graph_workload.c"))
}

/// Runs `task_graph` on a backend by its tasks, at two parallelisms. The answer is that of native.
fn runs_graphs_by_their_tasks(backend: &str, run: impl Fn(&str) -> Value) {
    for (number, graph) in GRAPHS.iter().enumerate() {
        let words = format!("--workload task_graph --parallelism {} iters=3 {graph}", 1 + number % 3);
        let record = run(&words);
        assert_eq!(record["metadata"]["graph"]["form"], "graph", "{backend} {words}: {record}");
    }
}

#[test]
fn the_example_in_c_runs_graphs() {
    let place = Place::new();
    place.stage(threaded());
    runs_graphs_by_their_tasks("threaded", |words| agrees_with_native(&place, "threaded", words));
}

#[test]
fn a_backend_from_the_page_for_c_runs_tasks_by_their_dependencies() {
    let place = Place::new();
    place.stage(&compiled("tests/fixtures/c/graph_backend.c", "graphs", &[]));
    runs_graphs_by_their_tasks("graphs", |words| agrees_with_native(&place, "graphs", words));
    // What has no graph it runs in stages.
    agrees_with_native(&place, "graphs", "--workload word_count --items 300 --parallelism 2 batch_size=7");
}

/// Runs with the first driver below this heading of the page for Python.
fn documented_driver(heading: &str) -> impl Fn(&str) -> Ran {
    let page = std::fs::read_to_string(repository().join("docs/python.md")).unwrap();
    let section = page.split_once(heading).unwrap().1;
    let driver = section.split_once("```python\n").unwrap().1.split_once("```").unwrap().0;
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    place.stage(&plugin("python_runner"));
    std::fs::write(folder.path().join("driver.py"), driver).unwrap();
    move |words| {
        let mut command = place.command(&run_arguments(&format!("--backend python {words}")));
        command.env("CROSSRUN_DRIVERS", format!("python={}", folder.path().display()));
        Ran::of(command)
    }
}

#[test]
fn the_first_driver_on_the_page_for_python_refuses_what_it_does_not_do() {
    let run = documented_driver("# Reference for Python");
    run("--workload null --items 10").verified();
    run("--workload pipeline --items 100 batch_size=7").verified();
    // It would look faster than others that run each stage by itself.
    run("--workload null --items 10 fusion=off").code(4).says("this driver runs all stages as one");
    run("--workload word_count --items 10").code(4).says("this driver has no keyed reduction");
    run("--workload null --items 10 --nodes 2").code(4).says("this backend runs on one machine");
}

#[test]
fn the_driver_on_the_page_for_python_runs_tasks_by_their_dependencies() {
    let run = documented_driver("### A graph of tasks");
    runs_graphs_by_their_tasks("python", |words| run(words).verified());
    run("--workload null --items 10").code(4).says("this driver runs graphs of tasks only");
}

// ---- Workloads in C ---------------------------------------------------------------------------------------------

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_graph_in_c_runs_on_every_backend_with_the_word() {
    let place = Place::new();
    for plugin in [grid(), threaded(), &plugin("python_runner"), &plugin("timely_runner")] {
        place.stage(plugin);
    }
    for backend in ["native", "threaded", "python", "timely"] {
        for (words, steps, width) in [
            ("--items 96 width=8", 12 + 8 - 1, 8),
            ("--items 30 width=10 --seed 7", 3 + 10 - 1, 3),
            ("--items 30 width=1", 30, 1),
            ("--items 0 width=9", 0, 1),
        ] {
            let words = format!("--workload cheapest_way --parallelism 2 {words}");
            let record = agrees_with_native(&place, backend, &words);
            let graph = json!({"form": "graph", "steps": steps, "width": width, "output_bytes": 24});
            assert_eq!(record["metadata"]["graph"], graph, "{backend} {words}");
        }
    }
    let rounded = run(&place, "native", "--workload cheapest_way --items 100 width=8").code(0).json();
    assert_eq!(rounded["metadata"]["total_items"], 96, "{rounded}");
    let shown = place.run("workloads show cheapest_way --items 9 --extra width=3 --json").code(0).stdout();
    assert!(shown.contains("\"cost\""), "{shown}");
    // Of more steps than stages can have.
    let shown = "workloads show task_graph --items 1000 --extra width=5 --expected --json";
    let shown = place.run(shown).code(0).json();
    assert_eq!(shown["items"].as_array().unwrap().len(), 5, "{shown}");
}

#[test]
fn an_honest_run_of_tasks_that_change_from_row_to_row_is_valid() {
    let place = Place::new();
    place.stage(&library("changing_workload", "tests/fixtures/c/changing_graph.c"));
    for profile in ["shrink", "grow"] {
        let words =
            ["run", "--json", "--backend", "native", "--workload", "changing", "--items", "800", "--extra"];
        let ran = place.crossrun(&[&words[..], &[&format!("profile={profile}")]].concat());
        let metadata = &ran.code(0).json()["metadata"];
        let [least, all] = ["/reference/least_cpu_seconds", "/reference_cpu_seconds"]
            .map(|key| metadata.pointer(key).and_then(Value::as_f64).unwrap());
        assert!(least > 0.5 * all, "{profile}: {metadata}");
    }
}

#[test]
fn a_graph_in_c_keeps_the_contract_and_is_unsupported_without_the_word() {
    file_conforms(grid());
    let place = Place::new();
    place.stage(grid());
    let examples = format!("-I{}", repository().join("plugin-api/examples/c").display());
    place.stage(&compiled("tests/fixtures/c/stages_backend.c", "stages_only", &[&examples]));
    run(&place, "threaded", "--workload cheapest_way").code(4).says("unsupported: needs graph");
}

#[test]
fn a_function_that_a_library_lacks_is_named_before_a_backend_calls_it() {
    let kit = repository().join("plugin-api/kit/crossrun_workload_kit.c");
    for function in ["graph_edges", "graph_task"] {
        let hidden = format!("-Dcrossrun_workload_{function}=hidden_{function}");
        let place = Place::new();
        place.stage(threaded());
        place.stage(&compiled(
            "plugin-api/examples/c/grid_workload.c",
            &format!("grid_without_{function}"),
            &[kit.to_str().unwrap(), &hidden],
        ));
        let says = format!("the library lacks crossrun_workload_{function}, which a backend");
        for backend in ["native", "threaded"] {
            run(&place, backend, "--workload cheapest_way --items 96 width=8").code(4).says(&says);
        }
    }
}

/// The graphs of the fixture, opened with these words and parameters.
fn opened(words: &[&str], extra: Value) -> Result<WorkloadHandle, WorkloadError> {
    let mut spec = WorkloadSpec { total_items: 12, ..WorkloadSpec::new("rows") };
    spec.granted = words.iter().map(|word| (*word).to_owned()).collect();
    spec.extra = extra.as_object().unwrap().clone();
    load::workloads(&file(rows())).unwrap().open(&spec)
}

fn with(extra: Value) -> WorkloadHandle {
    opened(&["graph", "example"], extra).unwrap()
}

/// The call was refused with this status, and a message with these words.
fn refused<T>(result: Result<T, WorkloadError>, expected: i32, words: &str) {
    match result.err() {
        Some(WorkloadError::Call { status, message }) => {
            assert!(status == expected && message.contains(words), "{status}: {message}");
        }
        other => panic!("{other:?}, but expected {words}"),
    }
}

#[test]
fn rows_edges_and_tasks_are_those_of_the_author() {
    // More inputs than the kit has room for without memory of its own.
    let workload = with(json!({"width": 40}));
    let shape = workload.plan().graph.unwrap();
    assert_eq!((shape.steps, shape.width, shape.output_bytes), (3, 40, 16));
    let mut outputs: Vec<Vec<u8>> = Vec::new();
    for step in 0..3 {
        let row = workload.graph_row(step).unwrap();
        assert_eq!(row.points(), 10 * step..10 * step + 40);
        assert_eq!(workload.graph_width(step).unwrap(), Some(40));
        let mut expected: Vec<u32> =
            (10 * step..10 * step + 40).map(|point| point.saturating_sub(10)).collect();
        expected.push(expected[0]);
        let expected = if step == 0 { Vec::new() } else { expected };
        assert!((0..40).all(|place| row.inputs(place) == expected), "{row:?}");
        let mut inputs: Vec<&[u8]> = outputs.iter().map(Vec::as_slice).collect();
        inputs.extend(inputs.first().copied());
        let run = |point| {
            let mut output = Vec::new();
            workload.graph_task(step, point, &inputs, 16, &mut output).map(|()| output)
        };
        outputs = row.points().map(run).collect::<Result<_, _>>().unwrap();
    }
    let words: [u64; 2] = [20 + 39, 41 * 16];
    assert_eq!(outputs[39], words.map(u64::to_le_bytes).concat());
}

#[test]
fn a_fault_of_an_author_or_a_caller_is_refused_with_the_reason() {
    let row = |fault: &str, step| with(json!({"fault": fault})).graph_row(step);
    refused(row("no_points", 0), status::OPERATOR, "step 0 of the graph has 0 points");
    refused(row("many_points", 1), status::OPERATOR, "has 5 points from 10 on, but a row has 1 to 4");
    refused(row("last_points", 1), status::OPERATOR, "step 1 of the graph has 4 points from 4294967295 on");
    refused(
        row("stray_input", 1),
        status::OPERATOR,
        "point 10 of step 1 needs point 4, which the step before does not",
    );
    refused(row("none", 3), status::ARGUMENT, "no graph with a step 3");

    let task = |fault: &str, step, point, inputs: &[&[u8]], room| {
        with(json!({"fault": fault})).graph_task(step, point, inputs, room, &mut Vec::new())
    };
    task("none", 0, 3, &[], 16).unwrap();
    refused(task("long_output", 0, 3, &[], 16), status::OPERATOR, "an output has 17 bytes, but");
    refused(task("refuses", 0, 3, &[], 16), status::OPERATOR, "these are not the inputs");
    refused(task("none", 1, 10, &[b"one"], 16), status::OPERATOR, "these are not the inputs");
    refused(task("none", 0, 4, &[], 16), status::ARGUMENT, "step 0 of the graph has no point 4");
    refused(task("none", u32::MAX, 0, &[], 16), status::ARGUMENT, "no graph with a step 4294967295");
    refused(task("none", 0, 3, &[], 15), status::ARGUMENT, "needs 16 bytes, but there are 15");

    let workload = with(json!({}));
    refused(workload.source(0, 1, 1, &mut workload.buffer()), status::ARGUMENT, "makes no items");
    let all = ["graph", "example"];
    refused(opened(&all[..1], json!({})), status::SPEC, "needs example, which");
    refused(opened(&all[1..], json!({})), status::SPEC, "needs graph, which");
    refused(opened(&all, json!({"width": 0})), status::SPEC, "steps, but no points");
    refused(opened(&all, json!({"fault": "no_size"})), status::SPEC, "there is no such graph");
    refused(opened(&all, json!({"fault": "large"})), status::SPEC, "more steps");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_inputs_are_refused_or_are_those_of_a_cell(
        step in 0_u32..22, point in 0_u32..9, changed: Vec<Vec<u8>>, ways in prop::collection::vec(any::<u64>(), 0..3),
        room in 20_usize..28
    ) {
        let mut spec = WorkloadSpec { total_items: 96, ..WorkloadSpec::new("cheapest_way") };
        spec.granted.push("graph".into());
        spec.extra.insert("width".into(), 8.into());
        let workload = load::workloads(&file(grid())).unwrap().open(&spec).unwrap();
        // The outputs of the neighbours, if they are as many.
        let neighbours = [point.wrapping_sub(1), point].into_iter().filter(|from| *from < step);
        let ways: Vec<Vec<u8>> = neighbours.zip(&ways).map(|(from, way)| {
            [u64::from(step.wrapping_sub(1)), from.into(), way / 2].map(u64::to_le_bytes).concat()
        }).collect();
        for inputs in [&changed, &ways] {
            let (inputs, mut output): (Vec<_>, _) = (inputs.iter().map(Vec::as_slice).collect(), Vec::new());
            match workload.graph_task(step, point, &inputs, room, &mut output) {
                Ok(()) => prop_assert_eq!(&output[..16], [u64::from(step), point.into()].map(u64::to_le_bytes).concat()),
                Err(error) => prop_assert!(matches!(error, WorkloadError::Call { .. }), "{}", error),
            }
        }
    }
}
