//! The rows of a comparison.

use super::row::{ExportedRow, Figure, Reason, State};
use crate::compare::model::{Comparison, Counts, FailureGroup, Point, Ratio, Row};
use crate::report::labels::{doubt, failure, one_line, shown_ratio, succeeded};
use crate::report::number;
use crate::run::session::NEGOTIATION;
use crate::text::{plural, word};

/// A reason has at most this many characters.
const LONGEST: usize = 1000;

impl Comparison {
    /// The rows of all points.
    pub(crate) fn exported(&self) -> Vec<ExportedRow> {
        self.rows().map(|(point, row)| self.exported_row(point, row)).collect()
    }

    fn exported_row(&self, point: &Point, row: &Row) -> ExportedRow {
        let (state, figures) = match state(row) {
            State::Verified => with_figures(point, row),
            other => (other, Vec::new()),
        };
        let machine = row.machine.and_then(|machine| self.machines.get(machine)?.hostname.clone());
        ExportedRow {
            name: format!("{}/{}", row.label, point.id),
            group: point.workload.clone(),
            labels: vec![
                ("backend", row.backend.clone()),
                ("row", row.label.clone()),
                ("workload", point.workload.clone()),
                ("point", point.id.clone()),
                ("machine", machine.unwrap_or_default()),
            ],
            trials: trials(row.counts),
            figures,
            state,
            remark: remark(point, row),
        }
    }
}

fn trials(counts: Counts) -> Vec<(&'static str, u32)> {
    let Counts { trials: _, verified, unverified, wrong, invalid, failed } = counts;
    vec![
        ("verified", verified),
        ("unverified", unverified),
        ("wrong", wrong),
        ("invalid", invalid),
        ("failed", failed),
    ]
}

fn state(row: &Row) -> State {
    let counts = row.counts;
    let reason = |group: &FailureGroup| {
        let kind = if group.kind.is_empty() { word(group.status) } else { group.kind.clone() };
        Reason { kind: one_line(&kind, 60), message: failure(group, row) }
    };
    match () {
        () if counts.trials == 0 => State::WithoutFigures("no trial was measured".into()),
        () if counts.trials == counts.verified => match row.doubts.first() {
            Some(first) => State::WithoutFigures(format!("in doubt: {}", doubt(first))),
            None => State::Verified,
        },
        () if row.failures.is_empty() => {
            let trials = plural(counts.unverified.into(), "trial");
            State::WithoutFigures(format!("nobody verified the answers of {trials}"))
        }
        () if !succeeded(&counts) && row.failures.iter().all(|group| group.phase == NEGOTIATION) => {
            State::WithoutFigures(one_line(&row.failures[0].message, LONGEST))
        }
        () => State::Failed(row.failures.iter().map(reason).collect()),
    }
}

fn with_figures(point: &Point, row: &Row) -> (State, Vec<Figure>) {
    let figures = figures(point, row);
    let nothing = || State::WithoutFigures("this open loop has no latency that could be compared".into());
    (if figures.is_empty() { nothing() } else { State::Verified }, figures)
}

/// The figure by which the row is compared comes first. How long an open loop takes depends on its schedule alone.
fn figures(point: &Point, row: &Row) -> Vec<Figure> {
    let intervals = row.median_intervals;
    let mut figures = Vec::new();
    if let Some(latency) = &row.compared_latency {
        let of = format!("latency_{}", latency.percentile.replace('.', "_"));
        let interval = intervals.and_then(|it| it.latency);
        figures.push(Figure::new(&of, "seconds", latency.spread.median, interval));
    } else if row.open_loop.is_none() {
        let duration = row.duration.map(|spread| spread.median);
        let interval = intervals.map(|it| it.duration);
        figures.extend(duration.map(|seconds| Figure::new("duration", "seconds", seconds, interval)));
        let rate = row.input_rate.map(|spread| spread.median);
        let interval = intervals.and_then(|it| it.input_rate);
        figures.extend(rate.map(|rate| Figure::new("input", "items_per_second", rate, interval)));
    }
    let speed = exported_ratio(point, row);
    figures.extend(speed.map(|ratio| Figure::new("speed", "ratio", ratio.estimate, ratio.interval)));
    figures
}

/// The ratio, where it may be shown and every trial of the baseline is verified.
fn exported_ratio<'r>(point: &Point, row: &'r Row) -> Option<&'r Ratio> {
    let baseline = point.compared_with(row)?;
    shown_ratio(row).filter(|_| baseline.counts.trials == baseline.counts.verified)
}

fn remark(point: &Point, row: &Row) -> String {
    let verified = format!("{} of {} verified", row.counts.verified, row.counts.trials);
    let compared = exported_ratio(point, row).zip(row.compared_with.as_deref());
    let Some((ratio, other)) = compared else { return verified };
    let interval =
        ratio.interval.map_or_else(String::new, |it| format!(" ({})", number::interval(it.low, it.high)));
    let other = one_line(other, 60);
    format!("{verified}; speed {}{interval} that of {other}", number::ratio(ratio.estimate))
}
