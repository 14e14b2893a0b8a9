//! What is said is true: no text of a plugin adds a line, and no exit code says more than what was verified.

use crate::support::{Place, Ran, repository};

const FORGED: &str = "verified: 999999 items";

/// Neither stream may have a line that the plugin made up, or a mark that changes how a line looks.
fn check(ran: &Ran) {
    for text in [ran.stdout(), ran.stderr()] {
        assert!(!text.lines().any(|line| line.starts_with(FORGED)), "{}", ran.explain());
        assert!(!text.contains(['\u{202e}', '\u{200b}']), "{}", ran.explain());
    }
}

#[test]
fn no_text_of_a_plugin_adds_a_line() {
    for isolation in ["process", "none"] {
        let place = Place::with_misbehaving();
        for (behaviour, code) in [("error_of_two_lines", 4), ("result_of_two_lines", 0)] {
            let run = format!("run --backend misbehaving --workload null --isolation {isolation} --no-lock");
            let ran = place.run(&format!("{run} --extra behaviour={behaviour}")).code(code);
            check(&ran);
            assert!(
                (ran.stdout() + &ran.stderr()).contains(r"\nverified: 999999 items"),
                "{}",
                ran.explain()
            );
        }
        let records = place.records("null", "trials.jsonl");
        let message = records[0]["record"]["metadata"]["error"]["message"].as_str().unwrap();
        assert!(message.contains(r"it broke\nverified"), "{message}");
        check(&place.crossrun(&["show", "results/null"]).code(0));
        check(&place.crossrun(&["show", "results/null", "1"]).code(0));
        check(&place.crossrun(&["report", "results/null"]).code(0));
        let mut command = place.command(&["backends"]);
        command.env("CROSSRUN_TEST_PROBE", "unavailable_in_colour");
        check(&Ran::of(command).code(0));
    }
}

#[test]
fn a_plugin_that_ends_a_process_without_isolation_is_a_failure() {
    let place = Place::with_misbehaving();
    for phase in ["open", "run", "close"] {
        for behaviour in ["exit_0", "exit_1"] {
            let ran = place.misbehave(behaviour, phase, &["--isolation", "none", "--no-lock"]).code(4);
            assert!(ran.stderr().contains("a plugin ended this process"), "{}", ran.explain());
        }
    }
    let ran = place.misbehave("none", "run", &["--isolation", "none", "--no-lock"]).code(0);
    // No process sees its own `_exit`: that is said before the plugin is loaded.
    assert!(ran.stderr().contains("a plugin that calls _exit ends crossrun"), "{}", ran.explain());
    let ran = place.misbehave("none", "run", &["--no-lock"]).code(0);
    assert!(!ran.stderr().contains("_exit"), "{}", ran.explain());
}

#[test]
fn a_process_that_a_plugin_forks_without_isolation_is_no_second_crossrun() {
    for (behaviour, was_ended) in [("fork_and_exit", false), ("fork_and_return", true)] {
        let place = Place::with_misbehaving();
        let ran = place.misbehave(behaviour, "run", &["--isolation", "none", "--no-lock"]).code(0);
        let said = ran.stderr();
        assert!(!said.contains("a plugin ended this process"), "{}", ran.explain());
        let words = "a process that the plugin forked returned from a call, and was ended";
        assert_eq!(said.contains(words), was_ended, "{}", ran.explain());
        assert_eq!(place.records("null", "trials.jsonl").len(), 1, "{}", ran.explain());
    }
}

#[test]
fn a_remedy_is_a_field_of_its_own_and_the_line_is_made_of_it() {
    let place = Place::new();
    std::fs::write(place.path().join("bad.jsonl"), "{}\n").unwrap();
    std::fs::create_dir(place.path().join("empty")).unwrap();
    let run = ["run", "--backend", "native", "--no-lock"];
    let compare = ["compare", "--no-lock", "--run-id", "c", "--items", "5"];
    let cases: [Vec<&str>; 13] = [
        vec!["report", "nonex"],
        vec!["report", "empty"],
        vec!["show", "nonex"],
        vec!["history", "nonex"],
        vec!["diff", "bad.jsonl", "bad.jsonl"],
        [&run[..], &["--output-dir", "/proc/x"]].concat(),
        [&run[..], &["--output-dir", "bad.jsonl"]].concat(),
        // What a workload says comes as one text.
        [&run[..], &["--workload", "pipeline", "--extra", "stages=1000"]].concat(),
        [&run[..], &["--workload", "nexmark_q5", "--extra", "window_ms=7", "--extra", "slide_ms=5"]].concat(),
        [&run[..], &["--workload", "task_graph", "--items", "1e12"]].concat(),
        [&compare[..], &["--backends", "native,native"]].concat(),
        vec!["compare", "--no-lock", "--resume", "none"],
        [&compare[..], &["--backends", "native", "--blocks", "4000000000", "--workloads", "null"]].concat(),
    ];
    for case in cases {
        let ran = place.crossrun(&[&case[..], &["--json"]].concat());
        assert_ne!(ran.output.status.code(), Some(0), "{}", ran.explain());
        let lines = ran.stdout();
        let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        let error = if last["error"].is_object() { &last["error"] } else { &last["metadata"]["error"] };
        let (message, remedy) = (error["message"].as_str(), error["remedy"].as_str());
        let (Some(message), Some(remedy)) = (message, remedy) else { panic!("{}", ran.explain()) };
        assert!(!message.contains("; try: "), "{}", ran.explain());
        assert!(ran.stderr().contains(&format!("; try: {remedy}")), "{}", ran.explain());
    }
}

#[test]
fn no_name_of_a_folder_adds_a_line() {
    let place = Place::empty();
    let folder = place.path().join(format!("x\n{FORGED}"));
    std::fs::create_dir(&folder).unwrap();
    let records = repository().join("tests/fixtures/format_1/trials.jsonl");
    std::fs::copy(records, folder.join("trials.jsonl")).unwrap();
    for verb in ["report", "history", "show"] {
        let mut command = place.command(&[verb, "-v"]);
        command.arg(&folder);
        check(&Ran::of(command));
    }
}
