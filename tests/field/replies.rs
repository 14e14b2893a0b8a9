//! Answers are taken only from the process that was asked.

use crate::support::{Place, warnings};

#[test]
fn a_child_that_returns_from_a_run_does_not_answer_for_the_worker() {
    let place = Place::with_misbehaving();
    for namespaces in ["on", "off"] {
        let mut command = place.misbehaving_command("fork_and_return", "run", &["--no-lock"]);
        command.env("CROSSRUN_NAMESPACES", namespaces);
        let record = crate::support::Ran::of(command).code(0).json();
        // The worker slept for two seconds.
        assert!(record["duration_seconds"].as_f64().unwrap() >= 2.0, "{record}");
    }
}

#[test]
fn what_a_child_writes_to_the_channel_is_ignored_and_told() {
    let place = Place::with_misbehaving();
    let record = place.misbehave("fork_and_write", "run", &["--no-lock"]).code(0).json();
    assert!(record["duration_seconds"].as_f64().unwrap() >= 2.0, "{record}");
    let told = warnings(&record);
    assert!(told.iter().any(|warning| warning.contains("wrote to the worker's channel")), "{told:?}");
}

#[test]
fn a_backend_that_says_that_a_file_was_replaced_fails_and_ends_no_comparison() {
    let place = Place::with_misbehaving();
    let compare =
        "compare --no-lock --backends misbehaving --workloads null --items 5 --quick --run-id forged";
    place.run(&format!("{compare} --extra behaviour=forge_replacement")).code(4);
    let trials = place.records("forged", "trials.jsonl");
    for trial in &trials {
        let error = &trial["record"]["metadata"]["error"];
        assert_eq!(error["message"], "other.so was replaced; its file is as it was", "{trial}");
    }
    assert!(!trials.is_empty());
}
