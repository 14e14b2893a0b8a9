//! METG as one page: the table, graphs that differ in one setting, the curves of all backends in one chart for each graph, and every
//! trial.

mod backends;
mod by_setting;

use minijinja::value::Serde;
use minijinja::{Value, context};

use super::anchor::Anchors;
use super::plot::{CurvePoint, LARGER, Plot};
use crate::compare::metg::model::{Block, Point, Row, Sweeps, SweptGraph};
use crate::compare::model::Status;
use crate::first_seen::grouped;
use crate::report::axis::Scale;
use crate::report::labels::{self, MAX_COMMAND, name, one_line, or_none};
use crate::report::metg::{TableRow, cores, failures, value};
use crate::report::number;
use backends::Backends;

/// Lower efficiencies are drawn at the bottom of the chart.
const MIN_EFFICIENCY: f64 = 0.02;
/// The efficiencies with a tick.
const TICKS: [f64; 6] = [1.0, 0.5, 0.2, 0.1, 0.05, 0.02];

/// What a page says of sweeps. `known` are the labels of a comparison on the same page, which have the same colours here.
pub(super) fn parts(sweeps: &Sweeps, known: &[&str]) -> Value {
    let blocks = sweeps.rows.iter().map(|row| row.blocks.len()).max().unwrap_or_default();
    let rows = sweeps.rows.iter().enumerate();
    let mut anchors = Anchors::default();
    let id = |row: &Row| anchors.add('c', &[&row.name(), &row.cores.to_string()]);
    let ids: Vec<_> = sweeps.rows.iter().map(id).collect();
    let backends = Backends::of(sweeps, known);
    context! {
        cores => cores(sweeps),
        blocks => crate::text::plural(blocks as u64, "block"),
        notes_title => crate::text::plural(sweeps.warnings.len() as u64, "warning"),
        notes => sweeps.warnings.iter().map(|warning| one_line(warning, 1000)).collect::<Vec<_>>(),
        rows => rows.map(|(number, row)| table_row(&ids[number], row)).collect::<Vec<_>>(),
        by_setting => by_setting::sections(sweeps, &ids, &backends),
        charts => charts(sweeps, &ids, &backends),
    }
}

fn table_row(id: &str, row: &Row) -> Value {
    let several_runs = row.blocks.windows(2).any(|pair| pair[0].run != pair[1].run);
    let log = row.blocks.iter().flat_map(|block| &block.points).find_map(|point| point.log.as_ref());
    context! {
        id,
        name => name(&row.name()),
        cores => row.cores,
        cells => Serde(TableRow::of(row)),
        failures => failures(row),
        blocks => row.blocks.iter().map(|it| block(it, several_runs)).collect::<Vec<_>>(),
        log => log.map(|log| one_line(log, 300)),
    }
}

/// A chart for each graph, and one for tasks that are independent of each other.
fn charts(sweeps: &Sweeps, ids: &[String], backends: &Backends) -> Vec<Value> {
    let in_any_form = |graph: &SweptGraph| SweptGraph { form: None, ..graph.clone() };
    let of_graph = |row: &Row| row.graph.as_ref().map(|graph| (in_any_form(graph), row.cores));
    let rows = sweeps.rows.iter().enumerate().filter(|(_, row)| !row.curve.is_empty());
    let graphs = grouped(rows.map(|(number, row)| (of_graph(row), number)));
    let drawn = |(graph, rows): &(Option<(SweptGraph, u32)>, Vec<usize>)| {
        let chart = chart(sweeps, rows, ids, backends)?;
        let graph = graph.as_ref();
        Some(context! {
            title => graph.map(|(graph, _)| name(&graph.to_string())),
            size => graph.map(|(graph, cores)| size(graph, *cores)),
            legend => backends.legend(rows.iter().copied()),
            ..chart
        })
    };
    graphs.iter().filter_map(drawn).collect()
}

/// `width 8, 100 steps, 2 cores`.
fn size(SweptGraph { width, steps, .. }: &SweptGraph, cores: u32) -> String {
    let [steps, cores] =
        [(*steps, "step"), (cores.into(), "core")].map(|(count, noun)| crate::text::plural(count, noun));
    format!("width {width}, {steps}, {cores}")
}

fn chart(sweeps: &Sweeps, rows: &[usize], ids: &[String], backends: &Backends) -> Option<Value> {
    let rows = || rows.iter().map(|number| (*number, &sweeps.rows[*number]));
    let steps = rows().flat_map(|(_, row)| &row.curve);
    let granularities = steps.map(|step| step.granularity_seconds);
    let plot = Plot::over(LARGER, Scale::Logarithmic, granularities, [MIN_EFFICIENCY, 1.0])?;
    let tick = |share: f64| context! { position => plot.y(share), text => format!("{:.0} %", share * 100.0) };
    let curves = rows().map(|(number, row)| plot.curve(backends.number(number), curve(&ids[number], row)));
    Some(context! {
        x_ticks => plot.x_ticks(number::duration),
        y_ticks => TICKS.map(tick).to_vec(),
        target => plot.y(sweeps.target),
        curves => curves.collect::<Vec<_>>(),
    })
}

fn curve<'a>(id: &'a str, row: &'a Row) -> impl Iterator<Item = CurvePoint> + 'a {
    row.curve.iter().map(move |step| {
        let efficiency = number::percent(step.efficiency);
        let [granularity, kernel] = [step.granularity_seconds, step.kernel_seconds].map(number::duration);
        CurvePoint {
            x: step.granularity_seconds,
            y: step.efficiency,
            range: Some([step.least, step.most]),
            title: Some(format!("{}: {efficiency} at {granularity}, kernel {kernel}", name(&row.name()))),
            row: id.to_owned(),
        }
    })
}

/// Those of several runs have the same numbers, and are told with their run.
fn block(block: &Block, of_several_runs: bool) -> Value {
    let number = labels::block(Some(block.block));
    let run = labels::short_name(&block.run, 40);
    context! {
        number => if of_several_runs { format!("{number} of run {run}") } else { number },
        metg => or_none(block.metg(), value),
        kernel => or_none(block.value(), value),
        floor => or_none(block.floor, number::duration),
        iteration => number::duration(block.seconds_per_iteration),
        points => block.points.iter().map(point).collect::<Vec<_>>(),
    }
}

fn point(point: &Point) -> Value {
    context! {
        granularity => or_none(point.granularity_seconds, number::duration),
        kernel => number::duration(point.kernel_seconds),
        tasks => number::count(point.tasks),
        seconds => or_none(point.seconds, number::duration),
        efficiency => or_none(point.efficiency, number::percent),
        status => crate::text::word(point.status),
        bad => point.status != Status::Verified,
        record => format!("{}:{}", one_line(&point.source.file, 200), point.source.line),
        command => point.command.as_ref().map_or_else(String::new, |command| one_line(command, MAX_COMMAND)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::{metg_html, tests};
    use crate::report::metg::examples;

    fn page(sweeps: &Sweeps) -> String {
        let command = Some("crossrun metg --backends native,beta");
        metg_html(sweeps, "2026-02-21 05:00:00 UTC", command).unwrap()
    }

    #[test]
    fn a_page_with_every_kind_of_row() {
        let sweeps = examples::several();
        let page = page(&sweeps);
        let points: usize =
            sweeps.rows.iter().flat_map(|row| &row.blocks).map(|block| block.points.len()).sum();
        assert_eq!(page.matches("trials.jsonl:").count(), points);
        insta::assert_binary_snapshot!("metg.html", tests::without_parts(page));
    }

    #[test]
    fn a_page_of_graphs_has_a_section_for_each_setting_and_a_chart_for_each_graph() {
        let sweeps = examples::graphs();
        let page = page(&sweeps);
        // Six graphs, and small plots of three for the inputs and the outputs.
        assert_eq!(page.matches("<svg viewBox=\"0 0 400 270\"").count(), 6);
        assert_eq!(page.matches("<svg viewBox=\"0 0 400 250\"").count(), 2 + 3);
        for title in
            ["METG(50 %) by pattern", "METG(50 %) by number of inputs", "METG(50 %) by length of an output"]
        {
            assert_eq!(page.matches(&format!("<h2>{title}</h2>")).count(), 1, "{title}");
        }
        // The row with a wrong answer is in the tables and in no chart.
        let titles = |graph: &str| page.matches(&format!("<title>spark (stages), {graph}")).count();
        assert_eq!((titles("nearest(1) 64 B"), titles("nearest(3) 64 B") > 2), (0, true));
        assert!(page.contains("✗"));
        insta::assert_binary_snapshot!("graphs.html", tests::without_parts(page));
    }

    #[test]
    fn blocks_of_several_runs_are_told_with_their_run() {
        let mut sweeps = examples::several();
        assert!(page(&sweeps).contains(">Block 1: METG "));
        let of_other = |block: &mut Block| block.run = "other".into();
        sweeps.rows[0].blocks.iter_mut().take(1).for_each(of_other);
        assert!(page(&sweeps).contains(">Block 1 of run other: METG "));
    }

    #[test]
    fn links_and_hostile_text_are_safe() {
        for sweeps in [examples::several(), examples::graphs(), examples::hostile()] {
            tests::check_links_and_text(&page(&sweeps));
        }
    }

    #[test]
    fn a_page_without_records_says_so() {
        let nothing = Sweeps { rows: Vec::new(), ..examples::several() };
        assert!(page(&nothing).contains("There are no records of a sweep."));
    }
}
