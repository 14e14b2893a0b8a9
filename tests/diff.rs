//! What got slower between two recorded runs: found if it is there, and not found if it is not.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::Place;

/// A comparison of seven blocks, and a place to keep what is made of it.
fn recorded() -> (Place, PathBuf) {
    let place = Place::new();
    let compare = [
        "compare",
        "--backends",
        "native",
        "--workloads",
        "null,pipeline",
        "--items",
        "200",
        "--run-id",
        "old",
    ];
    place.crossrun(&[compare.as_slice(), &["--extra", "batch_size=10", "--no-lock"]].concat()).code(0);
    let old = place.path().join("results/old/trials.jsonl");
    (place, old)
}

/// The records of `old`, each changed, in another folder. Their times are set, so that no noise decides.
fn changed(place: &Place, old: &Path, name: &str, change: impl Fn(&mut Value, f64)) -> String {
    let text = std::fs::read_to_string(old).unwrap();
    let lines = text.lines().enumerate().map(|(number, line)| {
        let mut trial: Value = serde_json::from_str(line).unwrap();
        // Spread over 3 %, in an order that the other run does not have.
        change(&mut trial, 1.0 + (number * 7 % 11) as f64 * 0.003);
        trial.to_string() + "\n"
    });
    let folder = place.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("trials.jsonl"), lines.collect::<String>()).unwrap();
    folder.to_str().unwrap().to_owned()
}

fn takes(trial: &mut Value, seconds: f64) {
    trial["record"]["duration_seconds"] = seconds.into();
}

#[test]
fn a_planted_regression_is_found_and_none_where_there_is_none() {
    let (place, old) = recorded();
    let before = changed(&place, &old, "before", takes);
    let same = changed(&place, &old, "same", |trial, spread| takes(trial, 2.03 - spread));
    let slower = changed(&place, &old, "slower", |trial, spread| {
        let factor = if trial["record"]["workload"] == "pipeline" { 1.1 } else { 1.0 };
        takes(trial, spread * factor);
    });
    let unchanged = place.crossrun(&["diff", &before, &same, "--json"]).code(0).json();
    let calls = |history: &Value| -> Vec<(String, String)> {
        let of = |change: &Value, key: &str| change[key].as_str().unwrap().to_owned();
        history["changes"].as_array().unwrap().iter().map(|it| (of(it, "point"), of(it, "call"))).collect()
    };
    assert!(calls(&unchanged).iter().all(|(_, call)| call == "unchanged"), "{unchanged}");
    let found = place.crossrun(&["diff", &before, &slower, "--json"]).code(7).json();
    for (point, call) in calls(&found) {
        assert_eq!(call, if point.contains("pipeline") { "regression" } else { "unchanged" }, "{found}");
    }
    let text = place.crossrun(&["diff", &before, &slower]).code(7).stdout();
    assert!(text.contains("1.10×") && text.contains("1 regression beyond 5.0 %"), "{text}");
    place.crossrun(&["diff", &slower, &before]).code(0);
    place.crossrun(&["diff", &before, &slower, "--threshold", "20%"]).code(0);
    place.crossrun(&["diff", &before, &slower, "--threshold", "much"]).code(2).says("such as 5%");
}

#[test]
fn what_failed_is_a_regression_however_fast_it_was() {
    let (place, old) = recorded();
    let before = changed(&place, &old, "before", takes);
    let broken = changed(&place, &old, "broken", |trial, spread| {
        takes(trial, spread / 2.0);
        if trial["record"]["metadata"]["block"] == 3 && trial["record"]["workload"] == "null" {
            trial["status"] = "failed".into();
            trial["record"]["success_rate"] = 0.0.into();
        }
    });
    let found = place.crossrun(&["diff", &before, &broken, "--json"]).code(7).json();
    let calls: Vec<_> = found["changes"].as_array().unwrap().iter().map(|it| it["call"].clone()).collect();
    assert!(calls.contains(&"now_fails".into()) && calls.contains(&"improvement".into()), "{found}");
}

#[test]
fn runs_of_different_machines_are_refused() {
    let (place, old) = recorded();
    let elsewhere = changed(&place, &old, "elsewhere", |trial, _| {
        trial["record"]["metadata"]["system_profile"]["hostname"] = "elsewhere".into();
    });
    let here = old.to_str().unwrap();
    place.crossrun(&["diff", here, &elsewhere]).code(6).says("different machines").says("hostname");
    place.crossrun(&["diff", here, "nowhere.jsonl"]).code(2).says("nowhere.jsonl");
}
