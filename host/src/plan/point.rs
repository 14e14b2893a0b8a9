//! A point: a workload and one way to run it; and the cell that measures it once.

use std::fmt;

use plugin_api::WorkloadSpec;
use serde_json::{Map, Value};

/// The prefix of an option with the name of an optional part of the id.
const PREFIX: &str = "extra.";

/// A workload and one way to run it, on any backend. Its `Display` is the stable and readable id of the point:
/// `pipeline/items=1000/parallelism=2/scheduler=default/iters=250`. Different points have different ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point<'a> {
    pub workload: &'a str,
    /// The number of items that the source emits, if that is known.
    pub items: Option<u64>,
    /// How many operator calls may be in flight.
    pub parallelism: u32,
    pub scheduler: &'a str,
    /// The number of machines that is asked for; in the id only if it is not 1.
    pub nodes: u32,
    /// Options of workload and backend, sorted by key in the id.
    pub extra: &'a Map<String, Value>,
}

impl fmt::Display for Point<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, items, parallelism, scheduler, nodes, extra } = self;
        f.write_str(&name(workload))?;
        if let Some(items) = items {
            write!(f, "/items={items}")?;
        }
        write!(f, "/parallelism={parallelism}/scheduler={}", name(scheduler))?;
        if *nodes != 1 {
            write!(f, "/nodes={nodes}")?;
        }
        for (key, value) in *extra {
            let prefix = if matches!(key.as_str(), "items" | "nodes") { PREFIX } else { "" };
            write!(f, "/{prefix}{}={}", name(key), value_of_option(value))?;
        }
        Ok(())
    }
}

/// A name. One that could be read as more than a name becomes a JSON string, with its quotes.
fn name(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_plain = !text.is_empty() && text.chars().all(plain) && !text.starts_with(PREFIX);
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}

/// The value of an option. A text that is valid JSON, such as a number, becomes a JSON string.
fn value_of_option(value: &Value) -> String {
    match value {
        Value::String(text) if serde_json::from_str::<Value>(text).is_err() => name(text),
        other => other.to_string(),
    }
}

/// A workload at one point, to be measured once.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The id of the point.
    pub point: String,
    /// The run and the point: the same for every backend.
    pub run_id: String,
    /// The configuration. Its seed is that of the run; the data of a trial have their own seed.
    pub spec: WorkloadSpec,
}

impl Cell {
    /// The cell of a run at the point of a spec and a number of machines.
    pub fn new(run: &str, spec: WorkloadSpec, nodes: u32) -> Self {
        let point = Point {
            workload: &spec.name,
            items: Some(spec.total_items),
            parallelism: spec.parallelism,
            scheduler: &spec.scheduler_name,
            nodes,
            extra: &spec.extra,
        };
        let point = point.to_string();
        Self { run_id: format!("{run}/{point}"), point, spec }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn id(workload: &str, items: u64, scheduler: &str, extra: &Value) -> String {
        let extra = extra.as_object().unwrap();
        Point { workload, items: Some(items), parallelism: 2, scheduler, nodes: 1, extra }.to_string()
    }

    #[test]
    fn an_id_is_readable() {
        assert_eq!(
            id("pipeline", 1000, "default", &json!({})),
            "pipeline/items=1000/parallelism=2/scheduler=default"
        );
        assert_eq!(
            id("imbalance", 10, "load_aware", &json!({"shape": "pareto", "iters": 250, "s": 1.2})),
            "imbalance/items=10/parallelism=2/scheduler=load_aware/iters=250/s=1.2/shape=pareto"
        );
        let unknown = Point {
            workload: "w",
            items: None,
            parallelism: 4,
            scheduler: "fifo",
            nodes: 2,
            extra: &Map::new(),
        };
        assert_eq!(unknown.to_string(), "w/parallelism=4/scheduler=fifo/nodes=2");
    }

    #[test]
    fn ambiguous_names_and_values_are_quoted() {
        assert_ne!(id("w", 1, "s", &json!({"a": 5})), id("w", 1, "s", &json!({"a": "5"})));
        assert_ne!(id("w", 1, "s", &json!({"a": null})), id("w", 1, "s", &json!({"a": "null"})));
        assert_ne!(id("w", 1, "s/a=1", &json!({})), id("w", 1, "s", &json!({"a": 1})));
        let unknown = |extra: &Map<String, Value>, items| {
            Point { workload: "w", items, parallelism: 1, scheduler: "s", nodes: 1, extra }.to_string()
        };
        let named = json!({"items": 1, "nodes": 2, "extra.items": 3});
        assert_ne!(unknown(named.as_object().unwrap(), None), unknown(&Map::new(), Some(1)));
    }

    fn extras() -> impl Strategy<Value = Map<String, Value>> {
        let text = prop::sample::select(vec![
            "a",
            "b",
            "items",
            "nodes",
            "extra.items",
            "a=1",
            "a/b",
            "1",
            "",
            "\"",
        ]);
        let value = prop_oneof![
            text.clone().prop_map(Value::from),
            (0..3).prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null),
        ];
        prop::collection::btree_map(text.prop_map(str::to_owned), value, 0..4).prop_map(Map::from_iter)
    }

    proptest! {
        #[test]
        fn different_points_have_different_ids(
            one in (extras(), 0..2_u64, 1..3_u32, prop::sample::select(vec!["s", "s/a=1", "s/nodes=2"])),
            other in (extras(), 0..2_u64, 1..3_u32, prop::sample::select(vec!["s", "s/a=1", "s/nodes=2"])),
        ) {
            let id = |(extra, items, nodes, scheduler): &(Map<String, Value>, u64, u32, &str)| {
                let items = (*items > 0).then_some(*items);
                Point { workload: "w", items, parallelism: 1, scheduler, nodes: *nodes, extra }.to_string()
            };
            prop_assert_eq!(one == other, id(&one) == id(&other));
        }
    }
}
