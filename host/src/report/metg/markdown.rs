//! METG as Markdown, for issues and web pages, with the table of the terminal.

use super::labels::{TableRow, failures};
use crate::compare::metg::model::Sweeps;
use crate::report::labels::{name, one_line};
use crate::report::markdown::{list, table};

const HEADINGS: [&str; 8] =
    ["backend", ">cores", ">METG(50 %)", ">95 % interval", ">kernel", ">per-task floor", ">blocks", "checks"];

/// The table, with notes and failures.
pub(crate) fn markdown(sweeps: &Sweeps) -> String {
    if sweeps.rows.is_empty() {
        return "# METG\n\nThere are no records of a sweep.\n".into();
    }
    let notes: Vec<_> = sweeps.warnings.iter().map(|warning| one_line(warning, 1000)).collect();
    let rows = sweeps.rows.iter().map(|row| {
        let TableRow { metg, interval, kernel, floor, blocks, checks, .. } = TableRow::of(row);
        vec![name(&row.name()), row.cores.to_string(), metg, interval, kernel, floor, blocks, checks.into()]
    });
    let failures: Vec<_> = sweeps.rows.iter().flat_map(failures).collect();
    format!("# METG\n{}{}{}", list(&notes), table(&HEADINGS, rows), list(&failures))
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
    fn hostile_text_is_neither_markup_nor_an_additional_cell() {
        let page = markdown(&examples::hostile());
        let bare = page.replace("\\\\", "").replace("\\<", "").replace("\\|", "");
        assert!(!bare.contains('<'), "{page}");
        assert!(bare.lines().filter(|line| line.starts_with('|')).all(|line| line.matches('|').count() == 9));
    }
}
