//! The default backends and workloads, and the default sizes of workloads. No other module of the host knows one by name.

use serde_json::{Map, Value, json};

/// The backend that runs when none is named, as in the original project. It is the only engine that the host knows by name.
pub(crate) const DEFAULT_BACKEND: &str = "sage";

/// The baseline when none is named and this backend takes part.
pub(crate) const BASELINE: &str = "native";

/// The workload without work: a run of it takes the overhead of harness and backend.
pub(crate) const NULL: &str = "null";

/// The workload whose items only sleep, and fail on demand.
pub(crate) const SLEEPING: &str = "scheduler_comparison";

/// The workload whose items compute for a configurable time.
pub(crate) const COMPUTING: &str = "pipeline";

/// The workload that runs when none is named.
pub(crate) const DEFAULT_WORKLOAD: &str = SLEEPING;

const IMBALANCE: &str = "imbalance";
const WORD_COUNT: &str = "word_count";
/// The workload of tasks that need the outputs of others.
pub(crate) const TASK_GRAPH: &str = "task_graph";
/// The workload whose items are due by a schedule.
pub(crate) const OPEN_LOOP: &str = "open_loop";
/// How the names of the queries on a stream begin.
const QUERY: &str = "nexmark_";

/// Workloads that are compared together, by the name of the suite. The first are compared when none is named.
pub(crate) const SUITES: [(&str, &[&str]); 3] = [
    ("basic", &[SLEEPING, COMPUTING, IMBALANCE, WORD_COUNT]),
    ("batch", &[WORD_COUNT, "group", "shuffle_match", "payload", "memory"]),
    (
        "stream",
        &[
            "nexmark_q0",
            "nexmark_q1",
            "nexmark_q2",
            "nexmark_q3",
            "nexmark_q4",
            "nexmark_q5",
            "nexmark_q7",
            "nexmark_q8",
            "nexmark_q9",
            "nexmark_q11",
        ],
    ),
];

/// The workloads of a suite, or of the first.
pub(crate) fn suite(name: Option<&str>) -> Vec<String> {
    let of_name = |(suite, _): &&(&str, &[&str])| name.is_none_or(|name| name == *suite);
    let workloads = SUITES.iter().find(of_name).map_or(&[] as &[&str], |(_, workloads)| workloads);
    workloads.iter().map(ToString::to_string).collect()
}

/// Patterns of [`TASK_GRAPH`] in which a task has as many inputs as its radix says.
pub(crate) const WITH_RADIX: [&str; 3] = ["nearest", "spread", "random_nearest"];

/// A quick comparison has so many times fewer items.
const QUICK: u64 = 4;

/// The default number of items and the default options of a workload: half a second to about one on two native threads, or a
/// quarter of that if `quick`. `docs/method.md` says by which measurement they were chosen. Items that are scheduled one by one
/// measure the scheduler, so all workloads but the first have batches.
pub(crate) fn default_size(workload: &str, quick: bool) -> (u64, Map<String, Value>) {
    let (items, extra) = match workload {
        SLEEPING => (100, json!({})),
        COMPUTING => (200_000, json!({"batch_size": 1000})),
        // Small batches: the imbalance of items averages out in large ones.
        IMBALANCE => (6_000, json!({"batch_size": 10, "distribution": "bimodal", "iters": 100_000})),
        WORD_COUNT => (12_000_000, json!({"batch_size": 10_000})),
        // Enough items for a 99th percentile of those that pass the filter.
        // The rate is explicit, so that every report has it.
        OPEN_LOOP => (2_000, json!({"iters": 50_000, "rate": 1000})),
        // 52 steps, or 13 of a quick comparison. Batches of a few tasks, as a step has 64.
        TASK_GRAPH => (3_328, json!({"batch_size": 4, "iters": 100_000})),
        NULL => (150_000_000, json!({"batch_size": 10_000})),
        // 200 MB, which an engine holds more than once.
        "payload" => (200_000, json!({"batch_size": 100})),
        "group" => (3_000_000, json!({"batch_size": 10_000})),
        "shuffle_match" => (400_000, json!({"batch_size": 1000})),
        "memory" => (60_000, json!({"batch_size": 100})),
        query if query.starts_with(QUERY) => (6_000_000, json!({"batch_size": 10_000})),
        _ => (10_000, json!({"batch_size": 100})),
    };
    // The rate of an open loop, and not its size, decides how much work there is, and percentiles need items.
    let items = if quick && workload != OPEN_LOOP { items / QUICK } else { items };
    (items, extra.as_object().cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_comparison_has_a_quarter_of_the_items_but_as_many_of_an_open_loop() {
        let suites = SUITES.iter().flat_map(|(_, workloads)| workloads.iter().copied());
        for workload in suites.chain([NULL, TASK_GRAPH, "another"]) {
            assert_eq!(default_size(workload, true).0 * 4, default_size(workload, false).0, "{workload}");
            assert_eq!(default_size(workload, true).1, default_size(workload, false).1);
        }
        assert_eq!(default_size(OPEN_LOOP, true), default_size(OPEN_LOOP, false));
    }
}
