//! METG as one page: the table, the curves of all backends in one chart, and every trial behind them.

use serde::Serialize;

use super::chart::{Edges, Label, Mark, Plot, add_range, go_on};
use super::rendered;
use super::setting::Setting;
use crate::compare::metg::model::{Block, Point, Row, Sweeps};
use crate::compare::model::Status;
use crate::report::error::ReportError;
use crate::report::metg::{Line, failures, failures_of, of_cores, value};
use crate::report::words::{self, NONE};
use crate::report::{figure, words::line};

/// The plot within a picture of 800 by 420.
const EDGES: Edges = Edges { left: 62.0, right: 786.0, top: 12.0, bottom: 360.0 };
/// What is less efficient than this stands at the foot of the chart.
const LEAST: f64 = 0.02;
/// The efficiencies that the axis names.
const NAMED: [f64; 6] = [1.0, 0.5, 0.2, 0.1, 0.05, 0.02];
/// How many looks the style sheet has.
const LOOKS: usize = 8;

/// The page, as [`html`](super::html) makes that of a comparison.
pub(crate) fn metg_html(
    sweeps: &Sweeps,
    generated_at: &str,
    command: Option<&str>,
) -> Result<String, ReportError> {
    let blocks = sweeps.rows.iter().map(|row| row.blocks.len()).max().unwrap_or_default();
    let view = View {
        style: include_str!("style.css"),
        generated_at,
        command,
        on: of_cores(sweeps),
        blocks: crate::text::plural(blocks as u64, "block"),
        notes: sweeps.warnings.iter().map(|warning| line(warning, 1000)).collect(),
        failures: failures(sweeps),
        rows: sweeps.rows.iter().enumerate().map(|(number, row)| entry(number, row)).collect(),
        chart: chart(sweeps),
        setting: Setting::of_sweeps(sweeps),
        evidence: sweeps.rows.iter().enumerate().map(|(number, row)| evidence(number, row)).collect(),
    };
    rendered("metg.html", view)
}

#[derive(Serialize)]
struct View<'a> {
    style: &'static str,
    generated_at: &'a str,
    command: Option<&'a str>,
    on: Option<String>,
    blocks: String,
    notes: Vec<String>,
    failures: Vec<String>,
    rows: Vec<Entry>,
    chart: Option<Chart>,
    setting: Setting,
    evidence: Vec<Evidence>,
}

#[derive(Serialize)]
struct Entry {
    number: usize,
    look: usize,
    cores: u32,
    line: Line,
}

#[derive(Serialize)]
struct Chart {
    across: Vec<Label>,
    up: Vec<Label>,
    half: String,
    curves: Vec<Curve>,
}

#[derive(Serialize)]
struct Curve {
    number: usize,
    look: usize,
    path: String,
    ranges: String,
    marks: Vec<Mark>,
}

/// Everything behind a row.
#[derive(Serialize)]
struct Evidence {
    number: usize,
    line: Line,
    failures: Vec<String>,
    blocks: Vec<BlockLine>,
    log: Option<String>,
}

#[derive(Serialize)]
struct BlockLine {
    number: String,
    value: String,
    floor: String,
    iteration: String,
    points: Vec<PointLine>,
}

#[derive(Serialize)]
struct PointLine {
    kernel: String,
    tasks: String,
    seconds: String,
    efficiency: String,
    status: &'static str,
    bad: bool,
    record: String,
    command: String,
}

fn entry(number: usize, row: &Row) -> Entry {
    Entry { number, look: number % LOOKS, cores: row.cores, line: Line::of(row) }
}

fn chart(sweeps: &Sweeps) -> Option<Chart> {
    let steps = || sweeps.rows.iter().flat_map(|row| &row.curve);
    let plot = Plot::around(EDGES, steps().map(|step| step.kernel_seconds), [LEAST, 1.0])?;
    let named = NAMED.map(|share| Label { place: plot.y(share), text: format!("{:.0} %", share * 100.0) });
    let drawn = sweeps.rows.iter().enumerate().filter(|(_, row)| !row.curve.is_empty());
    Some(Chart {
        across: plot.ticks_across(figure::duration),
        up: named.into(),
        half: plot.y(sweeps.target),
        curves: drawn.map(|(number, row)| curve(number, row, &plot)).collect(),
    })
}

fn curve(number: usize, row: &Row, plot: &Plot) -> Curve {
    let (mut path, mut ranges, mut marks) = (String::new(), String::new(), Vec::new());
    for step in &row.curve {
        let x = plot.x(step.kernel_seconds);
        let [low, middle, high] = [step.least, step.efficiency, step.most].map(|share| plot.y(share));
        go_on(&mut path, &x, &middle);
        add_range(&mut ranges, &x, &low, &high);
        let title = format!(
            "{}: {} at {}",
            line(&row.backend, 60),
            figure::percent(step.efficiency),
            figure::duration(step.kernel_seconds)
        );
        marks.push(Mark { x, y: middle, title });
    }
    Curve { number, look: number % LOOKS, path, ranges, marks }
}

fn evidence(number: usize, row: &Row) -> Evidence {
    let log = row.blocks.iter().flat_map(|block| &block.points).find_map(|point| point.log.as_ref());
    Evidence {
        number,
        line: Line::of(row),
        failures: failures_of(row),
        blocks: row.blocks.iter().map(block_line).collect(),
        log: log.map(|log| line(log, 300)),
    }
}

fn block_line(block: &Block) -> BlockLine {
    BlockLine {
        number: words::block(Some(block.block)),
        value: block.value().map_or_else(|| NONE.into(), value),
        floor: block.floor.map_or_else(|| NONE.into(), figure::duration),
        iteration: figure::duration(block.seconds_per_iteration),
        points: block.points.iter().map(point_line).collect(),
    }
}

fn point_line(point: &Point) -> PointLine {
    PointLine {
        kernel: figure::duration(point.kernel_seconds),
        tasks: figure::count(point.tasks),
        seconds: point.seconds.map_or_else(|| NONE.into(), figure::duration),
        efficiency: point.efficiency.map_or_else(|| NONE.into(), figure::percent),
        status: point.status.word(),
        bad: point.status != Status::Verified,
        record: format!("{}:{}", words::line(&point.source.file, 200), point.source.line),
        command: point.command.as_ref().map_or_else(String::new, |command| line(command, 1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::metg::examples;

    fn page(sweeps: &Sweeps) -> String {
        let command = Some("crossrun metg --backends native,beta");
        metg_html(sweeps, "2026-02-21 05:00:00 UTC", command).unwrap()
    }

    #[test]
    fn every_kind_of_row_the_curves_and_every_trial() {
        let sweeps = examples::several();
        let page = page(&sweeps);
        let points: usize =
            sweeps.rows.iter().flat_map(|row| &row.blocks).map(|block| block.points.len()).sum();
        assert_eq!(page.matches("trials.jsonl:").count(), points);
        insta::assert_binary_snapshot!("metg.html", page.into_bytes());
    }

    #[test]
    fn every_link_leads_to_one_place_in_the_page() {
        for sweeps in [examples::several(), examples::hostile()] {
            let page = page(&sweeps);
            let quoted = |start: &str| {
                page.split(start).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>()
            };
            let anchors = quoted(" id=\"");
            let references = quoted("href=\"#");
            assert!(references.len() > 20);
            for reference in references {
                assert_eq!(anchors.iter().filter(|anchor| **anchor == reference).count(), 1, "{reference}");
            }
        }
    }

    #[test]
    fn a_page_in_which_every_word_means_harm() {
        let page = page(&examples::hostile());
        assert!(!page.contains("<script") && !page.contains("<img"), "markup of others got through");
        assert!(!page.contains(|c: char| c.is_control() && c != '\n'));
    }

    #[test]
    fn a_page_without_records_says_so() {
        let nothing = Sweeps { rows: Vec::new(), ..examples::several() };
        assert!(page(&nothing).contains("There are no records of a sweep."));
    }
}
