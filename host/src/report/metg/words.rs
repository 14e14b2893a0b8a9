//! What the formats have in common: how a row of METG is put into words.

use serde::Serialize;

use crate::compare::metg::model::{Block, Row, SweepOutcome, Sweeps};
use crate::compare::model::Status;
use crate::metg::Value;
use crate::report::figure;
use crate::report::words::{self, NONE, Tone, line};

/// A row of the table: the same words in every format.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::report) struct Line {
    pub(in crate::report) backend: String,
    pub(in crate::report) value: String,
    pub(in crate::report) interval: String,
    pub(in crate::report) floor: String,
    pub(in crate::report) blocks: String,
    pub(in crate::report) guards: String,
    pub(in crate::report) tone: Tone,
}

impl Line {
    pub(in crate::report) fn of(row: &Row) -> Self {
        let duration = |seconds: f64| figure::duration(seconds);
        let (guards, tone) = guards(row);
        Self {
            backend: line(&row.backend, 60),
            value: row.value.map_or_else(|| NONE.into(), value),
            interval: row.interval.map_or_else(
                || NONE.into(),
                |interval| format!("{} – {}", duration(interval.low), duration(interval.high)),
            ),
            floor: row.floor.map_or_else(|| NONE.into(), duration),
            blocks: format!("{}/{}", row.blocks_with_value, row.blocks.len()),
            guards,
            tone,
        }
    }
}

/// `1.02 µs`; of a bound, on which side of it the value lies: `>1.34 s`.
pub(in crate::report) fn value(value: Value) -> String {
    match value {
        Value::At { seconds } => figure::duration(seconds),
        Value::Above { seconds } => format!(">{}", figure::duration(seconds)),
        Value::Below { seconds } => format!("<{}", figure::duration(seconds)),
    }
}

/// Whether the guards held; else the gravest that did not, in a few words.
fn guards(row: &Row) -> (String, Tone) {
    let told = |words: &str, tone| (words.to_owned(), tone);
    let failed = |wanted: Status| {
        let is = |block: &Block| matches!(&block.outcome, SweepOutcome::Failed { status, .. } if *status == wanted);
        row.blocks.iter().any(is)
    };
    let invalid = row.blocks.iter().any(|block| matches!(block.outcome, SweepOutcome::Invalid { .. }));
    match row.value {
        _ if failed(Status::Wrong) => told("wrong answer", Tone::Bad),
        _ if failed(Status::Failed) || failed(Status::Unverified) => told("failed", Tone::Bad),
        _ if failed(Status::Invalid) => told("invalid", Tone::Bad),
        _ if invalid => told("too efficient", Tone::Bad),
        Some(Value::At { .. }) => told("held", Tone::Good),
        Some(Value::Above { .. }) => told("never coarse enough", Tone::Unsure),
        Some(Value::Below { .. }) => told("never fine enough", Tone::Unsure),
        None => told("bounds contradict", Tone::Bad),
    }
}

/// Why blocks have no value, equal reasons of a row once.
pub(in crate::report) fn failures(sweeps: &Sweeps) -> Vec<String> {
    sweeps.rows.iter().flat_map(failures_of).collect()
}

pub(in crate::report) fn failures_of(row: &Row) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for block in &row.blocks {
        let Some(reason) = reason(&block.outcome) else { continue };
        let number = words::block(Some(block.block));
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, numbers)) => numbers.push(number),
            None => reasons.push((reason, vec![number])),
        }
    }
    let told = |(reason, numbers): (String, Vec<String>)| {
        let noun = if numbers.len() == 1 { "block" } else { "blocks" };
        format!("{}, {noun} {}: {reason}", line(&row.backend, 60), numbers.join(", "))
    };
    reasons.into_iter().map(told).collect()
}

fn reason(outcome: &SweepOutcome) -> Option<String> {
    match outcome {
        SweepOutcome::Value { .. } => None,
        SweepOutcome::Invalid { kernel_seconds, efficiency } => Some(format!(
            "{} of the cores' time would be in kernels of {}: more cores worked than may, or the reference was slow",
            figure::percent(*efficiency),
            figure::duration(*kernel_seconds),
        )),
        SweepOutcome::Failed { status, phase, message, remedy } => {
            let what = match status {
                Status::Wrong => "wrong answer",
                Status::Invalid => "invalid measurement",
                Status::Verified | Status::Unverified | Status::Failed => "failed",
            };
            let remedy =
                remedy.as_ref().map_or_else(String::new, |remedy| format!("; try: {}", line(remedy, 300)));
            Some(format!("{what} in {}: {}{remedy}", line(phase, 40), line(message, 1000)))
        }
    }
}

/// `2 cores`, if all rows are of as many.
pub(in crate::report) fn of_cores(sweeps: &Sweeps) -> Option<String> {
    let cores = sweeps.rows.first()?.cores;
    let same = sweeps.rows.iter().all(|row| row.cores == cores);
    same.then(|| crate::text::plural(cores.into(), "core"))
}
