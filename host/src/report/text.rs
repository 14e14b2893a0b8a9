//! A comparison for a terminal: one screen for a few backends and workloads.

use clap::builder::styling::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::labels::{self, MAX_COMMAND, TableRow, Tone, VerdictLabel, one_line, short_name};
use super::notes;
use super::{latency, number, ranking};
use crate::compare::model::{Comparison, Geomean, Point, Row, Warning, WarningKind};
use crate::text::{plural, without_remedy};

/// How many failures are shown. The other formats have all of them.
const MAX_FAILURES: usize = 6;
/// How many notes are shown.
const MAX_NOTES: usize = 5;
/// The headings of the columns after the numbers.
const VERDICT_HEADINGS: &str = "  verdict       verified";
/// Labels are not cut below this width, even if the table is then too wide.
const MIN_LABEL: usize = 8;
/// The longest name in a sentence.
const MAX_NAME: usize = 20;
/// How many lines a failure or a note takes at most, without its remedy.
const MAX_LINES: usize = 2;

/// The colours of a summary.
#[derive(Clone, Copy, Debug, Default)]
pub struct Palette {
    pub(super) heading: Style,
    good: Style,
    pub(super) bad: Style,
    even: Style,
}

impl Palette {
    /// No colours.
    pub fn plain() -> Self {
        Self::default()
    }

    /// Colours for a terminal. The text has the same meaning without them.
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

/// The summary of a comparison, in lines of at most `width` characters: a table with the rows of each point, then the
/// failures, then the notes, then which backend was fastest.
pub fn text(comparison: &Comparison, palette: &Palette, width: usize) -> String {
    if comparison.points.is_empty() {
        return "there are no records to compare\n".into();
    }
    let mut lines = tables(comparison, palette, width);
    lines.extend(list(notes::ratio_notes(comparison), usize::MAX, "note", Style::new(), "!", width));
    lines.extend(latencies(comparison, palette, width));
    lines.extend(geomeans(comparison, width));
    lines.extend(list(failures(comparison), MAX_FAILURES, "failure", palette.bad, "✗", width));
    lines.extend(list(notes(comparison), MAX_NOTES, "note", Style::new(), "!", width));
    if let Some(told) = ranking::sentence(comparison) {
        lines.extend(sentence(&told, width, usize::MAX).into_iter().map(|line| line + "\n"));
    }
    lines.extend(again(&comparison.commands));
    lines.concat()
}

/// The commands that repeat the runs. They are not broken into lines, so that they can be pasted.
pub(super) fn again(commands: &[String]) -> Vec<String> {
    commands.iter().map(|command| format!("again: {}\n", one_line(command, MAX_COMMAND))).collect()
}

/// One table for all workloads, so that its columns are aligned. Each point has a line above its rows.
fn tables(comparison: &Comparison, palette: &Palette, width: usize) -> Vec<String> {
    let points = labels::by_workload(comparison).concat();
    let rows: Vec<Vec<_>> = points
        .iter()
        .map(|point| ranking::fastest_first(point).into_iter().map(TableRow::of).collect())
        .collect();
    let (numbers, legend) = numbers(comparison, &rows, width);
    let mut numbers = numbers.into_iter();
    let heading = format!("{}{VERDICT_HEADINGS}", numbers.next().unwrap_or_default());
    let mut lines = vec![painted(palette.heading, &heading)];
    for (point, rows) in points.iter().zip(&rows) {
        lines.push(painted(palette.heading, &one_line(&labels::point(point), width)));
        lines.extend(rows.iter().zip(&mut numbers).map(|(row, numbers)| row_line(row, &numbers, palette)));
    }
    lines.extend(legend.iter().map(|line| one_line(line, width) + "\n"));
    lines
}

/// A column of numbers: its heading, its cell of a row, and what it means, if that is not plain.
type Column<'a> = (&'a str, fn(&TableRow) -> &String, &'static str);

/// The columns before the verdict, and what they mean. The verdict is added later, because the codes of its colours must not count as width.
fn numbers(comparison: &Comparison, rows: &[Vec<TableRow>], width: usize) -> (Vec<String>, Vec<String>) {
    let ratio = comparison.baseline.as_ref().map(|baseline| format!("vs {}", one_line(baseline, 6)));
    let ratio = ratio.as_deref().unwrap_or("ratio");
    let rows: Vec<_> = rows.iter().flatten().collect();
    let longest_label = rows.iter().map(|row| length(&row.label)).max().unwrap_or_default();
    let all: [Column<'_>; 8] = [
        ("median", |row| &row.median, ""),
        ("spread", |row| &row.spread, "standard deviation of the times, in percent of their mean"),
        ("items/s", |row| &row.rate, ""),
        (ratio, |row| &row.ratio, ""),
        ("interval", |row| &row.interval, ""),
        ("mean ratio", |row| &row.mean_ratio, "ratio of throughput over many runs, rare slow ones included"),
        ("effic.", |row| &row.efficiency, "share of the cores' time that the work takes without a backend"),
        ("cost/item", |row| &row.overhead, "time of a core beyond that work, for each item"),
    ];
    let has_efficiency = rows.iter().any(|row| row.efficiency != labels::NONE);
    // The most columns that leave room for the labels.
    let selections: [&[usize]; 4] =
        [&[0, 1, 2, 3, 4, 5, 6, 7], &[0, 2, 3, 4, 6, 7], &[0, 1, 2, 3, 4, 5], &[0, 2, 3, 4]];
    let columns = selections
        .into_iter()
        .filter(|selection| has_efficiency || !selection.contains(&6))
        .map(|selection| selection.iter().map(|column| all[*column]).collect::<Vec<_>>())
        .find(|columns| columns.len() == 4 || room_for_labels(columns, &rows, width) >= longest_label)
        .unwrap_or_default();
    let label = room_for_labels(&columns, &rows, width).max(MIN_LABEL);
    let legend = columns.iter().filter(|(_, _, meaning)| !meaning.is_empty());
    let legend = legend.map(|(heading, _, meaning)| format!("{heading}: {meaning}")).collect();
    let rows = rows.iter().map(|row| {
        let cells = columns.iter().map(|(_, cell, _)| cell(row).clone());
        [format!(" {}", short_name(&row.label, label))].into_iter().chain(cells)
    });
    (aligned([""].into_iter().chain(columns.iter().map(|(heading, ..)| *heading)), rows, 1), legend)
}

/// What these columns and the verdict leave of the width.
fn room_for_labels(columns: &[Column<'_>], rows: &[&TableRow], width: usize) -> usize {
    let widest = |(heading, cell, _): &Column<'_>| {
        rows.iter().map(|row| length(cell(row))).chain([length(heading)]).max().unwrap_or_default()
    };
    let taken: usize = columns.iter().map(|column| 2 + widest(column)).sum();
    width.saturating_sub(taken + length(VERDICT_HEADINGS) + 1)
}

/// The lines of a table without borders. The first `names` columns are left-aligned, the others right-aligned.
pub(super) fn aligned<'h, R: IntoIterator<Item = String>>(
    header: impl IntoIterator<Item = &'h str>,
    rows: impl IntoIterator<Item = R>,
    names: usize,
) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table.add_rows(rows.into_iter().map(|row| row.into_iter().collect::<Vec<_>>()));
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if number >= names {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn row_line(row: &TableRow, numbers: &str, palette: &Palette) -> String {
    let VerdictLabel { tone, text, .. } = &row.verdict;
    let text = one_line(text, 12);
    let padding = " ".repeat(12usize.saturating_sub(length(&text)));
    let (verdict, verified) = (palette.of(*tone), if row.all_verified { Style::new() } else { palette.bad });
    format!("{numbers}  {verdict}{text}{verdict:#}{padding}  {verified}{}{verified:#}\n", row.verified)
}

/// The percentiles of open loops, if there are any: a line for each backend and kind of latency.
fn latencies(comparison: &Comparison, palette: &Palette, width: usize) -> Vec<String> {
    let points = latency::points(comparison);
    if points.is_empty() {
        return Vec::new();
    }
    let rows: Vec<_> = points.iter().map(|point| latency::rows(point)).collect();
    let names = latency::names(&points);
    let header = ["latency", ""].into_iter().chain(names.iter().map(String::as_str));
    let cells = rows.iter().flatten().map(|(label, kind, cells)| {
        let label = format!(" {}", short_name(label, MAX_NAME));
        [label, (*kind).to_owned()].into_iter().chain(cells.iter().cloned())
    });
    let mut aligned = aligned(header, cells, 2).into_iter().map(|line| one_line(&line, width));
    let mut lines = vec![painted(palette.heading, &aligned.next().unwrap_or_default())];
    for (point, rows) in points.iter().zip(&rows) {
        lines.push(painted(palette.heading, &one_line(&labels::point(point), width)));
        lines.extend(aligned.by_ref().take(rows.len()).map(|line| format!(" {line}\n")));
        let reasons = latency::reasons(point);
        lines.extend(list(reasons, MAX_FAILURES, "reason", Style::new(), labels::NONE, width));
    }
    lines.extend(sentence(latency::MEANING, width, MAX_LINES).into_iter().map(|line| line + "\n"));
    lines
}

/// The geometric means over several points. With one point they would repeat its table.
fn geomeans(comparison: &Comparison, width: usize) -> Vec<String> {
    let Some(over) = notes::geomeans_over(comparison) else { return Vec::new() };
    let mean = |mean: &Geomean| {
        // A backend without one is named, too: it failed at a point, or is in doubt there.
        let ratio = labels::or_none(mean.ratio, number::ratio);
        let interval = mean.interval.map(|it| format!(" ({})", number::interval(it.low, it.high)));
        format!("{} {ratio}{}", short_name(&mean.backend, MAX_NAME), interval.unwrap_or_default())
    };
    let means: Vec<_> = comparison.geomeans.iter().map(mean).collect();
    let text = format!("geometric mean of {over}: {}", means.join(", "));
    sentence(&text, width, usize::MAX).into_iter().map(|line| line + "\n").collect()
}

/// The notes, with those of trials last: what a backend warns of leaves no other out of the few that are shown.
fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes = notes::notes(comparison);
    let of_trials = |warning: &&Warning| warning.kind == WarningKind::Noted;
    let number = comparison.warnings.iter().filter(of_trials).count();
    notes[comparison.warnings.len() - number..].rotate_left(number);
    notes
}

fn failures(comparison: &Comparison) -> Vec<String> {
    let of_row = |(point, row): (&Point, &Row)| {
        let place = format!("{}, {}", short_name(&row.label, MAX_NAME), one_line(&point.workload, 30));
        labels::failures(row, &place)
    };
    comparison.rows().flat_map(of_row).collect()
}

/// The first `max` items, each after a sign, and how many more there are.
pub(super) fn list(
    mut items: Vec<String>,
    max: usize,
    noun: &str,
    style: Style,
    sign: &str,
    width: usize,
) -> Vec<String> {
    let more = items.len().saturating_sub(max);
    items.truncate(max);
    let styled = format!("{style}{sign}{style:#}");
    let mut lines: Vec<_> = items.iter().flat_map(|text| signed(text, &styled, width)).collect();
    if more > 0 {
        let more = plural(more as u64, &format!("more {noun}"));
        // The text may be all that `report` was asked for, and the files that a comparison writes have these formats.
        let told = format!("and {more}: reports in HTML and Markdown have all");
        lines.extend(signed(&told, sign, width));
    }
    lines
}

/// The lines of an item, the first of them after a sign.
fn signed(text: &str, sign: &str, width: usize) -> Vec<String> {
    let parts = item(text, width.saturating_sub(2)).into_iter().enumerate();
    parts.map(|(number, part)| format!("{} {part}\n", if number == 0 { sign } else { " " })).collect()
}

/// The lines of an item. A remedy that they have no room for follows in a line of its own, which is not broken, so that it can be pasted.
fn item(text: &str, width: usize) -> Vec<String> {
    if length(text) <= width {
        return vec![one_line(text, width)];
    }
    let (message, remedy) = without_remedy(text);
    let mut lines = sentence(message, width, MAX_LINES);
    lines.extend(remedy.map(|remedy| format!("try: {}", one_line(remedy, MAX_COMMAND))));
    lines
}

/// The text in at most `max` lines, broken between words. The last line ends with … if the text goes on.
fn sentence(text: &str, width: usize, max: usize) -> Vec<String> {
    let lines = wrapped(text.split(' ').map(str::to_owned), " ", width, max);
    lines.iter().map(|line| one_line(line, width)).collect()
}

/// The words with a gap between them, in at most `max` lines; the last line may be too wide.
pub(super) fn wrapped(
    words: impl Iterator<Item = String>,
    gap: &str,
    width: usize,
    max: usize,
) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        let full = lines.len() == max;
        match lines.last_mut() {
            Some(line) if full || length(line) + length(gap) + length(&word) <= width => {
                *line += gap;
                *line += &word;
            }
            _ => lines.push(word),
        }
    }
    lines
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
    use crate::compare::model::{BlockGroup, Doubt};
    use crate::report::examples;

    fn plain(comparison: &Comparison) -> String {
        text(comparison, &Palette::plain(), 80)
    }

    #[test]
    fn three_backends_on_four_workloads_take_few_lines() {
        let page = plain(&examples::several_workloads());
        assert!(page.lines().count() <= 27, "{page}");
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
        insta::assert_binary_snapshot!(".txt", page.into_bytes());
    }

    #[test]
    fn a_wide_table_has_the_efficiency_and_what_an_item_costs_beyond_the_work() {
        let page = text(&examples::several_workloads(), &Palette::plain(), 100);
        assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
        assert!(page.contains("effic.") && page.contains("cost/item") && page.contains("80.0 %"), "{page}");
        assert!(
            page.contains("effic.: share of the cores' time that the work takes without a backend\n"),
            "{page}"
        );
        assert!(!plain(&examples::several_workloads()).contains("effic."));
    }

    #[test]
    fn a_backend_without_a_geometric_mean_is_named_beside_those_that_have_one() {
        let mut comparison = examples::several_workloads();
        let mean = &mut comparison.geomeans[0];
        (mean.ratio, mean.interval) = (None, None);
        let page = text(&comparison, &Palette::plain(), 200);
        assert!(page.contains("only sleeps: beta –, gamma 0.100×"), "{page}");
        assert!(page.contains("! beta has no geometric mean: at some point a trial failed"), "{page}");
        let means = page.lines().find(|line| line.starts_with("geometric mean")).unwrap_or_default();
        assert!(!means.contains("single runs"), "{page}");
        comparison.points[3].rows[1].ratio.as_mut().unwrap().paired = false;
        let page = text(&comparison, &Palette::plain(), 200);
        assert!(page.contains("which only sleeps, without single runs: beta –"), "{page}");
        comparison.geomeans[0].mixed = true;
        let page = text(&comparison, &Palette::plain(), 200);
        assert!(page.contains("! beta has no geometric mean: the ratios are of several machines"), "{page}");
        for mean in &mut comparison.geomeans {
            (mean.ratio, mean.interval, mean.covered) = (None, None, 0);
        }
        let page = text(&comparison, &Palette::plain(), 200);
        assert!(page.contains("! there is no geometric mean: at no point has every backend"), "{page}");
    }

    #[test]
    fn blocks_in_two_groups_are_told() {
        let mut comparison = examples::several_workloads();
        let groups = [(3, 0.83), (4, 1.43)].map(|(blocks, ratio)| BlockGroup { blocks, ratio });
        comparison.points[1].rows[1].ratio.as_mut().unwrap().groups = Some(groups);
        let page = text(&comparison, &Palette::plain(), 200);
        let note = "that of no run: beta, pipeline (3 blocks near 0.83×, 4 near 1.43×)\n";
        assert!(page.contains(note), "{page}");
    }

    #[test]
    fn warnings_of_a_backend_push_no_doubt_out_of_the_notes() {
        let mut comparison = examples::several_workloads();
        comparison.points[1].rows[1].doubts = vec![Doubt::CpuTime { part: 0.85 }];
        let noted = |number: u32| {
            let message = format!("a spill of {number} bytes (1 trial)");
            Warning { kind: WarningKind::Noted, message, points: Vec::new() }
        };
        comparison.warnings.extend((0..20).map(noted));
        let page = text(&comparison, &Palette::plain(), 200);
        assert!(
            page.contains("! in doubt (beta, pipeline)") && page.contains("! a spill of 0 bytes"),
            "{page}"
        );
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
    fn a_ratio_that_is_not_that_of_the_medians_is_said_to_be_paired() {
        let mut comparison = examples::several_workloads();
        assert!(!plain(&comparison).contains("paired"));
        let median = &mut comparison.points[1].rows[1].duration.as_mut().unwrap().median;
        *median /= 1.04;
        assert!(!plain(&comparison).contains("paired"));
        comparison.points[1].rows[1].duration.as_mut().unwrap().median *= 1.04 * 1.18;
        let page = plain(&comparison).replace("\n  ", " ");
        let note = "ratios are paired by block: 1 of them differs from the quotient of the medians by more than 5.0 % (most: beta, \
                    pipeline, 18.0 %)";
        assert!(page.contains(note), "{page}");
    }

    #[test]
    fn the_command_is_whole_and_details_name_the_machine_and_each_reading() {
        let command = format!("crossrun compare --extra 'a={}'", "b".repeat(300));
        let mut postponed = examples::reading();
        postponed.check.postponed = Some(true);
        let comparison = Comparison {
            commands: vec![command.clone()],
            machine_checks: vec![postponed, examples::reading()],
            ..examples::several_workloads()
        };
        assert!(plain(&comparison).ends_with(&format!("again: {command}\n")));
        let details = labels::conditions(&comparison.machines, &comparison.machine_checks);
        assert!(details.contains("SMT): off") && details.contains("spectre_v1: Mitigation"), "{details}");
        assert!(details.contains("quota of processor time: 1.5 cores"), "{details}");
        let reading = "machine check of look, block 1, before beta: 1.25 ns an iteration, 1.0 % stolen, 3 preemptions, \
                       pressure –";
        assert!(details.contains(reading), "{details}");
        // It is not said of beta, whose session was run next.
        let postponed = "machine check of look, block 1, a session was postponed: 1.25 ns an iteration";
        assert!(details.contains(postponed), "{details}");
    }

    #[test]
    fn colours_change_nothing_else() {
        let comparison = examples::several_workloads();
        let coloured = text(&comparison, &Palette::coloured(), 80);
        assert!(coloured.contains("\x1b[32mfaster\x1b[0m"), "{coloured}");
        assert_eq!(examples::without_colours(&coloured), plain(&comparison));
    }

    #[test]
    fn hostile_text_neither_controls_the_terminal_nor_breaks_lines() {
        let page = plain(&examples::hostile());
        assert!(!page.contains(|c: char| c.is_control() && c != '\n'), "{page:?}");
        let fits = |line: &str| line.chars().count() <= 80 || line.starts_with("  try: ");
        assert!(page.lines().all(fits), "{page}");
    }

    #[test]
    fn a_remedy_that_has_no_room_behind_its_message_is_whole_in_a_line_of_its_own() {
        let mut comparison = examples::several_workloads();
        let command = format!("crossrun compare --resume r --output-dir {}", "p".repeat(120));
        let message = "unfinished: 1 of 3 blocks was measured";
        comparison.warnings[0].message = crate::text::with_remedy(message, Some(&command));
        let page = plain(&comparison);
        assert!(page.contains(&format!("! {message}\n  try: {command}\n")), "{page}");
        // With room for all it stays one line.
        let page = text(&comparison, &Palette::plain(), 300);
        assert!(page.lines().any(|line| line.starts_with("! unf") && line.ends_with(&command)), "{page}");
    }

    #[test]
    fn without_records_the_text_says_so() {
        assert_eq!(plain(&examples::empty()), "there are no records to compare\n");
    }

    #[test]
    fn rows_of_two_builds_are_told_apart_where_their_names_are_cut() {
        let builds = |mut comparison: Comparison| {
            let mut second = comparison.points[0].rows[0].clone();
            second.is_baseline = false;
            for (row, build) in [(&mut comparison.points[0].rows[0], "old"), (&mut second, "new")] {
                row.label = format!("a_backend_with_a_long_name (plugin {build})");
                // So that neither is named once more, as the fastest.
                row.counts.failed = 1;
            }
            comparison.points[0].rows.push(second);
            comparison
        };
        for comparison in [builds(examples::several_workloads()), builds(examples::open_loop())] {
            let page = plain(&comparison);
            let lines = |end: &str| page.lines().filter(|line| line.contains(end)).count();
            assert!(lines("old)") > 0 && lines("old)") == lines("new)"), "{page}");
            assert!(page.lines().all(|line| !line.contains("a_backend_with_a_long")), "{page}");
        }
    }

    #[test]
    fn the_first_failures_are_shown_and_the_others_counted() {
        let page = plain(&examples::many_failures(20));
        assert_eq!(page.matches("✗").count(), MAX_FAILURES + 1, "{page}");
        // Also where this text is the report.
        let others = "✗ and 14 more failures: reports in HTML and Markdown have all\n";
        assert!(page.contains(others), "{page}");
    }
}
