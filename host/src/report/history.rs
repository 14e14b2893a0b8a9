//! What changed between two runs, for a terminal.

use super::{figure, words};
use crate::compare::history::{CellChange, ChangeCall, History, Runs};
use crate::text::{lines, plural, table};

/// A table of all cells, regressions first, and what is in one of the two only.
pub(crate) fn history(history: &History) -> String {
    let mut changes: Vec<&CellChange> = history.changes.iter().collect();
    changes.sort_by_key(|change| !change.call.is_regression());
    let mut table = table(["backend", "point", "old", "new", "new/old", "interval", "call"]);
    for change in changes {
        table.add_row(row(change));
    }
    let mut text = lines(&table);
    for (which, cells) in [("old", &history.only_old), ("new", &history.only_new)] {
        if !cells.is_empty() {
            let named: Vec<_> = cells.iter().map(|cell| words::line(cell, 100)).collect();
            text += &format!("only in the {which} run: {}\n", named.join("; "));
        }
    }
    let found = history.changes.iter().filter(|change| change.call.is_regression()).count() as u64;
    let threshold = figure::percent(history.threshold);
    text + &format!("{} beyond {threshold}\n", plural(found, "regression"))
}

fn row(change: &CellChange) -> [String; 7] {
    let time = |median: Option<f64>| median.map_or_else(|| words::NONE.into(), figure::duration);
    let ratio = change.ratio.map_or_else(|| words::NONE.into(), figure::ratio);
    let interval = change.interval.map_or_else(|| words::NONE.into(), |it| figure::interval(it.low, it.high));
    let point =
        if change.of == "latency" { format!("{} (latency)", change.point) } else { change.point.clone() };
    let call = call(change);
    let call = if change.other_plugin { format!("{call}, another plugin") } else { call };
    [
        words::line(&change.backend, 40),
        words::line(&point, 120),
        time(change.old.median),
        time(change.new.median),
        ratio,
        interval,
        call,
    ]
}

/// The call, and for failures how many there are.
fn call(change: &CellChange) -> String {
    let of: fn(Runs) -> u32 = match change.call {
        ChangeCall::NowWrong => |runs| runs.wrong,
        ChangeCall::NowFails => Runs::failed,
        call => return call.word().into(),
    };
    let (old, new) = (change.old, change.new);
    format!("{}: {} of {}, before {} of {}", change.call.word(), of(new), new.trials, of(old), old.trials)
}
