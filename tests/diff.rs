//! `crossrun diff` finds what got slower between two recorded runs, and reports no difference where there is none.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::released::planted::{End, folder, trial};
use crate::support::Place;

/// A comparison of seven blocks, and a place to keep what is made of it.
fn recorded() -> (Place, PathBuf) {
    let place = Place::new();
    let compare = "compare --backends native --workloads null,pipeline --items 200 --run-id old --no-lock";
    place.run(&format!("{compare} --extra batch_size=10")).code(0);
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

/// As [`changed`], with what becomes of the runs of `null`, by block: `v`erified, `f`ailed, `w`rong, or `-` for a record
/// that is not there.
fn outcomes(place: &Place, old: &Path, name: &str, of_null: &str) -> String {
    let folder = changed(place, old, name, |trial, spread| {
        takes(trial, spread);
        if trial["record"]["workload"] != "null" {
            return;
        }
        let kind = match outcome(trial, of_null) {
            b'f' => "crashed",
            b'w' => "wrong_answer",
            _ => return,
        };
        let record = &mut trial["record"];
        record["success_rate"] = 0.0.into();
        record["duration_seconds"] = Value::Null;
        record["metadata"]["error"] = json!({"phase": "run", "kind": kind, "message": "planted"});
    });
    let file = Path::new(&folder).join("trials.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let stays = |line: &&str| {
        let trial: Value = serde_json::from_str(line).unwrap();
        trial["record"]["workload"] != "null" || outcome(&trial, of_null) != b'-'
    };
    std::fs::write(&file, text.lines().filter(stays).map(|line| format!("{line}\n")).collect::<String>())
        .unwrap();
    folder
}

fn outcome(trial: &Value, of_null: &str) -> u8 {
    of_null.as_bytes()[trial["record"]["metadata"]["block"].as_u64().unwrap() as usize]
}

fn takes(trial: &mut Value, seconds: f64) {
    trial["record"]["duration_seconds"] = seconds.into();
    trial["record"]["metadata"]["worker_elapsed"] = seconds.into();
}

#[test]
fn a_planted_regression_is_found_and_no_other() {
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
    plant_aa(&place, &old, &[1.01, 1.02, 1.03, 1.04, 1.01]);
    let found = place.crossrun(&["diff", &before, &slower, "--json"]).code(7).json();
    for (point, call) in calls(&found) {
        assert_eq!(call, if point.contains("pipeline") { "regression" } else { "unchanged" }, "{found}");
    }
    assert_eq!(found["aa"], json!({"comparisons": 5, "factor": 1.04}), "{found}");
    let text = place.crossrun(&["diff", &before, &slower]).code(7).stdout();
    assert!(
        text.contains("1.10×") && text.contains("1 regression: slower by more than 5.0 %, wrong"),
        "{text}"
    );
    assert!(!text.contains("hint"), "{text}");
    place.crossrun(&["diff", &slower, &before]).code(0);
    place.crossrun(&["diff", &before, &slower, "--threshold", "20%"]).code(0);
    place.crossrun(&["diff", &before, &slower, "--threshold", "much"]).code(2).says("such as 5%");
}

/// A/A comparisons on the machine of the records, which differed by these factors.
fn plant_aa(place: &Place, old: &Path, factors: &[f64]) {
    let text = std::fs::read_to_string(old).unwrap();
    let trial: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let (machine, time) = (&trial["record"]["metadata"]["system_profile"], &trial["record"]["timestamp"]);
    let line = |(number, factor): (usize, &f64)| {
        let aa = json!({
            "format_version": 1, "kind": "aa", "time": time, "machine": machine, "run_id": "planted",
            "started": number.to_string(), "blocks": 7, "factor": factor,
            "pairs": [{"point": "pipeline/items=1000", "low": 1.0, "high": factor}],
        });
        format!("{aa}\n")
    };
    let lines: String = factors.iter().enumerate().map(line).collect();
    std::fs::write(place.data().join("history.jsonl"), lines).unwrap();
}

#[test]
fn a_slowdown_within_the_noise_of_the_machine_or_on_an_unknown_machine_is_a_hint() {
    let (place, old) = recorded();
    let before = changed(&place, &old, "before", takes);
    let slower = changed(&place, &old, "slower", |trial, spread| takes(trial, spread * 1.1));
    let broken = changed(&place, &old, "broken", |trial, spread| {
        takes(trial, spread * 1.1);
        trial["record"]["success_rate"] =
            if trial["record"]["workload"] == "null" { 0.0 } else { 1.0 }.into();
    });
    let proof = "for proof: crossrun compare --backends old=OLD.so,new=NEW.so --baseline old";
    for (factors, why) in [
        (
            &[][..],
            "the noise of this machine is known after 5 A/A comparisons (compare --aa, selftest), and it has 0",
        ),
        (&[1.0, 1.01, 1.01, 1.01], "5 A/A comparisons (compare --aa, selftest), and it has 4"),
        (&[1.0, 1.01, 1.01, 1.01, 1.2], "A/A comparisons on this machine differed by up to 20.0 %"),
    ] {
        plant_aa(&place, &old, factors);
        let ran = place.crossrun(&["diff", &before, &slower]).code(0).says(why).says(proof);
        let ran = ran.says("2 cells are slower by more than 5.0 %");
        assert!(ran.stdout().contains("regression (hint)"), "{}", ran.explain());
        let found = place.crossrun(&["diff", &before, &slower, "--json"]).code(0).json();
        for change in found["changes"].as_array().unwrap() {
            assert_eq!((&change["call"], &change["fails"]), (&"regression".into(), &false.into()), "{found}");
        }
        // What now fails counts on any machine.
        place.crossrun(&["diff", &before, &broken]).code(7).says("1 cell is slower");
    }
    // A difference of which one decimal would make nothing.
    plant_aa(&place, &old, &[1.0, 1.0001, 1.0001, 1.0001, 1.0003]);
    let even = |name: &str, factor: f64| {
        changed(&place, &old, name, |trial, _| {
            let block = trial["record"]["metadata"]["block"].as_f64().unwrap();
            takes(trial, factor * (1.0 + block * 1e-6));
        })
    };
    let (one, other) = (even("one", 1.0), even("other", 1.0002));
    let ran = place.crossrun(&["diff", &one, &other, "--threshold", "0.01%"]).code(0);
    ran.says("A/A comparisons on this machine differed by up to 0.0300 %");
    plant_aa(&place, &old, &[1.0, 1.01, 1.01, 1.01, 1.02]);
    let found = place.crossrun(&["diff", &before, &slower, "--json"]).code(7).json();
    assert!(found["changes"].as_array().unwrap().iter().all(|change| change["fails"] == true), "{found}");
}

#[test]
fn a_ratio_that_is_not_that_of_the_medians_is_told_beside_the_threshold_as_it_was_given() {
    let place = Place::empty();
    // In most pairs of an old and a new run both take as long, and most of the new ones take thrice as long.
    for (name, long) in [("old", 3), ("new", 4)] {
        let took = |block: u32| End::Verified(if block < long { 3.0 } else { 1.0 });
        let trials: Vec<_> = (0..7).map(|block| trial("native", "pipeline", block, took(block))).collect();
        folder(&place, name, &trials);
    }
    let told = place.run("diff old new --threshold 0.05%").stdout();
    let note = "1 of them differs from the quotient of the medians by more than 0.05 % (most: native at pipe";
    assert!(told.contains(note) && told.contains(", 200.0 %)\n"), "{told}");
    assert!(told.contains("regressions: slower by more than 0.05 %"), "{told}");
    let told = place.run("diff old new --threshold 300%").stdout();
    assert!(
        !told.contains("quotient") && told.contains("0 regressions: slower by more than 300.0 %"),
        "{told}"
    );
}

#[test]
fn a_ratio_beyond_all_numbers_is_printed_as_one_of_them() {
    let place = Place::empty();
    for (name, seconds) in [("old", 1e-200), ("new", 1e200)] {
        let trials: Vec<_> =
            (0..7).map(|block| trial("native", "pipeline", block, End::Verified(seconds))).collect();
        folder(&place, name, &trials);
    }
    for runs in ["diff old new", "diff new old"] {
        let text = place.run(runs).code(0).stdout();
        assert!(text.contains("×") && !text.contains("inf×") && !text.contains(" 0.00×"), "{text}");
    }
    let history = place.run("diff old new --json").code(0).json();
    assert!(history["changes"][0]["ratio"].is_f64(), "{history}");
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
fn more_failures_wrong_answers_and_missing_results_are_regressions() {
    let (place, old) = recorded();
    let cases = [
        // All of it fails, more of it, or for the first time.
        ("vvvvvvf", "fffffff", "now_fails", 7),
        ("vvvvvvf", "vvvffff", "now_fails", 7),
        ("vvvvvvv", "vvvvvvf", "now_fails", 7),
        ("vffffff", "fffffff", "now_fails", 7),
        // Nothing of it was run, or less.
        ("vvvvvvv", "vvvv---", "unchanged", 0),
        ("vvvvfff", "vvvv---", "unchanged", 0),
        // As many as before, and fewer.
        ("vvvvvvf", "fvvvvvv", "unchanged", 0),
        ("vvvffff", "vvvvvvf", "unchanged", 0),
        ("fffffff", "vvvvvvf", "now_works", 0),
        ("fffffff", "fffffff", "fails_in_both", 0),
        // Another kind of failure is no regression, but a wrong answer is worse than a failure.
        ("vvvvvvf", "vvvvvvw", "now_wrong", 7),
        ("fffffff", "vvvvvvw", "now_wrong", 7),
        ("fffffff", "wwwwwww", "now_wrong", 7),
        ("vvvvvww", "vvvvvvw", "unchanged", 0),
        ("vvvvvvw", "vvvvvvf", "unchanged", 0),
    ];
    for (number, (before, after, call, code)) in cases.into_iter().enumerate() {
        let [before, after] = [("before", before), ("after", after)]
            .map(|(name, of_null)| outcomes(&place, &old, &format!("{name}-{number}"), of_null));
        let history = place.crossrun(&["diff", &before, &after, "--json"]).code(code).json();
        let changes = history["changes"].as_array().unwrap();
        let null = changes.iter().find(|it| it["point"].as_str().unwrap().contains("null")).unwrap();
        assert_eq!(null["call"], call, "{:?}: {history}", cases[number]);
        let pipeline = changes.iter().find(|it| it["point"].as_str().unwrap().contains("pipeline")).unwrap();
        assert_eq!(pipeline["call"], "unchanged", "{history}");
    }
    let text = place.crossrun(&["diff", "before-0", "after-0"]).code(7).stdout();
    assert!(text.contains("now fails: 7 of 7, before 1 of 7") && text.contains("1 regression"), "{text}");
    let text = place.crossrun(&["diff", "before-10", "after-10"]).code(7).stdout();
    assert!(text.contains("now wrong: 1 of 7, before 0 of 7"), "{text}");
}

#[test]
fn a_backend_missing_at_a_point_is_a_regression_and_a_point_that_nobody_ran_is_not() {
    let (place, old) = recorded();
    let beside = |name: &str, works: bool| {
        let folder = changed(&place, &old, name, takes);
        let file = Path::new(&folder).join("trials.jsonl");
        let text = std::fs::read_to_string(&file).unwrap();
        let other = text.lines().map(|line| {
            let mut trial: Value = serde_json::from_str(line).unwrap();
            trial["record"]["backend"] = "other".into();
            if !works {
                trial["record"]["success_rate"] = 0.0.into();
            }
            trial.to_string() + "\n"
        });
        std::fs::write(&file, text.clone() + &other.collect::<String>()).unwrap();
        folder
    };
    let (both, failing) = (beside("both", true), beside("failing", false));
    let alone = changed(&place, &old, "alone", takes);
    let gone = place.crossrun(&["diff", &both, &alone, "--json"]).code(7).json();
    let of_other: Vec<_> =
        gone["changes"].as_array().unwrap().iter().filter(|it| it["backend"] == "other").collect();
    assert_eq!(of_other.len(), 2, "{gone}");
    assert!(of_other.iter().all(|it| it["call"] == "missing" && it["new"]["trials"] == 0), "{gone}");
    assert!(of_other.iter().all(|it| it["other_plugin"] == false), "{gone}");
    assert_eq!(gone["only_old"].as_array().unwrap().len(), 2, "{gone}");
    let text = place.crossrun(&["diff", &both, &alone]).code(7).stdout();
    assert!(text.contains("missing") && text.contains("2 regressions"), "{text}");
    // A result that was never verified is not missing, and a new one is no regression.
    place.crossrun(&["diff", &failing, &alone]).code(0);
    place.crossrun(&["diff", &alone, &both]).code(0);
    // The new run was of less.
    let narrower = outcomes(&place, &old, "narrower", "-------");
    let text = place.crossrun(&["diff", &alone, &narrower]).code(0).stdout();
    assert!(text.contains("only in the old run: native at"), "{text}");
}

#[test]
fn runs_of_different_machines_are_refused() {
    let (place, old) = recorded();
    let elsewhere = changed(&place, &old, "elsewhere", |trial, _| {
        trial["record"]["metadata"]["system_profile"]["hostname"] = "elsewhere".into();
    });
    let here = old.to_str().unwrap();
    let ran = place.crossrun(&["diff", here, &elsewhere]).code(6).says("different machines");
    // A new container of the same machine has another name.
    ran.says("they differ in hostname")
        .says("or run again under the host name")
        .says("docker run --hostname");
    let other = changed(&place, &old, "other", |trial, _| {
        let profile = &mut trial["record"]["metadata"]["system_profile"];
        profile["hostname"] = "elsewhere".into();
        profile["arch"] = "another".into();
    });
    let ran = place.crossrun(&["diff", here, &other]).code(6);
    assert!(ran.stderr().ends_with("; try: run both on the same machine\n"), "{}", ran.explain());
    let undescribed = changed(&place, &old, "undescribed", |trial, _| {
        trial["record"]["metadata"]["system_profile"] = Value::Null;
    });
    let told =
        "some records do not describe their machine, so that it may be another one; try: crossrun report";
    for [one, other] in [[here, undescribed.as_str()], [undescribed.as_str(), here]] {
        place.crossrun(&["diff", one, other]).code(6).says(&format!("{told} {one} {other}\n"));
    }
    place.crossrun(&["report", here, &undescribed]).code(0);
    place.crossrun(&["diff", here, "nowhere.jsonl"]).code(2).says("nowhere.jsonl");
}

#[test]
fn a_run_on_fewer_cores_is_another_cell_and_no_regression() {
    let (place, old) = recorded();
    let before = changed(&place, &old, "before", takes);
    let fewer = changed(&place, &old, "fewer", |trial, spread| {
        takes(trial, 2.0 * spread);
        trial["record"]["metadata"]["cores"] = json!([0]);
    });
    place.crossrun(&["diff", &before, &fewer]).code(6).says("no cell in common");
    let again = changed(&place, &old, "again", |trial, spread| {
        takes(trial, 2.0 * spread);
        trial["record"]["metadata"]["cores"] = json!([1]);
    });
    let unchanged = place.crossrun(&["diff", &fewer, &again]).code(0).stdout();
    assert!(unchanged.contains("(1 core)") && unchanged.contains("unchanged"), "{unchanged}");
}

#[test]
fn points_of_sweeps_are_left_out_as_each_sweep_chooses_its_own() {
    let (place, old) = recorded();
    let with_sweeps = |name: &str, backend: &str| {
        changed(&place, &old, name, |trial, spread| {
            takes(trial, spread);
            let record = &mut trial["record"];
            if record["workload"] == "null" {
                record["backend"] = backend.into();
                record["metadata"]["metg"] = json!({"seconds_per_iteration": 1e-9, "kernel_seconds": 1e-6});
            }
        })
    };
    // In the new run only another backend has the points of the old sweep. They are not missing.
    let (before, after) = (with_sweeps("before", "native"), with_sweeps("after", "other"));
    let ran = place.crossrun(&["diff", &before, &after, "--json"]).code(0);
    let history = ran.says("trials of METG sweeps are left out").json();
    let changes = history["changes"].as_array().unwrap();
    assert!(!changes.is_empty(), "{history}");
    assert!(changes.iter().all(|it| it["point"].as_str().unwrap().starts_with("pipeline/")), "{history}");
    assert_eq!((&history["only_old"], &history["only_new"]), (&json!([]), &json!([])), "{history}");
    let sweeps = changed(&place, &old, "sweeps", |trial, _| {
        trial["record"]["metadata"]["metg"] = json!({"seconds_per_iteration": 1e-9, "kernel_seconds": 1e-6});
    });
    for (one, other) in [(&sweeps, &sweeps), (&before, &sweeps)] {
        let ran = place.crossrun(&["diff", one, other]).code(2);
        ran.says(&format!("are left out, and there are no others; try: crossrun report {sweeps}\n"));
    }
    for (name, text) in [("empty.jsonl", ""), ("cut.jsonl", "{\"format_version\": 1, \"ki")] {
        std::fs::write(place.path().join(name), text).unwrap();
        for [one, other] in [[name, before.as_str()], [before.as_str(), name]] {
            place.crossrun(&["diff", one, other]).code(2).says("no records were read");
        }
    }
}

#[test]
fn a_run_that_was_only_warmed_up_is_said_to_be() {
    let (place, old) = recorded();
    let whole = changed(&place, &old, "whole", takes);
    let warmed = changed(&place, &old, "warmed", |trial, _| trial["kind"] = "warmup".into());
    let told = format!(
        "there are warm-ups only, and no measured trial, as of a run that was interrupted early; try: crossrun show \
         {warmed}/trials.jsonl\n"
    );
    for [one, other] in [[&whole, &warmed], [&warmed, &whole], [&warmed, &warmed]] {
        place.crossrun(&["diff", one, other]).code(2).says(&told);
    }
    for more in [&[][..], &["--format", "bencher"], &["--format", "parquet"]] {
        let ran = place.crossrun(&[&["report", &warmed][..], more].concat()).code(2).says(&told);
        assert_eq!(ran.stdout(), "", "{more:?}");
    }
    place.crossrun(&["show", &format!("{warmed}/trials.jsonl")]).code(0);
}

#[test]
fn a_cell_with_another_library_of_its_workload_is_marked() {
    let (place, old) = recorded();
    let before = changed(&place, &old, "before", takes);
    let after = changed(&place, &old, "after", |trial, spread| {
        takes(trial, 1.1 * spread);
        if trial["record"]["workload"] == "null" {
            trial["record"]["metadata"]["workload_library"]["sha256"] = "ef56".into();
        }
    });
    let history = place.crossrun(&["diff", &before, &after, "--json"]).code(0).json();
    let changes = history["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2, "{history}");
    for change in changes {
        let is_null = change["point"].as_str().unwrap().starts_with("null/");
        assert_eq!(change["other_library"] == true, is_null, "{history}");
    }
    let text = place.crossrun(&["diff", &before, &after]).code(0).stdout();
    let marked: Vec<_> = text.lines().filter(|line| line.contains("different workload library")).collect();
    assert!(marked.len() == 1 && marked[0].contains("null/"), "{text}");
}
