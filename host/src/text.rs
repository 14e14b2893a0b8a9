//! Text for people: what may be printed of what others say, plurals, and tables.

use std::path::Path;

use comfy_table::{ContentArrangement, Table};
use serde::Serialize;
use serde_json::Value;

/// A path in JSON, which has only text: what is no UTF-8 in it is replaced.
pub(crate) fn serialize_path<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// A table with these headings, as wide as the terminal allows.
pub(crate) fn table<const COLUMNS: usize>(headings: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.map(str::to_uppercase));
    if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdout()) {
        table.set_width(size.ws_col.max(40));
    }
    table
}

/// The lines of a table without the padding at their ends, which is in the way of whoever copies them.
pub(crate) fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Text of plugins and files without what could steer a terminal. Everything that is printed, and every report, goes
/// through here.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

fn steers(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// JSON says the same with what could steer a terminal escaped; what is below U+0020 always is.
pub(crate) fn escaped_in_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if steers(c) => escaped.push_str(&format!("\\u{:04x}", c as u32)),
            c => escaped.push(c),
        }
    }
    escaped
}

/// As [`printable`], but that `ESC [ 1 ; 32 m` and the like stay.
pub(crate) fn printable_but_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut kept = printable(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|c: char| !(c.is_ascii_digit() || matches!(c, '[' | ';'))).unwrap_or(part.len());
        let is_colour = part.starts_with('[') && part[end..].starts_with('m');
        kept.push(if is_colour { '\u{1b}' } else { '\u{fffd}' });
        kept.push_str(&printable(part));
    }
    kept
}

/// The word by which JSON has one of several kinds.
pub(crate) fn word(kind: impl Serialize) -> String {
    match serde_json::to_value(kind) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

/// `1 item`, `2 items`.
pub(crate) fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_plugin_says_steers_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\u{9b}c\td"), "a\u{fffd}[2Jb\u{fffd}c\td");
    }

    #[test]
    fn json_stays_what_it_was() {
        let text = serde_json::json!({"a\x1b": "\u{7f}\u{9b}é\n"});
        let escaped = escaped_in_json(&text.to_string());
        assert!(!escaped.contains(steers), "{escaped:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), text);
    }

    #[test]
    fn colours_stay_and_all_else_that_steers_goes() {
        let text = "\x1b[1;32mgood\x1b[0m \x1b[2J \x1b]0;title\x07";
        let kept = "\x1b[1;32mgood\x1b[0m \u{fffd}[2J \u{fffd}]0;title\u{fffd}";
        assert_eq!(printable_but_colours(text), kept);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(plural(1, "item"), "1 item");
        assert_eq!(plural(0, "item"), "0 items");
    }
}
