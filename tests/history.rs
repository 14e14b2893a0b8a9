//! `crossrun history` shows where a cell got slower over many recorded runs of one machine.

use serde_json::{Value, json};

use crate::released::planted::{End, folder, trial};
use crate::support::Place;

/// One run a day, in folders of their own below `runs`: `factors` says how many seconds `native` takes in each. A backend beside it
/// always takes a second.
fn recorded(factors: &[f64], change: impl Fn(u32, &mut Value)) -> Place {
    let place = Place::empty();
    std::fs::create_dir(place.path().join("runs")).unwrap();
    for (day, factor) in (1..).zip(factors) {
        let of_block = |block: u32| {
            let spread = 1.0 + f64::from((block * 7 + day * 3) % 11) * 0.002;
            [("native", *factor), ("other", 1.0)].map(|(backend, factor)| {
                let mut trial = trial(backend, "pipeline", block, End::Verified(factor * spread));
                let record = &mut trial["record"];
                record["timestamp"] = format!("2026-03-{day:02}T04:00:0{block}.000000+00:00").into();
                record["run_id"] = format!("commit-{day}/pipeline").into();
                change(day, record);
                trial
            })
        };
        folder(&place, &format!("runs/{day}"), &(0..6).flat_map(of_block).collect::<Vec<_>>());
    }
    place
}

/// Eight runs of a second, and six that take so many.
fn step(seconds: f64) -> Vec<f64> {
    [[1.0; 8].as_slice(), &[seconds; 6]].concat()
}

/// A/A comparisons on the machine of the records, which differed by these factors.
fn plant_aa(place: &Place, factors: &[f64]) {
    let planted = trial("native", "pipeline", 0, End::Verified(1.0));
    let machine = &planted["record"]["metadata"]["system_profile"];
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string();
    let line = |(number, factor): (usize, &f64)| {
        let aa = json!({
            "format_version": 1, "kind": "aa", "time": now, "machine": machine, "run_id": "planted",
            "started": number.to_string(), "blocks": 7, "factor": factor,
            "pairs": [{"point": "pipeline/items=1000", "low": 1.0, "high": factor}],
        });
        format!("{aa}\n")
    };
    std::fs::create_dir_all(place.data()).unwrap();
    std::fs::write(
        place.data().join("history.jsonl"),
        factors.iter().enumerate().map(line).collect::<String>(),
    )
    .unwrap();
}

fn cell<'a>(trends: &'a Value, backend: &str) -> &'a Value {
    trends["cells"].as_array().unwrap().iter().find(|cell| cell["backend"] == backend).unwrap()
}

#[test]
fn a_step_is_a_regression_with_the_run_and_the_version_that_came_with_it() {
    let place = recorded(&step(1.1), |day, record| {
        record["metadata"]["versions"]["engine"] = if day < 9 { "9.1" } else { "9.2" }.into();
    });
    let trends = place.crossrun(&["history", "runs", "--json"]).code(7).json();
    let native = cell(&trends, "native");
    let change = &native["changes"][0];
    assert_eq!((&change["run"], &change["call"]), (&"commit-9".into(), &"slower".into()), "{change}");
    assert_eq!(change["differs"], json!(["engine 9.1 -> 9.2"]));
    assert_eq!((&native["is_regression"], native["runs"].as_array().unwrap().len()), (&true.into(), 14));
    let other = cell(&trends, "other");
    assert_eq!((&other["changes"], &other["is_regression"]), (&json!([]), &false.into()), "{other}");
    let text = place.crossrun(&["history", "runs"]).code(7).stdout();
    assert!(text.contains("slower, 1.10× as long, from run commit-9 on (2026-03-09T04:00:00)"), "{text}");
    assert!(
        text.contains("engine 9.1 -> 9.2") && text.contains("1 regression in 2 cells over 14 runs"),
        "{text}"
    );
    assert!(!text.contains("commit-3"), "{text}");
    let text = place.crossrun(&["history", "runs", "-v"]).code(7).stdout();
    assert!(text.contains("2026-03-03T04:00:00 commit-3: "), "{text}");
}

#[test]
fn a_change_within_the_noise_of_the_machine_or_to_faster_is_no_regression() {
    let place = recorded(&step(1.1), |_, _| ());
    plant_aa(&place, &[1.0, 1.01, 1.01, 1.01, 1.2]);
    let text = place.crossrun(&["history", "runs"]).code(0).stdout();
    assert!(text.contains("changes below 20.0 % are not reported (5 A/A comparisons known"), "{text}");
    plant_aa(&place, &[1.0, 1.01, 1.01, 1.01, 1.02]);
    place.crossrun(&["history", "runs"]).code(7);
    let trends = recorded(&step(0.9), |_, _| ()).crossrun(&["history", "runs", "--json"]).code(0).json();
    assert_eq!(cell(&trends, "native")["changes"][0]["call"], "faster");
}

#[test]
fn since_leaves_out_what_began_before() {
    let place = recorded(&step(1.1), |_, _| ());
    let runs = |since: &str| {
        let trends = place.crossrun(&["history", "runs", "--since", since, "--json"]).code(0).json();
        trends["runs"].as_u64().unwrap()
    };
    assert_eq!(
        (runs("2026-03-09"), runs("2026-03-09T05:00:00+01:00"), runs("2026-03-09T04:00:01Z")),
        (6, 6, 5)
    );
    place.crossrun(&["history", "runs", "--since", "2027-01-01"]).code(2).says("no run with a description");
    place.crossrun(&["history", "runs", "--since", "tomorrow"]).code(2).says("such as 2026-02-21");
    place.crossrun(&["history", "nowhere"]).code(2).says("nowhere");
    for (name, text) in [("empty.jsonl", ""), ("cut.jsonl", "{\"format_version\": 1, \"ki")] {
        std::fs::write(place.path().join(name), text).unwrap();
        place.crossrun(&["history", name]).code(2).says("no records were read; try: the path of what has");
    }
    std::fs::write(place.path().join("bad.jsonl"), "rubbish\n").unwrap();
    place
        .crossrun(&["history", "bad.jsonl"])
        .code(2)
        .says("there are no records; try: correct what the warnings name");
}

#[test]
fn runs_of_another_machine_are_kept_apart_with_a_warning() {
    let place = recorded(&step(1.1), |day, record| {
        if day > 8 {
            record["metadata"]["system_profile"]["hostname"] = "elsewhere".into();
        }
    });
    let ran = place
        .crossrun(&["history", "runs"])
        .code(0)
        .says("runs of several machines are kept apart")
        .says("hostname; try: run under the host name")
        .says("docker run --hostname");
    assert!(ran.stdout().contains("elsewhere:\n"), "{}", ran.explain());
}

#[test]
fn trials_that_are_not_verified_have_no_part_in_a_value() {
    let place = recorded(&[1.0; 12], |day, record| {
        if day > 8 {
            // What was seen of a failed run is no figure.
            record["metadata"]["worker_elapsed"] = 9.0.into();
            record["duration_seconds"] = Value::Null;
            record["success_rate"] = 0.0.into();
            record["metadata"]["error"] = json!({"phase": "run", "kind": "crashed", "message": "planted"});
        }
    });
    let trends = place.crossrun(&["history", "runs", "--json"]).code(0).json();
    let native = cell(&trends, "native");
    assert_eq!(
        (&native["runs"][11]["median"], &native["runs"][11]["trials"]),
        (&Value::Null, &6.into()),
        "{native}"
    );
    let text = place.crossrun(&["history", "runs"]).code(0).stdout();
    assert!(text.contains("8 of 12"), "{text}");
}

#[test]
fn a_newest_run_with_wrong_answers_is_told_and_so_are_sweeps_that_are_left_out() {
    let place = recorded(&[1.0; 12], |day, record| {
        if day == 12 {
            record["success_rate"] = 0.0.into();
            record["metadata"]["verified"] = false.into();
            record["metadata"]["error"] =
                json!({"phase": "judge", "kind": "wrong_answer", "message": "planted"});
        }
    });
    let told = place.crossrun(&["history", "runs"]).code(0);
    told.says("has no value in its newest run").says("(0 of 6 trials verified): the newest value is that of");
    let sweep = recorded(&[1.0], |_, record| {
        record["metadata"]["metg"] = json!({"seconds_per_iteration": 1e-9, "kernel_seconds": 1e-6});
    });
    let told = sweep.crossrun(&["history", "runs"]).code(2);
    told.says("12 trials of METG sweeps are left out, and there are no others; try: crossrun report runs\n");
}

#[test]
fn runs_that_were_only_warmed_up_are_said_to_be() {
    let place = recorded(&[1.0; 2], |_, _| ());
    for day in 1..=2 {
        let file = place.path().join(format!("runs/{day}/trials.jsonl"));
        let text = std::fs::read_to_string(&file).unwrap();
        let warm_ups = text.replace(r#""kind":"measured""#, r#""kind":"warmup""#);
        assert_ne!(warm_ups, text);
        std::fs::write(&file, warm_ups).unwrap();
    }
    let told = "there are warm-ups only, and no measured trial, as of a run that was interrupted early; try: crossrun show \
                runs/1/trials.jsonl\n";
    place.run("history runs").code(2).says(told);
    place.run("history runs --since 2020-01-01").code(2).says(told);
    // The lines that cannot be read may be the measured trials.
    let file = place.path().join("runs/2/trials.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}no record\n")).unwrap();
    place.run("history runs").code(2).says("that was interrupted early; try: what the warnings say\n");
}

#[test]
fn a_run_with_blocks_left_is_told() {
    let place = Place::new();
    let small = "--backends native --workloads null --items 20 --blocks 3 --run-id r --no-lock";
    place.run(&format!("compare {small} --time-budget 1ns")).code(0);
    let told = "unfinished: 1 of 3 blocks was measured; try: crossrun compare --resume r --no-lock";
    let trends = place.run("history results --json").code(0).says(told).json();
    assert_eq!(trends["warnings"][0], told, "{trends}");
    let later = place.run("history results --since 2999-01-01").code(2);
    assert!(!later.stderr().contains("unfinished"), "{}", later.explain());
    let at = |path: &str| place.path().join(path);
    std::fs::create_dir(at("copy")).unwrap();
    for entry in std::fs::read_dir(at("results/r")).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), at("copy").join(entry.file_name())).unwrap();
        }
    }
    place.run("compare --resume r --no-lock").code(0);
    let whole = place.run("history results").code(0);
    assert!(!whole.stderr().contains("unfinished"), "{}", whole.explain());
    // A copy that was made before counts with the whole run.
    let beside = place.run("history results copy").code(0).says("the run r is in");
    assert!(!beside.stderr().contains("unfinished"), "{}", beside.explain());
    // Whatever the name of the file that has the whole run, and with or without its warm-ups.
    for (file, named) in [("trials.jsonl", "whole.jsonl"), ("unified_results.jsonl", "measured.jsonl")] {
        std::fs::copy(at("results/r").join(file), at(named)).unwrap();
        for words in ["report copy", "history copy"] {
            let beside = place.run(&format!("{words} {named}")).code(0);
            assert!(!beside.stdout().contains("unfinished"), "{words} {named}: {}", beside.explain());
            assert!(!beside.stderr().contains("unfinished"), "{words} {named}: {}", beside.explain());
        }
    }
    let by_itself = place.run("report copy").code(0).stdout();
    assert!(by_itself.contains("unfinished: 1 of 3 blocks was measured"), "{by_itself}");
    std::fs::rename(at("copy"), at("results/copy")).unwrap();
    for words in ["report results", "report results/r results/copy", "diff results results"] {
        let beside = place.run(words).code(0);
        assert!(!beside.stdout().contains("unfinished"), "{words}: {}", beside.explain());
        assert!(!beside.stderr().contains("unfinished"), "{words}: {}", beside.explain());
    }
    // Each side of a difference stands by itself.
    place.run("diff results/copy results/r").says("unfinished: 1 of 3 blocks was measured");
}

#[test]
fn runs_whose_trials_were_removed_keep_their_values() {
    let place = Place::new();
    let run = "run --backend native --workload null";
    (0..2).for_each(|_| drop(place.run(run).code(0)));
    std::fs::remove_file(place.path().join("results/null/trials.jsonl")).unwrap();
    place.run(run).code(0);
    let trends = place.run("history results/null --json").code(0).json();
    assert_eq!(trends["runs"], 3, "{trends}");
}

#[test]
fn a_second_trial_of_a_point_under_one_id_is_warned_of() {
    let place = Place::with_misbehaving();
    place.stage(&crate::support::plugin("native_runner"));
    let run = "run --workload null --run-id ci";
    let warning = "warning: the id ci has a trial of native at this point already: history takes both for one run; \
                   try: another --run-id for each run\n";
    for (more, is_again) in [
        ("--backend native", false),
        ("--backend native", true),
        ("--backend misbehaving", false),
        ("--backend native --items 20", false),
        ("--backend native --cores 1", false),
        ("--backend native --cores 1", true),
        ("--backend native --run-id other", false),
    ] {
        let run = if more.contains("--run-id") { run.replace(" --run-id ci", "") } else { run.to_owned() };
        let ran = place.run(&format!("{run} {more}")).code(0);
        assert_eq!(ran.stderr().contains(warning), is_again, "{more}: {}", ran.explain());
        assert_eq!(ran.stderr().contains("history takes both"), is_again, "{more}: {}", ran.explain());
    }
    let trends = place.run("history results/null --json").code(0).json();
    assert_eq!(trends["runs"], 2, "{trends}");
}

#[test]
fn the_page_has_each_cell_with_its_change_and_never_replaces_the_records() {
    let place = recorded(&step(1.1), |day, record| {
        record["metadata"]["versions"]["engine"] = if day < 9 { "9.1" } else { "9.2" }.into();
    });
    place.crossrun(&["history", "runs", "--html", "trends.html"]).code(7);
    let page = std::fs::read_to_string(place.path().join("trends.html")).unwrap();
    assert_eq!(page.matches("<figure").count(), 2);
    assert!(
        page.contains("from run commit-9 on (2026-03-09T04:00:00)") && page.contains("engine 9.1 -&gt; 9.2"),
        "{page}"
    );
    assert!(page.contains("Content-Security-Policy") && !page.contains("://"), "{page}");
    // Standard output gets the page and nothing else.
    let printed = place.crossrun(&["history", "runs", "--html", "-"]).code(7).stdout();
    assert!(printed.starts_with("<!doctype html>") && printed.trim_end().ends_with("</html>"), "{printed}");
    place.crossrun(&["history", "runs", "--html", "-", "--json"]).code(2).says("a file for the page");
    let records = place.path().join("runs/1/trials.jsonl");
    let before = std::fs::read(&records).unwrap();
    place.crossrun(&["history", "runs", "--html", "runs/1/trials.jsonl"]).code(2).says("holds the records");
    assert_eq!(std::fs::read(&records).unwrap(), before);
}

#[test]
fn a_page_that_cannot_be_written_is_told_and_a_regression_counts_for_more() {
    for (seconds, code) in [(1.0, 1), (1.1, 7)] {
        let place = recorded(&step(seconds), |_, _| ());
        let ran = place.crossrun(&["history", "runs", "--html", "/dev/full"]).code(code);
        let ran = ran.says("cannot write /dev/full: No space left on device");
        assert!(ran.stdout().contains("2 cells over 14 runs"), "{}", ran.explain());
    }
}

#[test]
fn runs_on_fewer_cores_are_another_cell() {
    let place = recorded(&step(1.5), |day, record| {
        if day > 8 {
            record["metadata"]["cores"] = json!([0]);
        }
    });
    let text = place.crossrun(&["history", "runs"]).code(0).stdout();
    assert!(text.contains("(1 core)") && text.contains("0 regressions in 4 cells over 14 runs"), "{text}");
}
