//! What earlier runs showed of this machine is kept, and a machine that is slow from the start is found by it.

use serde_json::Value;

use crate::support::{Place, Ran};

fn lines(place: &Place) -> Vec<Value> {
    let text = std::fs::read_to_string(place.data().join("history.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn plant(place: &Place, lines: &[Value]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(place.data().join("history.jsonl"), text).unwrap();
}

fn compared(place: &Place, run: &str) -> Ran {
    let compare = "compare --backends native --aa --workloads null --items 10 --blocks 6";
    place.run(&format!("{compare} --run-id {run}")).code(0)
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["kind"].as_str().unwrap()).collect()
}

/// A place whose only comparison, `first`, has kept the noise of the machine. On a busy one it may keep none: if one name of the backend
/// waits longer for a core than the other in most blocks, it is in doubt.
fn with_noise() -> Place {
    let has_noise = |place: &Place| {
        compared(place, "first");
        kinds(&lines(place)).contains(&"aa")
    };
    (0..5).map(|_| Place::new()).find(has_noise).expect("no comparison has kept the noise of the machine")
}

/// The warnings of the trials of a run that are about the speed in earlier runs.
fn notes(place: &Place, run: &str) -> usize {
    let text = std::fs::read_to_string(place.path().join("results").join(run).join("trials.jsonl")).unwrap();
    text.matches("slower than at its best in the last 30 days").count()
}

#[test]
fn the_speed_and_the_noise_of_a_machine_are_kept_and_forgotten() {
    let place = with_noise();
    let mut kept = lines(&place);
    assert_eq!(kinds(&kept), ["machine_check", "aa"]);
    let (speed, aa) = (&kept[0], &kept[1]);
    assert!(
        speed["nanos_per_iteration"].as_f64().unwrap() > 0.0 && speed["checks"].as_u64().unwrap() >= 12,
        "{speed}"
    );
    assert_eq!((&aa["run_id"], &aa["blocks"]), (&"first".into(), &6.into()), "{aa}");
    assert!(aa["pairs"][0]["point"].as_str().unwrap().starts_with("null/"), "{aa}");
    let (low, high) = (aa["pairs"][0]["low"].as_f64().unwrap(), aa["pairs"][0]["high"].as_f64().unwrap());
    assert_eq!(aa["factor"].as_f64().unwrap(), high.max(1.0 / low), "{aa}");
    assert_eq!(notes(&place, "first"), 0);
    // What was reported again is not another comparison.
    place.crossrun(&["compare", "--resume", "first"]).code(0);
    assert_eq!(lines(&place).len(), 3);
    assert_eq!(lines(&place)[2]["started"], aa["started"]);

    // As if the machine had been a thousand times as fast before: it is slow from the start of the next run.
    kept[0]["nanos_per_iteration"] = (speed["nanos_per_iteration"].as_f64().unwrap() / 1000.0).into();
    plant(&place, &kept);
    let slow = compared(&place, "slow");
    slow.says("is postponed: the processor is").says("slower than at its best in the last 30 days");
    assert!(notes(&place, "slow") >= 1);
    // The text has a few notes only, and a busy machine has others.
    let report = place.crossrun(&["report", "results/slow", "--json"]).code(0).stdout();
    assert!(report.contains("crossrun doctor --reset"), "{report}");

    kept[0]["machine"]["hostname"] = "elsewhere".into();
    let mut both = lines(&place);
    both.push(kept[0].clone());
    plant(&place, &both);
    let said = place.crossrun(&["doctor", "--reset"]).code(0).stdout();
    assert_eq!(said, format!("forgot {} lines of this machine's history\n", both.len() - 1));
    assert_eq!(lines(&place), kept[..1]);
    assert_eq!(place.crossrun(&["doctor", "--reset", "--json"]).code(0).json()["forgotten"], 0);
    compared(&place, "again");
    assert_eq!(notes(&place, "again"), 0);
}

#[test]
fn every_session_but_the_first_comes_after_a_pause_that_is_recorded() {
    let place = Place::new();
    compared(&place, "pauses");
    let trials = place.records("pauses", "trials.jsonl");
    let measured = trials.iter().filter(|trial| trial["kind"] == "measured");
    let pauses: Vec<_> =
        measured.map(|trial| &trial["record"]["metadata"]["phases"]["pause_seconds"]).collect();
    assert!(pauses.len() == 12 && pauses[0].is_null(), "{pauses:?}");
    assert!(
        pauses[1..].iter().all(|pause| pause.as_f64().is_some_and(|seconds| seconds > 0.0)),
        "{pauses:?}"
    );
}

#[test]
fn a_damaged_or_unwritable_history_costs_a_warning_and_no_measurement() {
    let place = Place::new();
    std::fs::create_dir(place.data()).unwrap();
    std::fs::write(place.data().join("history.jsonl"), "no line\n{\"kind\":1}\n").unwrap();
    compared(&place, "damaged").says("history.jsonl: 2 lines cannot be read and do not count: 1, 2");
    // What it replaced is gone. The noise is not kept by a comparison that is in doubt.
    let kept = lines(&place);
    assert!(kinds(&kept) == ["machine_check", "aa"] || kinds(&kept) == ["machine_check"], "{kept:?}");
    std::fs::remove_file(place.data().join("history.jsonl")).unwrap();
    std::fs::create_dir(place.data().join("history.jsonl")).unwrap();
    compared(&place, "unwritable").says("the history of this machine: cannot");
}
