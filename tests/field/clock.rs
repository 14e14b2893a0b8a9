//! Clocks that are wrong: before 1970, after the year 9999, and as far away as a number of seconds can be.

use std::fs;

use serde_json::{Value, json};

use super::wrappers::{COMPARE, other_clock};
use crate::support::{Place, Ran, not_run};

/// A comparison with machine checks enough for the history, of which one is kept.
fn compare(output_dir: &str) -> Vec<&str> {
    [&COMPARE[..], &["--aa", "--output-dir", output_dir]].concat()
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn a_clock_that_is_wrong_stops_no_verb_and_destroys_nothing() {
    let Some(clock) = other_clock() else { return not_run("there is no C compiler") };
    let place = Place::new();
    place.crossrun(&compare("results/before")).code(0);
    let history = fs::read_to_string(place.data().join("history.jsonl")).unwrap();
    // Old, but not by a clock that can be believed.
    let old_log = place.data().join("logs/old");
    fs::create_dir_all(&old_log).unwrap();
    for name in [".crossrun-logs", "worker.log"] {
        fs::write(old_log.join(name), "text").unwrap();
    }
    assert!(!history.is_empty());
    let max = i64::MAX.to_string();
    for (number, seconds) in
        [max.as_str(), &format!("-{max}"), "-1", "0", "253402300800"].into_iter().enumerate()
    {
        let run = format!("r{number}");
        let at = |arguments: &[&str]| {
            let mut command = place.command(arguments);
            command.env("LD_PRELOAD", &clock).env("CLOCK_SECONDS", seconds);
            Ran::of(command)
        };
        let ran = at(&compare(&format!("results/{run}"))).code(0);
        assert!(!ran.stderr().contains("panicked"), "{seconds}: {}", ran.explain());
        let ran = ran.says("the clock of this machine says");
        for verb in [&["report", "results"][..], &["history", "results"], &["show", &run], &["doctor"]] {
            let shown = at(verb).code(0);
            assert!(!shown.stderr().contains("panicked"), "{seconds}: {}", shown.explain());
        }
        assert_eq!(
            fs::read_to_string(place.data().join("history.jsonl")).unwrap(),
            history,
            "{}",
            ran.explain()
        );
    }
    assert!(old_log.join("worker.log").exists());
}

/// `value` with each number in it replaced, but for the version of the format.
fn with_numbers(value: &Value, number: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(key, member)| match key.as_str() {
                "format_version" => (key.clone(), member.clone()),
                _ => (key.clone(), with_numbers(member, number)),
            })
            .collect(),
        Value::Array(items) => items.iter().map(|item| with_numbers(item, number)).collect(),
        Value::Number(_) => number.clone(),
        other => other.clone(),
    }
}

#[test]
fn absurd_times_and_numbers_of_another_machine_are_shown_or_told() {
    let place = Place::new();
    place.crossrun(&compare("results/c")).code(0);
    let trials = place.records("c", "trials.jsonl");
    fs::create_dir_all(place.path().join("other")).unwrap();
    let numbers = [json!(1e308), json!(-1), json!(u64::MAX), json!(0), json!("NaN"), Value::Null];
    for (number, everywhere) in numbers.iter().flat_map(|number| [(number, true), (number, false)]) {
        let changed = |trial: &Value| {
            let mut trial = if everywhere { with_numbers(trial, number) } else { trial.clone() };
            trial["record"]["duration_seconds"] = number.clone();
            trial["record"]["timestamp"] =
                if number.is_string() { number.clone() } else { "-9999-12-31".into() };
            format!("{trial}\n")
        };
        let lines: String = trials.iter().map(changed).collect();
        fs::write(place.path().join("other/trials.jsonl"), lines).unwrap();
        for verb in [
            &["report", "other"][..],
            &["history", "other"],
            &["show", "other"],
            &["diff", "results/c", "other"],
        ] {
            let ran = place.crossrun(verb);
            let code = ran.output.status.code();
            assert!(!ran.stderr().contains("panicked"), "{number}: {}", ran.explain());
            assert!([Some(0), Some(2), Some(6), Some(7)].contains(&code), "{number}: {}", ran.explain());
            let printed = ran.stdout().replace(place.path().to_str().unwrap(), "");
            let mut words = printed.split(|c: char| !c.is_alphanumeric());
            assert!(!words.any(|word| ["inf", "NaN"].contains(&word)), "{number}: {}", ran.explain());
        }
    }
}
