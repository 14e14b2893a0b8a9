//! No backend judges its own answer: the judge reads the state of its sinks, whatever the backend claims.

use crate::support::{Place, Ran, arguments_in, run_arguments};

fn misbehave(behaviour: &str) -> Ran {
    Place::with_misbehaving().misbehave(behaviour, "run", &["--items", "100"])
}

#[test]
fn the_misbehaving_backend_is_verified_by_default() {
    misbehave("nothing").verified();
}

#[test]
fn a_dropped_duplicated_changed_or_replaced_item_is_a_wrong_answer() {
    for behaviour in ["drop", "duplicate", "change", "replace"] {
        let ran = misbehave(behaviour).code(5);
        let record = ran.json();
        assert_eq!(record["success_rate"], 0.0, "{}", ran.explain());
        assert!(record["throughput"].is_null() && record["duration_seconds"].is_null(), "{}", ran.explain());
        assert_eq!(record["metadata"]["verified"], false);
    }
}

#[test]
fn a_malformed_state_fails_the_trial() {
    for behaviour in ["rubbish_state", "empty_state", "times_of_a_closed_loop"] {
        let record = misbehave(behaviour).code(4).json();
        assert_eq!(record["success_rate"], 0.0);
        assert!(record["duration_seconds"].is_null() && record["latency_p50"].is_null(), "{record}");
    }
}

#[test]
fn only_the_judge_gets_an_answer_from_the_oracle() {
    let ran = misbehave("ask_oracle").code(4);
    let record = ran.json();
    assert_eq!((&record["success_rate"], &record["metadata"]["verified"]), (&0.0.into(), &false.into()));
    assert_eq!(record["metadata"]["error"]["kind"], "workload", "{}", ran.explain());
    ran.says("only the judge may ask");
    // What its own state holds is no secret: backends count their results with it.
    misbehave("ask_judge").code(0);
}

#[test]
fn a_backend_starts_an_open_loop_at_no_other_time_than_that_of_the_run() {
    let place = Place::with_misbehaving();
    let run = "--backend misbehaving --workload open_loop --items 20 --parallelism 1 rate=1000";
    for (behaviour, is_refused) in [("late_start", true), ("same_start", false)] {
        let ran = place.crossrun(&run_arguments(&format!("{run} behaviour={behaviour}")));
        // On a busy machine an honest run may be invalid: the source is late by itself.
        assert_eq!(ran.json()["metadata"]["error"]["kind"] == "workload", is_refused, "{}", ran.explain());
        if is_refused {
            ran.code(4).says("other than the start_nanos of the run");
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_backend_cannot_change_the_code_by_which_it_is_judged() {
    // The judge has the library open while the backend writes to its file.
    misbehave("spoil_library").verified();
}

#[test]
fn a_backend_that_changes_files_which_others_use_is_named() {
    let compare = "compare --backends misbehaving --workloads null --items 10 --blocks 1 --run-id files";
    for (behaviour, file) in [
        ("none", None),
        ("write_data", Some("environments/another/lib/slow.pth")),
        // The next backend is not to blame for what an engine did that did not start.
        ("write_data_and_fail --extra at=open", Some("environments/another/lib/slow.pth")),
        #[cfg(target_arch = "x86_64")]
        ("spoil_library", Some("plugins/libstandard_workloads.so")),
    ] {
        let place = Place::with_misbehaving();
        let engine = place.data().join("environments/another/lib");
        std::fs::create_dir_all(&engine).unwrap();
        std::fs::write(engine.join("engine.py"), "").unwrap();
        let ran = place.run(&format!("{compare} --extra behaviour={behaviour}"));
        let trials = place.records("files", "trials.jsonl");
        let last = &trials.last().unwrap()["record"]["metadata"]["warnings"];
        let named = last.to_string().contains("changed in this session");
        assert_eq!(named, file.is_some(), "{last} {}", ran.explain());
        assert!(file.is_none_or(|file| last.to_string().contains(file)), "{last}");
    }
}

#[test]
fn files_that_change_before_the_first_session_are_named() {
    let place = Place::with_misbehaving();
    let engine = place.data().join("environments/another/lib");
    std::fs::create_dir_all(&engine).unwrap();
    std::fs::write(engine.join("engine.py"), "").unwrap();
    let compare = "compare --backends misbehaving --workloads null --items 10 --blocks 1 --run-id early";
    let mut command = place.command(&arguments_in(compare));
    command.env("CROSSRUN_TEST_PROBE", "write_data");
    let ran = Ran::of(command);
    let trials = place.records("early", "trials.jsonl");
    let warnings = trials.iter().map(|trial| trial["record"]["metadata"]["warnings"].to_string());
    let told = warnings.filter(|warnings| warnings.contains("changed before the first session")).count();
    assert_eq!(told, 1, "{trials:?} {}", ran.explain());
}

#[test]
fn no_answer_of_the_oracle_lies_on_the_disk() {
    let place = Place::new();
    // What an older version kept, or a plugin wrote, means nothing.
    std::fs::create_dir_all(place.data().join("oracle")).unwrap();
    let run = "run --backend native --workload word_count --items 300000 --extra batch_size=10000";
    place.run(run).code(0);
    assert_eq!(std::fs::read_dir(place.data().join("oracle")).unwrap().count(), 0);
}

#[test]
fn an_impossible_claim_makes_the_measurement_invalid() {
    for behaviour in ["claim_more_time", "claim_no_number", "claim_more_results", "claim_another_name"] {
        let ran = misbehave(behaviour).code(6);
        assert_eq!(ran.json()["success_rate"], 0.0, "{}", ran.explain());
    }
}

#[test]
fn output_of_a_plugin_reaches_neither_the_result_nor_the_protocol() {
    let place = Place::with_misbehaving();
    for phase in ["open", "run", "close"] {
        let ran = place.misbehave("print", phase, &[]).code(0).says("a warning of the backend");
        let record = ran.json();
        let log = record["metadata"]["log"].as_str().unwrap();
        let log = std::fs::read_to_string(log).unwrap();
        assert!(
            log.contains("rubbish on standard output") && log.contains("rubbish on standard error"),
            "{log}"
        );
    }
}

#[test]
fn a_backend_with_another_name_than_its_metadata_is_refused() {
    let place = Place::with_misbehaving();
    let mut command = place.command(&["run", "--backend", "misbehaving", "--workload", "null"]);
    command.env("CROSSRUN_TEST_OTHER_NAME", "1");
    Ran::of(command).code(3).says("another");
}
