//! The labels that the formats for METG share.

use serde::Serialize;

use crate::compare::metg::model::{Row, SweepOutcome, Sweeps};
use crate::compare::model::Status;
use crate::metg::Value;
use crate::report::labels::{Tone, by_block, name, one_line, or_none, reason};
use crate::report::number;

/// The cells of a table row, the same in every format.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::report) struct TableRow {
    pub(in crate::report) value: String,
    pub(in crate::report) interval: String,
    pub(in crate::report) floor: String,
    pub(in crate::report) blocks: String,
    pub(in crate::report) checks: &'static str,
    pub(in crate::report) tone: Tone,
}

impl TableRow {
    pub(in crate::report) fn of(row: &Row) -> Self {
        let (checks, tone) = checks(row);
        Self {
            value: or_none(row.value, value),
            interval: or_none(row.interval, |interval| {
                format!("{} – {}", number::duration(interval.low), number::duration(interval.high))
            }),
            floor: or_none(row.floor, number::duration),
            blocks: format!("{}/{}", row.blocks_with_value, row.blocks.len()),
            checks,
            tone,
        }
    }
}

/// `1.02 µs`, or a bound of the value: `>1.34 s`.
pub(in crate::report) fn value(value: Value) -> String {
    let (sign, seconds) = match value {
        Value::At { seconds } => ("", seconds),
        Value::Above { seconds } => (">", seconds),
        Value::Below { seconds } => ("<", seconds),
    };
    format!("{sign}{}", number::duration(seconds))
}

/// Whether the row passed the checks, or the most serious failure.
fn checks(row: &Row) -> (&'static str, Tone) {
    let has = |wanted: &[Status]| {
        let outcomes = row.blocks.iter().map(|block| &block.outcome);
        outcomes
            .into_iter()
            .any(|it| matches!(it, SweepOutcome::Failed { status, .. } if wanted.contains(status)))
    };
    let too_efficient = row.blocks.iter().any(|block| matches!(block.outcome, SweepOutcome::Invalid { .. }));
    match row.value {
        _ if has(&[Status::Wrong]) => ("wrong answer", Tone::Bad),
        _ if has(&[Status::Failed, Status::Unverified]) => ("failed", Tone::Bad),
        _ if has(&[Status::Invalid]) => ("invalid", Tone::Bad),
        _ if too_efficient => ("too efficient", Tone::Bad),
        Some(Value::At { .. }) => ("passed", Tone::Good),
        Some(Value::Above { .. }) => ("lower bound only", Tone::Unsure),
        Some(Value::Below { .. }) => ("upper bound only", Tone::Unsure),
        None => ("bounds contradict", Tone::Bad),
    }
}

/// Why blocks of a row have no value, each reason once.
pub(in crate::report) fn failures(row: &Row) -> Vec<String> {
    let reasons = row.blocks.iter().filter_map(|block| Some((failure(&block.outcome)?, Some(block.block))));
    let labelled = |(reason, blocks)| format!("{}, {blocks}: {reason}", name(&row.backend));
    by_block(reasons).into_iter().map(labelled).collect()
}

fn failure(outcome: &SweepOutcome) -> Option<String> {
    match outcome {
        SweepOutcome::Value { .. } => None,
        SweepOutcome::Invalid { kernel_seconds, efficiency } => Some(format!(
            "an efficiency of {} with kernels of {} is impossible: the backend used more cores than allowed, or the \
             reference was too slow",
            number::percent(*efficiency),
            number::duration(*kernel_seconds),
        )),
        SweepOutcome::Failed { status, phase, message, remedy } => {
            let what = match status {
                Status::Wrong => "wrong answer",
                Status::Invalid => "invalid measurement",
                Status::Verified | Status::Unverified | Status::Failed => "failed",
            };
            Some(reason(what, &one_line(phase, 40), message, remedy.as_deref()))
        }
    }
}

/// `2 cores`, if all rows have the same number.
pub(in crate::report) fn cores(sweeps: &Sweeps) -> Option<String> {
    let cores = sweeps.rows.first()?.cores;
    let same = sweeps.rows.iter().all(|row| row.cores == cores);
    same.then(|| crate::text::plural(cores.into(), "core"))
}
