//! `compare --vary` makes a point for each value of an option.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::Place;

/// The points of a comparison that is not run.
fn points(place: &Place, more: &str) -> BTreeSet<String> {
    let dry_run = "compare --backends native --blocks 1 --dry-run --json";
    let plan = place.run(&format!("{dry_run} {more}")).code(0).json();
    let point = |trial: &Value| trial["run_id"].as_str().unwrap().split_once('/').unwrap().1.to_owned();
    plan["trials"].as_array().unwrap().iter().map(point).collect()
}

#[test]
fn every_combination_is_a_point_of_each_workload_that_reads_the_key() {
    let place = Place::new();
    let varied = "--workloads null,word_count --items 10 --vary keys=10,1e3 --vary skew=0,1.2";
    let of = |keys: u64, skew: &str| {
        format!(
            "word_count/items=10/parallelism=2/scheduler=default/batch_size=10000/keys={keys}/skew={skew}"
        )
    };
    let null = "null/items=10/parallelism=2/scheduler=default/batch_size=10000".to_owned();
    let all = [null, of(10, "0"), of(10, "1.2"), of(1000, "0"), of(1000, "1.2")];
    assert_eq!(points(&place, varied), BTreeSet::from(all));
    // The default value of a workload gives way.
    let sizes = points(&place, "--workloads null --items 10 --vary batch_size=1,20");
    let of = |size: u64| format!("null/items=10/parallelism=2/scheduler=default/batch_size={size}");
    assert_eq!(sizes, BTreeSet::from([of(1), of(20)]));
    // A suite, of which only some workloads read the key.
    let suite = points(&place, "--suite batch");
    let varied = points(&place, "--suite batch --vary skew=0,1");
    let with_skew = varied.iter().filter(|point| point.contains("/skew=")).count();
    assert_eq!((suite.len(), varied.len() - with_skew + with_skew / 2), (5, 5), "{varied:?}");
    assert!(with_skew > 0, "{varied:?}");
}

#[test]
fn items_and_parallelism_are_varied_as_by_their_own_options() {
    let place = Place::new();
    let varied = points(&place, "--workloads null --vary items=5,1e2 --vary parallelism=1,2");
    let listed = points(&place, "--workloads null --items 5,1e2 --parallelism 1,2");
    assert_eq!((&varied, varied.len()), (&listed, 4));
}

#[test]
fn what_cannot_be_varied_is_one_error_before_anything_is_measured() {
    let place = Place::new();
    for (options, words) in [
        ("--vary color=1,2", "--vary color: no workload of this comparison reads it; they read items,"),
        ("--vary scheduler=a,b", "try: --schedulers NAME,NAME"),
        ("--vary seed=1,2", "try: a comparison for each value with --seed"),
        ("--vary iters=1,-5", "--vary iters: -5 is not a whole number from 0 to"),
        ("--vary iters=1,many", "--vary iters: \"many\" is not a whole number"),
        ("--vary batch_size=0,1", "--vary batch_size: 0 is not a whole number from 1 to"),
        ("--vary fusion=on", "--vary fusion: \"on\" is not one of auto, off"),
        ("--vary items=x", "--vary items: \"x\" is not a count"),
        ("--vary parallelism=0", "--vary parallelism: \"0\" is not a whole number from 1 to"),
        ("--vary iters=5,5.0", "--vary iters has the value 5 twice"),
        ("--vary iters=5 --vary iters=6", "--vary iters is given twice"),
        ("--vary iters=5 --extra iters=6", "iters is given by --extra iters and by --vary iters"),
        ("--vary items=5 --items 6", "items is given by --items and by --vary items"),
        ("--vary iters=", "lacks a value"),
        ("--vary iters=1,,2", "lacks a value"),
        ("--vary iters", "is not KEY=VALUE"),
    ] {
        let run = format!("compare --backends native --workloads null,pipeline --run-id r {options}");
        let ran = place.run(&run).code(2).says(words);
        assert_eq!(ran.stderr().matches("error").count(), 1, "{}", ran.explain());
        assert!(!place.path().join("results").exists(), "{options}");
    }
}

#[test]
fn what_is_spelled_nearly_as_a_word_or_a_key_is_answered_with_that() {
    let place = Place::new();
    let compare = "compare --backends native --workloads null,pipeline,open_loop";
    for (command, remedy) in [
        ("metg --backends native --cores 1 --pattern nearst".to_owned(), "--pattern=nearest"),
        // What is right is kept.
        ("metg --backends native --cores 1 --pattern fft,nearst".to_owned(), "--pattern=fft,nearest"),
        (format!("{compare} --vary iters=10,-5,100"), "--vary iters=10,1000,100"),
        (format!("{compare} --vary iters=1000,-5"), "--vary iters=1000"),
        // As `run` says it.
        (format!("{compare} --extra batch_size=0"), "--extra batch_size=1024"),
        ("run --backend native --workload null --extra batch_size=0".to_owned(), "--extra batch_size=1024"),
        (format!("{compare} --vary batch_size=0,16"), "--vary batch_size=1024,16"),
        (format!("{compare} --vary fusion=of"), "--vary fusion=off"),
        (format!("{compare} --vary fusion=on"), "--vary fusion=auto"),
        (format!("{compare} --vary iter=1,2"), "--vary iters=1,2"),
        // A value that the key cannot have would be refused in turn.
        (format!("{compare} --vary fuson=on"), r#"--vary 'fusion="auto"'"#),
        (format!("{compare} --vary iter=5,many"), "--vary iters=5,1000"),
        (format!("{compare} --vary item=5,6"), "--vary items=5,6"),
        (format!("{compare} --vary schedul=poisson"), r#"--vary 'schedule="poisson"'"#),
        (
            "run --backend native --workload nexmark_q5 --extra arrivals=poison".to_owned(),
            "--extra arrivals=poisson",
        ),
        ("workloads show nexmark_q5 --extra arrivals=poison".to_owned(), "--extra arrivals=poisson"),
    ] {
        place.run(&command).code(2).says(&format!("; try: {remedy}\n"));
        assert!(!place.path().join("results").exists(), "{command}");
    }
}

#[test]
fn values_that_do_not_go_together_are_told_before_anything_is_measured() {
    let place = Place::new();
    let compare = "compare --backends native --workloads nexmark_q5 --items 1000 --parallelism 1,2";
    let why = |slide: u32| {
        format!("extra.window_ms is 7, but must be a multiple of extra.slide_ms, which is {slide}")
    };
    for (options, remedy) in [
        ("--vary window_ms=7", format!("{}; try: --extra slide_ms=7", why(5000))),
        ("--extra window_ms=7", format!("{}; try: --extra slide_ms=7", why(5000))),
        // A key that is varied is given by no other option.
        ("--vary window_ms=7 --vary slide_ms=2,3", format!("{}; try: --vary slide_ms=7", why(2))),
    ] {
        for more in ["--dry-run", "--run-id r"] {
            let ran = place.run(&format!("{compare} {options} {more}")).code(2);
            ran.says(&format!("nexmark_q5: {remedy}\n"));
        }
        assert!(!place.path().join("results").exists(), "{options}");
    }
    place.run(&format!("{compare} --extra window_ms=7 --vary slide_ms=7 --dry-run")).code(0);
    // The other points are measured.
    for options in [
        "--vary window_ms=10000,7",
        "--vary window_ms=10,7 --extra slide_ms=5",
        "--vary window_ms=7 --vary slide_ms=3,7",
    ] {
        let ran = place.run(&format!("{compare} {options} --dry-run")).code(0);
        ran.says("points whose values do not go together: nexmark_q5: extra.window_ms is 7, but must be");
    }
    let others = "compare --backends native --workloads nexmark_q5,null --items 1000 --dry-run";
    place.run(&format!("{others} --extra window_ms=7")).code(0).says("do not go together");
    // No workload is asked about what it has anyway.
    let ran = place.run(&format!("{others} --extra batch_size=5")).code(0);
    assert!(!ran.stderr().contains("go together"), "{}", ran.explain());
}

#[test]
fn records_reports_and_commands_have_the_values_and_a_run_is_resumed_and_paired_by_them() {
    let place = Place::new();
    let vary = "--vary iters=1,2 --vary batch_size=5,10";
    let run = "compare --backends native --workloads pipeline --items 50 --blocks 1 --run-id r";
    let ran = place.run(&format!("{run} {vary}")).code(0);
    let file = place.path().join("results/r/trials.jsonl");
    let records = || {
        let trials = place.records("r", "trials.jsonl").into_iter();
        trials
            .filter(|trial| trial["kind"] == "measured")
            .map(|mut trial| trial["record"].take())
            .collect::<Vec<_>>()
    };
    let values = |record: &Value| {
        let extra = &record["metadata"]["extra"];
        (extra["iters"].as_u64().unwrap(), extra["batch_size"].as_u64().unwrap())
    };
    let all = BTreeSet::from([(1, 5), (1, 10), (2, 5), (2, 10)]);
    assert_eq!(records().iter().map(values).collect::<BTreeSet<_>>(), all);
    for record in records() {
        let command = record["metadata"]["command"].as_str().unwrap();
        let (iters, batch_size) = values(&record);
        assert!(
            command.contains(&format!("--extra batch_size={batch_size} --extra iters={iters} ")),
            "{command}"
        );
        let whole = record["metadata"]["full_command"].as_str().unwrap();
        assert!(whole.contains("--vary iters=1,2 --vary batch_size=5,10 "), "{whole}");
    }
    let page = std::fs::read_to_string(place.path().join("results/r/report.html")).unwrap();
    for (iters, batch_size) in all {
        let label = format!("batch_size={batch_size}, iters={iters}");
        assert!(ran.stdout().contains(&label) && page.contains(&label), "{label}: {}", ran.explain());
    }
    let json = place.crossrun(&["report", "results/r", "--json"]).code(0).json();
    assert_eq!(json["points"].as_array().unwrap().len(), 4);
    // As if it had been killed.
    let text = std::fs::read_to_string(&file).unwrap();
    let whole: Vec<_> = text.lines().collect();
    std::fs::write(&file, whole[..whole.len() / 2].join("\n") + "\n").unwrap();
    std::fs::remove_file(file.with_file_name("unified_results.jsonl")).unwrap();
    place.run("compare --resume r --vary iters=1,3").code(2).says("started with another --vary");
    place.run(&format!("compare --resume r {vary}")).code(0);
    assert_eq!(records().len(), 4);
    let diff = place.crossrun(&["diff", "results/r", "results/r", "--json"]).code(0).json();
    assert_eq!(
        (diff["changes"].as_array().unwrap().len(), &diff["only_old"]),
        (4, &Value::from(Vec::<Value>::new()))
    );
}
