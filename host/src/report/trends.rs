//! The trends over many runs, for a terminal.

use super::labels::{one_line, or_none};
use super::number;
use crate::compare::model::Form;
use crate::compare::trends::model::{CellTrend, Change, ChangeCall, Machine, RunValue, Trends};
use crate::text::{lines, plural, table};

/// A table of all cells of each machine, regressions first, and a line for each change. `with_runs` adds a line for each run.
pub(crate) fn trends(trends: &Trends, with_runs: bool) -> String {
    let machines = trends.machines.iter().enumerate().map(|(at, machine)| {
        let mut cells: Vec<_> = trends.cells.iter().filter(|it| it.cell.machine == at).collect();
        cells.sort_by_key(|cell| !cell.is_regression);
        let name = one_line(machine.profile.hostname.as_deref().unwrap_or("a machine without a name"), 60);
        let title = if trends.machines.len() > 1 { format!("{name}:\n") } else { String::new() };
        title + &of_machine(&cells, machine, with_runs)
    });
    let regressions = trends.cells.iter().filter(|cell| cell.is_regression).count() as u64;
    let (runs, cells) = (plural(trends.runs as u64, "run"), plural(trends.cells.len() as u64, "cell"));
    machines.collect::<String>() + &format!("{} in {cells} over {runs}\n", plural(regressions, "regression"))
}

fn of_machine(cells: &[&CellTrend], machine: &Machine, with_runs: bool) -> String {
    let mut table =
        table(["backend", "point", "runs", "newest", "interval", "newest/first", "changes", "newest change"]);
    table.add_rows(cells.iter().map(|cell| row(cell)));
    let mut text = lines(&table);
    for cell in cells {
        if with_runs {
            text += &format!("{}:\n", name(cell));
            cell.runs.iter().for_each(|run| text += &run_line(run));
        }
        cell.changes.iter().for_each(|change| text += &format!("{}: {}\n", name(cell), change_line(change)));
    }
    let percent = number::percent(machine.noise.factor - 1.0);
    let known = plural(machine.noise.aa_comparisons as u64, "A/A comparison");
    text + &format!("changes below {percent} are not reported ({known} known of this machine)\n")
}

fn row(cell: &CellTrend) -> [String; 8] {
    let with_value = || cell.runs.iter().filter(|run| run.median.is_some());
    let (first, newest) = (with_value().next(), with_value().next_back());
    let median = |run: Option<&RunValue>| run.and_then(|run| run.median);
    let since_first = median(newest).zip(median(first)).map(|(newest, first)| newest / first);
    [
        one_line(&cell.cell.backend, 40),
        point(cell),
        format!("{} of {}", with_value().count(), cell.runs.len()),
        or_none(median(newest), number::duration),
        or_none(newest.and_then(|run| run.interval), |it| {
            format!("{}–{}", number::duration(it.low), number::duration(it.high))
        }),
        or_none(since_first, number::ratio),
        cell.changes.len().to_string(),
        or_none(cell.changes.last(), call),
    ]
}

fn point(cell: &CellTrend) -> String {
    let latency = if cell.of == "latency" { " (latency)" } else { "" };
    let debug = if cell.cell.is_debug { " (debug build)" } else { "" };
    let form = if cell.cell.form == Some(Form::Stages) { " (stages)" } else { "" };
    format!("{}{latency}{debug}{form}", one_line(&cell.cell.point, 120))
}

fn name(cell: &CellTrend) -> String {
    format!("{} at {}", one_line(&cell.cell.backend, 40), point(cell))
}

fn call(change: &Change) -> String {
    let word = match change.call {
        ChangeCall::Slower => "slower",
        ChangeCall::Faster => "faster",
    };
    format!("{word}, {} as long", number::ratio(change.factor))
}

fn change_line(change: &Change) -> String {
    let differs = change.differs.iter().map(|text| format!("; {}", one_line(text, 200)));
    format!(
        "{}, from run {} on ({}): {} before, {} after, p = {:.3}{}",
        call(change),
        one_line(&change.run, 80),
        to_the_second(&change.started),
        number::duration(change.before),
        number::duration(change.after),
        change.p_value,
        differs.collect::<String>(),
    )
}

/// `2026-02-21T03:58:47`, of a time in a record.
fn to_the_second(time: &str) -> String {
    one_line(time.get(..19).unwrap_or(time), 40)
}

fn run_line(run: &RunValue) -> String {
    let versions = run.versions.iter().map(|(name, version)| {
        let version = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
        format!(", {} {}", one_line(name, 40), one_line(&version, 40))
    });
    format!(
        "  {} {}: {}{}, {} of {} trials{}\n",
        to_the_second(&run.started),
        one_line(&run.run, 80),
        or_none(run.median, number::duration),
        or_none(run.interval, |it| format!(" ({}–{})", number::duration(it.low), number::duration(it.high))),
        run.successes,
        run.trials,
        versions.collect::<String>(),
    )
}
