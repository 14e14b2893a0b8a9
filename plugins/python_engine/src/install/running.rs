//! An installer that runs, and what it prints.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use plugin_api::SetupContext;

use crate::group::Group;
use crate::output::last_lines;

/// How long output is waited for after the installer has ended: a process that it left may hold the pipe. The thread that reads may have
/// to wait for a core.
const DRAIN: Duration = Duration::from_secs(2);

/// An installer that was started.
pub(super) struct Running {
    pub(super) group: Group,
    pub(super) lines: Receiver<String>,
}

impl Running {
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        let group = Group::spawn(command);
        // The command holds ends of the pipe, whose reader would wait for it.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let group = group?;
        let (sender, lines) = channel();
        std::thread::Builder::new().spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        })?;
        Ok(Self { group, lines })
    }

    pub(super) fn drain(&self, output: &mut Output<'_>) {
        let deadline = Instant::now() + DRAIN;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            output.line(line);
        }
    }
}

/// What the installer has printed so far.
pub(super) struct Output<'a> {
    context: &'a SetupContext,
    packages: u64,
    /// How many packages it has come to.
    seen: u64,
    pub(super) text: String,
    pub(super) log: PathBuf,
}

impl<'a> Output<'a> {
    pub(super) fn new(context: &'a SetupContext, seen: u64, packages: u64) -> Self {
        let log = context.log_dir().join("setup.log");
        Self { context, packages, seen, text: String::new(), log }
    }

    pub(super) fn line(&mut self, line: String) {
        if let Some(message) = message(&line) {
            self.seen += u64::from(line.starts_with("Collecting "));
            self.context.progress(self.seen.min(self.packages), self.packages, message);
        }
        // The log is for people; without it the set-up goes on.
        if let Ok(mut log) = fs::OpenOptions::new().create(true).append(true).open(&self.log) {
            let _ = writeln!(log, "{line}");
        }
        self.text.push_str(&line);
        self.text.push('\n');
    }

    /// The last line that begins with "error", or else the last line, of which the beginning is enough.
    pub(super) fn last_error(&self) -> String {
        let is_error = |line: &&str| line.to_ascii_lowercase().starts_with("error");
        // A bar that shows progress ends its lines without a new one.
        let error = self.text.rsplit(['\n', '\r']).find(is_error);
        last_lines(error.unwrap_or(&self.text), 1)
    }
}

/// A line of pip's or uv's output as a message of progress; `None` for a line that is not shown.
fn message(line: &str) -> Option<String> {
    let words = line.trim();
    let starts = ["Collecting ", "Downloading ", "Installing ", "Resolved ", "Prepared ", "Installed "];
    if !starts.iter().any(|start| words.starts_with(start)) {
        return None;
    }
    let short = words.split(" (").next().unwrap_or(words);
    Some(match short.split_once(": ") {
        Some((what, _)) => what.to_owned(),
        None => short.to_owned(),
    })
}
