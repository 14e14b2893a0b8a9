//! The terminal: results on standard output, everything else on standard error; colour and progress only where someone
//! is looking.

use std::io::{IsTerminal, Write};

use clap::builder::styling::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};
use plugin_api::Progress;
use serde_json::Value;

/// Where a command speaks.
pub struct Ui {
    json: bool,
    quiet: bool,
    log_level: log::LevelFilter,
    bar: Option<ProgressBar>,
}

impl Ui {
    /// Speaks JSON or text, says nothing needless if `quiet`, and more of the log with `verbose`.
    pub fn new(json: bool, quiet: bool, verbose: u8) -> Self {
        let log_level = match verbose {
            0 => log::LevelFilter::Warn,
            1 => log::LevelFilter::Info,
            2 => log::LevelFilter::Debug,
            _ => log::LevelFilter::Trace,
        };
        env_logger::Builder::new().filter_level(log_level).format(log_line).init();
        Self { json, quiet, log_level, bar: None }
    }

    /// Whether results are to be JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    /// How much of the log is wanted.
    pub fn log_level(&self) -> log::LevelFilter {
        self.log_level
    }

    /// A result, on standard output. A reader that went away is no failure.
    pub fn result(&mut self, text: &str) {
        let text = if self.json { escaped_in_json(text) } else { printable(text) };
        self.write(&text);
    }

    /// A result with colours of ours, in which nobody else's are left.
    pub fn coloured_result(&mut self, text: &str) {
        self.write(&printable_but_colours(text));
    }

    fn write(&mut self, text: &str) {
        self.still();
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes());
        if !text.ends_with('\n') {
            let _ = out.write_all(b"\n");
        }
        let _ = out.flush();
    }

    /// Something to know that is no result.
    pub fn note(&mut self, text: &str) {
        if !self.quiet {
            self.line("", Style::new(), text);
        }
    }

    /// Something that may be wrong.
    pub fn warning(&mut self, text: &str) {
        self.line("warning: ", AnsiColor::Yellow.on_default().bold(), text);
    }

    /// Why the command failed: a line for people, and an object for programs that read standard output.
    pub fn problem(&mut self, line: &str, object: &Value) {
        if self.json {
            self.result(&object.to_string());
        }
        self.error(line);
    }

    /// What went wrong, for people only.
    pub fn error(&mut self, line: &str) {
        self.line("error: ", AnsiColor::Red.on_default().bold(), line);
    }

    fn line(&mut self, label: &str, style: Style, text: &str) {
        self.still();
        let text = printable(text);
        let colour = colour_on_stderr();
        let line =
            if colour { format!("{style}{label}{style:#}{text}\n") } else { format!("{label}{text}\n") };
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    /// What is being done now, on a terminal.
    pub fn doing(&mut self, what: &str) {
        if !self.is_watched() {
            return;
        }
        let bar = self.bar.get_or_insert_with(ProgressBar::new_spinner);
        bar.set_message(printable(what));
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
    }

    /// Whether someone sees what is being done now.
    pub fn is_watched(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// How many of several steps are done, beside what is being done now.
    pub fn steps(&mut self, done: u64, total: u64) {
        let Some(bar) = &self.bar else { return };
        let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len}  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_length(total);
        bar.set_position(done);
    }

    /// How far it is.
    pub fn progress(&mut self, progress: &Progress) {
        let Some(bar) = &self.bar else { return };
        if progress.total > 0 && bar.length() != Some(progress.total) {
            let template = "{msg} {wide_bar} {human_pos}/{human_len} {eta}";
            bar.set_style(
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_length(progress.total);
        }
        bar.set_position(progress.done);
        if !progress.message.is_empty() {
            bar.set_message(printable(&progress.message));
        }
    }

    /// Takes the progress bar away.
    pub fn still(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn colour_on_stderr() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A table with these headings, as wide as the terminal allows.
pub fn table<const COLUMNS: usize>(headings: [&str; COLUMNS]) -> Table {
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
pub fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// A line of the log. Records and their targets come from plugins, too.
fn log_line(to: &mut env_logger::fmt::Formatter, record: &log::Record<'_>) -> std::io::Result<()> {
    let style = to.default_level_style(record.level());
    let (target, message) = (printable(record.target()), printable(&record.args().to_string()));
    writeln!(to, "[{style}{:<5}{style:#} {target}] {message}", record.level())
}

/// Text of plugins and files without what could steer a terminal. Everything that is printed, and every report, goes
/// through here.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

fn steers(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// JSON says the same with what could steer a terminal escaped; what is below U+0020 always is.
fn escaped_in_json(text: &str) -> String {
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
fn printable_but_colours(text: &str) -> String {
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

/// `1 item`, `2 items`.
pub fn plural(count: u64, noun: &str) -> String {
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
        assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), text);
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
