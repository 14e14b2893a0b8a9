//! The terminal: results on standard output, everything else on standard error; colour and progress only where someone
//! is looking.

use std::io::{IsTerminal, Write};

use clap::builder::styling::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use plugin_api::Progress;
use serde_json::Value;

use crate::text::{escaped_in_json, printable, printable_but_colours};

/// Where a command speaks.
pub(crate) struct Ui {
    json: bool,
    quiet: bool,
    log_level: log::LevelFilter,
    bar: Option<ProgressBar>,
}

impl Ui {
    /// Speaks JSON or text, says nothing needless if `quiet`, and more of the log with `verbose`.
    pub(crate) fn new(json: bool, quiet: bool, verbose: u8) -> Self {
        let log_level = match verbose {
            0 => log::LevelFilter::Warn,
            1 => log::LevelFilter::Info,
            2 => log::LevelFilter::Debug,
            _ => log::LevelFilter::Trace,
        };
        env_logger::Builder::new().filter_level(log_level).format(log_line).init();
        Self { json, quiet, log_level, bar: None }
    }

    pub(crate) fn json(&self) -> bool {
        self.json
    }

    pub(crate) fn log_level(&self) -> log::LevelFilter {
        self.log_level
    }

    /// A result, on standard output. A reader that went away is no failure.
    pub(crate) fn result(&mut self, text: &str) {
        let text = if self.json { escaped_in_json(text) } else { printable(text) };
        self.write(&text);
    }

    /// A result with colours of ours, in which nobody else's are left.
    pub(crate) fn coloured_result(&mut self, text: &str) {
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
    pub(crate) fn note(&mut self, text: &str) {
        if !self.quiet {
            self.line("", Style::new(), text);
        }
    }

    pub(crate) fn warning(&mut self, text: &str) {
        self.line("warning: ", AnsiColor::Yellow.on_default().bold(), text);
    }

    /// Why the command failed: a line for people, and an object for programs that read standard output.
    pub(crate) fn problem(&mut self, line: &str, object: &Value) {
        if self.json {
            self.result(&object.to_string());
        }
        self.error(line);
    }

    /// What went wrong, for people only.
    pub(crate) fn error(&mut self, line: &str) {
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
    pub(crate) fn doing(&mut self, what: &str) {
        if !self.is_watched() {
            return;
        }
        let bar = self.bar.get_or_insert_with(ProgressBar::new_spinner);
        bar.set_message(printable(what));
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
    }

    /// Whether someone sees what is being done now.
    pub(crate) fn is_watched(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// How many of several steps are done, beside what is being done now.
    pub(crate) fn steps(&mut self, done: u64, total: u64) {
        let Some(bar) = &self.bar else { return };
        let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len}  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_length(total);
        bar.set_position(done);
    }

    pub(crate) fn progress(&mut self, progress: &Progress) {
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
    pub(crate) fn still(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn colour_on_stderr() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A line of the log. Records and their targets come from plugins, too.
fn log_line(to: &mut env_logger::fmt::Formatter, record: &log::Record<'_>) -> std::io::Result<()> {
    let style = to.default_level_style(record.level());
    let (target, message) = (printable(record.target()), printable(&record.args().to_string()));
    writeln!(to, "[{style}{:<5}{style:#} {target}] {message}", record.level())
}
