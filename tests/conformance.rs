//! `crossrun backends check`: our own backends keep the contract, and what breaks it is told.

mod deviations;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crossrun::internals::check::CHECKS;
use serde_json::{Value, json};

use crate::installed_engine::Installed;
use crate::support::{Place, Ran, hostile, plugin, repository};

/// A debug build of a test is not a release build.
const NOT_RELEASED: [&str; 2] = ["--exclude", "file.release"];

fn check(place: &Place, file: &str, more: &[&str]) -> Command {
    let mut command = place.command(&["backends", "check", file]);
    command.args(more);
    command
}

/// What came of each check.
fn outcomes(ran: &Ran) -> Vec<(String, String)> {
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let report = ran.json();
    let findings = report["checks"].as_array().unwrap();
    findings.iter().map(|finding| (text(finding, "id"), text(finding, "outcome"))).collect()
}

/// Passes everything that is for its kind.
fn conforms(name: &str) {
    file_conforms(&plugin(name));
}

pub(crate) fn file_conforms(file: &Path) {
    let place = Place::new();
    let file = place.stage(file);
    let ran = Ran::of(check(&place, file.to_str().unwrap(), &[&NOT_RELEASED[..], &["--json"]].concat()));
    let ran = ran.code(0);
    assert_eq!(ran.json()["conformant"], true, "{}", ran.explain());
    let not_passed: Vec<_> = outcomes(&ran).into_iter().filter(|(_, outcome)| outcome != "passed").collect();
    assert_eq!(not_passed, [], "{}", ran.explain());
}

#[test]
fn native_conforms() {
    conforms("native_runner");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn python_conforms() {
    conforms("python_runner");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn timely_conforms() {
    conforms("timely_runner");
}

#[test]
fn a_backend_in_c_conforms() {
    file_conforms(crate::c_backend::threaded());
}

#[test]
fn the_standard_workloads_conform() {
    conforms("standard_workloads");
}

/// What an engine that has to be installed is checked for in the usual tests; all of it takes minutes.
const OF_INSTALLED: [&str; 9] = [
    "session",
    "load",
    "probe",
    "run.workloads",
    "run.keyed",
    "run.cancel",
    "spec.unknown_option",
    "spec.batch_size",
    "fault.panic",
];
/// The same without sessions of its own for each check: Ray and Spark take long to start.
const SLOW_TO_START: &[&str] = OF_INSTALLED.split_at(1).1;

fn installed_conforms(name: &'static str, include: &[&str]) {
    let engine = Installed::new(name);
    let file = engine.place.plugins().join(format!("lib{name}_runner.so"));
    let mut command = engine.command(&["backends", "check", file.to_str().unwrap(), "--json"]);
    command.args(NOT_RELEASED).args(include.iter().flat_map(|pattern| ["--include", pattern]));
    let ran = Ran::of(command).code(0);
    assert_eq!(ran.json()["conformant"], true, "{}", ran.explain());
    engine.left_nothing(&ran);
}

#[test]
fn sage_conforms() {
    installed_conforms("sage", &OF_INSTALLED);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs Ray: CROSSRUN_TEST_ENGINES=all")]
fn ray_conforms() {
    installed_conforms("ray", SLOW_TO_START);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs Dask: CROSSRUN_TEST_ENGINES=all")]
fn dask_conforms() {
    installed_conforms("dask", &OF_INSTALLED);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs Spark: CROSSRUN_TEST_ENGINES=all")]
fn spark_conforms() {
    installed_conforms("spark", SLOW_TO_START);
}

#[test]
#[ignore = "starts each engine thirty times"]
fn installed_engines_conform_in_everything() {
    for name in ["sage", "ray", "dask", "spark"] {
        installed_conforms(name, &[]);
    }
}

fn runner(place: &Place) -> PathBuf {
    place.stage(&hostile("deviant_runner"))
}

fn workloads(place: &Place) -> PathBuf {
    place.stage(&hostile("deviant_workloads"))
}

fn in_c(place: &Place, name: &str, source: &str) -> PathBuf {
    let path = place.plugins().join(name);
    crate::fence::library_in_c(source, &path);
    path
}

/// What a check of the deviating backend prints as JSON.
fn deviating(deviation: &str, more: &[&str], code: i32) -> Ran {
    deviating_as(deviation, &[more, &["--json"]].concat(), code)
}

/// What a check of the deviating backend prints.
fn deviating_as(deviation: &str, more: &[&str], code: i32) -> Ran {
    let place = Place::new();
    let file = runner(&place);
    let mut command = check(&place, file.to_str().unwrap(), more);
    command.env("CROSSRUN_TEST_DEVIATION", deviation);
    Ran::of(command).code(code)
}

/// The one check `id` passes with this note.
fn passes_with(deviation: &str, id: &str, note: &str) {
    let ran = deviating(deviation, &["--include", id], 0);
    assert_eq!(outcomes(&ran), [(id.to_owned(), "passed".to_owned())], "{}", ran.explain());
    assert_eq!(ran.json()["checks"][0]["note"], note, "{}", ran.explain());
}

#[test]
fn a_scheduler_may_be_refused_as_unsupported() {
    passes_with("scheduler_is_unsupported", "spec.unknown_scheduler", "there is no such scheduler");
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn threads_of_a_runtime_which_never_end_may_stay() {
    for runtime in ["runtime_thread", "growing_runtime"] {
        let note = "1 thread left after close, and no more by further sessions";
        passes_with(runtime, "session.threads", note);
    }
}

#[test]
fn files_in_another_folder_for_temporary_ones_are_not_the_backends() {
    let ran = deviating("other_temporary_folder", &["--include", "session.files"], 0);
    let passed = [("session.files".to_owned(), "passed".to_owned())];
    assert_eq!(outcomes(&ran), passed, "{}", ran.explain());
}

#[test]
fn what_depends_on_a_check_that_failed_is_not_run() {
    let ran = deviating("drops", &["--exclude", "file", "--exclude", "load", "--exclude", "probe"], 4);
    let (failed, others): (Vec<_>, Vec<_>) =
        outcomes(&ran).into_iter().partition(|(_, outcome)| outcome == "failed");
    assert_eq!(failed, [("run.workloads".to_owned(), "failed".to_owned())], "{}", ran.explain());
    assert!(others.iter().all(|(_, outcome)| outcome == "not_run"), "{}", ran.explain());
    let report = ran.json();
    let last = report["checks"].as_array().unwrap().last().unwrap();
    assert_eq!(last["why"], "it depends on run.workloads, which was not passed");
    // There is no remedy of its own.
    let document = parsed(&deviating_as("drops", &["--include", "run", "--junit"], 4));
    let cases = document["children"][0]["children"].as_array().unwrap();
    let text = |case: &Value| case["children"][0]["text"].as_str().unwrap().to_owned();
    assert!(cases.len() > 2 && cases[1..].iter().all(|case| !text(case).contains("try:")), "{document}");
    assert_eq!(last["remedy"], Value::Null, "{report}");
}

#[test]
fn what_makes_the_answers_of_a_library_wrong_fails_one_check() {
    for (deviation, failed, not_run) in [
        ("oracle", "library.oracle", ["library.closing", "library.backends"].as_slice()),
        ("early", "library.closing", ["library.backends"].as_slice()),
    ] {
        let place = Place::new();
        let file = workloads(&place);
        let mut command = check(&place, file.to_str().unwrap(), &["--include", "library", "--json"]);
        command.env("CROSSRUN_TEST_DEVIATION", deviation);
        let ran = Ran::of(command).code(4);
        let with = |outcome: &str| {
            let found = outcomes(&ran).into_iter().filter(|(_, other)| other == outcome);
            found.map(|(id, _)| id).collect::<Vec<_>>()
        };
        assert_eq!(with("failed"), [failed], "{deviation}: {}", ran.explain());
        assert_eq!(with("not_run"), not_run, "{deviation}: {}", ran.explain());
    }
}

#[test]
fn a_backend_that_does_not_say_whether_it_can_start_is_not_the_librarys_fault() {
    let place = Place::new();
    place.stage(&hostile("misbehaving_runner"));
    let file = workloads(&place);
    let mut command = check(&place, file.to_str().unwrap(), &["--include", "library.backends", "--json"]);
    command.env("CROSSRUN_TEST_PROBE", "abort");
    let ran = Ran::of(command).code(0);
    assert_eq!(ran.json()["checks"][0]["note"], "on native", "{}", ran.explain());
}

#[test]
fn a_backend_that_never_answers_is_waited_for_twice_and_no_longer() {
    let ids = ["run.sizes", "run.batches", "run.fusion", "run.data"];
    let include: Vec<_> = ids.iter().flat_map(|id| ["--include", id]).collect();
    let ran = deviating("deadlock", &[&include[..], &["--timeout", "1s"]].concat(), 4);
    let report = ran.json();
    let said = |at: usize| report["checks"][at]["why"].as_str().unwrap();
    for at in [0, 1] {
        assert!(said(at).contains("no answer to run within 1 s"), "{}", ran.explain());
        assert_eq!(report["checks"][at]["outcome"], "failed", "{}", ran.explain());
    }
    for at in [2, 3] {
        assert_eq!(said(at), "calls had no answer in time in run.sizes and run.batches");
        assert_eq!(report["checks"][at]["outcome"], "not_run", "{}", ran.explain());
    }
}

#[test]
fn a_workload_whose_oracle_is_wrong_is_not_the_backends_fault() {
    let place = Place::new();
    let (file, library) = (runner(&place), workloads(&place));
    let mut command = check(&place, file.to_str().unwrap(), &["--include", "run.workloads", "--json"]);
    command.env("CROSSRUN_TEST_DEVIATION", "oracle");
    let note = Ran::of(command).code(0).json()["checks"][0]["note"].as_str().unwrap().to_owned();
    let expected = "skipped: deviant: a serial run without a backend contradicts its oracle too; try: crossrun backends check ";
    assert!(
        note.contains(expected) && note.ends_with(library.file_name().unwrap().to_str().unwrap()),
        "{note}"
    );
    let mut command = place.command(&["run", "--backend", "native", "--workload", "deviant", "--no-lock"]);
    command.env("CROSSRUN_TEST_DEVIATION", "oracle");
    Ran::of(command).code(5).says("suspect the workload or its oracle").says("try: crossrun backends check ");
}

/// With too many items for a serial run.
#[test]
fn backends_that_agree_on_a_wrong_answer_suspect_what_they_share() {
    let place = Place::new();
    place.stage(crate::c_backend::threaded());
    workloads(&place);
    let line = "compare --backends native,threaded --workloads deviant --items 1000001 --extra batch_size=10000 --blocks 1 \
                --run-id agree --insist";
    let mut command = place.command(&crate::support::arguments_in(line));
    command.env("CROSSRUN_TEST_DEVIATION", "oracle");
    let ran = Ran::of(command).code(5);
    let trials = place.records("agree", "trials.jsonl");
    let said = |words: &str| {
        let message = |trial: &Value| trial["record"]["metadata"]["error"]["message"].to_string();
        trials.iter().any(|trial| message(trial).contains(words))
    };
    let other = "gives the same: suspect what they share, or the workload and its oracle";
    let agreed = ["native", "threaded"].into_iter().any(|name| said(&format!("; {name} {other}")));
    assert!(agreed && !said("a serial run"), "{}", ran.explain());
    // Nothing shows that the library is at fault, and a check of it has few items.
    assert!(!trials.iter().any(|trial| trial.to_string().contains("backends check")), "{}", ran.explain());
}

/// A backend in C that was built without optimisation.
#[test]
fn a_remedy_is_in_the_terms_of_the_authors_language() {
    let place = Place::new();
    let file = place.stage(&crate::c_backend::compiled(
        "plugin-api/examples/c/minimal_backend.c",
        "minimal_debug",
        &["-O0"],
    ));
    let remedy = |file: &Path| {
        let ran = Ran::of(check(&place, file.to_str().unwrap(), &["--include", "file.release", "--json"]));
        ran.code(4).json()["checks"][0]["remedy"].as_str().unwrap().to_owned()
    };
    assert_eq!(remedy(&file), "compile with -O2 and -DNDEBUG, without a sanitizer");
    assert_eq!(remedy(&runner(&place)), "cargo build --release");
    // A driver in Python is in a library that was built with Rust.
    let report = deviating("passes_over_nodes", &["--include", "session.nodes"], 4).json();
    let remedy = report["checks"][0]["remedy"].as_str().unwrap();
    let (of_rust, of_python) = remedy.split_once("; in Python: ").unwrap();
    assert!(of_rust.contains("demand_one_node") && of_python.contains("demand_nodes(1)"), "{remedy}");
    assert!(!remedy.contains("in C: "), "{remedy}");
}

#[test]
fn a_function_that_a_library_lacks_is_named_with_where_it_is_declared() {
    let place = Place::new();
    let source = "unsigned crossrun_workload_abi_version(void) { return 0x10001; }\n";
    let file = in_c(&place, "liblacking.so", source);
    let ran = Ran::of(check(&place, file.to_str().unwrap(), &["--include", "load.opens", "--json"])).code(4);
    let finding = &ran.json()["checks"][0];
    let said = |key: &str, words: &str| finding[key].as_str().is_some_and(|said| said.contains(words));
    assert!(said("why", "does not export crossrun_workload_catalogue"), "{finding}");
    assert!(said("remedy", "define it as crossrun_workloads.h has it"), "{finding}");
}

#[test]
fn an_engine_that_is_not_set_up_does_not_pass_as_conformant() {
    let place = Place::new();
    let file = runner(&place);
    let run = |more: &[&str]| {
        let mut command = check(&place, file.to_str().unwrap(), &[&NOT_RELEASED[..], more].concat());
        command.env("CROSSRUN_TEST_DEVIATION", "not_set_up");
        Ran::of(command).code(3)
    };
    let ran = run(&[]);
    let text = ran.stdout();
    assert!(text.contains("NOT CONFORMANT: ") && text.contains(" not run\n"), "{}", ran.explain());
    assert!(text.contains("deviant is not set up; try: crossrun setup deviant"), "{}", ran.explain());
    let json = run(&["--json"]).json();
    assert_eq!((&json["conformant"], &json["summary"]["failed"]), (&json!(false), &json!(0)));
    let attributes = &parsed(&run(&["--junit"]))["attributes"];
    assert_eq!(attributes["failures"], "0");
    assert_ne!(attributes["errors"], "0");
}

#[test]
fn the_report_says_what_failed_with_the_rule_and_what_to_do() {
    let place = Place::new();
    let file = runner(&place);
    let chosen = ["--include", "file", "--include", "load.n*", "--include", "spec.fusion"];
    let mut command = check(&place, file.to_str().unwrap(), &chosen);
    command.env("CROSSRUN_TEST_DEVIATION", "takes_any_fusion");
    let ran = Ran::of(command).code(4);
    let text = ran.stdout().replace(place.path().canonicalize().unwrap().to_str().unwrap(), "PLACE");
    insta::assert_snapshot!("check_text", text);
}

#[test]
fn the_report_as_json_has_everything() {
    let place = Place::new();
    let file = runner(&place);
    let ran = Ran::of(check(&place, file.to_str().unwrap(), &["--include", "file", "--json"])).code(4);
    let mut json = ran.json();
    json["file"] = "PLACE/libdeviant_runner.so".into();
    json["sha256"] = "SHA256".into();
    for finding in json["checks"].as_array_mut().unwrap() {
        assert!(finding["seconds"].as_f64().unwrap() >= 0.0);
        finding["seconds"] = 0.into();
    }
    insta::assert_snapshot!("check_json", serde_json::to_string_pretty(&json).unwrap());
}

/// The document as another program reads it: each element as an object.
fn parsed(ran: &Ran) -> Value {
    let script = "import json, sys, xml.etree.ElementTree as tree\n\
        def of(e): return {'tag': e.tag, 'attributes': e.attrib, 'text': e.text, 'children': [of(c) for c in e]}\n\
        print(json.dumps(of(tree.fromstring(sys.stdin.buffer.read()))))";
    let mut python = Command::new("python3");
    python.args(["-c", script]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut python = python.spawn().unwrap();
    std::io::Write::write_all(&mut python.stdin.take().unwrap(), &ran.output.stdout).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "no XML: {}", ran.explain());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn junit_is_xml_whatever_a_plugin_says() {
    let place = Place::with_misbehaving();
    let file = place.plugins().join("libmisbehaving_runner.so");
    let mut command =
        check(&place, file.to_str().unwrap(), &["--include", "probe", "--include", "file", "--junit"]);
    command.env("CROSSRUN_TEST_PROBE", "unavailable_in_colour");
    let document = parsed(&Ran::of(command).code(4));
    assert_eq!(document["attributes"]["tests"], "4");
    assert_eq!(document["attributes"]["failures"], "1");
    let suite = &document["children"][0];
    assert_eq!(suite["attributes"]["name"], "misbehaving");
    let case = |name: &str| {
        let cases = suite["children"].as_array().unwrap();
        cases.iter().find(|case| case["attributes"]["name"] == name).unwrap().clone()
    };
    let failure = &case("file.release")["children"][0];
    assert_eq!(failure["tag"], "failure");
    assert_eq!(failure["attributes"]["type"], "plugin-api/ABI.md#metadata");
    assert!(failure["text"].as_str().unwrap().contains("try: cargo build --release"), "{failure}");
    assert_eq!(case("probe.answers")["children"], json!([]));
}

#[test]
fn a_plugin_that_cannot_be_checked_has_its_own_exit_code() {
    let place = Place::new();
    let file = place.plugins().join("libnative_runner.so");
    let file = file.to_str().unwrap();
    Ran::of(check(&place, "nowhere.so", &[])).code(3).says("nowhere.so: cannot be read");
    Ran::of(check(&place, "nowhere.so", &["--include", "run"])).code(3).says("nowhere.so: cannot be read");
    Ran::of(check(&place, file, &["--include", "file.nothing"]))
        .code(2)
        .says("no check matches \"file.nothing\"")
        .says("backends check --list");
    for none in [&["--include", "file", "--exclude", "file.*"][..], &["--include", "library"]] {
        let told = Ran::of(check(&place, file, none)).code(2);
        told.says("none of the selected checks is for this file; try: crossrun backends check --list\n");
    }
    Ran::of(check(&place, file, &["--junit", "--json"])).code(2);
    let mut command = place.command(&["backends", "check"]);
    command.arg("--include=file");
    Ran::of(command).code(2);
}

#[test]
fn the_list_has_every_check() {
    let listed = Place::empty().crossrun(&["backends", "check", "--list"]).code(0).stdout();
    for check in CHECKS.iter() {
        assert!(listed.contains(check.id), "{listed}");
    }
}

/// A heading as a link leads to it.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-")).collect()
}

#[test]
fn the_document_has_a_row_for_each_check_and_each_rule_exists() {
    let read = |path: &str| std::fs::read_to_string(repository().join(path)).unwrap();
    let page = read("docs/conformance.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows: Vec<_> = rows.map(|(id, row)| (id, row.split(" | ").next().unwrap())).collect();
    assert_eq!(rows, CHECKS.iter().map(|check| (check.id, check.of())).collect::<Vec<_>>());
    let anchors = anchors(&read("plugin-api/ABI.md"));
    for check in CHECKS.iter() {
        let anchor = check.rule.strip_prefix("plugin-api/ABI.md#").unwrap();
        assert!(anchors.contains(anchor), "{}: ABI.md has no {anchor}", check.id);
    }
}
