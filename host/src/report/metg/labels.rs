//! The labels that the formats for METG share.

use serde::Serialize;
use serde_json::Value as Json;

use crate::compare::metg::model::{Block, Column, Group, Row, SweepOutcome, Sweeps, Table};
use crate::compare::model::{Form, Status};
use crate::metg::Value;
use crate::report::labels::{Tone, by_block, name, one_line, or_none, reason, short_name};
use crate::report::number;
use crate::text::{json_text, plural};

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
        let failed =
            |it: &SweepOutcome| matches!(it, SweepOutcome::Failed { status, .. } if wanted.contains(status));
        row.blocks.iter().any(|block| failed(&block.outcome))
    };
    let any = |wanted: fn(&SweepOutcome) -> bool| row.blocks.iter().any(|block| wanted(&block.outcome));
    let too_efficient = any(|outcome| matches!(outcome, SweepOutcome::Invalid { .. }));
    let never_efficient = any(|outcome| matches!(outcome, SweepOutcome::NeverEfficient { .. }));
    let unfinished = any(|outcome| matches!(outcome, SweepOutcome::Unfinished));
    match row.metg {
        _ if has(&[Status::Wrong]) => ("wrong answer", Tone::Bad),
        _ if has(&[Status::Failed, Status::Unverified]) => ("failed", Tone::Bad),
        _ if has(&[Status::Invalid]) => ("invalid", Tone::Bad),
        _ if too_efficient => ("too efficient", Tone::Bad),
        None if unfinished && !never_efficient => ("unfinished", Tone::Unsure),
        None => ("never reached 90 %", Tone::Bad),
        Some(_) if never_efficient => ("some below 90 %", Tone::Unsure),
        Some(_) if unfinished => ("some unfinished", Tone::Unsure),
        Some(Value::At { .. }) => ("passed", Tone::Good),
        Some(Value::Below { .. }) => ("upper bound only", Tone::Unsure),
    }
}

/// Why blocks of a row have no value, each reason once for each run: several runs have blocks of one number.
pub(in crate::report) fn failures(row: &Row) -> Vec<String> {
    let runs: Vec<_> = row.blocks.chunk_by(|one, other| one.run == other.run).collect();
    let of_run = |blocks: &&[Block]| {
        let run = blocks.first().filter(|_| runs.len() > 1);
        let run = run.map_or_else(String::new, |block| format!(" of run {}", short_name(&block.run, 40)));
        let reasons =
            blocks.iter().filter_map(|block| Some((failure(row, &block.outcome)?, Some(block.block))));
        let labelled = |(reason, blocks)| format!("{}, {blocks}{run}: {reason}", name(&row.name()));
        by_block(reasons).into_iter().map(labelled).collect::<Vec<_>>()
    };
    runs.iter().flat_map(of_run).collect()
}

fn failure(row: &Row, outcome: &SweepOutcome) -> Option<String> {
    match outcome {
        SweepOutcome::Value { .. } => None,
        SweepOutcome::Invalid { kernel_seconds, efficiency } => Some(format!(
            "an efficiency of {} with kernels of {} is impossible: the backend used more cores than allowed, or the \
             reference was too slow",
            number::percent(*efficiency),
            number::duration(*kernel_seconds),
        )),
        // Without the efficiency, which differs from block to block, all blocks of a row share one line.
        SweepOutcome::NeverEfficient { .. } => {
            let or = if row.ran_longest_kernel() {
                "the backend needs longer kernels than can be asked for"
            } else {
                "the longest kernel (--coarsest) is too short"
            };
            Some(format!(
                "never reached 90 % efficiency, so there is no value: the machine was busy, or {or}"
            ))
        }
        SweepOutcome::Unfinished => Some("the run ended before the sweep did, or still goes on".into()),
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
    same.then(|| plural(cores.into(), "core"))
}

/// The setting of a table, as readers know it.
pub(in crate::report) fn setting(table: &Table) -> String {
    match table.by.as_str() {
        "radix" => "number of inputs".into(),
        "output_bytes" => "length of an output".into(),
        other => one_line(other, 20),
    }
}

/// A backend, and that its figures are those of stages. The name has at most `limit` characters.
pub(in crate::report) fn column(backend: &str, form: Option<Form>, limit: usize) -> String {
    short_name(backend, limit) + if form == Some(Form::Stages) { " (stages)" } else { "" }
}

pub(in crate::report) fn columns(table: &Table, limit: usize) -> Vec<String> {
    table.columns.iter().map(|Column { backend, form }| column(backend, *form, limit)).collect()
}

/// A line of a table: graphs of all backends that differ in nothing.
pub(in crate::report) struct TableLine<'a> {
    /// What the graphs of the group have in common.
    pub(in crate::report) graphs: &'a str,
    pub(in crate::report) is_first_of_group: bool,
    /// Of the setting.
    pub(in crate::report) value: String,
    /// For each column the place of the row, and METG. A sign stands for a row that did not pass its checks.
    pub(in crate::report) cells: Vec<(Option<usize>, String)>,
}

pub(in crate::report) fn lines<'a>(sweeps: &'a Sweeps, table: &'a Table) -> Vec<TableLine<'a>> {
    let cell = |place: &Option<usize>| (*place, or_none(place.and_then(|it| sweeps.rows.get(it)), cell));
    let of_group = |group: &'a Group| {
        group.lines.iter().enumerate().map(move |(number, line)| TableLine {
            graphs: &group.graphs,
            is_first_of_group: number == 0,
            value: setting_value(&table.by, &line.value),
            cells: line.rows.iter().map(cell).collect(),
        })
    };
    table.groups.iter().flat_map(of_group).collect()
}

/// `64 B`, `nearest(3)`.
pub(in crate::report) fn setting_value(setting: &str, value: &Json) -> String {
    let unit = if setting == "output_bytes" { " B" } else { "" };
    one_line(&json_text(value), 24) + unit
}

fn cell(row: &Row) -> String {
    let TableRow { metg, tone, .. } = TableRow::of(row);
    if tone == Tone::Bad { format!("{metg} ✗") } else { metg }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::metg::examples;

    #[test]
    fn failures_name_the_run_of_a_block_where_there_are_several() {
        let mut row = examples::row("native", 1e-6);
        row.blocks.truncate(3);
        row.blocks.iter_mut().for_each(|block| block.outcome = SweepOutcome::Unfinished);
        let why = "the run ended before the sweep did, or still goes on";
        assert_eq!(failures(&row), [format!("native, blocks 1, 2, 3: {why}")]);
        (row.blocks[2].run, row.blocks[2].block) = ("other".into(), 0);
        let told = ["blocks 1, 2 of run run", "block 1 of run other"];
        assert_eq!(failures(&row), told.map(|blocks| format!("native, {blocks}: {why}")));
    }
}
