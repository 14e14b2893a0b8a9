//! A comparison as Markdown: the tables of the terminal, for issues and pages.

use std::fmt::Write;

use super::words::{self, Line};
use super::{figure, latency};
use crate::compare::model::{Comparison, Point};
use crate::text::printable;

/// The tables of a comparison, a section a workload, with what failed and what one must know.
pub fn markdown(comparison: &Comparison) -> String {
    let mut page = String::from("# Comparison\n");
    if comparison.points.is_empty() {
        return page + "\nThere are no records to compare.\n";
    }
    list(&mut page, words::notes(comparison));
    geomeans(&mut page, comparison);
    for points in words::by_workload(comparison) {
        workload(&mut page, comparison, &points);
    }
    page
}

// Writing into a string cannot fail, so what `write!` returns is dropped here and below.

pub(super) fn list(page: &mut String, items: Vec<String>) {
    for (place, item) in items.iter().enumerate() {
        let _ = writeln!(page, "{}- {}", if place == 0 { "\n" } else { "" }, escaped(item));
    }
}

fn geomeans(page: &mut String, comparison: &Comparison) {
    if comparison.points.len() < 2 || comparison.geomeans.iter().all(|mean| mean.ratio.is_none()) {
        return;
    }
    let baseline = comparison.baseline.as_deref().unwrap_or_default();
    let _ =
        write!(page, "\n| backend | geometric mean beside {} | points |\n|---|--:|--:|\n", name(baseline));
    for mean in &comparison.geomeans {
        let ratio = mean.ratio.map_or_else(|| words::NONE.into(), figure::ratio);
        let _ = writeln!(page, "| {} | {ratio} | {} of {} |", name(&mean.backend), mean.covered, mean.points);
    }
}

fn workload(page: &mut String, comparison: &Comparison, points: &[&Point]) {
    let Some(first) = points.first() else { return };
    let _ = write!(page, "\n## {}\n", name(&first.workload));
    for point in points {
        let beside = comparison
            .baseline
            .as_deref()
            .map_or_else(|| "ratio".into(), |it| format!("beside {}", name(it)));
        let _ = write!(
            page,
            "\n{}\n\n| backend | median | items/s | {beside} | 95 % interval | verdict | verified |\n\
             |---|--:|--:|--:|--:|---|--:|\n",
            escaped(&words::settings(point))
        );
        for row in &point.rows {
            table_row(page, &Line::of(row));
        }
        list(page, failures(point));
        latencies(page, point);
    }
}

/// The percentiles of an open loop.
fn latencies(page: &mut String, point: &Point) {
    if point.rows.iter().all(|row| row.open_loop.is_none()) {
        return;
    }
    let names = latency::names(&[point]);
    let _ = write!(
        page,
        "\nLatency ({}):\n\n| backend | | {} |\n|---|---{}|\n",
        latency::MEANING,
        names.join(" | "),
        "|--:".repeat(names.len())
    );
    for (label, kind, cells) in latency::lines(point) {
        let _ = writeln!(page, "| {} | {kind} | {} |", name(label), cells.join(" | "));
    }
    list(page, latency::reasons(point));
}

fn table_row(page: &mut String, line: &Line) {
    let Line { label, median, rate, ratio, interval, call, verified, .. } = line;
    let (label, verdict) = (escaped(label), escaped(format!("{} {}", call.sign, call.word).trim()));
    let _ = writeln!(page, "| {label} | {median} | {rate} | {ratio} | {interval} | {verdict} | {verified} |");
}

fn failures(point: &Point) -> Vec<String> {
    let of_row = |row| {
        let row: &crate::compare::model::Row = row;
        row.failures
            .iter()
            .map(move |it| format!("{}: {}", words::line(&row.label, 60), words::failure(it, row)))
    };
    point.rows.iter().flat_map(of_row).collect()
}

fn name(name: &str) -> String {
    escaped(&words::line(name, 60))
}

/// Text that stands for itself, in a cell of a table too.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    let text = printable(text);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        // Within a word an underscore is one; at its edge it is emphasis.
        let within = |c: &char| c.is_alphanumeric();
        let special = match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '#' | '$' | '!' => true,
            '_' => !(within(&before) && rest.peek().is_some_and(within)),
            _ => false,
        };
        if special {
            escaped.push('\\');
        }
        escaped.push(c);
        // What looks like an address or a user is not to become a link: an invisible space keeps it text.
        if c == '@' || (c == ':' && rest.peek() == Some(&'/')) {
            escaped.push('\u{200b}');
        }
        before = c;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::examples;

    #[test]
    fn the_tables_are_those_of_the_terminal() {
        insta::assert_binary_snapshot!(".md", markdown(&examples::several_workloads()).into_bytes());
    }

    #[test]
    fn an_open_loop_has_every_percentile_and_both_kinds_of_latency() {
        insta::assert_binary_snapshot!(".md", markdown(&examples::open_loop()).into_bytes());
    }

    #[test]
    fn hostile_text_is_neither_markup_nor_a_cell_of_its_own() {
        assert_eq!(escaped("<img src=x>"), "\\<img src=x\\>");
        assert_eq!(escaped("a|b `c` _d_ word_count"), "a\\|b \\`c\\` \\_d\\_ word_count");
        let page = markdown(&examples::hostile());
        let bare = page.replace("\\\\", "").replace("\\<", "").replace("\\|", "");
        assert!(!bare.contains('<'), "{page}");
        let cells = |line: &str| line.matches('|').count();
        let tables = bare.lines().filter(|line| line.starts_with('|'));
        assert!(
            tables.clone().count() > 2 && tables.clone().all(|line| matches!(cells(line), 4 | 8)),
            "{page}"
        );
    }

    #[test]
    fn nothing_to_compare_is_said() {
        assert_eq!(markdown(&examples::empty()), "# Comparison\n\nThere are no records to compare.\n");
    }
}
