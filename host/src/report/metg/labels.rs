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
    /// METG: the granularity of a task at the target.
    pub(in crate::report) metg: String,
    pub(in crate::report) interval: String,
    /// The kernel of a task of that granularity.
    pub(in crate::report) kernel: String,
    pub(in crate::report) floor: String,
    pub(in crate::report) blocks: String,
    pub(in crate::report) checks: &'static str,
    pub(in crate::report) tone: Tone,
}

impl TableRow {
    pub(in crate::report) fn of(row: &Row) -> Self {
        let (checks, tone) = checks(row);
        Self {
            metg: or_none(row.metg, value),
            interval: or_none(row.metg_interval, |interval| {
                format!("{} – {}", number::duration(interval.low), number::duration(interval.high))
            }),
            kernel: or_none(row.value, value),
            floor: or_none(row.floor, number::duration),
            blocks: format!("{}/{}", row.blocks_with_value, row.blocks.len()),
            checks,
            tone,
        }
    }
}

/// `1.02 µs`, or a bound of the value: `<640 ns`.
pub(in crate::report) fn value(value: Value) -> String {
    let sign = match value {
        Value::At { .. } => "",
        Value::Below { .. } => "<",
    };
    format!("{sign}{}", number::duration(value.seconds()))
}

/// Whether the row passed the checks, or the most serious failure.
fn checks(row: &Row) -> (&'static str, Tone) {
    let has = |wanted: &[Status]| {
        let outcomes = row.blocks.iter().map(|block| &block.outcome);
        outcomes
            .into_iter()
            .any(|it| matches!(it, SweepOutcome::Failed { status, .. } if wanted.contains(status)))
    };
    let any = |wanted: fn(&SweepOutcome) -> bool| row.blocks.iter().any(|block| wanted(&block.outcome));
    let too_efficient = any(|outcome| matches!(outcome, SweepOutcome::Invalid { .. }));
    let never_efficient = any(|outcome| matches!(outcome, SweepOutcome::NeverEfficient { .. }));
    match row.metg {
        _ if has(&[Status::Wrong]) => ("wrong answer", Tone::Bad),
        _ if has(&[Status::Failed, Status::Unverified]) => ("failed", Tone::Bad),
        _ if has(&[Status::Invalid]) => ("invalid", Tone::Bad),
        _ if too_efficient => ("too efficient", Tone::Bad),
        None => ("never reached 90 %", Tone::Bad),
        Some(_) if never_efficient => ("some below 90 %", Tone::Unsure),
        Some(Value::At { .. }) => ("passed", Tone::Good),
        Some(Value::Below { .. }) => ("upper bound only", Tone::Unsure),
    }
}

/// Why blocks of a row have no value, each reason once.
pub(in crate::report) fn failures(row: &Row) -> Vec<String> {
    let reasons = row.blocks.iter().filter_map(|block| Some((failure(&block.outcome)?, Some(block.block))));
    let labelled = |(reason, blocks)| format!("{}, {blocks}: {reason}", name(&row.name()));
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
        // Without the efficiency, which differs from block to block, all blocks of a row share one line.
        SweepOutcome::NeverEfficient { .. } => Some(
            "never reached 90 % efficiency, so there is no value: the machine was busy, or the longest kernel \
             (--coarsest) is too short"
                .into(),
        ),
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
