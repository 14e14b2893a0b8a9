//! Bencher Metric Format: JSON from the name of a row to its measures.

use std::collections::BTreeMap;

use serde::Serialize;

use super::row::{ExportedRow, Figure};
use crate::report::error::ReportError;
use crate::report::json::json;

#[derive(Serialize)]
struct Metric {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

/// The verified rows.
pub(crate) fn bencher(rows: &[ExportedRow]) -> Result<String, ReportError> {
    let measures = |row: &ExportedRow| row.figures.iter().map(measure).collect::<BTreeMap<_, _>>();
    let with_figures = rows.iter().filter(|row| !row.figures.is_empty());
    json(&with_figures.map(|row| (row.name.as_str(), measures(row))).collect::<BTreeMap<_, _>>())
}

/// The name of a measure is its own slug: lower case with hyphens.
fn measure(figure: &Figure) -> (String, Metric) {
    let name = format!("{}-{}", figure.of, figure.unit).replace('_', "-");
    let interval = figure.interval;
    let metric = Metric {
        value: figure.value,
        lower_value: interval.map(|it| it.low),
        upper_value: interval.map(|it| it.high),
    };
    (name, metric)
}
