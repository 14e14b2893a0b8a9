//! METG for a terminal: a table, the curves, and what one must know.

use clap::builder::styling::Style;

use super::chart;
use super::words::{self, Line};
use crate::compare::metg::model::Sweeps;
use crate::report::text::{Palette, align, bare_table, listed, painted};
use crate::report::words::line;

/// How many failures and notes are told: the other formats have them all.
const TOLD: usize = 6;
/// The longest name in the table.
const NAME: usize = 16;

/// The table, the chart of all backends, and what one must know, in lines of at most `width` characters.
pub(crate) fn text(sweeps: &Sweeps, palette: &Palette, width: usize) -> String {
    if sweeps.rows.is_empty() {
        return "there are no records of a sweep\n".into();
    }
    let mut lines = table(sweeps, palette);
    lines.push("\n".into());
    lines.extend(chart::lines(sweeps, width));
    lines.extend(listed(words::failures(sweeps), TOLD, "failure", palette.bad, "✗", width));
    let notes = sweeps.warnings.iter().map(|warning| line(warning, 1000)).collect();
    lines.extend(listed(notes, TOLD, "note", Style::new(), "!", width));
    lines.concat()
}

fn table(sweeps: &Sweeps, palette: &Palette) -> Vec<String> {
    let mut table = bare_table();
    let cores = words::of_cores(sweeps);
    let heading = cores.as_ref().map_or_else(String::new, |cores| format!("on {cores}"));
    table.set_header([heading.as_str(), "METG(50 %)", "95 % interval", "floor", "blocks"]);
    let rows: Vec<_> = sweeps.rows.iter().map(Line::of).collect();
    for (row, of) in rows.iter().zip(&sweeps.rows) {
        let cores = if cores.is_none() { format!(" ({})", of.cores) } else { String::new() };
        let backend = format!(" {}{cores}", line(&row.backend, NAME));
        table.add_row([&backend, &row.value, &row.interval, &row.floor, &row.blocks]);
    }
    align(&mut table, 1);
    let mut figures = table.lines();
    let heading = format!("{}  guards", figures.next().unwrap_or_default().trim_end());
    let mut lines = vec![painted(palette.heading, &heading)];
    for (row, figures) in rows.iter().zip(figures) {
        // The codes of colours must not count as width.
        let style = palette.of(row.tone);
        lines.push(format!("{}  {style}{}{style:#}\n", figures.trim_end_matches(' '), row.guards));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::metg::examples;

    #[test]
    fn every_kind_of_row_and_the_curves_of_all_backends() {
        let page = text(&examples::several(), &Palette::plain(), 80);
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
        insta::assert_binary_snapshot!(".txt", page.into_bytes());
    }

    #[test]
    fn colours_change_nothing_else() {
        let coloured = text(&examples::several(), &Palette::coloured(), 80);
        let bare = crate::report::examples::without_colours(&coloured);
        assert_ne!(bare, coloured);
        assert_eq!(bare, text(&examples::several(), &Palette::plain(), 80));
    }

    #[test]
    fn hostile_names_and_reasons_neither_steer_the_terminal_nor_break_its_lines() {
        let page = text(&examples::hostile(), &Palette::plain(), 80);
        assert!(!page.contains(|c: char| c.is_control() && c != '\n'), "{page:?}");
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    }

    #[test]
    fn nothing_to_show_is_said() {
        let nothing = Sweeps { rows: Vec::new(), ..examples::several() };
        assert_eq!(text(&nothing, &Palette::plain(), 80), "there are no records of a sweep\n");
    }
}
