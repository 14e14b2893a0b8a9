//! How many machines took part in a run.

use serde_json::{Map, Value};

use crate::text::plural;

/// How many machines executed work, and what the user should know of it: what the backend reports in its metrics. What was
/// asked for is no fact, so a backend that reports nothing, or what is no number of machines, has run on this one alone.
///
/// More than were asked for are believed, as a cluster may be used whole: a record that said less would be compared with
/// runs on fewer machines.
pub(super) fn nodes(metrics: &Map<String, Value>, asked_for: u32) -> (u32, Option<String>) {
    let asked = || format!("asked for {}", plural(asked_for.into(), "node"));
    let Some(reported) = metrics.get("nodes") else {
        let warning =
            || format!("{}, but the backend does not report how many took part: recorded as 1", asked());
        return (1, (asked_for > 1).then(warning));
    };
    let believed = reported.as_u64().and_then(|nodes| u32::try_from(nodes).ok()).filter(|nodes| *nodes > 0);
    match believed {
        None => {
            (1, Some("the backend reports nodes that are no whole number from 1 on: recorded as 1".into()))
        }
        Some(nodes) if nodes == asked_for => (nodes, None),
        Some(nodes) => {
            let took_part = plural(nodes.into(), "node");
            (nodes, Some(format!("{}, but {took_part} took part", asked())))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(reported: Value, asked_for: u32) -> (u32, String) {
        let metrics = json!({ "nodes": reported });
        let (nodes, warning) = nodes(metrics.as_object().unwrap(), asked_for);
        (nodes, warning.unwrap_or_default())
    }

    #[test]
    fn what_was_asked_for_is_no_fact() {
        assert_eq!(nodes(&Map::new(), 1), (1, None));
        let (recorded, warning) = nodes(&Map::new(), 3);
        assert_eq!(recorded, 1);
        assert_eq!(
            warning.unwrap(),
            "asked for 3 nodes, but the backend does not report how many took part: recorded as 1"
        );
    }

    #[test]
    fn what_is_reported_is_recorded_and_a_difference_is_told() {
        assert_eq!(of(json!(3), 3), (3, String::new()));
        assert_eq!(of(json!(1), 3), (1, "asked for 3 nodes, but 1 node took part".into()));
        assert_eq!(of(json!(2), 1), (2, "asked for 1 node, but 2 nodes took part".into()));
    }

    #[test]
    fn what_is_no_number_of_machines_is_not_believed() {
        for reported in
            [json!(0), json!(-1), json!(1.5), json!("3"), json!(null), json!([3]), json!(1_u64 << 32)]
        {
            let (recorded, warning) = of(reported.clone(), 3);
            assert_eq!(recorded, 1, "{reported}");
            assert!(warning.contains("no whole number from 1 on"), "{reported}: {warning}");
        }
    }
}
