//! Backends in C: built with `cc` from `crossrun.h` alone, put into a plugin folder, and treated like any other backend.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crossrun::internals::worker::LibraryFile;
use crossrun::internals::worker::load;
use plugin_api::{ErrorKind, HostServices, Progress, RunContext, Session, WorkloadSpec};
use serde_json::{Value, json};

use crate::installed_engine::{FUSION, samples, shapes};
use crate::support::{Place, Ran, executable, hostile, plugin, repository, run_arguments, warnings};

/// A library that `cc` made.
pub(crate) fn compiled(source: &str, name: &str, more: &[&str]) -> PathBuf {
    let folder = executable().ancestors().nth(2).unwrap().join("c_backends");
    std::fs::create_dir_all(&folder).unwrap();
    // Tests of other processes may use the same file: it is put into its place whole.
    let made = tempfile::NamedTempFile::new_in(&folder).unwrap();
    let output = Command::new("cc")
        .args([
            "-std=c99",
            "-O2",
            "-Wall",
            "-Wextra",
            "-pedantic",
            "-Werror",
            "-pthread",
            "-fPIC",
            "-shared",
            "-I",
        ])
        .arg(repository().join("plugin-api/include"))
        .args(more)
        .arg(repository().join(source))
        .arg("-o")
        .arg(made.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{source} {more:?}: {}", String::from_utf8_lossy(&output.stderr));
    let library = folder.join(format!("lib{name}_runner.so"));
    made.persist(&library).unwrap();
    library
}

/// An example that a reader of the repository finds.
fn example(name: &str) -> PathBuf {
    compiled(&format!("plugin-api/examples/c/{name}_backend.c"), name, &[])
}

pub(crate) fn threaded() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| example("threaded"))
}

#[test]
fn a_build_with_a_sanitizer_is_no_release_build_whatever_the_compiler_tells() {
    // What gcc makes of -fsanitize=undefined, without the library for it, which need not be there.
    let example = repository().join("plugin-api/examples/c/minimal_backend.c");
    let call = "void __ubsan_handle_add_overflow(void);\n\
                void checked(void);\nvoid checked(void) { __ubsan_handle_add_overflow(); }\n";
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("checked.c");
    std::fs::write(&source, std::fs::read_to_string(example).unwrap() + call).unwrap();
    let library = compiled(source.to_str().unwrap(), "checked", &[]);
    let place = Place::empty();
    let file = place.stage(&library);
    let described = place.crossrun(&["backends", "inspect", "--json", file.to_str().unwrap()]).code(0).json();
    assert_eq!(described["build"]["debug_assertions"], true, "{described}");
    let plain = place.stage(minimal());
    let described =
        place.crossrun(&["backends", "inspect", "--json", plain.to_str().unwrap()]).code(0).json();
    assert_eq!(described["build"]["debug_assertions"], false, "{described}");
}

/// It closes what has ended by watermarks.
pub(crate) fn watermark() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| example("watermark"))
}

fn minimal() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| example("minimal"))
}

/// The native backend and the standard workloads, and a backend in C beside them.
fn place(backend: &Path) -> Place {
    let place = Place::new();
    place.stage(backend);
    place
}

/// `run` with the arguments in `words`, where `key=value` is an extra.
pub(crate) fn run(place: &Place, backend: &str, words: &str) -> Ran {
    place.crossrun(&run_arguments(&format!("--backend {backend} {words}")))
}

pub(crate) fn agrees_with_native(place: &Place, backend: &str, words: &str) -> Value {
    let record = run(place, backend, words).verified();
    let native = run(place, "native", words).code(0).json();
    for key in ["checksum", "results_count"] {
        assert_eq!(record["metadata"][key], native["metadata"][key], "{words}");
    }
    record
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn every_workload_has_the_same_answer_as_on_native() {
    let place = place(threaded());
    for words in shapes() {
        let record = agrees_with_native(&place, "threaded", &words);
        let threads = words.split_once("--parallelism ").unwrap().1.split(' ').next().unwrap();
        assert_eq!(record["metadata"]["raw_metrics"]["threads"].to_string(), threads);
    }
}

#[test]
fn the_tasks_of_graphs_are_run_and_the_record_says_so() {
    let place = place(threaded());
    for words in [
        "pattern=stencil_1d width=5",
        "pattern=fft width=8",
        "pattern=tree width=8",
        "pattern=trivial width=3",
    ] {
        let words = format!("--workload task_graph --items 240 --parallelism 2 iters=3 {words}");
        let record = agrees_with_native(&place, "threaded", &words);
        assert_eq!(record["metadata"]["graph"]["form"], "graph", "{record}");
    }
}

#[test]
fn what_has_ended_is_emitted_before_the_input_ends() {
    let place = place(watermark());
    for query in
        ["nexmark_q5 window_ms=1000 slide_ms=200", "nexmark_q7 window_ms=100", "nexmark_q11 gap_ms=50"]
    {
        let words = format!("--workload {query} --items 9000 --parallelism 1 batch_size=64");
        let record = agrees_with_native(&place, "watermark", &words);
        assert_eq!(record["metadata"]["raw_metrics"]["closes"], true, "{record}");
    }
    let words = "--workload word_count --items 500 --parallelism 2 batch_size=7 fusion=off";
    let record = agrees_with_native(&place, "watermark", words);
    assert_eq!(record["metadata"]["raw_metrics"]["closes"], false, "{record}");
}

#[test]
fn two_consecutive_reductions_are_right_and_faults_are_reported() {
    let place = Place::empty();
    place.stage(threaded());
    place.stage(samples());
    for fusion in FUSION {
        let words =
            format!("--workload count_of_counts --items 500 --parallelism 3 batch_size=9 fusion={fusion}");
        run(&place, "threaded", &words).verified();
        for (fault, reason) in [("map_fails", "the map said no"), ("fold_panics", "the fold gave up")] {
            let words =
                format!("--workload faulty --items 2000 --parallelism 3 fault={fault} fusion={fusion}");
            let record = run(&place, "threaded", &words).code(4).says(reason).json();
            assert_eq!(record["metadata"]["error"]["kind"], "workload", "{record}");
        }
    }
}

#[test]
fn a_backend_in_sixty_lines_runs_what_it_can_and_says_what_it_cannot() {
    let text = std::fs::read_to_string(repository().join("plugin-api/examples/c/minimal_backend.c")).unwrap();
    assert!(text.lines().count() <= 60, "{}", text.lines().count());
    let place = place(minimal());
    for words in shapes() {
        if !words.contains("word_count") {
            agrees_with_native(&place, "minimal", &words);
        }
    }
    let record = run(&place, "minimal", "--workload word_count").code(4).says("no keyed reduction").json();
    assert_eq!(record["metadata"]["error"]["kind"], "unsupported", "{record}");
}

/// The header with which a source is compiled as in a locale whose decimal point is a comma.
pub(crate) fn decimal_comma() -> PathBuf {
    repository().join("tests/fixtures/c/decimal_comma.h")
}

/// An engine may set the locale of its process.
#[test]
fn an_answer_is_json_where_the_decimal_point_is_a_comma() {
    let place = Place::new();
    for name in ["minimal", "threaded", "watermark"] {
        let (source, comma) = (format!("plugin-api/examples/c/{name}_backend.c"), decimal_comma());
        let library = compiled(&source, &format!("{name}_comma"), &["-include", comma.to_str().unwrap()]);
        place.stage(&library);
        run(&place, name, "--workload null").code(0);
    }
}

#[test]
fn the_number_of_nodes_is_the_reported_one_not_the_one_asked_for() {
    for backend in [threaded(), minimal()] {
        let place = place(backend);
        let name = if backend == threaded() { "threaded" } else { "minimal" };
        let record = run(&place, name, "--workload null --nodes 3").code(4).says("--nodes 1").json();
        assert_eq!(record["metadata"]["error"]["kind"], "unsupported", "{record}");
    }
    let place = place(&compiled("tests/fixtures/c/odd_backend.c", "odd_alone", &["-DOPEN=pass_over"]));
    let words = "asked for 3 nodes, but the backend does not report how many took part: recorded as 1";
    let record = run(&place, "odd", "--workload null --nodes 3").code(0).says(words).json();
    assert_eq!(record["nodes"], 1, "{record}");
    assert!(warnings(&record).contains(&words), "{record}");
    assert_eq!(record["metadata"]["config"]["nodes"], 3, "{record}");
}

#[test]
fn it_is_compared_with_the_others() {
    let place = place(threaded());
    let words = [
        "compare",
        "--backends",
        "native,threaded",
        "--workloads",
        "pipeline,word_count",
        "--items",
        "2000",
        "--extra",
        "batch_size=50",
        "--blocks",
        "2",
        // The tests' own build of native is one for debugging.
        "--insist",
        "--run-id",
        "beside",
    ];
    let ran = place.crossrun(&words).code(0);
    let trials = place.records("beside", "trials.jsonl");
    let of_c = trials.iter().filter(|trial| trial["record"]["backend"] == "threaded");
    let measured: Vec<_> = of_c.filter(|trial| trial["kind"] == "measured").collect();
    assert_eq!(measured.len(), 4, "{}", ran.explain());
    assert!(measured.iter().all(|trial| trial["status"] == "verified"), "{}", ran.explain());
    let build = &measured[0]["record"]["metadata"]["plugin"]["build"];
    assert_eq!((&build["abi"], &build["opt_level"]), (&json!("c"), &json!("1-3")), "{build}");
    assert!(build["compiler"].is_string() && build["rustc"].is_null(), "{build}");
}

#[test]
fn it_is_listed_inspected_and_locked_like_any_other_backend() {
    let place = place(threaded());
    let rows = place.crossrun(&["backends", "--json"]).code(0).json();
    let row = rows.as_array().unwrap().iter().find(|row| row["name"] == "threaded").unwrap().clone();
    assert_eq!(
        (&row["status"], &row["version"], &row["kind"]),
        (&json!("available"), &json!("0.1.0"), &json!("runner"))
    );
    let file = place.plugins().join("libthreaded_runner.so");
    let file = file.to_str().unwrap();
    let description = place.crossrun(&["backends", "inspect", "--json", file]).code(0).json();
    assert_eq!((&description["status"], &description["kind"]), (&json!("plugin"), &json!("runner")));
    let abi = &description["abi"];
    assert_eq!((&abi["backend_abi"], &abi["runner_header"]), (&json!("1.1"), &Value::Null));
    assert_eq!(description["exports"]["ours"], json!(["crossrun_backend"]));
    assert_eq!(description["build"]["profile"], "release");
    let text = place.crossrun(&["backends", "inspect", file]).code(0).stdout();
    assert!(text.contains("backend C ABI 1.1") && text.contains("release: gcc"), "{text}");

    place.crossrun(&["backends", "lock"]).code(0);
    let locked = "run --json --no-lock --backend threaded --workload word_count --locked";
    let record = place.run(locked).verified();
    assert!(record["metadata"]["plugin"]["locked_by"].is_string(), "{record}");
    let mut bytes = std::fs::read(file).unwrap();
    bytes.push(0);
    std::fs::write(file, bytes).unwrap();
    place.run(locked).code(3).says("changed");
}

#[test]
fn it_runs_in_the_process_of_the_host_too() {
    let words = "--workload word_count --items 500 --parallelism 2 batch_size=7 --isolation none";
    agrees_with_native(&place(threaded()), "threaded", words);
}

/// A host that hears everything, and wants every run to end.
#[derive(Default)]
pub(crate) struct Impatient {
    progress: AtomicU64,
}

impl HostServices for Impatient {
    fn log(&self, _level: log::Level, _target: &str, _message: &str) {}
    fn progress(&self, Progress { total, .. }: Progress) {
        self.progress.fetch_max(total, Ordering::Relaxed);
    }
    fn cancelled(&self) -> bool {
        true
    }
    fn clock_nanos(&self) -> u64 {
        0
    }
}

/// A library that is loaded into this process.
pub(crate) fn file(path: &Path) -> LibraryFile {
    LibraryFile {
        path: path.into(),
        sha256: crossrun::internals::plugin::sha256_of(path).unwrap(),
        sealed: false,
    }
}

#[test]
fn a_run_that_is_cancelled_stops_by_itself() {
    let workloads = load::workloads(&file(&plugin("standard_workloads"))).unwrap();
    // Takes a day and more.
    let spec = WorkloadSpec { total_items: 100_000_000, ..WorkloadSpec::new("scheduler_comparison") };
    for backend in [minimal(), threaded()] {
        let host = Arc::new(Impatient::default());
        let mut runner = load::runner(&file(backend), host.clone(), log::LevelFilter::Info).unwrap();
        let context =
            RunContext::new(workloads.open(&spec).unwrap(), host.clone(), "/d".into(), "/l".into(), None);
        runner.open(&Session::default()).unwrap();
        assert_eq!(runner.run(&spec, &context).unwrap_err().kind, ErrorKind::Cancelled);
        assert_eq!(host.progress.load(Ordering::Relaxed), spec.total_items);
    }
}

/// A host that wants a run to end when all of its items are made, but for the question that comes right after the last of them.
#[derive(Default)]
struct Belated {
    is_made: AtomicBool,
    asked: AtomicU64,
}

impl HostServices for Belated {
    fn log(&self, _level: log::Level, _target: &str, _message: &str) {}
    fn progress(&self, Progress { done, total, .. }: Progress) {
        self.is_made.store(done == total, Ordering::Relaxed);
    }
    fn cancelled(&self) -> bool {
        self.is_made.load(Ordering::Relaxed) && self.asked.fetch_add(1, Ordering::Relaxed) > 0
    }
    fn clock_nanos(&self) -> u64 {
        0
    }
}

#[test]
fn a_run_that_is_cancelled_while_a_reduction_emits_stops_by_itself() {
    let workloads = load::workloads(&file(&plugin("standard_workloads"))).unwrap();
    let spec = WorkloadSpec { total_items: 100, ..WorkloadSpec::new("word_count") };
    let host = Arc::new(Belated::default());
    let mut runner = load::runner(&file(watermark()), host.clone(), log::LevelFilter::Info).unwrap();
    let context = RunContext::new(workloads.open(&spec).unwrap(), host, "/d".into(), "/l".into(), None);
    runner.open(&Session::default()).unwrap();
    let error = runner.run(&spec, &context).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Cancelled, "cancelled by the host"));
}

#[test]
fn a_session_follows_one_that_was_ended() {
    let place = place(threaded());
    let long = "--workload scheduler_comparison --items 100000 --timeout 1s";
    let record = run(&place, "threaded", long).code(4).json();
    assert_eq!(record["metadata"]["error"]["kind"], "timed_out", "{record}");
    for _ in 0..2 {
        run(&place, "threaded", "--workload null --items 3").code(0);
    }
}

#[test]
fn a_backend_without_a_clock_of_its_own_claims_the_time_of_its_call() {
    let place = place(&compiled("tests/fixtures/c/odd_backend.c", "odd", &[]));
    let record = run(&place, "odd", "--workload null --items 10 behaviour=no_clock").code(0).json();
    let (claimed, measured) =
        (&record["metadata"]["reported_elapsed"], &record["metadata"]["worker_elapsed"]);
    assert!(claimed.as_f64() > Some(0.0) && claimed.as_f64() <= measured.as_f64(), "{record}");
}

#[test]
fn a_value_that_an_option_of_a_backend_cannot_have_is_refused_before_anything_runs() {
    let place = place(&compiled("tests/fixtures/c/odd_backend.c", "odd_ranged", &["-DDESCRIBE=ranged"]));
    run(&place, "odd", "--workload null batch=64 mode=slow").code(0);
    let outside =
        "--extra batch: 65 is not a whole number from 1 to 64, as odd needs it; try: --extra batch=8";
    run(&place, "odd", "--workload null batch=65").code(2).says(outside);
    run(&place, "odd", "--workload null mode=slowly")
        .code(2)
        .says("is not one of fast, slow, as odd needs it");
    let compare = "compare --workloads null --items 20 --blocks 2 --insist --extra batch=65 --run-id ranged";
    place.run(&format!("{compare} --backends native,odd")).code(2).says(outside);
    place.run("metg --backends odd --extra batch=65 --cores 1 --run-id ranged").code(2).says(outside);
    place.stage(&hostile("graph_workloads"));
    let varied = "--workload rotating_graph --extra width=2 --vary shift=0,5";
    place
        .run(&format!("metg --backends odd {varied} --cores 1 --run-id ranged"))
        .code(2)
        .says("--vary shift: 5 is not a whole number from 0 to 3, as odd needs it");
    assert!(!place.path().join("results/ranged").exists());
    // It is the option of a backend that does not take part.
    place.run(&format!("{compare} --backends native --dry-run")).code(0).says("extra.batch has no effect");
}

#[test]
fn every_failure_of_a_backend_in_c_is_a_row() {
    let place = place(&compiled("tests/fixtures/c/odd_backend.c", "odd", &[]));
    for (behaviour, words) in [
        ("segfault", "signal 11 (SIGSEGV)"),
        ("silence", "run did not answer"),
        ("status", "returned 12 and did not say why"),
        ("largest", "state"),
        ("huge", "more than 64 MiB"),
        ("rubbish", "not UTF-8"),
        ("forged", "a \"quoted\""),
        ("ask_oracle", "only the judge may ask"),
    ] {
        let ran = run(&place, "odd", &format!("--workload null behaviour={behaviour}")).code(4).says(words);
        assert!(!ran.stderr().contains('\u{1b}'), "{}", ran.explain());
        assert_eq!(ran.json()["success_rate"], 0.0);
    }
    let compare = "compare --backends native,odd --workloads null --items 20 --blocks 2 --insist";
    place.run(&format!("{compare} --extra behaviour=segfault --run-id crash")).code(4);
    let trials = place.records("crash", "trials.jsonl");
    let statuses = |backend: &str| {
        let own = trials.iter().filter(|trial| trial["record"]["backend"] == backend);
        own.map(|trial| trial["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(statuses("native").iter().all(|status| status == "verified"));
    assert!(!statuses("odd").is_empty() && statuses("odd").iter().all(|status| status == "failed"));
}

/// Several runs of one session, each of which is answered for during the next.
#[test]
fn a_late_answer_is_not_taken_for_the_current_run() {
    let place = place(&compiled("tests/fixtures/c/odd_backend.c", "odd", &[]));
    let compare = "compare --backends native,odd --workloads null --items 20 --blocks 2 --insist --no-lock";
    place.run(&format!("{compare} --extra behaviour=late --run-id late")).code(0);
    let trials = place.records("late", "trials.jsonl");
    let own: Vec<_> = trials.iter().filter(|trial| trial["record"]["backend"] == "odd").collect();
    assert!(own.len() >= 2 && own.iter().all(|trial| trial["status"] == "verified"), "{own:#?}");
}

/// A file as the macros of the fixture make it, and what is said of it.
struct Odd {
    what: &'static str,
    options: &'static [&'static str],
    reason: &'static str,
}

const fn odd(what: &'static str, options: &'static [&'static str], reason: &'static str) -> Odd {
    Odd { what, options, reason }
}

const ODD: &[Odd] = &[
    odd("a table without run by its size", &["-DSIZE=16"], "says that it has 16 bytes, but needs 64"),
    odd(
        "a table larger than its symbol",
        &["-DSIZE=4096"],
        "says that it has 4096 bytes, but its symbol has 80",
    ),
    odd(
        "a table that goes on behind the file",
        &[
            "-DHAND_MADE=__asm__(\".data\\n.globl crossrun_backend\\ncrossrun_backend: .long 0xfffffff0, 0x10000\\n.text\");",
        ],
        "which are not in the file",
    ),
    odd(
        "a table without bytes",
        &["-DHAND_MADE=CROSSRUN_EXPORT char crossrun_backend[80];"],
        "is not data in the file",
    ),
    odd("another major version", &["-DVERSION=0x20000"], "has version 2.0 of the ABI, but this host has 1.1"),
    odd("no version", &["-DVERSION=0"], "has version 0.0 of the ABI"),
    odd("no run", &["-DRUN=NULL"], "has no function `run`"),
    odd(
        "a function in place of the table",
        &["-DHAND_MADE=CROSSRUN_EXPORT void crossrun_backend(void) {}"],
        "of the ABI, but this host has 1.1",
    ),
    odd("C by its metadata, and nothing exported", &["-DNO_TABLE"], "does not export crossrun_backend"),
    odd(
        "C by its metadata, and Rust by its symbols",
        &["-DNO_TABLE", "-DRUST"],
        "does not export crossrun_backend",
    ),
    odd("Rust by its metadata, and C by its symbols", &["-DABI=\"\""], "does not export _1as_0lib"),
    odd("both", &["-DRUST"], "two backends in one file"),
    odd("both, and Rust by its metadata", &["-DRUST", "-DABI=\"abi=rust\\n\""], "two backends in one file"),
    odd("another language", &["-DABI=\"abi=fortran\\n\""], "ABI that this host does not know"),
    odd("two languages", &["-DABI=\"abi=c\\nabi=rust\\n\""], "a key comes twice"),
];

#[test]
fn a_malformed_function_table_is_rejected_before_any_code_runs() {
    for Odd { what, options, reason } in ODD {
        let place = Place::empty();
        let file = place.stage(&compiled("tests/fixtures/c/odd_backend.c", "odd_one", options));
        let trace = place.path().join("trace");
        let mut command = place.command(&["backends", "--json"]);
        command.env("CROSSRUN_TEST_TRACE", &trace);
        let rows = Ran::of(command).code(0).json();
        assert_eq!(rows[0]["status"], "rejected", "{what}: {rows}");
        assert!(rows[0]["reason"].as_str().unwrap().contains(reason), "{what}: {rows}");
        assert!(!trace.exists(), "{what} was opened");
        let inspect = ["backends", "inspect", "--json", file.to_str().unwrap()];
        assert!(
            place.crossrun(&inspect).code(3).json()["reason"].as_str().unwrap().contains(reason),
            "{what}"
        );
    }
}

#[test]
fn the_fence_page_has_the_table() {
    let page = std::fs::read_to_string(repository().join("docs/fence.md")).unwrap();
    let rows: String =
        ODD.iter().map(|Odd { what, reason, .. }| format!("| {what} | … {reason} … |\n")).collect();
    let table = format!("| a backend in C with | reason |\n|---|---|\n{rows}");
    assert!(page.contains(&table), "docs/fence.md should have:\n{table}");
}

#[test]
fn tables_of_other_minor_versions_run() {
    let larger = "-DHAND_MADE=struct { crossrun_backend_functions known; void *later; } const crossrun_backend = \
        {{.size = sizeof crossrun_backend, .abi_version = CROSSRUN_BACKEND_ABI_VERSION + 7, .run = well}, NULL};";
    let smaller = "-DHAND_MADE=struct { uint32_t size, version; void *before[6]; void *run; } const crossrun_backend = \
        {sizeof crossrun_backend, CROSSRUN_BACKEND_ABI_VERSION, {NULL}, (void *)well};";
    for (name, table) in [("larger", larger), ("smaller", smaller)] {
        let options = [table, "-Wno-pedantic", "-Wno-missing-field-initializers"];
        let place = place(&compiled("tests/fixtures/c/odd_backend.c", name, &options));
        agrees_with_native(&place, "odd", "--workload pipeline --items 100");
    }
}

/// A backend in C++ whose `run` is this function of the fixture.
fn throwing(run: &str) -> PathBuf {
    let folder = executable().ancestors().nth(2).unwrap().join("c_backends");
    std::fs::create_dir_all(&folder).unwrap();
    // As that of a backend in C.
    let made = tempfile::NamedTempFile::new_in(&folder).unwrap();
    let mut compiler = Command::new("c++");
    compiler.args(["-std=c++17", "-O2", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fPIC", "-shared"]);
    compiler
        .arg(format!("-I{}", repository().join("plugin-api/include").display()))
        .arg(format!("-DRUN={run}"));
    compiler.arg(repository().join("tests/fixtures/c/throwing_backend.cpp")).arg("-o").arg(made.path());
    assert!(compiler.status().unwrap().success());
    let library = folder.join(format!("libthrowing_{run}.so"));
    made.persist(&library).unwrap();
    library
}

#[test]
fn an_exception_of_cpp_is_reported_with_its_what() {
    for (function, kind, says) in [
        ("guarded", "engine", "no broker answers"),
        ("number", "engine", "it threw what is not a std::exception"),
        // The C++ runtime prints it when it ends the process.
        ("declared", "crashed", "no broker answers"),
        ("plain", "crashed", "declare the function noexcept"),
    ] {
        let place = Place::new();
        place.stage_as(&throwing(function), "libthrowing_runner.so");
        let record = run(&place, "throwing", "--workload null").code(4).says(says).json();
        assert_eq!(record["metadata"]["error"]["kind"], kind, "{function}: {record}");
    }
}

#[test]
fn a_workload_that_is_closed_too_often_is_counted_and_breaks_nothing() {
    let place = Place::new();
    place.stage(&compiled("tests/fixtures/c/closing_backend.c", "closing", &[]));
    let says = "the backend closed a workload 2 times more than it had shared or opened it";
    let record = run(&place, "minimal", "--workload null").code(4).says(says).json();
    assert_eq!(record["metadata"]["error"]["kind"], "engine", "{record}");
}
