//! `ABI.md`, taken apart: its labelled blocks and its tables.

#![allow(dead_code, reason = "each test binary takes what it needs")]

use serde_json::Value;

const DOCUMENT: &str = include_str!("../../ABI.md");

/// What stands between the fence that opens with `label` and its end.
pub(crate) fn block(label: &str) -> &'static str {
    let (_, rest) = DOCUMENT.split_once(&format!("\n```{label}\n")).expect("a block with this label");
    rest.split_once("\n```").expect("an end of the block").0
}

/// The example with the label `name`.
pub(crate) fn example(name: &str) -> Value {
    serde_json::from_str(block(&format!("json {name}"))).expect("JSON in the block")
}

/// The example with a field that no version of this contract knows.
pub(crate) fn with_unknown_field(mut example: Value) -> Value {
    example.as_object_mut().expect("an object").insert("of_a_later_version".into(), [1].into());
    example
}

/// The names of all examples.
pub(crate) fn example_names() -> Vec<&'static str> {
    DOCUMENT.lines().filter_map(|line| line.strip_prefix("```json ")).collect()
}

/// The cells of the table whose header begins with `header`, without their backquotes, a row a line.
pub(crate) fn table(header: &str) -> Vec<Vec<String>> {
    let (_, rest) = DOCUMENT.split_once(&format!("\n| {header} |")).expect("a table with this header");
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cell = |cell: &str| cell.trim().replace('`', "");
    rows.map(|row| row.trim_matches('|').split('|').map(cell).collect()).collect()
}

/// The first column of a table.
pub(crate) fn first_column(header: &str) -> Vec<String> {
    table(header).into_iter().map(|row| row[0].clone()).collect()
}
