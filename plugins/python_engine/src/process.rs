//! The driver: a Python process, and the channel to it.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use plugin_api::{ErrorKind, RunContext, RunnerError};
use rustix::process::Signal;

use crate::group::Group;
use crate::message::{Message, PROTOCOL, Request};
use crate::output::{Log, ending};
use crate::surroundings::{Variables, restrict};

/// How often a call looks whether the driver lives and whether it is to stop.
const TICK: Duration = Duration::from_millis(20);
/// How long a driver may go on after it was asked to stop.
const CANCEL_GRACE: Duration = Duration::from_secs(2);
/// How long a driver may take to end after it closed its engine.
const EXIT_GRACE: Duration = Duration::from_secs(10);
/// How long a driver may take to end after it closed the channel.
const CLOSED_CHANNEL_GRACE: Duration = Duration::from_secs(5);
/// How many bytes are read from the channel at once.
const READ_AT_ONCE: usize = 65536;
/// How many lines of its output are shown of a driver that died.
const LAST_LINES: usize = 3;

/// What a call reports to, and asks whether it is to stop, while it is under way.
pub(crate) trait Listener {
    fn progress(&self, done: u64, total: u64);
    fn cancelled(&self) -> bool;
}

impl Listener for RunContext {
    fn progress(&self, done: u64, total: u64) {
        RunContext::progress(self, done, total);
    }

    fn cancelled(&self) -> bool {
        RunContext::cancelled(self)
    }
}

/// For calls that have no context.
pub(crate) struct NoListener;

impl Listener for NoListener {
    fn progress(&self, _done: u64, _total: u64) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// A driver that was started. It is killed, with all of its process group, when this is dropped.
pub(crate) struct Driver {
    name: &'static str,
    group: Group,
    connection: BufReader<UnixStream>,
    /// The beginning of a line whose end has not come yet. A sink's state is one line of up to 128 MiB.
    line: Vec<u8>,
    log: Log,
}

/// What a read of the channel gave.
enum Received {
    Message(Message),
    /// Nothing within a tick.
    Nothing,
    /// The other end is closed.
    End,
}

impl Driver {
    /// Starts `python` on `folder`, with these `variables` of the environment beside the usual ones. What the driver prints goes
    /// to a log in `log_dir`.
    pub(crate) fn start(
        name: &'static str,
        python: &Path,
        folder: &Path,
        log_dir: &Path,
        variables: Variables,
    ) -> Result<Self, RunnerError> {
        let cannot = |error: io::Error| {
            let message = format!("the driver cannot be started with {}: {error}", python.display());
            RunnerError::new(ErrorKind::Unavailable, message)
        };
        let log = Log::open(log_dir.join(format!("{name}.driver.log"))).map_err(cannot)?;
        let (connection, theirs) = UnixStream::pair().map_err(cannot)?;
        connection.set_read_timeout(Some(TICK)).map_err(cannot)?;
        let mut command = command(python, folder, variables);
        // The one stream that is read and written: the driver moves it out of the way before anything else.
        command.stdin(OwnedFd::from(theirs));
        command.stdout(log.writer().map_err(cannot)?).stderr(log.writer().map_err(cannot)?);
        let group = Group::spawn(&mut command).map_err(cannot)?;
        let connection = BufReader::with_capacity(READ_AT_ONCE, connection);
        let mut driver = Self { name, group, connection, line: Vec::new(), log };
        driver.greet()?;
        Ok(driver)
    }

    fn greet(&mut self) -> Result<(), RunnerError> {
        match self.answer(&NoListener)? {
            Message::Hello { protocol: PROTOCOL } => Ok(()),
            other => Err(self.malformed(&format!("{other:?}"))),
        }
    }

    /// Asks for something and waits until it is done.
    pub(crate) fn call(
        &mut self,
        request: &Request<'_>,
        listener: &dyn Listener,
    ) -> Result<Message, RunnerError> {
        self.send(request)?;
        match self.answer(listener)? {
            Message::Failed(error) => Err(error),
            answer => Ok(answer),
        }
    }

    /// Waits for the process to end by itself.
    pub(crate) fn finish(mut self) -> Result<(), RunnerError> {
        if !self.ended_within(EXIT_GRACE) {
            let (name, grace) = (self.name, EXIT_GRACE.as_secs());
            let message = format!("the driver of {name} did not end within {grace} s after it was closed");
            return Err(RunnerError::engine(message));
        }
        match self.group.end() {
            Ok(status) if !status.success() => Err(self.died()),
            _ => Ok(()),
        }
    }

    fn send(&mut self, request: &Request<'_>) -> Result<(), RunnerError> {
        let mut line = serde_json::to_vec(request)
            .map_err(|error| RunnerError::new(ErrorKind::Internal, format!("a request: {error}")))?;
        line.push(b'\n');
        // If the driver has ended, waiting for its answer finds that out.
        let _ = self.connection.get_mut().write_all(&line);
        Ok(())
    }

    /// The message that answers; those before it go to `listener` and the log.
    fn answer(&mut self, listener: &dyn Listener) -> Result<Message, RunnerError> {
        let (mut cancelled_at, mut ended): (Option<Instant>, bool) = (None, false);
        loop {
            match self.receive()? {
                Received::Message(Message::Progress { done, total }) => listener.progress(done, total),
                Received::Message(Message::Log { level, message }) => self.forward(&level, &message),
                Received::Message(answer) => return Ok(answer),
                Received::End => return Err(self.died()),
                // It had ended before this tick began, so that all its messages have been read.
                Received::Nothing if ended => return Err(self.died()),
                Received::Nothing => ended = self.ended_within(Duration::ZERO),
            }
            match cancelled_at {
                None if listener.cancelled() => {
                    self.send(&Request::Cancel)?;
                    cancelled_at = Some(Instant::now());
                }
                Some(since) if since.elapsed() > CANCEL_GRACE => {
                    let _ = self.group.end();
                    return Err(RunnerError::cancelled());
                }
                _ => {}
            }
        }
    }

    /// The next message, once its line is whole. Each byte is looked at once, however many reads a line takes.
    fn receive(&mut self) -> Result<Received, RunnerError> {
        match self.connection.read_until(b'\n', &mut self.line) {
            Ok(_) if self.line.ends_with(b"\n") => {
                let line = std::mem::take(&mut self.line);
                self.parse(&line).map(Received::Message)
            }
            // What came of the line before a read timed out stays in it.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Received::Nothing),
            Ok(_) | Err(_) => Ok(Received::End),
        }
    }

    fn parse(&self, line: &[u8]) -> Result<Message, RunnerError> {
        serde_json::from_slice(line).map_err(|_| self.malformed(&String::from_utf8_lossy(line)))
    }

    fn malformed(&self, text: &str) -> RunnerError {
        let start: String = text.trim_end().chars().take(100).collect();
        RunnerError::engine(format!("the driver of {} sent what is not a message: {start}", self.name))
    }

    fn forward(&self, level: &str, message: &str) {
        let level = level.parse().unwrap_or(log::Level::Info);
        log::log!(target: self.name, level, "{message}");
    }

    /// How the driver ended, and the last lines that it printed.
    fn died(&mut self) -> RunnerError {
        let by_itself = self.ended_within(CLOSED_CHANNEL_GRACE);
        let status = self.group.end().ok().filter(|_| by_itself);
        let ending = status.map_or_else(|| "closed its channel".to_owned(), ending);
        let last = self.log.last_lines(LAST_LINES);
        let output = if last.is_empty() { String::new() } else { format!("; its last output: {last}") };
        let error = RunnerError::engine(format!("the driver of {} {ending}{output}", self.name));
        match status.and_then(more_processor_time) {
            Some(remedy) => error.with_remedy(remedy),
            None => error,
        }
    }

    fn ended_within(&self, limit: Duration) -> bool {
        let since = Instant::now();
        while !self.group.has_ended() {
            if since.elapsed() >= limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

/// Python without the user's own settings: what is measured must not depend on them. Processes that the engine starts
/// find the same modules through `PYTHONPATH`.
fn command(python: &Path, folder: &Path, variables: Variables) -> Command {
    let mut command = Command::new(python);
    command.args(["-I", "-B", "-u", "-X", "utf8"]).arg(folder);
    restrict(&mut command, variables);
    command.env("PYTHONPATH", folder);
    command.env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1");
    command.env("PYTHONNOUSERSITE", "1");
    command
}

/// What to do about a driver that ended so, if it may have used up what the limit of this shell allows.
fn more_processor_time(status: ExitStatus) -> Option<String> {
    if ![Signal::KILL, Signal::XCPU].map(Signal::as_raw).contains(&status.signal()?) {
        return None;
    }
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max cpu time"))?;
    let mut limits = line.split_ascii_whitespace().map(|word| word.parse::<u64>().ok());
    let (seconds, hard) = (limits.next()??, limits.next()?);
    let by_root =
        if hard.is_some_and(|hard| hard <= seconds) { ", for which root raises the hard limit" } else { "" };
    Some(format!(
        "a shell in which `ulimit -t` is more than {seconds} s{by_root}, if the driver has used that up"
    ))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;
    use crate::fixture::program;

    /// A driver that is a shell script: `say` and `hear` write to the channel and read from it.
    fn start(script: &str) -> (tempfile::TempDir, Result<Driver, RunnerError>) {
        let folder = tempfile::tempdir().unwrap();
        let line = "say() { echo \"$1\" >&0; }\nhear() { read -r heard <&0; }\n";
        let hello = "say '{\"type\":\"hello\",\"protocol\":1}'\n";
        let python = program(folder.path(), "python", &format!("{line}{hello}{script}"));
        let driver = Driver::start("tested", &python, folder.path(), folder.path(), &[]);
        (folder, driver)
    }

    #[derive(Default)]
    struct TestListener {
        progress: RefCell<Vec<(u64, u64)>>,
        cancels: Cell<bool>,
    }

    impl Listener for TestListener {
        fn progress(&self, done: u64, total: u64) {
            self.progress.borrow_mut().push((done, total));
        }

        fn cancelled(&self) -> bool {
            self.cancels.get()
        }
    }

    const DONE: &str = "say '{\"type\":\"done\"}'\n";

    #[test]
    fn progress_comes_before_the_answer() {
        let progress = "say '{\"type\":\"progress\",\"done\":1,\"total\":2}'";
        let (_folder, driver) = start(&format!("hear\n{progress}\n{DONE}"));
        let mut driver = driver.unwrap();
        let listener = TestListener::default();
        let answer = driver.call(&Request::Close, &listener).unwrap();
        assert!(matches!(answer, Message::Done));
        assert_eq!(*listener.progress.borrow(), [(1, 2)]);
        driver.finish().unwrap();
    }

    #[test]
    fn a_message_that_comes_in_pieces_is_whole_and_the_next_one_is_apart() {
        // The pauses are longer than a tick, and one piece has more bytes than are read at once.
        let failed = r#"hear
exec 3>&0
printf '{"type":"failed","kind":"engine",' >&0; sleep 0.05
printf '"message":"' >&0; head -c 200000 /dev/zero | tr '\0' x >&3; sleep 0.05
say '"}'
"#;
        let (_folder, driver) = start(&format!("{failed}{DONE}"));
        let mut driver = driver.unwrap();
        let error = driver.call(&Request::Close, &NoListener).unwrap_err();
        assert_eq!(error, RunnerError::engine("x".repeat(200_000)));
        assert!(matches!(driver.call(&Request::Close, &NoListener).unwrap(), Message::Done));
    }

    #[test]
    fn the_answer_of_a_driver_that_ends_at_once_is_not_lost() {
        for _ in 0..20 {
            let (_folder, driver) = start(&format!("hear\nsleep 0.0$(($$ % 5))\n{DONE}exit 0"));
            let mut driver = driver.unwrap();
            assert!(matches!(driver.call(&Request::Close, &NoListener).unwrap(), Message::Done));
            driver.finish().unwrap();
        }
    }

    #[test]
    fn the_error_for_a_driver_that_dies_has_its_last_output() {
        let (_folder, driver) = start("hear\necho one; echo two >&2; echo three; echo four; exit 7");
        let error = driver.unwrap().call(&Request::Close, &NoListener).unwrap_err();
        let expected = "the driver of tested exited with code 7; its last output: two | three | four";
        assert_eq!(error, RunnerError::engine(expected));
    }

    #[test]
    fn a_child_that_keeps_the_line_open_does_not_hide_a_death() {
        let (_folder, driver) = start("hear\nsleep 60 &\nkill -9 $$");
        let error = driver.unwrap().call(&Request::Close, &NoListener).unwrap_err();
        assert_eq!(error.message, "the driver of tested was killed by signal 9 (SIGKILL)");
    }

    #[test]
    fn a_driver_that_closes_the_channel_is_not_waited_for() {
        let (_folder, driver) = start("hear\nexec 0</dev/null\nsleep 60");
        let error = driver.unwrap().call(&Request::Close, &NoListener).unwrap_err();
        assert_eq!(error.message, "the driver of tested closed its channel");
    }

    #[test]
    fn what_is_malformed_is_an_error() {
        let (_folder, driver) = start("hear\nsay 'Traceback'");
        let error = driver.unwrap().call(&Request::Close, &NoListener).unwrap_err();
        assert_eq!(error.message, "the driver of tested sent what is not a message: Traceback");
    }

    #[test]
    fn a_failure_keeps_its_kind_and_remedy() {
        let failed = r#"{"type":"failed","kind":"unsupported","message":"no","remedy":"yes"}"#;
        let (_folder, driver) = start(&format!("hear\nsay '{failed}'"));
        let error = driver.unwrap().call(&Request::Close, &NoListener).unwrap_err();
        assert_eq!(error, RunnerError::new(ErrorKind::Unsupported, "no").with_remedy("yes"));
    }

    #[test]
    fn a_driver_that_is_asked_to_stop_may_answer() {
        let failed = r#"{"type":"failed","kind":"cancelled","message":"stopped"}"#;
        let (_folder, driver) = start(&format!("hear\nhear\nsay '{failed}'"));
        let listener = TestListener::default();
        listener.cancels.set(true);
        let error = driver.unwrap().call(&Request::Close, &listener).unwrap_err();
        assert_eq!(error, RunnerError::new(ErrorKind::Cancelled, "stopped"));
    }

    #[test]
    fn a_driver_that_does_not_stop_is_killed() {
        let (_folder, driver) = start("hear\nsleep 600");
        let listener = TestListener::default();
        listener.cancels.set(true);
        let since = Instant::now();
        let error = driver.unwrap().call(&Request::Close, &listener).unwrap_err();
        assert_eq!(error, RunnerError::cancelled());
        // Before it would have ended by itself.
        assert!((CANCEL_GRACE..Duration::from_secs(600)).contains(&since.elapsed()));
    }

    #[test]
    fn a_python_that_cannot_be_started_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none");
        let error =
            Driver::start("tested", &none, folder.path(), folder.path(), &[]).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert!(error.message.contains(none.to_str().unwrap()), "{error}");
    }
}
