//! The terminal: results go to standard output, everything else to standard error. Colour and progress are shown only on a
//! terminal.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Style};
use env_logger::{Target, WriteStyle};
use indicatif::{ProgressBar, ProgressStyle};
use plugin_api::Progress;
use rustix::event::PollFlags;
use serde::Serialize;

use super::{Exit, Problem, output};
use crate::other_process;
use crate::sandbox::Interrupt;
use crate::text::{escaped_in_json, printable, printable_but_colours, single_line, with_remedy};

/// The output of a command.
pub(crate) struct Ui {
    json: bool,
    quiet: bool,
    log_level: log::LevelFilter,
    bar: Option<ProgressBar>,
    /// Why standard output did not take a result. A closed pipe is no reason: its reader wants no more.
    unwritten: Option<io::Error>,
}

impl Ui {
    /// Prints JSON or text, only results, warnings and errors if `quiet`, and more of the log with `verbose`.
    pub(crate) fn new(json: bool, quiet: bool, verbose: u8) -> Self {
        let log_level = match verbose {
            0 => log::LevelFilter::Warn,
            1 => log::LevelFilter::Info,
            2 => log::LevelFilter::Debug,
            _ => log::LevelFilter::Trace,
        };
        let colour = if colour_on(&io::stderr()) { WriteStyle::Always } else { WriteStyle::Never };
        env_logger::Builder::new()
            .filter_level(log_level)
            .write_style(colour)
            .format(log_line)
            .target(Target::Pipe(Box::new(output::Errors)))
            .init();
        Self { json, quiet, log_level, bar: None, unwritten: None }
    }

    pub(crate) fn json(&self) -> bool {
        self.json
    }

    pub(crate) fn log_level(&self) -> log::LevelFilter {
        self.log_level
    }

    /// Whether the user asked for details.
    pub(crate) fn is_verbose(&self) -> bool {
        self.log_level >= log::LevelFilter::Info
    }

    /// Prints a result on standard output. [`Ui::end`] says if that failed.
    pub(crate) fn result(&mut self, text: &str) {
        let text = if self.json { escaped_in_json(text) } else { printable(text) };
        self.write(&text);
    }

    /// Prints a result as an object for programs, or as text for people.
    pub(crate) fn object_or<O: Serialize>(
        &mut self,
        object: impl FnOnce() -> O,
        text: impl FnOnce() -> String,
    ) -> Result<(), Problem> {
        if !self.json {
            self.result(&text());
            return Ok(());
        }
        self.object(&object())
    }

    /// Prints an object for programs, in one line.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> Result<(), Problem> {
        self.result(&serde_json::to_string(object).map_err(|error| Problem::unexpected(&error))?);
        Ok(())
    }

    /// Writes a result that no terminal shows to standard output, byte for byte.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.clear_status();
        self.note_unwritten(output::write_all(&io::stdout(), bytes));
    }

    /// Prints a result with colours. Other control characters are replaced.
    pub(crate) fn coloured_result(&mut self, text: &str) {
        self.write(&printable_but_colours(text));
    }

    fn write(&mut self, text: &str) {
        self.clear_status();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        self.note_unwritten(output::write_all(&io::stdout(), format!("{text}{end}").as_bytes()));
    }

    /// Notes that a result could not be printed.
    pub(crate) fn note_unwritten(&mut self, written: io::Result<()>) {
        let error =
            written.err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe && !output::is_cut());
        self.unwritten = self.unwritten.take().or(error);
    }

    /// Says if a result could not be printed, and returns the exit code of a command that would end with `exit`.
    pub(crate) fn end(&mut self, exit: Exit) -> Exit {
        let Some(error) = self.unwritten.take() else { return exit };
        let remedy = match error.kind() {
            io::ErrorKind::TimedOut => "send the output to a file, or export CROSSRUN_DEADLINES=reader=TIME",
            _ => "free some space, or send the output to another place",
        };
        self.error(&with_remedy(&format!("cannot write to standard output: {error}"), Some(remedy)));
        if exit == Exit::Done { Exit::Unexpected } else { exit }
    }

    /// Prints something to know that is not a result.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.quiet {
            self.line("", Style::new(), text);
        }
    }

    pub(crate) fn warning(&mut self, text: &str) {
        self.line("warning: ", AnsiColor::Yellow.on_default().bold(), text);
    }

    /// Prints why the command failed: a line for people, and an object for programs that read standard output.
    pub(crate) fn problem(&mut self, problem: &Problem) {
        if self.json {
            self.result(&problem.json().to_string());
        }
        self.error(&problem.line());
    }

    /// Says if something that was shown could not be kept, and returns the exit code of a command that would end with `exit`: a wrong
    /// answer or a regression counts for more. An interrupt ends a command as such, whatever it has found.
    pub(crate) fn unless_lost(&mut self, kept: Result<(), Problem>, exit: Exit) -> Exit {
        let Err(problem) = kept else { return exit };
        let is_its_own = exit == Exit::Done || problem.exit == Exit::Interrupted;
        let problem = Problem { exit: if is_its_own { problem.exit } else { exit }, ..problem };
        self.problem(&problem);
        problem.exit
    }

    /// Prints what went wrong, for people only.
    pub(crate) fn error(&mut self, line: &str) {
        self.line("error: ", AnsiColor::Red.on_default().bold(), line);
    }

    fn line(&mut self, label: &str, style: Style, text: &str) {
        self.clear_status();
        let text = single_line(text);
        let line = if colour_on(&io::stderr()) {
            format!("{style}{label}{style:#}{text}\n")
        } else {
            format!("{label}{text}\n")
        };
        let _ = output::write_all(&io::stderr(), line.as_bytes());
    }

    /// Shows what is being done now, on a terminal.
    pub(crate) fn status(&mut self, what: &str) {
        if !self.shows_progress() {
            return;
        }
        let bar = self.bar.get_or_insert_with(ProgressBar::new_spinner);
        bar.set_message(single_line(what));
        bar.enable_steady_tick(Duration::from_millis(120));
    }

    /// Whether status and progress are shown: on a terminal that can move its cursor.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal() && !is_dumb()
    }

    /// Shows how many of several steps are done, beside the status.
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
            bar.set_message(single_line(&progress.message));
        }
    }

    /// Asks a question on the terminal, which the user confirms with `y`. Without a terminal, with JSON and if quiet nothing is
    /// asked, and the answer is no.
    ///
    /// # Errors
    /// When the user interrupts.
    pub(crate) fn confirm(&mut self, question: &str, interrupt: &Interrupt) -> Result<bool, Problem> {
        let stdin = io::stdin();
        if self.json || self.quiet || !io::stderr().is_terminal() || !stdin.is_terminal() {
            return Ok(false);
        }
        self.clear_status();
        let _ = write!(io::stderr(), "{} [y/N] ", single_line(question));
        // Reading would go on after an interrupt: it is waited for input that can be read at once.
        other_process::await_ready(&stdin, PollFlags::IN, |_| match interrupt.is_set() {
            true => Err(io::ErrorKind::Interrupted.into()),
            false => Ok(()),
        })
        .map_err(|_| Problem::new(Exit::Interrupted, "interrupted"))?;
        let mut answer = String::new();
        let read = stdin.read_line(&mut answer);
        Ok(read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Removes the status and the progress bar.
    pub(crate) fn clear_status(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Whether to print colours on `stream`: on a terminal that knows them, unless NO_COLOR forbids it. CLICOLOR_FORCE asks for them
/// elsewhere too.
pub(crate) fn colour_on(stream: &impl IsTerminal) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    let is_off = |name| std::env::var_os(name).is_some_and(|value| value == "0");
    // https://no-color.org: any value forbids.
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let can = stream.is_terminal() && !is_dumb() && !is_off("CLICOLOR");
    !forbidden && (is_set("CLICOLOR_FORCE") || can)
}

/// Whether the terminal knows neither colours nor how to move its cursor.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Writes a line of the log. Records and their targets may come from plugins.
fn log_line(to: &mut env_logger::fmt::Formatter, record: &log::Record<'_>) -> io::Result<()> {
    let style = to.default_level_style(record.level());
    let (target, message) = (single_line(record.target()), single_line(&record.args().to_string()));
    writeln!(to, "[{style}{:<5}{style:#} {target}] {message}", record.level())
}
