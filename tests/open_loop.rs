//! Latency under load: from the moment at which an item was due, whoever is behind.

use serde_json::Value;

use crate::support::{Place, Ran, plugin};

/// `run` of `open_loop` without waiting for other measurements.
fn run(place: &Place, backend: &str, items: &str, extra: &[&str]) -> Ran {
    let mut arguments = vec!["run", "--json", "--no-lock", "--workload", "open_loop", "--parallelism", "1"];
    arguments.extend(["--backend", backend, "--items", items]);
    extra.iter().for_each(|extra| arguments.extend(["--extra", extra]));
    place.crossrun(&arguments)
}

fn figure(record: &Value, which: &str, figure: &str) -> f64 {
    let open_loop = &record["metadata"]["open_loop"];
    open_loop[which][figure].as_f64().unwrap_or_else(|| panic!("no {which} {figure} in {open_loop}"))
}

#[test]
fn a_backend_that_is_behind_does_not_get_to_start_its_watch_late() {
    let place = Place::new();
    place.stage(&plugin("python_runner"));
    for backend in ["native", "python"] {
        // All items are due within a millisecond, and each takes some tenths of one.
        let extra = ["rate=1000000", "iters=100000", "schedule=constant"];
        let record = run(&place, backend, "800", &extra).code(0).json();
        assert_eq!(record["metadata"]["results_count"], 400, "{record}");
        assert_eq!(record["metadata"]["open_loop"]["shared_clock"], true);
        let [due, made] = ["scheduled", "service"].map(|which| figure(&record, which, "p95"));
        assert!(
            due > 20.0 * made,
            "{backend}: {due} ms since the items were due, {made} ms since they were made"
        );
        assert_eq!(record["latency_p95"], record["metadata"]["open_loop"]["scheduled"]["p95"]);
        // 400 items are too few for a 99th percentile.
        assert_eq!(record["latency_p99"], Value::Null);
    }
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
        Some(6) => assert!(ran.stderr().contains("the source was late by itself"), "{}", ran.explain()),
        _ => panic!("{}", ran.explain()),
    }
}

#[test]
fn a_comparison_is_of_latencies() {
    let place = Place::new();
    place.stage(&plugin("python_runner"));
    let compare =
        ["compare", "--backends", "native,python", "--workloads", "open_loop", "--items", "400", "--quick"];
    let extra = ["--extra", "rate=1000000", "--extra", "iters=20000", "--no-lock"];
    let ran = place.crossrun(&[compare.as_slice(), &extra].concat()).code(0);
    let table = ran.stdout();
    let rows: Vec<_> = table.lines().filter(|line| line.contains("p95")).collect();
    assert_eq!(rows.len(), 2, "{}", ran.explain());
}
