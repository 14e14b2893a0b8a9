//! The trends of cells over many runs as one page: a table of all cells, a chart for each with its changes, and every run.

use minijinja::{Value, context};

use super::anchor::Anchors;
use super::layout::SERIES;
use super::plot::{CurvePoint, Plot, SMALL};
use super::{environment, render};
use crate::compare::model::RatioInterval;
use crate::compare::trends::model::{CellTrend, Change, ChangeCall, Machine, RunValue, Trends};
use crate::first_seen::distinct;
use crate::report::axis::Scale;
use crate::report::error::ReportError;
use crate::report::labels::{name, one_line};
use crate::report::{number, trends};
use crate::text::plural;

/// A cell with the id of its part of the page, and those of its runs.
struct PlacedCell<'a> {
    trend: &'a CellTrend,
    /// The place of its backend in the page, by which it is hidden.
    backend: usize,
    id: String,
    runs: Vec<String>,
}

/// The page, as [`html`](super::html) makes that of a comparison.
pub(crate) fn trends_html(all: &Trends, generated_at: &str) -> Result<String, ReportError> {
    let backends = distinct(all.cells.iter().map(|it| it.cell.backend.as_str()));
    let mut anchors = Anchors::default();
    let machines: Vec<_> = trends::by_machine(all)
        .map(|(machine, cells)| {
            let cells = cells.into_iter().map(|cell| placed(cell, &backends, &mut anchors));
            (machine, cells.collect::<Vec<_>>())
        })
        .collect();
    let several = machines.len() > 1;
    let notes: Vec<_> = all.warnings.iter().chain(&all.altered).map(|note| one_line(note, 1000)).collect();
    let legend = backends.iter().enumerate();
    let legend =
        legend.map(|(label, backend)| context! { label, series => label % SERIES, name => name(backend) });
    let cells = || machines.iter().flat_map(|(_, cells)| cells);
    let regressions = cells().filter(|cell| cell.trend.is_regression);
    let regression = |cell: &PlacedCell<'_>| {
        let change = cell.trend.changes.last().map(trends::change_line);
        context! { id => &cell.id, name => trends::name(cell.trend), change }
    };
    let machine = |(machine, cells): &(&Machine, Vec<PlacedCell<'_>>)| {
        context! {
            name => several.then(|| trends::machine_name(machine)),
            noise => trends::noise(machine),
            cells => cells.iter().map(of_cell).collect::<Vec<_>>(),
        }
    };
    let page = context! {
        generated_at,
        commands => Vec::<String>::new(),
        runs => plural(all.runs as u64, "run"),
        sentence => trends::total(all),
        regressions => regressions.map(regression).collect::<Vec<_>>(),
        notes_title => plural(notes.len() as u64, "warning"),
        notes,
        legend => legend.collect::<Vec<_>>(),
        machines => machines.iter().map(machine).collect::<Vec<_>>(),
        environment => environment::of_trends(all),
    };
    render("trends.html", page)
}

fn placed<'a>(trend: &'a CellTrend, backends: &[&str], anchors: &mut Anchors) -> PlacedCell<'a> {
    let of = &trend.cell;
    let seed = of.seed.to_string();
    let names = [of.backend.as_str(), &of.point, of.config_hash.as_deref().unwrap_or_default(), &seed];
    let id = anchors.add('c', &names);
    let of_run = |run: &RunValue| {
        anchors.add('r', &[names.as_slice(), &[run.run.as_str(), run.started.as_str()]].concat())
    };
    let runs = trend.runs.iter().map(of_run).collect();
    let backend = backends.iter().position(|known| *known == of.backend).unwrap_or_default();
    PlacedCell { trend, backend, id, runs }
}

fn of_cell(cell: &PlacedCell<'_>) -> Value {
    let newest = cell.trend.changes.last().map(|change| change.call);
    context! {
        id => &cell.id,
        label => cell.backend,
        name => trends::name(cell.trend),
        cells => trends::row(cell.trend).to_vec(),
        tone => newest.map_or("", |call| if call == ChangeCall::Slower { "bad" } else { "good" }),
        changes => cell.trend.changes.iter().map(trends::change_line).collect::<Vec<_>>(),
        runs => cell.trend.runs.iter().zip(&cell.runs).map(of_run).collect::<Vec<_>>(),
        chart => chart(cell),
    }
}

fn of_run((run, id): (&RunValue, &String)) -> Value {
    context! { id, cells => trends::run_cells(run).to_vec(), file => one_line(&run.file, 200) }
}

/// The runs of a cell with their numbers, which are the positions on the x axis.
fn numbered(trend: &CellTrend) -> impl Iterator<Item = (f64, &RunValue)> {
    (1_u32..).map(f64::from).zip(&trend.runs)
}

/// The chart of a cell; none if no run has a value.
fn chart(cell: &PlacedCell<'_>) -> Option<Value> {
    let ends = |run: &RunValue| run.interval.map(|it| [it.low, it.high]).into_iter().flatten();
    let values = cell.trend.runs.iter().flat_map(|run| run.median.into_iter().chain(ends(run)));
    let plot = Plot::over(SMALL, Scale::Linear, [cell.trend.runs.len() as f64], values)?;
    let points = numbered(cell.trend).zip(&cell.runs).filter_map(|((x, run), id)| {
        let range = run.interval.map(|it| [it.low, it.high]);
        Some(CurvePoint { x, y: run.median?, range, title: Some(trends::run_line(run)), row: id.clone() })
    });
    let line = |change: &Change| {
        context! { x => plot.x(border(change)), title => trends::change_line(change) }
    };
    Some(context! {
        x_ticks => plot.run_ticks(),
        y_ticks => plot.y_ticks(number::duration),
        band => band(cell.trend, &plot),
        levels => levels(cell.trend, &plot),
        borders => cell.trend.changes.iter().map(line).collect::<Vec<_>>(),
        curves => [plot.curve(cell.backend, points)].to_vec(),
    })
}

/// Where a change is on the x axis: between the last run before it and the first after it.
fn border(change: &Change) -> f64 {
    change.index as f64 + 0.5
}

/// The outline of the intervals, one for all runs in turn that have one.
fn band(trend: &CellTrend, plot: &Plot) -> String {
    let runs: Vec<_> = numbered(trend).map(|(x, run)| (x, run.interval.filter(|it| it.low > 0.0))).collect();
    let parts = runs.chunk_by(|one, next| one.1.is_some() == next.1.is_some());
    let outline = |part: &[(f64, Option<RatioInterval>)]| {
        let ends: Vec<_> = part.iter().filter_map(|(x, it)| Some((*x, (*it)?))).collect();
        let low = ends.iter().map(|(x, it)| (x, it.low));
        let high = ends.iter().rev().map(|(x, it)| (x, it.high));
        let corners = low.chain(high).map(|(x, end)| format!("{} {}", plot.x(*x), plot.y(end)));
        let corners = corners.collect::<Vec<_>>().join("L");
        if ends.len() > 1 { format!("M{corners}Z") } else { String::new() }
    };
    parts.map(outline).collect()
}

/// A line for the level of the values between each two changes; empty without changes.
fn levels(trend: &CellTrend, plot: &Plot) -> String {
    let borders = || trend.changes.iter().map(border);
    let starts = std::iter::once(1.0).chain(borders());
    let ends = borders().chain([trend.runs.len() as f64]);
    let first = trend.changes.first().map(|change| change.before);
    let values = first.into_iter().chain(trend.changes.iter().map(|change| change.after));
    let line = |(value, (start, end))| format!("M{} {}H{}", plot.x(start), plot.y(value), plot.x(end));
    values.zip(starts.zip(ends)).map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::compare::cells::Cell;
    use crate::compare::trends::model::Noise;
    use crate::record::SystemProfile;
    use crate::report::examples::HOSTILE;
    use crate::report::html::tests::{check_links_and_text, without_parts};

    fn page(trends: &Trends) -> String {
        trends_html(trends, "2026-03-21 05:00:00 UTC").unwrap()
    }

    /// The run of a day, which took so many seconds.
    fn run(day: u32, median: Option<f64>) -> RunValue {
        let interval =
            median.map(|median| RatioInterval { low: median * 0.98, high: median * 1.03, confidence: 0.96 });
        let engine = if day < 9 { "9.1" } else { "9.2" };
        RunValue {
            run: format!("commit-{day}"),
            started: format!("2026-03-{day:02}T04:00:00.000000+00:00"),
            file: format!("runs/{day}/trials.jsonl"),
            trials: 6,
            verified: if median.is_some() { 6 } else { 0 },
            successes: if median.is_some() { 6 } else { 0 },
            median,
            interval,
            plugin_version: Some("1.2.3".into()),
            plugin_sha256: Some("ab12cd34".repeat(8)),
            versions: [("engine".to_owned(), json!(engine))].into_iter().collect(),
            ..RunValue::default()
        }
    }

    fn cell(machine: usize, backend: &str, runs: Vec<RunValue>, changes: Vec<Change>) -> CellTrend {
        let of = Cell {
            backend: backend.into(),
            point: "pipeline/items=1000/parallelism=2/scheduler=default".into(),
            config_hash: Some("65cdbe3c1370a167".repeat(4)),
            seed: 42,
            ..Cell::default()
        };
        CellTrend {
            machine,
            cell: of,
            is_debug: false,
            form: None,
            of: "time",
            percentile: None,
            is_regression: changes.last().is_some_and(|change| change.call == ChangeCall::Slower),
            runs,
            changes,
        }
    }

    fn change(index: usize, before: f64, after: f64, call: ChangeCall) -> Change {
        let day = index as u32 + 1;
        Change {
            run: format!("commit-{day}"),
            started: format!("2026-03-{day:02}T04:00:00.000000+00:00"),
            index,
            before,
            after,
            factor: after / before,
            p_value: 0.01,
            call,
            differs: vec!["engine 9.1 -> 9.2".into()],
        }
    }

    /// A cell that got slower on the ninth day, one that got faster and has no value on two days, a run without an interval, and
    /// a cell without any value on another machine.
    fn several() -> Trends {
        let near = |day: u32| 1.0 + f64::from(day * 7 % 5) * 0.004;
        let slower = (1..=14).map(|day| run(day, Some(near(day) * if day < 9 { 1.0 } else { 1.1 })));
        let faster = (1..=14).map(|day| {
            let value = (!(4..=5).contains(&day)).then(|| near(day) * if day < 7 { 0.02 } else { 0.01 });
            let run = run(day, value);
            if day == 10 { RunValue { interval: None, ..run } } else { run }
        });
        let machine = |name: &str, aa_comparisons| Machine {
            profile: SystemProfile { hostname: Some(name.into()), ..SystemProfile::default() },
            name: name.into(),
            noise: Noise { factor: 1.05, aa_comparisons },
            latency_noise: None,
        };
        Trends {
            version: 1,
            runs: 15,
            machines: vec![machine("here", 7), machine("elsewhere", 0)],
            cells: vec![
                cell(0, "native", faster.collect(), vec![change(6, 0.02, 0.01, ChangeCall::Faster)]),
                cell(0, "other", slower.collect(), vec![change(8, 1.008, 1.108, ChangeCall::Slower)]),
                cell(1, "other", vec![run(15, None)], Vec::new()),
            ],
            warnings: vec!["runs of several machines are kept apart".into()],
            ..Trends::default()
        }
    }

    #[test]
    fn a_page_with_changes_gaps_and_two_machines() {
        let page = page(&several());
        assert_eq!(page.matches("<figure").count(), 2, "a cell without a value has no chart");
        assert_eq!(page.matches("<line class=\"one\"").count(), 2);
        let bands: Vec<_> = page
            .split("class=\"band\" d=\"")
            .skip(1)
            .map(|it| it.split('"').next().unwrap().matches('Z').count())
            .collect();
        // Regressions come first. A run without an interval parts the band, as do days without a value.
        assert_eq!(bands, [1, 3]);
        let rows = page.matches("<tr id=\"r").count();
        assert_eq!(rows, 14 + 14 + 1);
        let regression = "other at pipeline/items=1000/parallelism=2/scheduler=default</a>: slower, 1.10× as long, from run commit-9";
        assert!(page.replace("&#x2f;", "/").contains(regression), "{page}");
        insta::assert_binary_snapshot!("trends.html", without_parts(page));
    }

    #[test]
    fn trials_are_verified_also_where_they_have_no_value() {
        let mut trends = several();
        trends.cells[2].runs = vec![RunValue { verified: 6, ..run(15, None) }];
        assert!(page(&trends).contains("<td>–<td><td>6 of 6<td>"), "{}", page(&trends));
    }

    #[test]
    fn links_and_hostile_text_are_safe() {
        let mut trends = several();
        check_links_and_text(&page(&trends));
        let long = "x".repeat(10_000);
        trends.warnings = vec![format!("{HOSTILE}{long}")];
        trends.altered = vec![HOSTILE.into()];
        trends.machines[0].profile.hostname = Some(HOSTILE.into());
        trends.machines[0].name = HOSTILE.into();
        for cell in &mut trends.cells {
            (cell.cell.backend, cell.cell.point) = (HOSTILE.into(), format!("{HOSTILE}{long}"));
            for run in &mut cell.runs {
                (run.run, run.started, run.file) = (HOSTILE.into(), HOSTILE.into(), HOSTILE.into());
                run.versions.insert(HOSTILE.into(), json!({ HOSTILE: long }));
            }
            for change in &mut cell.changes {
                (change.run, change.started, change.differs) =
                    (HOSTILE.into(), HOSTILE.into(), vec![HOSTILE.into(), long.clone()]);
            }
        }
        check_links_and_text(&page(&trends));
    }
}
