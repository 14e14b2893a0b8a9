//! METG for a terminal: a table, the curves, failures and notes.

use clap::builder::styling::Style;

use super::chart;
use super::labels::{self, TableLine, TableRow};
use crate::compare::metg::model::{Row, Sweeps, Table};
use crate::report::labels::{one_line, short_name};
use crate::report::text::{Palette, again, aligned, list, painted};

/// How many failures and notes are shown. The other formats have all of them.
const MAX_ITEMS: usize = 6;
/// The longest name of a backend, of one in the heading of a column, and of a graph, in a table.
const MAX_NAME: usize = 16;
const MAX_HEADING: usize = 24;
const MAX_GRAPH: usize = 40;

/// The table, the chart of all backends, failures and notes, in lines of at most `width` characters.
pub(crate) fn text(sweeps: &Sweeps, palette: &Palette, width: usize) -> String {
    if sweeps.rows.is_empty() {
        return "there are no records of a sweep\n".into();
    }
    let mut lines = table(sweeps, palette, width);
    lines.extend(sweeps.tables.iter().flat_map(|table| by_setting(sweeps, table, palette, width)));
    lines.push("\n".into());
    lines.extend(chart::lines(sweeps, width));
    let failures = sweeps.rows.iter().flat_map(labels::failures).collect();
    lines.extend(list(failures, MAX_ITEMS, "failure", palette.bad, "✗", width));
    let notes = sweeps.warnings.iter().map(|warning| one_line(warning, 1000)).collect();
    lines.extend(list(notes, MAX_ITEMS, "note", Style::new(), "!", width));
    lines.extend(again(&sweeps.commands));
    lines.concat()
}

/// The columns between name and checks. METG is twice the kernel, which is left out first where long names need room.
const COLUMNS: [&str; 5] = ["METG(50 %)", "95 % interval", "kernel", "floor", "blocks"];
const SELECTIONS: [&[usize]; 3] = [&[0, 1, 2, 3, 4], &[0, 1, 3, 4], &[0, 1, 4]];

fn table(sweeps: &Sweeps, palette: &Palette, width: usize) -> Vec<String> {
    let cores = labels::cores(sweeps);
    let heading = cores.as_ref().map_or_else(String::new, |cores| format!("on {cores}"));
    let rows: Vec<_> = sweeps.rows.iter().map(TableRow::of).collect();
    let figures = |cells: &TableRow| {
        let TableRow { metg, interval, kernel, floor, blocks, .. } = cells.clone();
        [metg, interval, kernel, floor, blocks]
    };
    let figures: Vec<_> = rows.iter().map(figures).collect();
    let checks = 2 + longest("checks", rows.iter().map(|row| row.checks));
    let taken = |columns: &[usize]| {
        let column = |it: &usize| 2 + longest(COLUMNS[*it], figures.iter().map(|row| row[*it].as_str()));
        1 + checks + columns.iter().map(column).sum::<usize>()
    };
    let names: Vec<_> = sweeps.rows.iter().map(|row| name(row, cores.is_none())).collect();
    let longest_name = longest(&heading, names.iter().map(String::as_str));
    let columns =
        SELECTIONS.into_iter().find(|it| taken(it) + longest_name <= width).unwrap_or(SELECTIONS[2]);
    let room = width.saturating_sub(taken(columns)).max(MAX_NAME);
    let cells = names.iter().zip(&figures).map(|(name, figures)| {
        let figures = columns.iter().map(|it| figures[*it].clone());
        [format!(" {}", short_name(name, room))].into_iter().chain(figures)
    });
    let headings = [heading.as_str()].into_iter().chain(columns.iter().map(|it| COLUMNS[*it]));
    let mut aligned = aligned(headings, cells, 1).into_iter();
    let heading = format!("{}  checks", aligned.next().unwrap_or_default());
    // The codes of colours must not count as width.
    let row_line = |(row, line): (&TableRow, String)| {
        let style = palette.of(row.tone);
        format!("{line}  {style}{}{style:#}\n", row.checks)
    };
    [painted(palette.heading, &heading)].into_iter().chain(rows.iter().zip(aligned).map(row_line)).collect()
}

/// The backend, the graph if there is one, and the cores if they differ.
fn name(row: &Row, with_cores: bool) -> String {
    let graph = row.graph.as_ref().map(|graph| format!(" {}", short_name(&graph.to_string(), MAX_GRAPH)));
    let cores = if with_cores { format!(" ({})", row.cores) } else { String::new() };
    let limit = if row.label == row.backend { MAX_NAME } else { MAX_GRAPH };
    format!("{}{}{cores}", short_name(&row.label, limit), graph.unwrap_or_default())
}

/// The number of characters of the longest text of a column.
fn longest<'t>(heading: &'t str, texts: impl Iterator<Item = &'t str>) -> usize {
    texts.chain([heading]).map(|text| text.chars().count()).max().unwrap_or_default()
}

/// The graphs that differ in one setting, with a column for each backend: as many tables as have room for all columns.
fn by_setting(sweeps: &Sweeps, by: &Table, palette: &Palette, width: usize) -> Vec<String> {
    let heading = format!("METG(50 %) by {}", labels::setting(by));
    let lines = labels::lines(sweeps, by);
    let graphs =
        |line: &TableLine<'_>| one_line(if line.is_first_of_group { line.graphs } else { "" }, MAX_GRAPH);
    let labels: Vec<_> =
        lines.iter().map(|line| [format!(" {}", graphs(line)), line.value.clone()]).collect();
    let taken = longest(&heading, labels.iter().map(|label| label[0].as_str()))
        + longest("", labels.iter().map(|label| label[1].as_str()));
    let left = width.saturating_sub(taken + 4);
    let names = labels::columns(by, left.saturating_sub("   (stages)".len()).clamp(MAX_NAME, MAX_HEADING));
    let widest = longest("999 µs ✗", names.iter().map(String::as_str));
    let room = (left / (widest + 2)).max(1);
    let table = |first: usize| {
        let columns = first..names.len().min(first + room);
        let headings =
            [heading.as_str(), ""].into_iter().chain(names[columns.clone()].iter().map(String::as_str));
        let cells = lines.iter().zip(&labels).map(|(line, label)| {
            let figures = line.cells[columns.clone()].iter().map(|(_, text)| text);
            label.iter().chain(figures).cloned().collect::<Vec<_>>()
        });
        let mut lines = aligned(headings, cells, 2).into_iter();
        let heading = painted(palette.heading, &lines.next().unwrap_or_default());
        ["\n".to_owned(), heading].into_iter().chain(lines.map(|line| line + "\n")).collect::<Vec<_>>()
    };
    (0..names.len()).step_by(room).flat_map(table).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::metg::examples;

    #[test]
    fn every_kind_of_row_and_the_curves_of_all_backends() {
        let page = text(&examples::several(), &Palette::plain(), 100);
        assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
        let coloured = text(&examples::several(), &Palette::coloured(), 100);
        assert_ne!(coloured, page);
        assert_eq!(crate::report::examples::without_colours(&coloured), page);
        insta::assert_binary_snapshot!(".txt", page.into_bytes());
    }

    #[test]
    fn graphs_that_differ_in_one_setting_stand_side_by_side() {
        let sweeps = examples::graphs();
        for width in [60, 80, 100] {
            let page = text(&sweeps, &Palette::plain(), width);
            let tables = page.split_once("\n\n").unwrap().1.split_once("\n\nefficiency").unwrap().0;
            assert!(tables.lines().all(|line| line.chars().count() <= width), "{page}");
            assert!(["native", "spark (stages)", "✗"].iter().all(|word| tables.contains(word)), "{page}");
            let rows = page.lines().skip(1).take(sweeps.rows.len());
            assert!(rows.clone().all(|line| line.chars().count() <= width.max(80)), "{page}");
            assert_eq!(rows.filter(|line| line.contains(", stages")).count(), 5, "{page}");
        }
        insta::assert_binary_snapshot!(".txt", text(&sweeps, &Palette::plain(), 100).into_bytes());
    }

    #[test]
    fn hostile_text_neither_controls_the_terminal_nor_breaks_lines() {
        let page = text(&examples::hostile(), &Palette::plain(), 100);
        assert!(page.contains("METG(50 %) by"), "{page}");
        assert!(!page.contains(|c: char| c.is_control() && c != '\n'), "{page:?}");
        assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
    }

    #[test]
    fn without_records_the_text_says_so() {
        let nothing = Sweeps { rows: Vec::new(), ..examples::several() };
        assert_eq!(text(&nothing, &Palette::plain(), 80), "there are no records of a sweep\n");
    }
}
