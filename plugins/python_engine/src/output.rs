//! What a process printed and how it ended, as text for an error.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use rustix::process::Signal;

/// How much of a log's end is read for its last lines.
const TAIL: u64 = 64 << 10;
/// How many characters of a line are told.
const LINE_CHARACTERS: usize = 500;

/// A log file that a process appends to, from the place where that process began.
pub(crate) struct Log {
    path: PathBuf,
    start: u64,
    file: File,
}

impl Log {
    /// Opens or makes the log at `path`.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
        let start = file.metadata()?.len();
        Ok(Self { path, start, file })
    }

    /// For the process to write to.
    pub(crate) fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// The last `count` lines with anything on them, joined into one.
    pub(crate) fn last_lines(&self, count: usize) -> String {
        // The file may have a reader of its own: what it was opened with is shared with the writer.
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            let length = file.metadata()?.len();
            // Of a log that grew too large, the host has kept the end alone.
            let start = if self.start <= length { self.start } else { 0 };
            file.seek(SeekFrom::Start(start.max(length.saturating_sub(TAIL))))?;
            let mut tail = Vec::new();
            file.read_to_end(&mut tail)?;
            Ok(tail)
        };
        last_lines(&String::from_utf8_lossy(&read().unwrap_or_default()), count)
    }
}

/// The last `count` lines with anything on them, joined into one.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.split('\n').map(shown).filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(count)..];
    let last: Vec<String> = last.iter().map(|line| line.chars().take(LINE_CHARACTERS).collect()).collect();
    last.join(" | ")
}

/// What a terminal shows in the end of a line: a bar that shows progress returns to the beginning of its line for each state.
fn shown(line: &str) -> &str {
    let is_visible = |part: &&str| part.chars().any(|c| !c.is_control() && !c.is_whitespace());
    line.rsplit('\r').find(is_visible).unwrap_or_default().trim()
}

/// How a process ended: `exited with code 3`, `was killed by signal 9 (SIGKILL)`.
pub(crate) fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => match signal_name(signal) {
            Some(name) => format!("was killed by signal {signal} ({name})"),
            None => format!("was killed by signal {signal}"),
        },
        (None, None) => "ended".to_owned(),
    }
}

fn signal_name(number: i32) -> Option<&'static str> {
    let names = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::TERM, "SIGTERM"),
    ];
    names.into_iter().find(|(signal, _)| signal.as_raw() == number).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn endings_are_described() {
        assert_eq!(ending(ExitStatus::from_raw(0x0300)), "exited with code 3");
        assert_eq!(ending(ExitStatus::from_raw(9)), "was killed by signal 9 (SIGKILL)");
        assert_eq!(ending(ExitStatus::from_raw(64)), "was killed by signal 64");
    }

    #[test]
    fn a_log_has_the_last_lines_of_its_own_process_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "of an earlier session\n").unwrap();
        let log = Log::open(path).unwrap();
        assert_eq!(log.last_lines(3), "");
        writeln!(log.writer().unwrap(), "one\n  two  \n\nthree").unwrap();
        assert_eq!(log.last_lines(2), "two | three");
        assert_eq!(log.last_lines(9), "one | two | three");
        writeln!(log.writer().unwrap(), "{}", "x".repeat(9000)).unwrap();
        assert!(log.last_lines(2).len() <= 4096);
    }

    #[test]
    fn little_is_told_of_a_bar_and_of_a_long_line() {
        let bar: String = (0..100).map(|percent| format!("{percent} %\r")).collect();
        let text = format!("{bar}\r\nno room\n{}\n", "é".repeat(5000));
        assert_eq!(last_lines(&text, 3), format!("99 % | no room | {}", "é".repeat(500)));
    }

    #[test]
    fn a_bar_after_the_cause_is_one_line() {
        let bar: String = (0..100).map(|percent| format!("{percent} %\r")).collect();
        assert_eq!(last_lines(&format!("no room\n{bar}"), 3), "no room | 99 %");
        assert_eq!(last_lines(&format!("no room\r\n{bar}\x1b\r \n"), 3), "no room | 99 %");
        assert_eq!(last_lines(&format!("{bar}no room\n\r\n"), 3), "no room");
        // Its states may be longer than all that a message quotes.
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(folder.path().join("log")).unwrap();
        write!(log.writer().unwrap(), "no room\n{}", bar.replace('\r', &format!("{}\r", "#".repeat(99))))
            .unwrap();
        assert!(log.last_lines(3).starts_with("no room | 99 %#"), "{}", log.last_lines(3));
    }

    #[test]
    fn a_log_that_was_cut_has_its_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "of an earlier session\n".repeat(9)).unwrap();
        let log = Log::open(path).unwrap();
        let mut writer = log.writer().unwrap();
        writer.set_len(0).unwrap();
        writeln!(writer, "the end that is left\nthe last words").unwrap();
        assert_eq!(log.last_lines(1), "the last words");
    }
}
