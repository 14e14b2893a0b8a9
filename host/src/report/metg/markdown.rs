//! METG as Markdown, for issues and web pages, with the table of the terminal.

use super::labels::{self, TableLine, TableRow, failures};
use crate::compare::metg::model::{Sweeps, Table};
use crate::report::labels::{name, one_line};
use crate::report::markdown::{commands, escaped, list, table};

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
    let by_setting: String = sweeps.tables.iter().map(|table| by_setting(sweeps, table)).collect();
    let again = commands(&sweeps.commands);
    format!("# METG\n{}{}{}{by_setting}{again}", list(&notes), table(&HEADINGS, rows), list(&failures))
}

/// The graphs that differ in one setting, with a column for each backend.
fn by_setting(sweeps: &Sweeps, by: &Table) -> String {
    let setting = labels::setting(by);
    let figures = labels::columns(by, 60).into_iter().map(|name| format!(">{name}"));
    let headings: Vec<_> = ["graphs".to_owned(), format!(">{setting}")].into_iter().chain(figures).collect();
    let headings: Vec<_> = headings.iter().map(String::as_str).collect();
    let rows = labels::lines(sweeps, by).into_iter().map(|TableLine { graphs, value, cells, .. }| {
        [name(graphs), value].into_iter().chain(cells.into_iter().map(|(_, text)| text)).collect()
    });
    format!("\n## METG(50 %) by {}\n{}", escaped(&setting), table(&headings, rows))
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
    fn graphs_have_a_table_for_each_setting() {
        let page = markdown(&examples::graphs());
        assert_eq!(page.matches("## METG(50 %) by ").count(), 3, "{page}");
        assert!(page.contains("| graphs | number of inputs | native | spark (stages) |"), "{page}");
    }

    #[test]
    fn hostile_text_is_neither_markup_nor_an_additional_cell() {
        let page = markdown(&examples::hostile());
        let bare = page.replace("\\\\", "").replace("\\<", "").replace("\\|", "");
        assert!(!bare.contains('<'), "{page}");
        let of_table = |line: &&str| line.starts_with('|');
        let (first, others) = bare.split_once("\n## ").unwrap();
        assert!(first.lines().filter(of_table).all(|line| line.matches('|').count() == 9));
        let columns = |table: &str| {
            let counts = table.lines().filter(of_table).map(|line| line.matches('|').count());
            crate::first_seen::distinct(counts).len()
        };
        assert!(others.split("\n## ").all(|table| columns(table) == 1), "{page}");
    }
}
