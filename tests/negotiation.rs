//! A workload that needs what a backend does not support is not run on it, and the result says which word is missing.

use crossrun::internals::worker::load;
use plugin_api::{WorkloadError, WorkloadSpec};
use serde_json::{Value, json};

use crate::c_backend::{self, compiled, run};
use crate::support::{Place, repository};

/// The native backend, which supports no words, a backend in C that supports one, and a library whose workload needs that one.
fn place() -> Place {
    let examples = format!("-I{}", repository().join("plugin-api/examples/c").display());
    let kit = repository().join("plugin-api/kit/crossrun_workload_kit.c");
    let place = Place::new();
    place.stage(&compiled("tests/fixtures/c/supporting_backend.c", "supporting", &[&examples]));
    let with_kit = [kit.to_str().unwrap(), &examples];
    place.stage(&compiled("tests/fixtures/c/needing_workload.c", "needing_workload", &with_kit));
    place
}

#[test]
fn run_says_which_word_is_missing_and_ends_with_4() {
    let place = place();
    let ran = run(&place, "native", "--workload needing --items 100").code(4);
    let record = ran.says("unsupported: needs example").json();
    let error = &record["metadata"]["error"];
    assert_eq!((&error["kind"], &error["phase"]), (&json!("unsupported"), &json!("negotiation")), "{record}");
    assert_eq!(record["metadata"]["phases"]["open_seconds"], Value::Null, "an engine was started: {record}");
    run(&place, "minimal", "--workload needing --items 100").verified();
}

#[test]
fn compare_leaves_such_rows_out_of_the_exit_code_unless_a_backend_has_no_other() {
    let place = place();
    let compare = |workloads: &str| {
        let which = ["compare", "--backends", "native,minimal", "--workloads", workloads];
        place.crossrun(&[&which[..], &["--items", "100", "--quick", "--no-lock", "--insist"]].concat())
    };
    compare("even_multiples,needing").code(0).says("unsupported: needs example");
    compare("needing").code(4).says("unsupported: needs example");
}

#[test]
fn listings_show_what_is_needed_and_what_is_supported() {
    let place = place();
    let told = |command: &[&str], line: &str| {
        let told = place.crossrun(command).code(0).stdout();
        assert!(told.lines().any(|told| told == line), "{told}");
    };
    told(&["workloads", "needing"], "needs a backend that supports: example");
    let entry = place.crossrun(&["workloads", "needing", "--json"]).code(0).json();
    assert_eq!(entry["needs"], json!(["example"]));
    let entry = place.crossrun(&["workloads", "even_multiples", "--json"]).code(0).json();
    assert_eq!(entry.get("needs"), None, "{entry}");
    let rows = place.crossrun(&["backends", "--json"]).code(0).json();
    let supports = |name: &str| {
        let row = rows.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
        row.get("supports").cloned()
    };
    assert_eq!(
        (supports("minimal"), supports("native")),
        (Some(json!(["another", "example"])), Some(json!(["graph", "watermarks"])))
    );
    told(&["backends"], "minimal supports another, example");
}

#[test]
fn a_library_refuses_a_spec_without_the_word() {
    let place = place();
    let file = place.plugins().join("libneeding_workload_runner.so");
    let library = load::workloads(&c_backend::file(&file)).unwrap();
    let open = |granted: &[&str]| {
        let granted = granted.iter().map(|word| (*word).to_owned()).collect();
        library.open(&WorkloadSpec { granted, ..WorkloadSpec::new("needing") })
    };
    for granted in [&[][..], &["examples"], &["exampl", ""]] {
        let Err(WorkloadError::Call { status, message }) = open(granted) else { panic!("{granted:?}") };
        assert_eq!(status, plugin_api::workload::capi::status::SPEC);
        assert!(message.contains("needs example"), "{message}");
    }
    assert!(open(&["another", "example"]).is_ok());
}
