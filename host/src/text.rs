//! Text for people: control characters of foreign text, remedies, plurals, and tables. And the numbers in text of the system.

use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use comfy_table::{ContentArrangement, Table};
use serde::Serialize;
use serde_json::Value;

/// Tables are at least this wide, however narrow the terminal is.
const NARROWEST: u16 = 40;
/// How many items a message lists; the others are counted.
const LISTED: usize = 10;

/// The one of the `known` names that is spelled nearly as `name`, if there is one.
pub(crate) fn nearest(name: &str, known: &[String]) -> Option<String> {
    let distances = known.iter().map(|candidate| (strsim::levenshtein(name, candidate), candidate));
    // Short words that have few letters in common, as `on` and `off`, are different words.
    let is_near = |(edits, candidate): &(usize, &String)| {
        *edits <= 2 && *edits * 2 <= name.chars().count().max(candidate.chars().count())
    };
    distances.filter(is_near).min().map(|(_, candidate)| candidate.clone())
}

/// Writes a path as text. Bytes that are not UTF-8 are replaced.
pub(crate) fn serialize_path<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// The columns of the terminal on standard output: COLUMNS, or else what the terminal says. `None` for one that does not know its
/// width, and for what is no terminal.
pub(crate) fn terminal_width() -> Option<u16> {
    let named = std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
    let asked = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?.ws_col;
    Some(named.unwrap_or(asked)).filter(|columns| *columns > 0).map(|columns| columns.max(NARROWEST))
}

/// An empty table with these headings, as wide as the terminal, or as needed where that has no width.
pub(crate) fn table<const COLUMNS: usize>(headings: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.map(str::to_uppercase));
    if let Some(width) = terminal_width() {
        table.set_width(width);
    }
    table
}

/// The lines of a table, without spaces at their ends.
pub(crate) fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Replaces control and invisible characters, which could change the state of a terminal or what a line seems to say. All text
/// that is printed, and every report, passes through this function.
pub(crate) fn printable(text: &str) -> String {
    text.replace(is_control, "\u{fffd}")
}

fn is_control(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t' || !c.is_ascii() && is_invisible(c)
}

/// Direction marks, joiners and similar characters, which make a text look like another one.
pub(crate) fn is_invisible(c: char) -> bool {
    let marks =
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}');
    marks
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Like [`printable`], but in one line: ends of lines are written as `\n` and `\r`, so that a text from a plugin, a record or a
/// file name adds no line of its own.
pub(crate) fn single_line(text: &str) -> String {
    printable(&without_line_ends(text))
}

/// Like [`single_line`], without the two other characters that XML does not allow.
pub(crate) fn in_xml(text: &str) -> String {
    single_line(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// The text in one line, with all its characters: as records keep it. What prints it takes [`single_line`].
pub(crate) fn without_line_ends(text: &str) -> String {
    text.trim_end().replace('\n', "\\n").replace('\r', "\\r")
}

/// Escapes control and invisible characters in JSON text. Those below U+0020 are escaped already.
pub(crate) fn escaped_in_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if is_control(c) => {
                c.encode_utf16(&mut [0; 2])
                    .iter()
                    .for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Like [`printable`], but keeps sequences for colours such as `ESC [ 1 ; 32 m`.
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

/// Text without the byte order mark that some editors put before it.
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// The name that an enum's value has in JSON.
pub(crate) fn word(kind: impl Serialize) -> String {
    match serde_json::to_value(kind) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The text of a string, and the JSON of any other value.
pub(crate) fn json_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A text of a plugin, or `otherwise` if it has nothing to read: a line that ends after a colon tells nobody anything.
pub(crate) fn or_else(text: String, otherwise: &str) -> String {
    if text.trim().is_empty() { otherwise.to_owned() } else { text }
}

/// What stands between a message and its remedy.
const TRY: &str = "; try: ";

/// A message with a remedy, if there is one.
pub(crate) fn with_remedy(message: &str, remedy: Option<&str>) -> String {
    remedy.map_or_else(|| message.to_owned(), |remedy| format!("{message}{TRY}{remedy}"))
}

/// The reverse of [`with_remedy`]: a plugin may have one text for both.
pub(crate) fn without_remedy(text: &str) -> (&str, Option<&str>) {
    text.rsplit_once(TRY).map_or((text, None), |(message, remedy)| (message, Some(remedy)))
}

/// `1 item`, `2 items`.
pub(crate) fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}

/// The first items of many, and how many more there are: `3, 5`.
pub(crate) fn listed<T: Display>(items: impl ExactSizeIterator<Item = T>) -> String {
    let more = items.len().saturating_sub(LISTED);
    let first: Vec<_> = items.take(LISTED).map(|item| item.to_string()).collect();
    let first = first.join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}

/// The number in the first line that begins with `name`, as the files of `/proc` have it.
pub(crate) fn number_of<N: FromStr>(name: &str, text: &str) -> Option<N> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(printable("a\x1b[2Jb\u{9b}c\td\u{202e}e"), "a\u{fffd}[2Jb\u{fffd}c\td\u{fffd}e");
        assert_eq!(single_line("a\nverified: 5 items\r\n"), "a\\nverified: 5 items");
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let text = serde_json::json!({"a\x1b": "\u{7f}\u{9b}é\n\u{202e}\u{e0041}"});
        let escaped = escaped_in_json(&text.to_string());
        assert!(!escaped.contains(is_control), "{escaped:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), text);
    }

    #[test]
    fn colours_are_kept_and_other_control_characters_are_replaced() {
        let text = "\x1b[1;32mgood\x1b[0m \x1b[2J \x1b]0;title\x07";
        let kept = "\x1b[1;32mgood\x1b[0m \u{fffd}[2J \u{fffd}]0;title\u{fffd}";
        assert_eq!(printable_but_colours(text), kept);
    }

    #[test]
    fn plural_has_one_singular() {
        assert_eq!(plural(1, "item"), "1 item");
        assert_eq!(plural(0, "item"), "0 items");
    }
}
