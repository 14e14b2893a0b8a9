//! A line a row of the comparison, for spreadsheets.

use super::error::ReportError;
use crate::compare::model::{Comparison, Point, Ratio, Row, Spread, Verdict};
use crate::text::printable;

/// The columns. Times are in seconds, rates in items per second, memory in bytes; what is absent is empty.
const COLUMNS: [&str; 45] = [
    "workload",
    "items",
    "parallelism",
    "scheduler",
    "nodes",
    "extra",
    "backend",
    "label",
    "baseline",
    "machine",
    "trials",
    "verified",
    "duration_median",
    "duration_min",
    "duration_max",
    "input_rate_median",
    "output_rate_median",
    "latency_p50_median",
    "latency_p90_median",
    "latency_p95_median",
    "latency_p99_median",
    "latency_p99_9_median",
    "service_p50_median",
    "service_p90_median",
    "service_p95_median",
    "service_p99_median",
    "service_p99_9_median",
    "lag_p50_median",
    "lag_p90_median",
    "lag_p95_median",
    "lag_p99_median",
    "lag_p99_9_median",
    "load_median",
    "open_median",
    "first_median",
    "close_median",
    "cpu_seconds_median",
    "peak_memory_bytes_median",
    "ratio",
    "ratio_low",
    "ratio_high",
    "ratio_blocks",
    "p_value",
    "verdict",
    "failure",
];

/// The figures of every row, under a line of column names.
pub fn csv(comparison: &Comparison) -> Result<String, ReportError> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for point in &comparison.points {
        for row in &point.rows {
            let mut cells = point_cells(point);
            cells.extend(row_cells(comparison, row));
            cells.extend(ratio_cells(row.ratio.as_ref()));
            cells.push(word(row.failures.first().map_or("", |failure| &failure.message)));
            writer.write_record(cells)?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| ::csv::Error::from(error.into_error()))?;
    // Every cell is a string. The format has no way to write a control character as anything but itself.
    Ok(printable(&String::from_utf8_lossy(&bytes)))
}

fn point_cells(point: &Point) -> Vec<String> {
    let extra = serde_json::to_string(&point.extra).unwrap_or_default();
    vec![
        word(&point.workload),
        figure(point.items),
        point.parallelism.to_string(),
        word(&point.scheduler),
        point.nodes.to_string(),
        extra,
    ]
}

fn row_cells(comparison: &Comparison, row: &Row) -> Vec<String> {
    let Row { counts, stages, .. } = row;
    let resources = row.resources.unwrap_or_default();
    let machine = row.machine.and_then(|place| comparison.machines.get(place)?.hostname.as_deref());
    let median = |spread: Option<Spread>| figure(spread.map(|spread| spread.median));
    let mut cells = vec![
        word(&row.backend),
        word(&row.label),
        row.is_baseline.to_string(),
        word(machine.unwrap_or_default()),
        counts.trials.to_string(),
        counts.verified.to_string(),
        median(row.duration),
        figure(row.duration.map(|spread| spread.min)),
        figure(row.duration.map(|spread| spread.max)),
    ];
    cells.extend([row.input_rate, row.output_rate].map(median));
    cells.extend(percentiles(row).map(median));
    cells.extend([stages.load, stages.open, stages.first, stages.close].map(median));
    cells.extend([resources.cpu_seconds, resources.peak_memory_bytes].map(median));
    cells
}

/// Scheduled, service and lag, with five percentiles each. Records of others may have some of the first only.
fn percentiles(row: &Row) -> [Option<Spread>; 15] {
    let latency = row.latency.unwrap_or_default();
    let mut cells = [None; 15];
    (cells[0], cells[2], cells[3]) = (latency.p50, latency.p95, latency.p99);
    let known = row.open_loop.iter().flat_map(|table| &table.percentiles);
    for (place, it) in known.take(5).enumerate() {
        (cells[place], cells[5 + place], cells[10 + place]) = (it.scheduled, it.service, it.generator_lag);
    }
    cells
}

fn ratio_cells(ratio: Option<&Ratio>) -> Vec<String> {
    let interval = ratio.and_then(|ratio| ratio.interval);
    let verdict = ratio.filter(|ratio| ratio.withheld.is_none()).and_then(|ratio| ratio.verdict);
    let verdict = match verdict {
        None => "",
        Some(Verdict::Faster) => "faster",
        Some(Verdict::Slower) => "slower",
        Some(Verdict::Equivalent) => "equivalent",
        Some(Verdict::Inconclusive { .. }) => "inconclusive",
    };
    vec![
        figure(ratio.map(|ratio| ratio.estimate)),
        figure(interval.map(|interval| interval.low)),
        figure(interval.map(|interval| interval.high)),
        figure(ratio.filter(|ratio| ratio.paired).map(|ratio| ratio.blocks)),
        figure(ratio.and_then(|ratio| ratio.p_value)),
        verdict.into(),
    ]
}

fn figure(figure: Option<impl ToString>) -> String {
    figure.map_or_else(String::new, |figure| figure.to_string())
}

/// Text of others. A spreadsheet takes what starts like a formula for one, unless an apostrophe stands before it.
fn word(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples;

    fn read(text: &str) -> Vec<::csv::StringRecord> {
        ::csv::Reader::from_reader(text.as_bytes()).records().map(Result::unwrap).collect()
    }

    #[test]
    fn every_row_is_a_line_with_every_column() {
        let comparison = examples::several_workloads();
        let text = csv(&comparison).unwrap();
        let rows: usize = comparison.points.iter().map(|point| point.rows.len()).sum();
        assert_eq!(read(&text).len(), rows);
        insta::assert_binary_snapshot!(".csv", text.into_bytes());
    }

    #[test]
    fn every_percentile_stands_in_its_own_column() {
        let comparison = examples::open_loop();
        let read = read(&csv(&comparison).unwrap());
        let at = |name: &str| COLUMNS.iter().position(|column| *column == name).unwrap();
        let percentiles = &comparison.points[0].rows[0].open_loop.as_ref().unwrap().percentiles;
        let figure = |spread: Option<Spread>| spread.unwrap().median.to_string();
        assert_eq!(read[0][at("latency_p90_median")], figure(percentiles[1].scheduled));
        assert_eq!(read[0][at("service_p99_9_median")], figure(percentiles[4].service));
        assert_eq!(read[0][at("lag_p50_median")], figure(percentiles[0].generator_lag));
        // 400 items are too few for a 99th percentile; on several machines, and without a valid trial, there is none.
        let few = read.len() - 1;
        assert!(!read[few][at("latency_p95_median")].is_empty());
        for (line, column) in
            [(few, "latency_p99_median"), (2, "latency_p50_median"), (3, "service_p50_median")]
        {
            assert!(read[line][at(column)].is_empty(), "{line} {column}");
        }
    }

    #[test]
    fn a_figure_reads_back_as_it_was() {
        let mut comparison = examples::several_workloads();
        let spread = comparison.points[0].rows[0].duration.as_mut().unwrap();
        spread.median = 0.1 + 0.2;
        let at = COLUMNS.iter().position(|column| *column == "duration_median").unwrap();
        let read = read(&csv(&comparison).unwrap());
        assert_eq!(read[0][at].parse::<f64>().unwrap(), 0.1 + 0.2);
    }

    #[test]
    fn a_hostile_name_is_one_cell_and_no_formula() {
        let mut comparison = examples::several_workloads();
        comparison.points[0].rows[0].label = "=cmd|' /C calc'!A0,\"\n".into();
        let at = COLUMNS.iter().position(|column| *column == "label").unwrap();
        assert_eq!(&read(&csv(&comparison).unwrap())[0][at], "'=cmd|' /C calc'!A0,\"\n");
    }
}
