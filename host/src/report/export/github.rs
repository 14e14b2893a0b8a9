//! The JSON of github-action-benchmark, for its tool `customSmallerIsBetter`.

use serde::Serialize;

use super::row::ExportedRow;
use crate::report::error::ReportError;
use crate::report::json::json;

#[derive(Serialize)]
struct Entry<'a> {
    name: String,
    unit: &'static str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: &'a str,
}

/// An entry for each verified row: the seconds by which it is compared. A ratio would be better the larger it is, so it is only
/// in `extra`.
pub(crate) fn github(rows: &[ExportedRow]) -> Result<String, ReportError> {
    json(&rows.iter().filter_map(entry).collect::<Vec<_>>())
}

fn entry(row: &ExportedRow) -> Option<Entry<'_>> {
    let figure = row.figures.iter().find(|figure| figure.unit == "seconds")?;
    Some(Entry {
        name: format!("{} {}", row.name, figure.of),
        unit: figure.unit,
        value: figure.value,
        range: figure.interval.map(|it| format!("{} to {}", it.low, it.high)),
        extra: &row.remark,
    })
}
