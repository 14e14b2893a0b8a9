//! OpenMetrics text, for Prometheus and what reads its format.

use super::row::{ExportedRow, Figure};
use crate::text::single_line;

/// A sample of a family: its labels, and its value.
type Sample = (String, f64);

/// A family of samples. A file has each family once, with all of its samples.
struct Family {
    name: String,
    unit: &'static str,
    help: &'static str,
    samples: Vec<Sample>,
}

/// The verified rows with their figures, and the trials of all rows. Everything is a gauge.
pub(crate) fn openmetrics(rows: &[ExportedRow]) -> String {
    let mut families: Vec<Family> = Vec::new();
    let mut add = |name: String, unit, help, sample: Sample| {
        let known = families.iter().position(|family| family.name == name);
        let at = known.unwrap_or_else(|| {
            families.push(Family { name, unit, help, samples: Vec::new() });
            families.len() - 1
        });
        families[at].samples.push(sample);
    };
    for row in rows {
        let labels = labels(&row.labels);
        for (status, count) in &row.trials {
            let labels = format!("{labels},status=\"{status}\"");
            add("crossrun_trials".into(), "", "Measured trials by status.", (labels, f64::from(*count)));
        }
        for Figure { of, unit, value, interval } in &row.figures {
            let mut add = |part: &str, help, value| {
                add(format!("crossrun_{of}{part}_{unit}"), unit, help, (labels.clone(), value));
            };
            add("", "The estimate over the blocks.", *value);
            if let Some(interval) = interval {
                add("_lower", "The lower end of the interval.", interval.low);
                add("_upper", "The upper end of the interval.", interval.high);
            }
        }
    }
    families.iter().map(Family::to_text).collect::<String>() + "# EOF\n"
}

impl Family {
    fn to_text(&self) -> String {
        let Self { name, unit, help, samples } = self;
        let unit = if unit.is_empty() { String::new() } else { format!("# UNIT {name} {unit}\n") };
        let samples = samples.iter().map(|(labels, value)| format!("{name}{{{labels}}} {value}\n"));
        format!("# TYPE {name} gauge\n{unit}# HELP {name} {help}\n{}", samples.collect::<String>())
    }
}

/// Labels with empty values are left out, as they say the same.
fn labels(labels: &[(&'static str, String)]) -> String {
    let labels = labels.iter().filter(|(_, value)| !value.is_empty());
    labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect::<Vec<_>>().join(",")
}

fn escaped(value: &str) -> String {
    single_line(value).replace('\\', "\\\\").replace('"', "\\\"")
}
