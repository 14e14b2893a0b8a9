//! The changes between two runs, for a terminal.

use super::labels::{distinction, latency, one_line, or_none, run_as};
use super::number;
use crate::compare::history::{CellChange, ChangeVerdict, History, Runs};
use crate::text::{lines, plural, table};

/// A table of all cells, regressions first, then the cells that only one of the two runs has.
pub(crate) fn history(history: &History) -> String {
    let mut changes: Vec<&CellChange> = history.changes.iter().collect();
    changes.sort_by_key(|change| !change.call.is_regression());
    let mut table = table(["backend", "point", "old", "new", "new/old", "interval", "verdict"]);
    table.add_rows(changes.into_iter().map(|change| row(change, history.threshold)));
    let mut text = lines(&table);
    text.extend(not_of_medians(history));
    for (what, cells) in [
        ("only in the old run", &history.only_old),
        ("only in the new run", &history.only_new),
        (
            "not compared, as the graph ran in stages in one run and by its dependencies in the other",
            &history.other_form,
        ),
    ] {
        if !cells.is_empty() {
            let names: Vec<_> = cells.iter().map(|cell| one_line(cell, 100)).collect();
            text += &format!("{what}: {}\n", names.join("; "));
        }
    }
    let cells = |wanted: fn(ChangeVerdict) -> bool| {
        history.changes.iter().filter(|change| wanted(change.call)).count() as u64
    };
    let undecided = cells(|verdict| matches!(verdict, ChangeVerdict::TooFew | ChangeVerdict::Inconclusive));
    if undecided > 0 {
        let no_latency = if history.changes.iter().any(lacks_latency) { " no latency," } else { "" };
        let cells = plural(undecided, "cell");
        text += &format!("{cells} without a decision: too few runs,{no_latency} or inconclusive\n");
    }
    let regressions = cells(ChangeVerdict::is_regression);
    let threshold = number::chosen_percent(history.threshold);
    let regressions = plural(regressions, "regression");
    text + &format!("{regressions}: slower by more than {threshold}, wrong, failing or missing\n")
}

/// A difference of figures that is no more than what rounding makes.
const ROUNDING: f64 = 1e-9;

/// Which ratios are not those of the medians beside them, beyond what counts as a change: a ratio is the median of those of every new run
/// to every old one.
fn not_of_medians(history: &History) -> Option<String> {
    let factors = history.changes.iter().filter_map(|change| Some((from_medians(change)?, change)));
    let margin = 1.0 + history.threshold.max(ROUNDING);
    let differ: Vec<_> = factors.filter(|(factor, _)| *factor > margin).collect();
    let (most, change) = differ.iter().max_by(|one, other| one.0.total_cmp(&other.0))?;
    let differs = if differ.len() == 1 { "differs" } else { "differ" };
    Some(format!(
        "ratios are those of every new run to every old one: {} of them {differs} from the quotient of the medians by more than {} \
         (most: {} at {}{}, {})\n",
        differ.len(),
        number::chosen_percent(history.threshold),
        one_line(&change.cell.backend, 40),
        one_line(&change.cell.point, 120),
        distinction(&change.cell.distinction),
        number::percent(most - 1.0),
    ))
}

/// The factor of at least 1 by which a ratio differs from the quotient of the medians.
fn from_medians(change: &CellChange) -> Option<f64> {
    let factor = change.ratio? / (change.new.median? / change.old.median?);
    Some(factor.max(1.0 / factor)).filter(|factor| factor.is_finite())
}

fn row(change: &CellChange, threshold: f64) -> [String; 7] {
    let latency = latency(&change.of, change.percentile.as_deref());
    let run_as = run_as(change.cell.cores, change.cell.is_single);
    let plugin = if change.other_plugin { ", different plugin" } else { "" };
    let library = if change.other_library { ", different workload library" } else { "" };
    [
        one_line(&change.cell.backend, 40),
        one_line(&change.cell.point, 120) + &latency + &run_as + &distinction(&change.cell.distinction),
        or_none(change.old.median, number::duration),
        or_none(change.new.median, number::duration),
        or_none(change.ratio, number::ratio),
        or_none(change.interval, |it| number::interval_beside(1.0 + threshold, it.low, it.high)),
        verdict(change) + plugin + library,
    ]
}

/// Whether a side has verified runs of an open loop, and no latency of them: more runs would have none either.
fn lacks_latency(change: &CellChange) -> bool {
    let lacks = |runs: Runs| runs.successes == 0 && runs.trials > runs.failed;
    change.call == ChangeVerdict::TooFew && change.of == "latency" && (lacks(change.old) || lacks(change.new))
}

/// The verdict. For failures also how many trials failed.
fn verdict(change: &CellChange) -> String {
    let count: fn(Runs) -> u32 = match change.call {
        ChangeVerdict::NowWrong => |runs| runs.wrong,
        ChangeVerdict::NowFails => |runs| runs.failed,
        ChangeVerdict::Regression if !change.fails => return "regression (hint)".into(),
        _ if lacks_latency(change) => return "no latency".into(),
        verdict => return verdict.label(),
    };
    let (old, new) = (change.old, change.new);
    let label = change.call.label();
    format!("{label}: {} of {}, before {} of {}", count(new), new.trials, count(old), old.trials)
}
