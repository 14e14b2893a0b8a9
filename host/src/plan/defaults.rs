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
/// The option of [`OPEN_LOOP`] that says how many items are due in a second.
const RATE: &str = "rate";
/// The option of a query that says when events come, and its value for when they are asked for.
const ARRIVALS: &str = "arrivals";
const ON_DEMAND: &str = "on_demand";
/// The option of a query that says how many events come in a second of the clock, and its largest value.
const ARRIVAL_RATE: &str = "arrival_rate";
const MOST_ARRIVALS: u64 = 10_000_000;
/// The option of [`TASK_GRAPH`] that says what a task does, and its value for tasks that go through memory.
const KERNEL: &str = "kernel";
const MEMORY_KERNEL: &str = "memory";
/// How often a task repeats its kernel.
pub(crate) const ITERS: &str = "iters";

/// The options that decide the default size of a workload.
pub(crate) const SIZED_BY: [&str; 3] = [ARRIVALS, ARRIVAL_RATE, KERNEL];

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

/// The default number of items of a workload, and its default options.
pub(crate) type Size = (u64, Map<String, Value>);

/// The default size of a workload at a point with these options: half a second to about one on two native threads, or a quarter of
/// that if `quick`. `docs/method.md` says by which measurement it was chosen. Items that are scheduled one by one measure the
/// scheduler, so all workloads but the first and open loops have batches.
pub(crate) fn default_size(workload: &str, options: &Map<String, Value>, quick: bool) -> Size {
    let comes_by_schedule = comes_by_schedule(workload, options);
    let (items, extra) = match workload {
        SLEEPING => (100, json!({})),
        COMPUTING => (200_000, json!({"batch_size": 1000})),
        // Small batches: the imbalance of items averages out in large ones.
        IMBALANCE => (6_000, json!({"batch_size": 10, "distribution": "bimodal", "iters": 100_000})),
        WORD_COUNT => (12_000_000, json!({"batch_size": 10_000})),
        // Enough items for a 99th percentile of those that pass the filter.
        // The rate is explicit, so that every report has it. Slow items are those of a minute, or 400 where these are fewer.
        OPEN_LOOP => {
            let rate = options.get(RATE).and_then(whole).unwrap_or(1000).min(MOST_ARRIVALS);
            (2_000.min((60 * rate).max(400)), json!({"iters": 50_000, RATE: rate}))
        }
        // 52 steps, or 13 of a quick comparison. Batches of a few tasks, as a step has 64.
        TASK_GRAPH => (3_328, json!({"batch_size": 4, ITERS: task_iterations(options)})),
        NULL => (150_000_000, json!({"batch_size": 10_000})),
        // 200 MB, which an engine holds more than once.
        "payload" => (200_000, json!({"batch_size": 100})),
        "group" => (3_000_000, json!({"batch_size": 10_000})),
        "shuffle_match" => (400_000, json!({"batch_size": 1000})),
        "memory" => (60_000, json!({"batch_size": 100})),
        _ if comes_by_schedule => by_schedule(options),
        query if query.starts_with(QUERY) => (6_000_000, json!({"batch_size": 10_000})),
        _ => (10_000, json!({"batch_size": 100})),
    };
    // The rate of an open loop, and not its size, decides how much work there is, and percentiles need items.
    let is_open_loop = workload == OPEN_LOOP || comes_by_schedule;
    let items = if quick && !is_open_loop { items / QUICK } else { items };
    (items, extra.as_object().cloned().unwrap_or_default())
}

/// With the kernel that goes through memory, an iteration is a pass over a mebibyte by default.
fn task_iterations(options: &Map<String, Value>) -> u64 {
    let is_memory = options.get(KERNEL).is_some_and(|kernel| kernel == MEMORY_KERNEL);
    if is_memory { 10 } else { 100_000 }
}

/// Whether the workload is a query whose events come by the clock, so that it is an open loop.
fn comes_by_schedule(workload: &str, options: &Map<String, Value>) -> bool {
    workload.starts_with(QUERY) && options.get(ARRIVALS).is_some_and(|arrivals| arrivals != ON_DEMAND)
}

/// The size of a query whose events come by the clock: four seconds of it, which are at least 400 s of event time, or 40 windows. An
/// event waits at most a millisecond for the others of its batch. The rate is explicit, so that every report has it.
fn by_schedule(options: &Map<String, Value>) -> (u64, Value) {
    let rate = options.get(ARRIVAL_RATE).and_then(whole).unwrap_or(10_000);
    // One that is outside of the range is refused before anything runs.
    let rate = rate.clamp(1, MOST_ARRIVALS);
    let (batch_size, event_rate) = ((rate / 1000).max(1), (rate / 100).max(1));
    // Of slow events so many that there are 40 windows too: an event has no more than a second of event time.
    let events = (4 * rate).max(400);
    (events, json!({ARRIVAL_RATE: rate, "batch_size": batch_size, "rate": event_rate}))
}

/// A whole number, also one that is written with a fraction of zero.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().map(|number| number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(workload: &str, options: &Value, quick: bool) -> Size {
        default_size(workload, options.as_object().unwrap(), quick)
    }

    #[test]
    fn a_quick_comparison_has_a_quarter_of_the_items_but_as_many_of_an_open_loop() {
        let suites = SUITES.iter().flat_map(|(_, workloads)| workloads.iter().copied());
        let none = json!({});
        for workload in suites.chain([NULL, TASK_GRAPH, "another"]) {
            assert_eq!(size(workload, &none, true).0 * 4, size(workload, &none, false).0, "{workload}");
            assert_eq!(size(workload, &none, true).1, size(workload, &none, false).1);
        }
        assert_eq!(size(OPEN_LOOP, &none, true), size(OPEN_LOOP, &none, false));
    }

    #[test]
    fn slow_items_of_an_open_loop_are_those_of_a_minute() {
        let items = |rate: u64| size(OPEN_LOOP, &json!({ RATE: rate }), false).0;
        assert_eq!([1, 10, 100, 1_000_000].map(items), [400, 600, 2000, 2000]);
    }

    #[test]
    fn tasks_that_go_through_memory_do_so_a_few_times() {
        let iters = |options: Value| size(TASK_GRAPH, &options, false).1[ITERS].clone();
        assert_eq!((iters(json!({})), iters(json!({"kernel": "busy"}))), (json!(100_000), json!(100_000)));
        assert_eq!(iters(json!({"kernel": "memory"})), 10);
    }

    #[test]
    fn a_query_by_a_schedule_takes_seconds_and_its_batches_a_millisecond() {
        for rate in [None, Some(1), Some(20), Some(150), Some(250), Some(10_000), Some(10_000_000)] {
            let mut options = json!({"arrivals": "poisson"});
            if let Some(rate) = rate {
                options["arrival_rate"] = rate.into();
            }
            let rate = rate.unwrap_or(10_000);
            let (items, extra) = size("nexmark_q5", &options, false);
            assert!(items <= (10 * rate).max(400), "{items} items at {rate} a second");
            let batch_size = extra["batch_size"].as_u64().unwrap();
            assert!(batch_size == 1 || batch_size * 100 <= rate, "{batch_size} at {rate} a second");
            // 40 windows of ten seconds of event time.
            let event_seconds = items / extra["rate"].as_u64().unwrap();
            assert!(event_seconds >= 400, "{event_seconds} s at {rate} a second");
            assert_eq!(extra["arrival_rate"], rate);
            assert_eq!(size("nexmark_q5", &options, true), (items, extra));
        }
        // Of other workloads, and on demand, these options say nothing.
        let scheduled = json!({"arrivals": "poisson"});
        assert_eq!(size("mine", &scheduled, false), size("mine", &json!({}), false));
        let on_demand = json!({"arrivals": "on_demand", "arrival_rate": 5});
        assert_eq!(size("nexmark_q5", &on_demand, false), size("nexmark_q5", &json!({}), false));
    }
}
