//! METG as Markdown: the table of the terminal, for issues and pages.

use std::fmt::Write;

use super::words::{self, Line};
use crate::compare::metg::model::Sweeps;
use crate::report::markdown::{escaped, list};
use crate::report::words::line;

/// The table, with what failed and what one must know.
pub(crate) fn markdown(sweeps: &Sweeps) -> String {
    let mut page = String::from("# METG\n");
    if sweeps.rows.is_empty() {
        return page + "\nThere are no records of a sweep.\n";
    }
    list(&mut page, sweeps.warnings.iter().map(|warning| line(warning, 1000)).collect());
    // Writing into a string cannot fail, so what `write!` returns is dropped here and below.
    let _ = write!(
        page,
        "\n| backend | cores | METG(50 %) | 95 % interval | per-task floor | blocks | guards |\n|---|--:|--:|--:|--:|--:|---|\n"
    );
    for (row, of) in sweeps.rows.iter().map(Line::of).zip(&sweeps.rows) {
        let Line { backend, value, interval, floor, blocks, guards, .. } = row;
        let (backend, value) = (escaped(&backend), escaped(&value));
        let _ = writeln!(
            page,
            "| {backend} | {} | {value} | {interval} | {floor} | {blocks} | {guards} |",
            of.cores
        );
    }
    list(&mut page, words::failures(sweeps));
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::metg::examples;

    #[test]
    fn the_table_is_that_of_the_terminal() {
        insta::assert_binary_snapshot!(".md", markdown(&examples::several()).into_bytes());
    }

    #[test]
    fn hostile_text_is_neither_markup_nor_a_cell_of_its_own() {
        let page = markdown(&examples::hostile());
        let bare = page.replace("\\\\", "").replace("\\<", "").replace("\\|", "");
        assert!(!bare.contains('<'), "{page}");
        assert!(bare.lines().filter(|line| line.starts_with('|')).all(|line| line.matches('|').count() == 8));
    }
}
