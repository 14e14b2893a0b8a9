//! A line for each row of the comparison, for spreadsheets.

use super::error::ReportError;
use super::labels::{mitigations, not_whole, shown_ratio};
use crate::compare::model::{
    Comparison, MeanRatio, PercentileSpread, Point, Ratio, RatioInterval, Row, Spread, SystemProfile,
    Verdict, Withheld,
};
use crate::text::{printable, word};

/// A row of the comparison, with the point that it belongs to.
struct Line<'a> {
    comparison: &'a Comparison,
    point: &'a Point,
    row: &'a Row,
}

/// The name of a column, and how its cell is read.
type Column = (&'static str, fn(&Line<'_>) -> String);

/// The columns. Times are in seconds, rates in items per second, memory in bytes. A missing value is
/// an empty cell.
const COLUMNS: [Column; 65] = [
    ("workload", |it| text(&it.point.workload)),
    ("items", |it| number(it.point.items)),
    ("parallelism", |it| it.point.parallelism.to_string()),
    ("scheduler", |it| text(&it.point.scheduler)),
    ("nodes", |it| it.point.nodes.to_string()),
    ("extra", |it| serde_json::to_string(&it.point.extra).unwrap_or_default()),
    ("backend", |it| text(&it.row.backend)),
    ("label", |it| text(&it.row.label)),
    ("baseline", |it| it.row.is_baseline.to_string()),
    ("machine", |it| text(profile(it).and_then(|it| it.hostname.as_deref()).unwrap_or_default())),
    ("trials", |it| it.row.counts.trials.to_string()),
    ("verified", |it| it.row.counts.verified.to_string()),
    ("duration_median", |it| median(it.row.duration)),
    ("duration_min", |it| number(it.row.duration.map(|spread| spread.min))),
    ("duration_max", |it| number(it.row.duration.map(|spread| spread.max))),
    ("input_rate_median", |it| median(it.row.input_rate)),
    ("output_rate_median", |it| median(it.row.output_rate)),
    ("latency_p50_median", |it| scheduled(it, 0)),
    ("latency_p90_median", |it| scheduled(it, 1)),
    ("latency_p95_median", |it| scheduled(it, 2)),
    ("latency_p99_median", |it| scheduled(it, 3)),
    ("latency_p99_9_median", |it| scheduled(it, 4)),
    ("service_p50_median", |it| service(it, 0)),
    ("service_p90_median", |it| service(it, 1)),
    ("service_p95_median", |it| service(it, 2)),
    ("service_p99_median", |it| service(it, 3)),
    ("service_p99_9_median", |it| service(it, 4)),
    ("lag_p50_median", |it| lag(it, 0)),
    ("lag_p90_median", |it| lag(it, 1)),
    ("lag_p95_median", |it| lag(it, 2)),
    ("lag_p99_median", |it| lag(it, 3)),
    ("lag_p99_9_median", |it| lag(it, 4)),
    ("load_median", |it| median(it.row.stages.load)),
    ("open_median", |it| median(it.row.stages.open)),
    ("first_median", |it| median(it.row.stages.first)),
    ("close_median", |it| median(it.row.stages.close)),
    ("cpu_seconds_median", |it| median(it.row.resources.and_then(|used| used.cpu_seconds))),
    ("peak_memory_bytes_median", |it| median(it.row.resources.and_then(|used| used.peak_memory_bytes))),
    ("ratio", |it| number(shown_ratio(it.row).map(|ratio| ratio.estimate))),
    ("ratio_low", |it| number(interval(it).map(|interval| interval.low))),
    ("ratio_high", |it| number(interval(it).map(|interval| interval.high))),
    ("ratio_blocks", |it| number(shown_ratio(it.row).filter(|ratio| ratio.paired).map(|ratio| ratio.blocks))),
    ("p_value", |it| number(shown_ratio(it.row).and_then(|ratio| ratio.p_value))),
    ("verdict", |it| shown_ratio(it.row).map_or("", verdict).into()),
    ("failure", |it| text(it.row.failures.first().map_or("", |failure| &failure.message))),
    ("mean_ratio", |it| number(mean_ratio(it).map(|ratio| ratio.estimate))),
    ("mean_ratio_low", |it| number(mean_ratio(it).and_then(|ratio| ratio.interval).map(|it| it.low))),
    ("mean_ratio_high", |it| number(mean_ratio(it).and_then(|ratio| ratio.interval).map(|it| it.high))),
    ("duration_cv", |it| number(it.row.variation.map(|it| it.coefficient))),
    ("slowest_to_fastest", |it| number(it.row.variation.map(|it| it.slowest_to_fastest))),
    ("reference_cpu_seconds_median", |it| median(it.row.efficiency.and_then(|it| it.reference_cpu_seconds))),
    ("efficiency_median", |it| median(it.row.efficiency.and_then(|it| it.efficiency))),
    ("overhead_seconds_per_item_median", |it| {
        median(it.row.efficiency.and_then(|it| it.overhead_seconds_per_item))
    }),
    ("cpu_seconds_per_item_median", |it| median(it.row.resources.and_then(|used| used.cpu_seconds_per_item))),
    ("memory_bytes_per_item_median", |it| {
        median(it.row.resources.and_then(|used| used.memory_bytes_per_item))
    }),
    ("cores_used_median", |it| median(it.row.resources.and_then(|used| used.cores_used))),
    ("memory_bytes_median", |it| median(it.row.resources.and_then(|used| used.memory_bytes))),
    ("smt", |it| number(profile(it).and_then(|profile| profile.smt))),
    ("cpu_quota", |it| number(profile(it).and_then(|profile| profile.cpu_quota))),
    ("mitigations", |it| {
        text(
            &profile(it)
                .and_then(|profile| profile.mitigations.as_ref())
                .map_or_else(String::new, mitigations),
        )
    }),
    ("command", |it| text(&it.comparison.commands.join("; "))),
    ("unsettled", |it| it.row.unsettled.to_string()),
    ("withheld", |it| withheld(it.row).map_or_else(String::new, word)),
    ("cores", |it| number(it.row.cores)),
    ("prepare_median", |it| median(it.row.stages.prepare)),
];

/// The values of every row, after a line with the names of the columns.
pub fn csv(comparison: &Comparison) -> Result<String, ReportError> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS.map(|(name, _)| name))?;
    for (point, row) in comparison.rows() {
        let line = Line { comparison, point, row };
        writer.write_record(COLUMNS.map(|(_, read)| read(&line)))?;
    }
    let bytes = writer.into_inner().map_err(|error| ::csv::Error::from(error.into_error()))?;
    // CSV cannot escape a control character.
    Ok(printable(&String::from_utf8_lossy(&bytes)))
}

fn profile<'a>(line: &Line<'a>) -> Option<&'a SystemProfile> {
    line.comparison.machines.get(line.row.machine?)
}

fn percentile<'a>(line: &Line<'a>, place: usize) -> Option<&'a PercentileSpread> {
    line.row.open_loop.as_ref()?.percentiles.get(place)
}

/// Records of other programs may have only some of these percentiles.
fn scheduled(line: &Line<'_>, place: usize) -> String {
    let latency = line.row.latency.unwrap_or_default();
    let recorded = [latency.p50, None, latency.p95, latency.p99, None];
    median(percentile(line, place).map_or(recorded[place], |it| it.scheduled))
}

fn service(line: &Line<'_>, place: usize) -> String {
    median(percentile(line, place).and_then(|it| it.service))
}

fn lag(line: &Line<'_>, place: usize) -> String {
    median(percentile(line, place).and_then(|it| it.generator_lag))
}

fn interval(line: &Line<'_>) -> Option<RatioInterval> {
    shown_ratio(line.row)?.interval
}

fn mean_ratio(line: &Line<'_>) -> Option<MeanRatio> {
    shown_ratio(line.row)?.mean_ratio
}

/// Why a row that was compared has no ratio here, or another verdict than its interval says. Of a row in doubt, such as the baseline,
/// no other column says so.
fn withheld(row: &Row) -> Option<Withheld> {
    match row.ratio {
        Some(ratio) => not_whole(row).or(ratio.withheld),
        None => not_whole(row).filter(|why| *why == Withheld::Doubts),
    }
}

fn verdict(ratio: &Ratio) -> &'static str {
    match ratio.verdict.filter(|_| ratio.withheld.is_none()) {
        None => "",
        Some(Verdict::Faster) => "faster",
        Some(Verdict::Slower) => "slower",
        Some(Verdict::Equivalent) => "equivalent",
        Some(Verdict::Inconclusive { .. }) => "inconclusive",
    }
}

fn median(spread: Option<Spread>) -> String {
    number(spread.map(|spread| spread.median))
}

fn number(number: Option<impl ToString>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

/// Text from plugins and records. An apostrophe keeps a spreadsheet from reading it as a formula.
fn text(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::model::Doubt;
    use crate::report::examples;

    /// The cell of a column, line by line.
    fn read(comparison: &Comparison, column: &str) -> Vec<String> {
        let at = COLUMNS.iter().position(|(name, _)| *name == column).unwrap();
        let text = csv(comparison).unwrap();
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        reader.records().map(|record| record.unwrap()[at].to_owned()).collect()
    }

    #[test]
    fn every_row_is_a_line_with_every_column() {
        let comparison = examples::several_workloads();
        let rows: usize = comparison.points.iter().map(|point| point.rows.len()).sum();
        assert_eq!(read(&comparison, "label").len(), rows);
        insta::assert_binary_snapshot!(".csv", csv(&comparison).unwrap().into_bytes());
    }

    #[test]
    fn every_percentile_has_its_own_column() {
        let comparison = examples::open_loop();
        let percentiles = &comparison.points[0].rows[0].open_loop.as_ref().unwrap().percentiles;
        for (column, spread) in [
            ("latency_p90_median", percentiles[1].scheduled),
            ("service_p99_9_median", percentiles[4].service),
            ("lag_p50_median", percentiles[0].generator_lag),
        ] {
            assert_eq!(read(&comparison, column)[0], spread.unwrap().median.to_string());
        }
        // 400 items are too few for a 99th percentile. There is none on several machines or without a valid trial.
        assert!(!read(&comparison, "latency_p95_median").last().unwrap().is_empty());
        for (line, column) in
            [(5, "latency_p99_median"), (2, "latency_p50_median"), (3, "service_p50_median")]
        {
            assert!(read(&comparison, column)[line].is_empty(), "{line} {column}");
        }
    }

    #[test]
    fn what_the_summary_marks_has_a_column() {
        let mut comparison = examples::several_workloads();
        let rows = &mut comparison.points[0].rows;
        (rows[0].unsettled, rows[0].cores) = (2, Some(3));
        rows[1].ratio.as_mut().unwrap().withheld = Some(Withheld::BelowNoiseFloor);
        assert_eq!(read(&comparison, "unsettled")[..2], ["2", "0"]);
        assert_eq!(read(&comparison, "cores")[..2], ["3", ""]);
        assert_eq!(read(&comparison, "withheld")[..2], ["", "below_noise_floor"]);
        assert_eq!(read(&comparison, "verdict")[1], "");
        // All seven are verified, also of a baseline in doubt.
        comparison.points[0].rows[0].doubts = vec![Doubt::CpuTime { part: 0.5 }];
        assert_eq!(read(&comparison, "withheld")[0], "doubts");
        // Five of seven are verified, and those may be the easy ones.
        let counts = &mut comparison.points[1].rows[1].counts;
        (counts.verified, counts.invalid) = (5, 2);
        assert_eq!(read(&comparison, "withheld")[4], "failures");
        for column in ["ratio", "ratio_low", "ratio_high", "ratio_blocks", "p_value", "mean_ratio", "verdict"]
        {
            assert_eq!(read(&comparison, column)[4], "", "{column}");
        }
    }

    #[test]
    fn a_number_reads_back_exactly_and_a_hostile_name_is_one_cell_and_no_formula() {
        let mut comparison = examples::several_workloads();
        let row = &mut comparison.points[0].rows[0];
        row.duration.as_mut().unwrap().median = 0.1 + 0.2;
        row.label = "=cmd|' /C calc'!A0,\"\n".into();
        assert_eq!(read(&comparison, "duration_median")[0].parse(), Ok(0.1 + 0.2));
        assert_eq!(read(&comparison, "label")[0], "'=cmd|' /C calc'!A0,\"\n");
    }
}
