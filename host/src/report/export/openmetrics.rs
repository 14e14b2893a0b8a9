//! OpenMetrics text, for Prometheus and what reads its format.

use super::row::{ExportedRow, Figure};
use crate::first_seen::grouped;
use crate::text::single_line;

/// The name of a family of samples, its unit, and what it is. A file has each family once, with all of its samples.
type Family = (String, &'static str, &'static str);

/// A sample of a family: its labels, and its value.
type Sample = (String, f64);

/// The verified rows with their figures, and the trials of all rows. Everything is a gauge.
pub(crate) fn openmetrics(rows: &[ExportedRow]) -> String {
    let mut samples: Vec<(Family, Sample)> = Vec::new();
    for row in rows {
        let labels = labels(&row.labels);
        for (status, count) in &row.trials {
            let family = ("crossrun_trials".into(), "", "Measured trials by status.");
            samples.push((family, (format!("{labels},status=\"{status}\""), f64::from(*count))));
        }
        for Figure { of, unit, value, interval } in &row.figures {
            let mut add = |part: &str, help, value| {
                let family = (format!("crossrun_{of}{part}_{unit}"), *unit, help);
                samples.push((family, (labels.clone(), value)));
            };
            add("", "The estimate over the blocks.", *value);
            if let Some(interval) = interval {
                add("_lower", "The lower end of the interval.", interval.low);
                add("_upper", "The upper end of the interval.", interval.high);
            }
        }
    }
    grouped(samples).iter().map(text).collect::<String>() + "# EOF\n"
}

fn text(((name, unit, help), samples): &(Family, Vec<Sample>)) -> String {
    let unit = if unit.is_empty() { String::new() } else { format!("# UNIT {name} {unit}\n") };
    let samples = samples.iter().map(|(labels, value)| format!("{name}{{{labels}}} {value}\n"));
    format!("# TYPE {name} gauge\n{unit}# HELP {name} {help}\n{}", samples.collect::<String>())
}

/// Labels with empty values are left out, as they say the same.
fn labels(labels: &[(&'static str, String)]) -> String {
    let labels = labels.iter().filter(|(_, value)| !value.is_empty());
    let escaped = |value: &str| single_line(value).replace('\\', "\\\\").replace('"', "\\\"");
    labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect::<Vec<_>>().join(",")
}
