//! METG as one page: the table, the curves of all backends in one chart, and every trial.

use minijinja::value::Serde;
use minijinja::{Value, context};

use super::anchor::Anchors;
use super::layout::SERIES;
use super::plot::{CurvePoint, Edges, Plot};
use super::{environment, render};
use crate::compare::metg::model::{Block, Point, Row, Sweeps};
use crate::compare::model::Status;
use crate::report::error::ReportError;
use crate::report::labels::{self, name, one_line, or_none};
use crate::report::metg::{TableRow, cores, failures, value};
use crate::report::number;

/// The plot within a picture of 800 by 420.
const EDGES: Edges = Edges { left: 62.0, right: 786.0, top: 12.0, bottom: 360.0 };
/// Lower efficiencies are drawn at the bottom of the chart.
const MIN_EFFICIENCY: f64 = 0.02;
/// The efficiencies with a tick.
const TICKS: [f64; 6] = [1.0, 0.5, 0.2, 0.1, 0.05, 0.02];

/// The page, as [`html`](super::html) makes that of a comparison.
pub(crate) fn metg_html(
    sweeps: &Sweeps,
    generated_at: &str,
    command: Option<&str>,
) -> Result<String, ReportError> {
    let blocks = sweeps.rows.iter().map(|row| row.blocks.len()).max().unwrap_or_default();
    let rows = sweeps.rows.iter().enumerate();
    let mut anchors = Anchors::default();
    let id = |row: &Row| anchors.add('c', &[&row.name(), &row.cores.to_string()]);
    let ids: Vec<_> = sweeps.rows.iter().map(id).collect();
    let page = context! {
        generated_at,
        command,
        cores => cores(sweeps),
        blocks => crate::text::plural(blocks as u64, "block"),
        notes_title => crate::text::plural(sweeps.warnings.len() as u64, "warning"),
        notes => sweeps.warnings.iter().map(|warning| one_line(warning, 1000)).collect::<Vec<_>>(),
        rows => rows.map(|(number, row)| table_row(number, &ids[number], row)).collect::<Vec<_>>(),
        chart => chart(sweeps, &ids),
        environment => environment::of_sweeps(sweeps),
    };
    render("metg.html", page)
}

fn table_row(number: usize, id: &str, row: &Row) -> Value {
    let log = row.blocks.iter().flat_map(|block| &block.points).find_map(|point| point.log.as_ref());
    context! {
        id,
        label => number,
        series => number % SERIES,
        name => name(&row.name()),
        cores => row.cores,
        cells => Serde(TableRow::of(row)),
        failures => failures(row),
        blocks => row.blocks.iter().map(block).collect::<Vec<_>>(),
        log => log.map(|log| one_line(log, 300)),
    }
}

fn chart(sweeps: &Sweeps, ids: &[String]) -> Option<Value> {
    let steps = || sweeps.rows.iter().flat_map(|row| &row.curve);
    let plot = Plot::covering(EDGES, steps().map(|step| step.granularity_seconds), [MIN_EFFICIENCY, 1.0])?;
    let tick = |share: f64| context! { position => plot.y(share), text => format!("{:.0} %", share * 100.0) };
    let rows = sweeps.rows.iter().enumerate().filter(|(_, row)| !row.curve.is_empty());
    let curves = rows.map(|(number, row)| {
        context! { label => number, ..plot.curve(number % SERIES, curve(&ids[number], row)) }
    });
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

fn block(block: &Block) -> Value {
    context! {
        number => labels::block(Some(block.block)),
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
        command => point.command.as_ref().map_or_else(String::new, |command| one_line(command, 1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::tests;
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
        insta::assert_binary_snapshot!("metg.html", page.into_bytes());
    }

    #[test]
    fn links_and_hostile_text_are_safe() {
        for sweeps in [examples::several(), examples::hostile()] {
            tests::check_links_and_text(&page(&sweeps));
        }
    }

    #[test]
    fn a_page_without_records_says_so() {
        let nothing = Sweeps { rows: Vec::new(), ..examples::several() };
        assert!(page(&nothing).contains("There are no records of a sweep."));
    }
}
