//! How many machines took part in a run.

use serde_json::{Map, Value};

use crate::text::plural;

/// How many machines executed work, by the metrics of the backend, and a warning. A backend that reports no number, or no valid
/// one, is recorded as one machine: the number that was asked for proves nothing.
///
/// A number larger than the one that was asked for is taken, as a backend may use a whole cluster: a smaller number in the record
/// would have it compared with runs on fewer machines.
pub(super) fn nodes(metrics: &Map<String, Value>, asked_for: u32) -> (u32, Option<String>) {
    let asked = format!("asked for {}", plural(asked_for.into(), "node"));
    let number = |value: &Value| value.as_u64().and_then(|it| u32::try_from(it).ok()).filter(|it| *it > 0);
    match metrics.get("nodes").map(number) {
        None if asked_for > 1 => {
            let why = "but the backend does not report how many took part: recorded as 1";
            (1, Some(format!("{asked}, {why}")))
        }
        None => (1, None),
        Some(None) => {
            let why =
                "the backend reports a number of nodes that is not a whole number from 1 on: recorded as 1";
            (1, Some(why.into()))
        }
        Some(Some(nodes)) if nodes == asked_for => (nodes, None),
        Some(Some(nodes)) => {
            let claim = format!("but the backend says that {} took part", plural(nodes.into(), "node"));
            (nodes, Some(format!("{asked}, {claim}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reported_nodes_are_recorded_and_a_difference_or_an_invalid_number_is_a_warning() {
        let missing = "asked for 3 nodes, but the backend does not report how many took part: recorded as 1";
        let invalid = "not a whole number from 1 on: recorded as 1";
        for (metrics, asked_for, recorded, words) in [
            (json!({}), 1, 1, ""),
            (json!({}), 3, 1, missing),
            (json!({"nodes": 3}), 3, 3, ""),
            (json!({"nodes": 1}), 3, 1, "asked for 3 nodes, but the backend says that 1 node took part"),
            (json!({"nodes": 2}), 1, 2, "asked for 1 node, but the backend says that 2 nodes took part"),
            (json!({"nodes": 0}), 3, 1, invalid),
            (json!({"nodes": -1}), 3, 1, invalid),
            (json!({"nodes": 1.5}), 3, 1, invalid),
            (json!({"nodes": "3"}), 3, 1, invalid),
            (json!({"nodes": null}), 3, 1, invalid),
            (json!({"nodes": 1_u64 << 32}), 3, 1, invalid),
        ] {
            let (found, warning) = nodes(metrics.as_object().unwrap(), asked_for);
            assert_eq!((found, warning.is_some()), (recorded, !words.is_empty()), "{metrics}");
            assert!(warning.unwrap_or_default().ends_with(words), "{metrics}");
        }
    }
}
