//! Latency under load: it counts from the time at which an item was due, whether source or backend is late.

use serde_json::Value;

use crate::c_backend::compiled;
use crate::released::planted;
use crate::session::{is_of_the_machine, unspoilt};
use crate::support::{Place, Ran, plugin, run_arguments};

/// `run` of `open_loop` without waiting for other measurements.
fn run(place: &Place, backend: &str, items: &str, extra: &[&str]) -> Ran {
    let run = format!("--workload open_loop --parallelism 1 --backend {backend} --items {items}");
    place.crossrun(&run_arguments(&format!("{run} {}", extra.join(" "))))
}

fn figure(record: &Value, which: &str, figure: &str) -> f64 {
    let open_loop = &record["metadata"]["open_loop"];
    open_loop[which][figure].as_f64().unwrap_or_else(|| panic!("no {which} {figure} in {open_loop}"))
}

#[test]
fn latency_counts_from_the_scheduled_time_of_a_late_backend() {
    let place = Place::new();
    place.stage(&plugin("python_runner"));
    for backend in ["native", "python"] {
        // All items are due within a millisecond, and each takes some tenths of one.
        let extra = ["rate=1000000", "iters=100000", "schedule=constant"];
        let record = unspoilt(|| run(&place, backend, "800", &extra)).code(0).json();
        assert_eq!(record["metadata"]["results_count"], 400, "{record}");
        assert_eq!(record["metadata"]["open_loop"]["shared_clock"], true);
        // The median: of the time since an item was made the rest is that of a thread which had to wait for a processor.
        let [due, made] = ["scheduled", "service"].map(|which| figure(&record, which, "p50"));
        assert!(
            due > 20.0 * made,
            "{backend}: {due} ms since the items were due, {made} ms since they were made"
        );
        assert_eq!(record["latency_p95"], figure(&record, "scheduled", "p95"));
        // 400 items are too few for a 99th percentile.
        assert_eq!(record["latency_p99"], Value::Null);
    }
}

#[test]
fn the_summary_of_a_run_has_both_kinds_of_latency_and_the_lag() {
    let place = Place::new();
    let run = "run --no-lock --workload open_loop --parallelism 1 --backend native --items 800";
    let run = format!("{run} --extra rate=1000000 --extra iters=100000");
    let summary = unspoilt(|| place.run(&run)).code(0).stdout();
    for line in [
        "latency of 400 items from the scheduled time of each: p50 ",
        "\nlatency from the emission of each: p50 ",
        "\ndelay of the source itself: p50 ",
    ] {
        assert!(summary.contains(line), "{summary}");
    }
    assert!(summary.contains("p95 ") && !summary.contains("p99"), "{summary}");
}

#[test]
fn runs_with_too_few_items_for_a_percentile_are_said_to_have_no_latency() {
    let place = Place::empty();
    let short = |block: u32| {
        let mut trial = planted::open_loop("native", block, 1.0);
        let scheduled = &mut trial["record"]["metadata"]["open_loop"]["scheduled"];
        scheduled["samples"] = 20.into();
        for percentile in ["p50", "p90", "p95"] {
            scheduled[percentile] = Value::Null;
        }
        trial
    };
    let trials: Vec<_> = (0..7).map(short).collect();
    for name in ["old", "new"] {
        planted::folder(&place, name, &trials);
    }
    let text = place.run("diff old new").code(0).stdout();
    let undecided = "1 cell without a decision: too few runs, no latency, or inconclusive\n";
    assert!(text.contains(" no latency\n") && text.contains(undecided), "{text}");
    let history = place.run("diff old new --json").code(0).json();
    assert_eq!(history["changes"][0]["call"], "too_few", "{history}");
    let told = "has no value in any run (7 of 7 trials verified), as a trial of the point has no latency, or too few items for a";
    place.run("history old").code(0).says(told);
}

#[test]
fn a_run_without_items_is_not_said_to_lack_a_clock() {
    let place = Place::new();
    let run = "run --no-lock --workload open_loop --backend native --items 0";
    let summary = place.run(run).code(0).stdout();
    assert!(summary.contains("latency: not measured, because no item reached the sink\n"), "{summary}");
}

#[test]
fn a_source_that_waits_takes_as_long_as_its_schedule() {
    let place = Place::new();
    // 200 items at 400 a second. A machine that wakes threads late makes the measurement invalid, and says so.
    let ran = run(&place, "native", "200", &["rate=400", "iters=500000", "schedule=constant"]);
    let record = ran.json();
    let metadata = &record["metadata"];
    assert!(metadata["worker_elapsed"].as_f64().unwrap() >= 199.0 / 400.0, "{}", ran.explain());
    match ran.output.status.code() {
        Some(0) => assert!(figure(&record, "scheduled", "p50") >= figure(&record, "service", "p50")),
        _ => assert!(is_of_the_machine(metadata), "{}", ran.explain()),
    }
}

/// `run` of a query with a window of 100 ms in which 100 events come, 40 times faster than their own time.
fn windows(place: &Place, backend: &str, extra: &str) -> Ran {
    let run = format!("--parallelism 2 --items 8000 --backend {backend} --workload nexmark_q7 {extra}");
    let stream = "window_ms=100 disorder=10 arrivals=constant batch_size=10";
    place.crossrun(&run_arguments(&format!("{run} {stream}")))
}

#[test]
fn results_of_windows_count_from_when_they_were_due() {
    let place = Place::new();
    place.stage(&plugin("python_runner"));
    place.stage(&plugin("timely_runner"));
    for backend in ["native", "timely", "python"] {
        let run =
            |rate: f64| unspoilt(|| windows(&place, backend, &format!("arrival_rate={rate}"))).code(0).json();
        let record = run(4000.0);
        let results = record["metadata"]["results_count"].as_f64().unwrap();
        assert!(results >= 80.0 && figure(&record, "scheduled", "samples") == results, "{record}");
        // A result cannot come before it is due.
        assert!(figure(&record, "scheduled", "max") > 0.0, "{backend}: {record}");
        // If all came at the end, half of them would be late by half of the time in which events come, in every run. A busy machine delays
        // those of some runs, and may be too slow for so many events in a second. This is an eighth of that time, in milliseconds.
        let is_early = |record: &Value, rate: f64| figure(record, "scheduled", "p50") < 1e6 / rate;
        let again = |rate: f64| (0..5).any(|_| is_early(&run(rate), rate));
        assert!(
            is_early(&record, 4000.0) || [4000.0, 2000.0, 1000.0, 500.0].into_iter().any(again),
            "{backend}: {record}"
        );
        assert_eq!(record["metadata"]["open_loop"]["service"], Value::Null, "{record}");
        assert_eq!(record["metadata"]["open_loop"]["generator_lag"], Value::Null, "{record}");
    }
}

#[test]
fn results_of_windows_that_a_backend_cannot_close_are_not_measured() {
    let place = Place::new();
    place.stage(&compiled("plugin-api/examples/c/minimal_backend.c", "minimal", &[]));
    let record = windows(&place, "minimal", "").code(4).says("unsupported: needs watermarks").json();
    assert_eq!(record["metadata"]["error"]["phase"], "negotiation", "{record}");
    windows(&place, "native", "fusion=off").code(4).says("emits them at the end");
    let words = ["run", "--backend", "native", "--workload", "nexmark_q3", "--extra", "arrivals=poisson"];
    place
        .crossrun(&words)
        .code(2)
        .says("is not one of on_demand, as nexmark_q3 needs it; try: --extra arrivals=");
    let compared =
        place.run("compare --no-lock --backends native --workloads nexmark_q3 --extra arrivals=poisson");
    compared.code(2).says("is not one of on_demand, as nexmark_q3 needs it");
}

#[test]
fn an_option_that_one_workload_of_several_cannot_have_is_left_to_the_others() {
    let place = Place::new();
    let compare = "compare --backends native --items 1000 --dry-run";
    for option in ["--extra arrivals=poisson", "--vary arrivals=on_demand,poisson"] {
        let ran = place.run(&format!("{compare} --suite stream {option}")).code(2);
        let told = ran.says("\"poisson\" is not one of on_demand, as nexmark_q3 needs it").stderr();
        let (_, others) = told.trim_end().rsplit_once("; try: the others alone, with ").unwrap();
        assert!(others.starts_with("--workloads nexmark_q0,") && !others.contains("nexmark_q3"), "{others}");
        let points = place.run(&format!("{compare} {others} {option}")).code(0).stdout();
        assert!(points.contains("nexmark_q5/") && points.contains("arrivals=poisson"), "{points}");
    }
}

#[test]
fn a_stream_by_a_schedule_takes_seconds_by_default_and_has_small_batches() {
    let place = Place::new();
    let compare = "compare --backends native --workloads nexmark_q5 --dry-run";
    let points = |more: &str| place.run(&format!("{compare} {more}")).code(0).stdout();
    let point = "nexmark_q5/items=40000/parallelism=2/scheduler=default/arrival_rate=10000/\
                 arrivals=poisson/batch_size=10/rate=100\n";
    for how in ["--quick", "--blocks 1"] {
        let told = points(&format!("{how} --extra arrivals=poisson"));
        assert!(told.contains(point), "{how}: {told}");
    }
    let slower = points("--blocks 1 --extra arrivals=poisson --extra arrival_rate=500");
    assert!(slower.contains("/items=2000/") && slower.contains("/batch_size=1/rate=5\n"), "{slower}");
    let given = points("--items 70 --extra arrivals=bursts --extra batch_size=9 --extra rate=8");
    assert!(given.contains("/items=70/") && given.contains("/batch_size=9/rate=8\n"), "{given}");
    let on_demand = points("--blocks 1 --extra arrivals=on_demand");
    assert!(on_demand.contains("/items=6000000/"), "{on_demand}");
}

#[test]
fn a_quick_comparison_of_an_open_loop_is_not_said_to_have_fewer_items() {
    let place = Place::new();
    let starts = |options: &str| {
        let ran = place.run(&format!("compare --no-lock --backends native --quick {options}"));
        ran.says(" already done").stderr().contains(", of a quarter of the default items in ")
    };
    assert!(!starts("--workloads open_loop --extra rate=1000000 --extra iters=1"));
    assert!(starts("--workloads scheduler_comparison --extra sleep_us=0"));
}

#[test]
fn points_that_need_other_numbers_of_events_have_none_by_default() {
    let place = Place::new();
    let compare = "compare --backends native --workloads nexmark_q5 --blocks 1 --dry-run";
    for (vary, key) in [
        ("--vary arrivals=on_demand,poisson", "--vary arrivals"),
        ("--extra arrivals=poisson --vary arrival_rate=1000,50000", "--vary arrival_rate"),
    ] {
        let told = format!("{key}: no default number of items of nexmark_q5 is right for all of its values");
        place.run(&format!("{compare} {vary}")).code(2).says(&told).says("; try: --items COUNT");
        let points = place.run(&format!("{compare} {vary} --items 3000")).code(0).stdout();
        assert_eq!(points.matches("/items=3000/").count(), 2, "{points}");
    }
    // A value that the workload cannot have is told first: with a number of items it would be refused in turn.
    let misspelt = place.run(&format!("{compare} --vary arrivals=on_demand,poison")).code(2);
    misspelt.says("is not one of").says("; try: --vary arrivals=on_demand,poisson\n");
    // What is varied and decides nothing leaves the default.
    let windows = place.run(&format!("{compare} --extra arrivals=poisson --vary window_ms=10000,20000"));
    assert_eq!(windows.code(0).stdout().matches("/items=40000/").count(), 2);
}

#[test]
fn an_open_loop_is_compared_by_latency() {
    let place = Place::new();
    place.stage(&plugin("python_runner"));
    let compare = "compare --no-lock --backends native,python --workloads open_loop --items 400 --quick";
    let ran = place.run(&format!("{compare} --extra rate=1000000 --extra iters=20000")).code(0);
    let table = ran.stdout();
    let of_backend = |line: &&str| line.starts_with(" native") || line.starts_with(" python");
    let rows: Vec<_> = table.lines().filter(of_backend).filter(|line| line.contains("p95")).collect();
    assert_eq!(rows.len(), 2, "{}", ran.explain());
    // Behind the compared percentile, all that there are items for, of both kinds, and of the source.
    for kind in ["scheduled", "service", "lag"] {
        let lines = table.lines().filter(of_backend).filter(|line| line.contains(kind));
        // Of 200 items there are three percentiles, and two that are not measurable.
        let unmeasurable: Vec<_> = lines.map(|line| line.matches('–').count()).collect();
        assert_eq!(unmeasurable, [2, 2], "{kind}: {}", ran.explain());
    }
    assert!(table.contains("p99 and above cannot be measured with 200 items"), "{}", ran.explain());
    let folder = place.path().join("results");
    let run = std::fs::read_dir(folder).unwrap().flatten().next().unwrap().path();
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        page.contains("<section id=\"latency\">")
            && page.contains("cannot be measured with 200 items: 662 are needed")
    );
}
