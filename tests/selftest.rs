//! The selftest tries every cheat, catches each as its table says, and reports no difference where there is none.

use serde_json::Value;

use crate::support::{Place, Ran, plugin};

/// Every cheat that must be caught: how it ends, and words of the reason.
const CAUGHT: [(&str, &[&str], &str); 34] = [
    ("none", &["believed"], ""),
    ("drop", &["wrong answer"], "items reached the sink, but 50 must"),
    ("duplicate", &["wrong answer"], "the checksum is"),
    ("flip_bit", &["wrong answer"], "the checksum is"),
    ("cached", &["wrong answer"], "the checksum is"),
    ("cached_on_disk", &["wrong answer"], "the checksum is"),
    ("guess_seed", &["gained nothing"], "knew nothing of the data"),
    ("memoise", &["invalid measurement"], SHORT),
    ("remember_on_disk", &["invalid measurement"], SHORT),
    ("answer_before_run", &["invalid measurement"], SHORT),
    ("answer_before_run_and_burn", &["invalid measurement"], "while they prepared the run"),
    ("skip_kernel", &["wrong answer"], "the checksum is"),
    ("skip_iterations", &["wrong answer"], "the checksum is"),
    ("closed_form", &["invalid measurement"], SHORT),
    ("closed_form_and_wait", &["invalid measurement"], "of CPU time, but the work takes"),
    ("idle_sweep", &["invalid measurement"], "of CPU time, but the work takes"),
    // On a busy machine it waits for a core, or has too little of one.
    ("graph_ahead", &["invalid measurement", "gained nothing"], SHORT),
    ("ask_oracle", &["refused"], "only the judge may ask"),
    ("ask_copy", &["invalid measurement"], SHORT),
    ("poison_judge", &["gained nothing"], "an honest run on the same data was verified"),
    ("alter_records", &["altered records"], "trials.jsonl was altered"),
    ("stop_clock_early", &["warning"], "the worker's time counts"),
    ("stall", &["warning"], "the worker's time counts"),
    ("claim_more_time", &["invalid measurement"], "but the worker measured"),
    ("slow_clock", &["invalid measurement"], "the worker's clock shows"),
    ("claim_more_results", &["invalid measurement"], "claims 51 items, its sink has 50"),
    ("other_name", &["invalid measurement"], "another"),
    ("more_parallelism", &["invalid measurement"], "more of them were at work at once"),
    // On a busy machine no core is free for the other threads, or only for a part of the run.
    ("more_threads", &["invalid measurement", "gained nothing", "warning"], "the run "),
    ("raise_priority", &["gained nothing"], "did not let it"),
    ("early_loop", &["invalid measurement"], "the last item is due after"),
    ("late_start", &["refused"], "other than the start_nanos of the run"),
    ("times_in_closed_loop", &["refused"], "other times than its plan"),
    ("work_after_run", &["warning"], "between runs, when it had nothing to do"),
];

const SHORT: &str = "by the serial reference";

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn every_cheating_backend_is_caught_and_the_honest_one_is_verified() {
    let place = Place::empty();
    place.stage(&plugin("standard_workloads"));
    let ran = place.crossrun(&["selftest", "--quick", "--no-lock", "--json"]);
    let outcome = ran.json();
    crate::released::selftest(&outcome);
    let liars = outcome["liars"].as_array().unwrap();
    assert_eq!(liars.len(), CAUGHT.len());
    for (liar, (lie, ends, words)) in liars.iter().zip(CAUGHT) {
        let (how, reason) = (liar["how"].as_str().unwrap(), liar["reason"].as_str().unwrap());
        assert_eq!((&liar["lie"], &liar["caught"]), (&lie.into(), &true.into()), "{liar}");
        assert!(ends.contains(&how) && reason.contains(words), "{liar}");
    }
    // What is not caught is what is documented; if it is caught one day, the documents have to follow.
    let limits = outcome["limits"].as_array().unwrap();
    let tried: Vec<_> = limits.iter().filter(|limit| !limit["how"].is_null()).collect();
    assert!(tried.len() == 1 && tried[0]["how"] == "believed", "{limits:?}");
    assert_eq!((&outcome["beside"]["cells"], &outcome["beside"]["blocks"]), (&10.into(), &7.into()));
    assert!(outcome["floor_seconds"].as_f64().unwrap() > 0.0);
    assert_conclusion(&ran, &outcome);
    // Nothing is left of what the cheats wrote.
    let logs = std::fs::read_dir(place.data().join("logs")).unwrap().flatten();
    let written = logs.flat_map(|logs| std::fs::read_dir(logs.path()).unwrap().flatten());
    assert!(written.into_iter().all(|entry| entry.path().is_file()), "{}", ran.explain());
}

/// A busy machine may make one backend look like two; the exit code says what the outcome says.
fn assert_conclusion(ran: &Ran, outcome: &Value) {
    let aa = &outcome["beside"];
    let [largest, false_verdicts, rejected] =
        ["largest_difference", "false_verdicts", "rejected"].map(|key| aa[key].as_f64().unwrap());
    let expected = match () {
        () if rejected > 0.0 || false_verdicts > 2.0 => "failed",
        () if largest > 1.05 => "too_noisy",
        () => "passed",
    };
    assert_eq!(outcome["conclusion"], expected, "{}", ran.explain());
    assert_eq!(outcome["passed"], expected == "passed");
    assert_eq!(ran.output.status.code(), Some(if expected == "passed" { 0 } else { 6 }), "{}", ran.explain());
}

#[test]
fn without_workloads_the_selftest_cannot_run() {
    Place::empty().crossrun(&["selftest"]).code(3).says("pipeline");
}
