//! A comparison for a terminal: one screen for a few backends and workloads.

use clap::builder::styling::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::latency;
use super::words::{self, Call, Line, Tone};
use crate::compare::model::{Comparison, Point};
use crate::text::plural;

/// How many failures are told: the other formats have them all.
const FAILURES: usize = 6;
/// The headings of the columns that follow the figures.
const VERDICTS: &str = "  verdict       verified";
/// How many notes are told.
const NOTES: usize = 5;
/// The shortest width to which labels are cut so that the table fits.
const SHORTEST: usize = 8;
/// How long a name in a sentence may be.
const NAME: usize = 20;
/// How many lines a failure or a note takes.
const LINES: usize = 2;

/// In which colours a summary is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Palette {
    pub(super) heading: Style,
    good: Style,
    pub(super) bad: Style,
    even: Style,
}

impl Palette {
    /// None: for files, pipes, and whoever asked for none.
    pub fn plain() -> Self {
        Self::default()
    }

    /// For a terminal. No colour stands alone: each word says the same.
    pub fn coloured() -> Self {
        Self {
            heading: Style::new().bold(),
            good: AnsiColor::Green.on_default(),
            bad: AnsiColor::Red.on_default(),
            even: AnsiColor::Cyan.on_default(),
        }
    }

    pub(super) fn of(&self, tone: Tone) -> Style {
        match tone {
            Tone::Good => self.good,
            Tone::Bad => self.bad,
            Tone::Even => self.even,
            Tone::Unsure => Style::new(),
        }
    }
}

/// The summary of a comparison, of lines of at most `width` characters: a table of rows under each point, then what
/// failed and why, then what one must know.
pub fn text(comparison: &Comparison, palette: &Palette, width: usize) -> String {
    if comparison.points.is_empty() {
        return "there are no records to compare\n".into();
    }
    let mut lines = tables(comparison, palette, width);
    lines.extend(latencies(comparison, palette, width));
    lines.extend(geomeans(comparison, width));
    lines.extend(listed(failures(comparison), FAILURES, "failure", palette.bad, "✗", width));
    lines.extend(listed(words::notes(comparison), NOTES, "note", Style::new(), "!", width));
    lines.concat()
}

/// One table, so that figures stand under each other through all workloads; each point has a line above its rows.
fn tables(comparison: &Comparison, palette: &Palette, width: usize) -> Vec<String> {
    let points = words::by_workload(comparison).concat();
    let rows: Vec<Vec<Line>> = points.iter().map(|point| point.rows.iter().map(Line::of).collect()).collect();
    let figures = figures(comparison, &rows, width);
    let mut figures = figures.lines();
    let mut lines = Vec::new();
    let heading = figures.next().unwrap_or_default();
    let heading = format!("{}{VERDICTS}", heading.trim_end());
    lines.push(painted(palette.heading, &heading));
    for (point, rows) in points.iter().zip(&rows) {
        lines.push(painted(palette.heading, &words::line(&words::point(point), width)));
        for (row, figures) in rows.iter().zip(&mut figures) {
            lines.push(row_line(row, &figures, palette));
        }
    }
    lines
}

/// The columns up to the verdict. The verdict itself has colours, whose codes must not count as width.
fn figures(comparison: &Comparison, rows: &[Vec<Line>], width: usize) -> Table {
    let mut table = bare_table();
    let beside = comparison.baseline.as_ref().map(|baseline| format!("vs {}", words::line(baseline, 6)));
    let header = ["median", "items/s", beside.as_deref().unwrap_or("ratio"), "interval"];
    let rows = rows.iter().flatten().map(|row| (row, [&row.median, &row.rate, &row.ratio, &row.interval]));
    let rows: Vec<_> = rows.collect();
    let widest = |place: usize| rows.iter().map(|(_, cells)| length(cells[place])).max().unwrap_or_default();
    let taken: usize = (0..4).map(|place| 2 + widest(place).max(length(header[place]))).sum();
    let label = width.saturating_sub(taken + length(VERDICTS) + 1).max(SHORTEST);
    table.set_header([""].into_iter().chain(header));
    for (row, cells) in &rows {
        let label = format!(" {}", words::line(&row.label, label));
        table.add_row([&label].into_iter().chain(cells.iter().copied()));
    }
    align(&mut table, 1);
    table
}

/// A table without lines, as wide as what is in it.
pub(super) fn bare_table() -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// The columns behind the first `names` hold figures, which stand under each other at their right ends.
pub(super) fn align(table: &mut Table, names: usize) {
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if place >= names {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn row_line(row: &Line, figures: &str, palette: &Palette) -> String {
    let Call { tone, word, .. } = &row.call;
    let word = words::line(word, 12);
    let padding = " ".repeat(12usize.saturating_sub(word.chars().count()));
    let (verdict, verified) = (palette.of(*tone), if row.all_verified { Style::new() } else { palette.bad });
    let figures = figures.trim_end_matches(' ');
    format!("{figures}  {verdict}{word}{verdict:#}{padding}  {verified}{}{verified:#}\n", row.verified)
}

/// The percentiles of open loops, if there are any: a line for each backend and kind of latency.
fn latencies(comparison: &Comparison, palette: &Palette, width: usize) -> Vec<String> {
    let points = latency::points(comparison);
    let rows: Vec<_> = points.iter().map(|point| latency::lines(point)).collect();
    if points.is_empty() {
        return Vec::new();
    }
    let mut table = bare_table();
    table.set_header(["latency".into(), String::new()].into_iter().chain(latency::names(&points)));
    for (label, kind, cells) in rows.iter().flatten() {
        let label = format!(" {}", words::line(label, NAME));
        table.add_row([label, (*kind).to_owned()].iter().chain(cells));
    }
    align(&mut table, 2);
    let mut figures = table.lines();
    let mut line = || words::line(figures.next().unwrap_or_default().trim_end(), width);
    let mut lines = vec![painted(palette.heading, &line())];
    for (point, rows) in points.iter().zip(&rows) {
        lines.push(painted(palette.heading, &words::line(&words::point(point), width)));
        lines.extend(rows.iter().map(|_| format!(" {}\n", line())));
        let reasons = latency::reasons(point);
        lines.extend(listed(reasons, FAILURES, "reason", Style::new(), words::NONE, width));
    }
    lines.extend(wrapped(latency::MEANING, width).into_iter().map(|line| line + "\n"));
    lines
}

/// What a table of one point says already is not said again.
fn geomeans(comparison: &Comparison, width: usize) -> Vec<String> {
    if comparison.points.len() < 2 {
        return Vec::new();
    }
    let told = comparison.geomeans.iter().filter_map(|mean| {
        let ratio = super::figure::ratio(mean.ratio?);
        let backend = words::line(&mean.backend, NAME);
        Some(format!("{backend} {ratio} ({} of {})", mean.covered, plural(mean.points.into(), "point")))
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() {
        return Vec::new();
    }
    vec![words::line(&format!("geometric mean: {}", told.join(", ")), width) + "\n"]
}

fn failures(comparison: &Comparison) -> Vec<String> {
    let of = |point: &Point| {
        let rows = point.rows.iter().map(|row| {
            let at = format!("{}, {}", words::line(&row.label, NAME), words::line(&point.workload, 30));
            row.failures.iter().map(move |failure| format!("{at}: {}", words::failure(failure, row)))
        });
        rows.flatten().collect::<Vec<_>>()
    };
    comparison.points.iter().flat_map(of).collect()
}

/// The first `most` of what is to be told, each after a sign and in at most two lines, and how many more there are.
pub(super) fn listed(
    mut told: Vec<String>,
    most: usize,
    noun: &str,
    style: Style,
    sign: &str,
    width: usize,
) -> Vec<String> {
    let more = told.len().saturating_sub(most);
    told.truncate(most);
    let mut lines = Vec::new();
    for text in &told {
        for (place, part) in wrapped(text, width.saturating_sub(2)).iter().enumerate() {
            let sign = if place == 0 { format!("{style}{sign}{style:#}") } else { " ".into() };
            lines.push(format!("{sign} {part}\n"));
        }
    }
    if more > 0 {
        lines.push(format!(
            "{sign} and {}; the report has them\n",
            plural(more as u64, &format!("more {noun}"))
        ));
    }
    lines
}

/// The text in [`LINES`] lines, broken between words; the last one ends with … if there is more.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let full = lines.len() == LINES;
        match lines.last_mut() {
            Some(line) if full || length(line) + 1 + length(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| words::line(line, width)).collect()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

pub(super) fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples;

    fn plain(comparison: &Comparison) -> String {
        text(comparison, &Palette::plain(), 80)
    }

    #[test]
    fn three_backends_on_four_workloads_fit_one_screen() {
        let page = plain(&examples::several_workloads());
        assert!(page.lines().count() <= 23, "{page}");
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
        insta::assert_binary_snapshot!(".txt", page.into_bytes());
    }

    #[test]
    fn a_quick_comparison_says_that_it_has_no_verdicts() {
        insta::assert_binary_snapshot!(".txt", plain(&examples::quick()).into_bytes());
    }

    #[test]
    fn records_of_the_original_project_are_shown_without_a_ratio() {
        insta::assert_binary_snapshot!(".txt", plain(&examples::original()).into_bytes());
    }

    #[test]
    fn an_open_loop_has_every_percentile_and_both_kinds_of_latency() {
        let page = plain(&examples::open_loop());
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
        insta::assert_binary_snapshot!(".txt", page.into_bytes());
    }

    #[test]
    fn colours_change_nothing_else() {
        let comparison = examples::several_workloads();
        let coloured = text(&comparison, &Palette::coloured(), 80);
        assert!(coloured.contains("\x1b[32mfaster\x1b[0m"), "{coloured}");
        assert_eq!(examples::without_colours(&coloured), plain(&comparison));
    }

    #[test]
    fn hostile_names_and_reasons_neither_steer_the_terminal_nor_break_its_lines() {
        let page = plain(&examples::hostile());
        assert!(!page.contains(|c: char| c.is_control() && c != '\n'), "{page:?}");
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    }

    #[test]
    fn nothing_to_compare_is_said() {
        assert_eq!(plain(&examples::empty()), "there are no records to compare\n");
    }

    #[test]
    fn of_many_failures_the_first_are_told_and_the_others_counted() {
        let page = plain(&examples::many_failures(20));
        assert_eq!(page.matches("✗").count(), FAILURES + 1, "{page}");
        assert!(page.contains("✗ and 14 more failures"), "{page}");
    }
}
