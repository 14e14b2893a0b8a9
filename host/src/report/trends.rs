//! The trends over many runs, for a terminal, and the texts that the page shares with it.

use super::labels::{distinction, latency, one_line, or_none, run_as};
use super::number;
use crate::compare::model::{Form, RatioInterval};
use crate::compare::trends::model::{CellTrend, Change, Machine, Noise, RunValue, Trends};
use crate::record::format::to_the_second;
use crate::text::{json_text, lines, plural, table, word};

/// A table of all cells of each machine, regressions first, and a line for each change. `with_runs` adds a line for each run.
pub(crate) fn trends(trends: &Trends, with_runs: bool) -> String {
    let machines = by_machine(trends).map(|(machine, cells)| {
        let title =
            if trends.machines.len() > 1 { format!("{}:\n", machine_name(machine)) } else { String::new() };
        title + &of_machine(&cells, machine, with_runs)
    });
    machines.collect::<String>() + &total(trends) + "\n"
}

/// Each machine with its cells, regressions first.
pub(super) fn by_machine(trends: &Trends) -> impl Iterator<Item = (&Machine, Vec<&CellTrend>)> {
    trends.machines.iter().enumerate().map(|(at, machine)| {
        let mut cells: Vec<_> = trends.cells.iter().filter(|it| it.machine == at).collect();
        cells.sort_by_key(|cell| !cell.is_regression);
        (machine, cells)
    })
}

pub(super) fn machine_name(machine: &Machine) -> String {
    one_line(&machine.name, 60)
}

/// `1 regression in 2 cells over 14 runs`
pub(super) fn total(trends: &Trends) -> String {
    let regressions = trends.cells.iter().filter(|cell| cell.is_regression).count() as u64;
    let (runs, cells) = (plural(trends.runs as u64, "run"), plural(trends.cells.len() as u64, "cell"));
    format!("{} in {cells} over {runs}", plural(regressions, "regression"))
}

fn of_machine(cells: &[&CellTrend], machine: &Machine, with_runs: bool) -> String {
    let mut table =
        table(["backend", "point", "runs", "newest", "interval", "newest/first", "changes", "newest change"]);
    table.add_rows(cells.iter().map(|cell| row(cell)));
    let mut text = lines(&table);
    for cell in cells {
        if with_runs {
            text += &format!("{}:\n", name(cell));
            cell.runs.iter().for_each(|run| text += &format!("  {}\n", run_line(run)));
        }
        cell.changes.iter().for_each(|change| text += &format!("{}: {}\n", name(cell), change_line(change)));
    }
    text + &noise(machine) + "\n"
}

/// Which changes are not reported.
pub(super) fn noise(machine: &Machine) -> String {
    let below = |noise: Noise| number::percent(noise.factor - 1.0);
    let known = |noise: Noise| plural(noise.aa_comparisons as u64, "A/A comparison");
    let of_latency = machine.latency_noise.map(|noise| {
        let by_times = if noise.is_known() { "" } else { ", so no less than of times" };
        format!(", and those of a latency below {} ({} of open loops{by_times})", below(noise), known(noise))
    });
    format!(
        "changes below {} are not reported ({} known of this machine){}",
        below(machine.noise),
        known(machine.noise),
        of_latency.unwrap_or_default()
    )
}

/// Backend, point, runs with a value, the newest value, its interval, its ratio to the first, changes, and the newest change.
pub(super) fn row(cell: &CellTrend) -> [String; 8] {
    let with_value = || cell.runs.iter().filter(|run| run.median.is_some());
    let (first, newest) = (with_value().next(), with_value().next_back());
    let median = |run: Option<&RunValue>| run.and_then(|run| run.median);
    let since_first = median(newest).zip(median(first)).map(|(newest, first)| newest / first);
    [
        one_line(&cell.cell.backend, 40),
        point(cell),
        format!("{} of {}", with_value().count(), cell.runs.len()),
        or_none(median(newest), number::duration),
        or_none(newest.and_then(|run| run.interval), interval),
        or_none(since_first, number::ratio),
        cell.changes.len().to_string(),
        or_none(cell.changes.last(), call),
    ]
}

fn interval(interval: RatioInterval) -> String {
    format!("{}–{}", number::duration(interval.low), number::duration(interval.high))
}

fn point(cell: &CellTrend) -> String {
    let latency = latency(cell.of, cell.percentile);
    let debug = if cell.is_debug { " (debug build)" } else { "" };
    let form = if cell.form == Some(Form::Stages) { " (stages)" } else { "" };
    let run_as = run_as(cell.cell.cores, cell.cell.is_single);
    let distinction = distinction(&cell.cell.distinction);
    format!("{}{latency}{debug}{form}{run_as}{distinction}", one_line(&cell.cell.point, 120))
}

pub(super) fn name(cell: &CellTrend) -> String {
    format!("{} at {}", one_line(&cell.cell.backend, 40), point(cell))
}

fn call(change: &Change) -> String {
    format!("{}, {} as long", word(change.call), number::ratio(change.factor))
}

pub(super) fn change_line(change: &Change) -> String {
    let differs = change.differs.iter().map(|text| format!("; {}", one_line(text, 200)));
    format!(
        "{}, from run {} on ({}): {} before, {} after, p = {:.4}{}",
        call(change),
        one_line(&change.run, 80),
        one_line(to_the_second(&change.started), 40),
        number::duration(change.before),
        number::duration(change.after),
        change.p_value,
        differs.collect::<String>(),
    )
}

/// When a run started, its id, its value with the interval, how many trials are verified, and the versions.
pub(super) fn run_cells(run: &RunValue) -> [String; 6] {
    let versions = run
        .versions
        .iter()
        .map(|(name, version)| format!("{} {}", one_line(name, 40), one_line(&json_text(version), 40)));
    [
        one_line(to_the_second(&run.started), 40),
        one_line(&run.run, 80),
        or_none(run.median, number::duration),
        run.interval.map_or_else(String::new, interval),
        format!("{} of {}", run.verified, run.trials),
        versions.collect::<Vec<_>>().join(", "),
    ]
}

pub(super) fn run_line(run: &RunValue) -> String {
    let [started, id, median, interval, verified, versions] = run_cells(run);
    let interval = if interval.is_empty() { interval } else { format!(" ({interval})") };
    let versions = if versions.is_empty() { versions } else { format!(", {versions}") };
    format!("{started} {id}: {median}{interval}, {verified} trials{versions}")
}
