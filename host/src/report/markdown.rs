//! A comparison as Markdown, for issues and web pages, with the tables of the terminal.

use super::labels::{self, MAX_COMMAND, TableRow, name, one_line, or_none};
use super::notes;
use super::ranking::{self, fastest_first};
use super::{latency, number};
use crate::compare::model::{Comparison, Point};
use crate::text::printable;

/// The tables of a comparison, one section per workload, with failures and notes.
pub fn markdown(comparison: &Comparison) -> String {
    let mut page = String::from("# Comparison\n");
    if comparison.points.is_empty() {
        return page + "\nThere are no records to compare.\n";
    }
    if let Some(told) = ranking::sentence(comparison) {
        page += &format!("\n{}\n", escaped(&told));
    }
    let notes = [notes::notes(comparison), notes::ratio_notes(comparison)].concat();
    page += &list(&notes);
    page += &geomeans(comparison);
    for points in labels::by_workload(comparison) {
        page += &format!("\n## {}\n", escaped(&name(&points[0].workload)));
        for point in points {
            page += &format!("\n{}\n{}", escaped(&labels::settings(point)), results(comparison, point));
            let failures = point.rows.iter().flat_map(|row| labels::failures(row, &name(&row.label)));
            page += &list(&failures.collect::<Vec<_>>());
            page += &costs(point);
            page += &latencies(point);
        }
    }
    page + &commands(&comparison.commands)
}

/// The commands that repeat the runs, as blocks of code.
pub(super) fn commands(commands: &[String]) -> String {
    let blocks: String =
        commands.iter().map(|command| format!("\n    {}\n", one_line(command, MAX_COMMAND))).collect();
    if blocks.is_empty() { blocks } else { format!("\n## Again\n{blocks}") }
}

pub(super) fn list(items: &[String]) -> String {
    let lines: String = items.iter().map(|item| format!("- {}\n", escaped(item))).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

/// A table. Columns whose heading starts with `>` are right-aligned.
pub(super) fn table(headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let names: Vec<_> = headings.iter().map(|it| escaped(it.trim_start_matches('>'))).collect();
    let rule: String = headings.iter().map(|it| if it.starts_with('>') { "--:|" } else { "---|" }).collect();
    let rows = rows.map(|cells| line(&cells.iter().map(|cell| escaped(cell)).collect::<Vec<_>>()));
    format!("\n{}|{rule}\n{}", line(&names), rows.collect::<String>())
}

fn geomeans(comparison: &Comparison) -> String {
    let Some(over) = notes::geomeans_over(comparison) else { return String::new() };
    let ratio = format!(">geometric mean vs {}", name(comparison.baseline.as_deref().unwrap_or_default()));
    let rows = comparison.geomeans.iter().map(|mean| {
        let ratio = or_none(mean.ratio, number::ratio);
        let interval = or_none(mean.interval, |it| number::interval(it.low, it.high));
        vec![name(&mean.backend), ratio, interval]
    });
    let over = escaped(&format!("The geometric mean is over {over}."));
    format!("{}\n{over}\n", table(&["backend", &ratio, ">95 % interval"], rows))
}

fn results(comparison: &Comparison, point: &Point) -> String {
    let baseline = comparison.baseline.as_deref();
    let ratio = baseline.map_or_else(|| ">ratio".into(), |baseline| format!(">vs {}", name(baseline)));
    let rows = fastest_first(point).into_iter().map(|row| {
        let TableRow { label, median, spread, rate, ratio, interval, mean_ratio, verdict, verified, .. } =
            TableRow::of(row);
        let verdict = format!("{} {}", verdict.sign, verdict.text).trim().to_owned();
        vec![label, median, spread, rate, ratio, interval, mean_ratio, verdict, verified]
    });
    let headings = [
        "backend",
        ">median",
        ">spread",
        ">items/s",
        &ratio,
        ">95 % interval",
        ">mean ratio",
        "verdict",
        ">verified",
    ];
    table(&headings, rows)
}

/// What the rows used, and how well.
fn costs(point: &Point) -> String {
    if point.rows.iter().all(|row| row.efficiency.is_none()) {
        return String::new();
    }
    let rows = fastest_first(point).into_iter().map(|row| {
        let (used, efficiency) = (row.resources.unwrap_or_default(), row.efficiency.unwrap_or_default());
        vec![
            name(&row.label),
            labels::median(efficiency.efficiency, number::percent),
            labels::median(efficiency.overhead_seconds_per_item, number::duration),
            labels::median(used.cpu_seconds_per_item, number::duration),
            labels::median(used.memory_bytes_per_item, number::memory),
            labels::median(used.cores_used, number::quantity),
        ]
    });
    let headings =
        ["backend", ">efficiency", ">overhead/item", ">CPU time/item", ">memory/item", ">cores used"];
    table(&headings, rows)
}

/// The percentiles of an open loop.
fn latencies(point: &Point) -> String {
    if point.rows.iter().all(|row| row.open_loop.is_none()) {
        return String::new();
    }
    let names: Vec<_> = latency::names(&[point]).iter().map(|name| format!(">{name}")).collect();
    let headings: Vec<_> = ["backend", ""].into_iter().chain(names.iter().map(String::as_str)).collect();
    let rows = latency::rows(point)
        .into_iter()
        .map(|(label, kind, cells)| [name(label), kind.to_owned()].into_iter().chain(cells).collect());
    let meaning = latency::MEANING;
    format!("\nLatency ({meaning}):\n{}{}", table(&headings, rows), list(&latency::reasons(point)))
}

/// Text without the meaning that Markdown gives to its characters, also in the cell of a table.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    let text = printable(text);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        // At the edge of a word an underscore is emphasis.
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
        // An invisible space keeps an address or a user name from becoming a link.
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
    fn every_workload_has_its_tables() {
        insta::assert_binary_snapshot!(".md", markdown(&examples::several_workloads()).into_bytes());
    }

    #[test]
    fn an_open_loop_has_every_percentile_and_both_kinds_of_latency() {
        insta::assert_binary_snapshot!(".md", markdown(&examples::open_loop()).into_bytes());
    }

    #[test]
    fn hostile_text_is_neither_markup_nor_an_additional_cell() {
        assert_eq!(escaped("<img src=x>"), "\\<img src=x\\>");
        assert_eq!(escaped("a|b `c` _d_ word_count"), "a\\|b \\`c\\` \\_d\\_ word_count");
        let page = markdown(&examples::hostile());
        let bare = page.replace("\\\\", "").replace("\\<", "").replace("\\|", "");
        assert!(!bare.contains('<'), "{page}");
        let cells = |line: &str| line.matches('|').count();
        let tables = bare.lines().filter(|line| line.starts_with('|'));
        assert!(
            tables.clone().count() > 2 && tables.clone().all(|line| matches!(cells(line), 4 | 7 | 10)),
            "{page}"
        );
    }

    #[test]
    fn without_records_the_page_says_so() {
        assert_eq!(markdown(&examples::empty()), "# Comparison\n\nThere are no records to compare.\n");
    }
}
