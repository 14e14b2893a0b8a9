//! The rows of METG sweeps.

use super::row::{ExportedRow, Figure, Reason, State};
use crate::compare::metg::model::{Row, SweepOutcome, Sweeps};
use crate::metg::Value;
use crate::report::labels::{one_line, reason};
use crate::text::word;

impl Sweeps {
    /// The rows of all backends and graphs.
    pub(crate) fn exported(&self) -> Vec<ExportedRow> {
        self.rows.iter().map(exported_row).collect()
    }
}

fn exported_row(row: &Row) -> ExportedRow {
    let blocks =
        |with_value| row.blocks.iter().filter(|block| block.value().is_some() == with_value).count() as u32;
    let state = state(row);
    let figure = match row.metg {
        Some(Value::At { seconds }) if state == State::Verified => {
            Some(Figure::new("metg", "seconds", seconds, row.metg_interval))
        }
        _ => None,
    };
    let graph = row.graph.as_ref().map_or_else(String::new, ToString::to_string);
    // Rows of several reports may differ in the size of the graph alone.
    let size = row.graph.as_ref().map(|graph| (graph.width.to_string(), graph.steps.to_string()));
    let in_name =
        size.as_ref().map_or_else(String::new, |(width, steps)| format!("width={width}/steps={steps}/"));
    let mut labels =
        vec![("backend", row.backend.clone()), ("graph", graph), ("cores", row.cores.to_string())];
    labels.extend((row.label != row.backend).then(|| ("row", row.label.clone())));
    labels.extend(size.into_iter().flat_map(|(width, steps)| [("width", width), ("steps", steps)]));
    ExportedRow {
        name: format!("{}/metg/{in_name}cores={}", row.name(), row.cores),
        group: "metg".into(),
        labels,
        trials: vec![("with_value", blocks(true)), ("without_value", blocks(false))],
        state,
        figures: figure.into_iter().collect(),
        remark: format!("{} of {} blocks with a value", row.blocks_with_value, row.blocks.len()),
    }
}

fn state(row: &Row) -> State {
    let mut reasons = Vec::new();
    for block in &row.blocks {
        let reason = failure(&block.outcome);
        reasons.extend(reason.filter(|reason| !reasons.contains(reason)));
    }
    match row.metg {
        _ if !reasons.is_empty() => State::Failed(reasons),
        Some(Value::At { .. }) => State::Verified,
        Some(Value::Below { .. }) => State::WithoutFigures("METG has an upper bound only".into()),
        None if row.blocks.iter().all(|block| block.outcome == SweepOutcome::Unfinished) => {
            State::WithoutFigures("no sweep came to its end".into())
        }
        None => State::WithoutFigures("no block reached an efficiency of 90 %".into()),
    }
}

/// Why a block has no value, if a trial of it went wrong.
fn failure(outcome: &SweepOutcome) -> Option<Reason> {
    match outcome {
        SweepOutcome::Value { .. } | SweepOutcome::NeverEfficient { .. } | SweepOutcome::Unfinished => None,
        SweepOutcome::Invalid { efficiency, .. } => Some(Reason {
            kind: "impossible_efficiency".into(),
            message: format!("the efficiency of a point is {efficiency:.2}, which is impossible"),
        }),
        SweepOutcome::Failed { status, phase, message, remedy } => Some(Reason {
            kind: word(status),
            message: reason(&word(status), &one_line(phase, 40), message, remedy.as_deref()),
        }),
    }
}
