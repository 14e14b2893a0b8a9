//! Queries whose reductions close by watermarks: right answers, whoever closes, and memory that depends on what is open.

use crate::installed_engine::Installed;
use crate::session::verified;

/// Streams with many windows, auctions and sessions, in batches of unusual sizes.
fn streams() -> Vec<String> {
    let queries = [
        "nexmark_q4",
        "nexmark_q5 window_ms=1000 slide_ms=200",
        "nexmark_q7 window_ms=100",
        "nexmark_q8 window_ms=500",
        "nexmark_q9 rate=20000",
        "nexmark_q11 gap_ms=50",
    ];
    let shapes = [(1, 64), (3, 7), (2, 5000)];
    let line = |query: &str, (parallelism, batch): (u32, u32)| {
        format!("--workload {query} --items 9000 --parallelism {parallelism} batch_size={batch}")
    };
    queries.iter().flat_map(|query| shapes.map(|shape| line(query, shape))).collect()
}

#[test]
fn native_and_python_close_and_have_the_right_answers() {
    for name in ["native", "python"] {
        for record in verified(&Installed::new(name), &streams()) {
            assert_eq!(record["metadata"]["raw_metrics"]["closes"], true, "{name}: {record}");
        }
    }
}

#[test]
#[ignore = "11 million events of two queries on two backends: .ci/run --full"]
fn memory_does_not_grow_with_the_stream() {
    for name in ["native", "python"] {
        let engine = Installed::new(name);
        for query in ["nexmark_q5", "nexmark_q11"] {
            let peak = |items: u32| {
                let words = format!("--workload {query} --items {items} --parallelism 2 batch_size=1000");
                engine.verified(&words)["metadata"]["resources"]["peak_memory_bytes"].as_f64().unwrap()
            };
            let (short, long) = (peak(1_000_000), peak(10_000_000));
            assert!(
                long <= 1.2 * short,
                "{query} on {name}: {short} bytes, and {long} of ten times as many events"
            );
        }
    }
}
