//! The numbers of items that a graph of tasks uses: those of whole rows.

use plugin_api::workload::CatalogueEntry;
use serde_json::{Map, Value};

/// The parameter that is the width of a row.
const WIDTH: &str = "width";

/// How many tasks a row has where no option says so, if the graph of a workload consists of whole rows.
pub(crate) fn row_width(entry: &CatalogueEntry) -> Option<u64> {
    entry.plan.graph.filter(|graph| graph.whole_rows)?;
    entry.parameters.iter().find(|parameter| parameter.name == WIDTH)?.default.as_u64()
}

/// So many of `items` as a workload uses whose rows are `row_width` wide, unless `extra` says otherwise.
pub(crate) fn used_items(row_width: Option<u64>, items: u64, extra: &Map<String, Value>) -> u64 {
    let width = row_width.and_then(|width| extra.get(WIDTH).map_or(Some(width), Value::as_u64));
    match width.filter(|width| (1..=items).contains(width)) {
        Some(width) => items - items % width,
        None => items,
    }
}

/// What to say where a workload does not use all of `items`.
pub(crate) fn rounded(workload: &str, items: u64, used: u64) -> Option<String> {
    (used < items).then(|| format!("{workload} runs whole steps: {items} items are rounded down to {used}"))
}

#[cfg(test)]
mod tests {
    use plugin_api::{GraphShape, Parameter, Plan};
    use serde_json::json;

    use super::*;
    use crate::plan::defaults::{TASK_GRAPH, default_size};

    #[test]
    fn a_workload_of_any_name_says_that_its_graph_has_whole_rows() {
        let entry = |whole_rows, parameter: &str| CatalogueEntry {
            name: "mine".into(),
            description: String::new(),
            parameters: vec![Parameter::integer(parameter, "tasks in a row", 7, 1, 100)],
            plan: Plan::new().with_graph(GraphShape { whole_rows, ..GraphShape::default() }),
            needs: Vec::new(),
            uses: Vec::new(),
        };
        assert_eq!(row_width(&entry(true, "width")), Some(7));
        assert_eq!((row_width(&entry(false, "width")), row_width(&entry(true, "rows"))), (None, None));
        assert_eq!(row_width(&CatalogueEntry { plan: Plan::new(), ..entry(true, "width") }), None);
    }

    #[test]
    fn a_graph_of_whole_rows_uses_the_items_of_whole_steps() {
        let used = |row_width, items, extra: Value| used_items(row_width, items, extra.as_object().unwrap());
        assert_eq!(used(Some(64), 1000, json!({})), 960);
        assert_eq!(used(Some(64), 1000, json!({"width": 30})), 990);
        assert_eq!((used(Some(64), 63, json!({})), used(Some(64), 0, json!({}))), (63, 0));
        // The library says what is wrong with such a width.
        for width in [json!(0), json!("x"), json!(-1)] {
            assert_eq!(used(Some(64), 100, json!({ "width": width })), 100);
        }
        assert_eq!(used(None, 1000, json!({"width": 30})), 1000);
        assert!(rounded(TASK_GRAPH, 960, 960).is_none());
        for quick in [true, false] {
            let (items, extra) = default_size(TASK_GRAPH, &Map::new(), quick);
            assert_eq!(used_items(Some(64), items, &extra), items);
        }
    }
}
