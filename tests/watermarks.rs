//! Queries whose reductions close by watermarks: right answers, whoever closes, and memory that depends on what is open.

use crate::installed_engine::Installed;
use crate::session::verified;
use crate::support::assert_once_at_most;

/// Streams with many windows, auctions and sessions, in batches of unusual sizes. A shape is the parallelism, the size of a batch, and
/// more words.
fn streams(shapes: &[(u32, u32, &str)]) -> Vec<String> {
    let queries = [
        "nexmark_q4",
        "nexmark_q5 window_ms=1000 slide_ms=200",
        "nexmark_q7 window_ms=100",
        "nexmark_q8 window_ms=500",
        "nexmark_q9 rate=20000",
        "nexmark_q11 gap_ms=50",
    ];
    let line = |query: &str, (parallelism, batch, more): &(u32, u32, &str)| {
        format!("--workload {query} --items 9000 --parallelism {parallelism} batch_size={batch}{more}")
    };
    queries.iter().flat_map(|query| shapes.iter().map(move |shape| line(query, shape))).collect()
}

/// Demands that a backend has the right answers, and says that it closed.
fn closes(name: &'static str, shapes: &[(u32, u32, &str)]) {
    for record in verified(&Installed::new(name), &streams(shapes)) {
        assert_eq!(record["metadata"]["raw_metrics"]["closes"], true, "{name}: {record}");
    }
}

/// Open loops whose results are due while the input goes on, and one without reductions.
fn open_loops(batches: &[&str]) -> Vec<String> {
    let queries = [
        "nexmark_q4",
        "nexmark_q5 window_ms=400 slide_ms=100",
        "nexmark_q7 window_ms=100",
        "nexmark_q8 window_ms=500",
        "nexmark_q9",
        "nexmark_q11 gap_ms=50",
        "nexmark_q1",
    ];
    let line = |query: &str, batch: &str| {
        format!("--workload {query} --items 3000 --parallelism 2 arrivals=poisson arrival_rate=30000 {batch}")
    };
    queries.iter().flat_map(|query| batches.iter().map(move |batch| line(query, batch))).collect()
}

/// Demands that each result of an open loop has a latency, and what reductions made only from when it was due.
fn has_latencies(name: &'static str, batches: &[&str]) {
    for record in verified(&Installed::new(name), &open_loops(batches)) {
        let metadata = &record["metadata"];
        let samples = |kind: &str| metadata["open_loop"][kind]["samples"].as_u64();
        let results = metadata["results_count"].as_u64();
        let of_items = results.filter(|_| record["workload"] == "nexmark_q1");
        assert_eq!(
            [samples("scheduled"), samples("service"), samples("generator_lag")],
            [results, of_items, of_items],
            "{name}: {record}"
        );
        let is_told = metadata["warnings"].to_string().contains("behind batches that are not due");
        let waits = ["timely", "dask", "ray"].contains(&name);
        assert_eq!(is_told, of_items.is_none() && waits, "{name}: {record}");
    }
}

#[test]
fn backends_without_an_engine_have_the_latency_of_each_result() {
    for name in ["native", "timely", "python"] {
        has_latencies(name, &["batch_size=20"]);
    }
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs Ray and Dask: CROSSRUN_TEST_ENGINES=all")]
fn backends_with_a_large_engine_have_the_latency_of_each_result() {
    has_latencies("dask", &["batch_size=200"]);
    has_latencies("ray", &["batch_size=200", "batch_size=300 ray_idiom=tasks"]);
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn backends_without_an_engine_close_and_have_the_right_answers() {
    for name in ["native", "timely", "python"] {
        closes(name, &[(1, 64, ""), (3, 7, ""), (2, 5000, "")]);
    }
}

#[test]
#[cfg_attr(not(all_engines), ignore = "installs Ray and Dask: CROSSRUN_TEST_ENGINES=all")]
fn backends_with_a_large_engine_close_and_have_the_right_answers() {
    closes("dask", &[(2, 64, ""), (2, 700, "")]);
    closes("ray", &[(2, 64, ""), (2, 90, " ray_idiom=tasks")]);
}

/// How many times as much memory ten times as many events take.
fn growth(engine: &Installed, short: u32, query: &str) -> f64 {
    let peak = |items: u32| {
        let words = format!("--workload {query} --items {items} --parallelism 2 batch_size=1000");
        engine.verified(&words)["metadata"]["resources"]["peak_memory_bytes"].as_f64().unwrap()
    };
    peak(10 * short) / peak(short)
}

/// Demands of each of these backends that ten times as many events take no more memory.
fn does_not_grow(backends: &[&'static str], short: u32) {
    for name in backends {
        let engine = Installed::new(name);
        for query in ["nexmark_q5", "nexmark_q11"] {
            let what = format!("{query} on {name}: times as much memory for ten times as many events");
            // Where a thread waits for a core, more is open.
            assert_once_at_most(1.2, &what, || growth(&engine, short, query));
        }
    }
}

#[test]
#[cfg_attr(not(all_engines), ignore = "takes long: CROSSRUN_TEST_ENGINES=all")]
fn memory_does_not_grow_from_a_million_events_to_ten() {
    does_not_grow(&["native", "timely", "python"], 1_000_000);
}

#[test]
fn memory_grows_where_nothing_is_closed() {
    // Without fusion this backend emits at the end of the input, and its memory shows it.
    let query = "nexmark_q5 window_ms=2000 slide_ms=500 fusion=off";
    let growth = growth(&Installed::new("native"), 40_000, query);
    assert!(growth > 1.2, "{growth} times as much memory where nothing is closed");
}

#[test]
#[ignore = "a hundred million events of two queries: .ci/run --full"]
fn memory_does_not_grow_from_ten_million_events_to_a_hundred() {
    does_not_grow(&["native", "timely", "python"], 10_000_000);
}

#[test]
#[ignore = "takes minutes on large engines: .ci/run --full"]
fn memory_of_large_engines_does_not_grow_from_a_million_events_to_ten() {
    does_not_grow(&["dask", "ray"], 1_000_000);
}
