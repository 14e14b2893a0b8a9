//! METG for a terminal: a table, the curves, failures and notes.

use clap::builder::styling::Style;

use super::chart;
use super::labels::{self, TableRow};
use crate::compare::metg::model::{Row, Sweeps};
use crate::report::labels::one_line;
use crate::report::text::{Palette, again, aligned, list, painted};

/// How many failures and notes are shown. The other formats have all of them.
const MAX_ITEMS: usize = 6;
/// The longest name in the table.
const MAX_NAME: usize = 16;
/// And the longest graph.
const MAX_GRAPH: usize = 40;

/// The backend, and the graph if there is one.
pub(super) fn name(row: &Row) -> String {
    let graph = row
        .graph
        .as_ref()
        .map_or_else(String::new, |graph| format!(" {}", one_line(&graph.to_string(), MAX_GRAPH)));
    one_line(&row.backend, MAX_NAME) + &graph
}

/// The table, the chart of all backends, failures and notes, in lines of at most `width` characters.
pub(crate) fn text(sweeps: &Sweeps, palette: &Palette, width: usize) -> String {
    if sweeps.rows.is_empty() {
        return "there are no records of a sweep\n".into();
    }
    let mut lines = table(sweeps, palette);
    lines.push("\n".into());
    lines.extend(chart::lines(sweeps, width));
    let failures = sweeps.rows.iter().flat_map(labels::failures).collect();
    lines.extend(list(failures, MAX_ITEMS, "failure", palette.bad, "✗", width));
    let notes = sweeps.warnings.iter().map(|warning| one_line(warning, 1000)).collect();
    lines.extend(list(notes, MAX_ITEMS, "note", Style::new(), "!", width));
    lines.extend(again(&sweeps.commands));
    lines.concat()
}

fn table(sweeps: &Sweeps, palette: &Palette) -> Vec<String> {
    let cores = labels::cores(sweeps);
    let heading = cores.as_ref().map_or_else(String::new, |cores| format!("on {cores}"));
    let rows: Vec<_> = sweeps.rows.iter().map(TableRow::of).collect();
    let cells = rows.iter().zip(&sweeps.rows).map(|(cells, row)| {
        let cores = if cores.is_none() { format!(" ({})", row.cores) } else { String::new() };
        let backend = format!(" {}{cores}", name(row));
        let TableRow { metg, interval, kernel, floor, blocks, .. } = cells.clone();
        [backend, metg, interval, kernel, floor, blocks]
    });
    let headings = [heading.as_str(), "METG(50 %)", "95 % interval", "kernel", "floor", "blocks"];
    let mut aligned = aligned(headings, cells, 1).into_iter();
    let heading = format!("{}  checks", aligned.next().unwrap_or_default());
    // The codes of colours must not count as width.
    let row_line = |(row, line): (&TableRow, String)| {
        let style = palette.of(row.tone);
        format!("{line}  {style}{}{style:#}\n", row.checks)
    };
    [painted(palette.heading, &heading)].into_iter().chain(rows.iter().zip(aligned).map(row_line)).collect()
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
    fn hostile_text_neither_controls_the_terminal_nor_breaks_lines() {
        let page = text(&examples::hostile(), &Palette::plain(), 100);
        assert!(!page.contains(|c: char| c.is_control() && c != '\n'), "{page:?}");
        assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
    }

    #[test]
    fn without_records_the_text_says_so() {
        let nothing = Sweeps { rows: Vec::new(), ..examples::several() };
        assert_eq!(text(&nothing, &Palette::plain(), 80), "there are no records of a sweep\n");
    }
}
