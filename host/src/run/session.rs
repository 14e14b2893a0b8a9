//! A conversation with one worker: requests with deadlines, events while they run, and how it ended.

mod deadlines;

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plugin_api::{ErrorKind, Progress, RunnerError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sandbox::{self, Cores, Ending, Excess, Failure, Interrupt, Limits, Sandbox, Usage};
use crate::worker::protocol::{Message as _, Refusal, Reply, Request, ResourceSnapshot, VERSION};
use crate::worker::{self, Worker};

pub use deadlines::Deadlines;

/// How long a worker may take to say hello.
const HELLO: Duration = Duration::from_secs(10);
/// How long a run that was asked to stop may take to do so.
pub(crate) const CANCEL_GRACE: Duration = Duration::from_secs(2);
/// How long a worker may take for what is no plugin's business.
pub(super) const AT_ONCE: Duration = Duration::from_secs(10);
/// How long a worker may take to leave when it is no longer needed.
const END_GRACE: Duration = Duration::from_secs(2);
/// How much of a log's end is read for a message.
const TAIL_BYTES: u64 = 2048;
/// How many of a log's last lines a message quotes.
const TAIL_LINES: usize = 3;

/// Hears what a worker says while a call is under way.
pub trait Observer {
    /// How far the call is.
    fn progress(&mut self, progress: Progress);
    /// A log record of the worker or the plugin; `level` is 1 (error) to 5 (trace).
    fn log(&mut self, level: u32, target: &str, message: &str);
}

/// Hears nothing.
pub struct Deaf;

impl Observer for Deaf {
    fn progress(&mut self, _progress: Progress) {}
    fn log(&mut self, _level: u32, _target: &str, _message: &str) {}
}

/// What went wrong in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file was refused: it is no plugin for this host.
    Refused(Refusal),
    /// The plugin said no, and why.
    Said(ErrorKind),
    /// The worker died.
    Crashed,
    /// The deadline passed.
    TimedOut,
    /// The worker's processes had too much of something, and were ended.
    Exceeded(Excess),
    /// The user asked to stop.
    Interrupted,
    /// The worker said what no worker says, or could not be started.
    Protocol,
    /// The answer is not what it must be.
    WrongAnswer,
    /// The answer is right, but the measurement cannot be.
    InvalidMeasurement,
    /// The answer is right and no claim is impossible, but the source was late by itself: a matter of this machine.
    LateSource,
    /// A word of a record that only its writer knows.
    Other(String),
}

impl Fault {
    /// In one word, as records have it.
    pub(crate) fn word(&self) -> Cow<'_, str> {
        match self {
            Self::Refused(_) => "refused".into(),
            Self::Said(kind) => {
                let word = serde_json::to_value(kind).ok();
                word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default().into()
            }
            Self::Crashed => "crashed".into(),
            Self::TimedOut => "timed_out".into(),
            Self::Exceeded(excess) => excess.word().into(),
            Self::Interrupted => "interrupted".into(),
            Self::Protocol => "protocol".into(),
            Self::WrongAnswer => "wrong_answer".into(),
            Self::InvalidMeasurement | Self::LateSource => "invalid_measurement".into(),
            Self::Other(word) => word.into(),
        }
    }

    /// What a word of a record says. For what a file was refused, how much there was too much of, and whether a source was
    /// late, a word does not say.
    fn of_word(word: String) -> Self {
        let known = [
            Self::Refused(Refusal::Other),
            Self::Crashed,
            Self::TimedOut,
            Self::Interrupted,
            Self::Protocol,
            Self::WrongAnswer,
            Self::InvalidMeasurement,
        ];
        let kind = || serde_json::from_value(word.as_str().into()).ok().map(Self::Said);
        known.into_iter().find(|fault| fault.word() == word).or_else(kind).unwrap_or(Self::Other(word))
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.word())
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::of_word)
    }
}

/// A call that failed: what, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// In which phase it came out.
    pub phase: Cow<'static, str>,
    /// What kind of failure.
    #[serde(rename = "kind")]
    pub fault: Fault,
    /// What happened, in one line.
    pub message: String,
    /// What mends it, if anything is known to.
    pub remedy: Option<String>,
}

impl CallError {
    fn new(fault: Fault, phase: &'static str, message: impl Into<String>) -> Self {
        Self { fault, phase: phase.into(), message: message.into(), remedy: None }
    }

    /// A reply that does not answer the request.
    pub fn unexpected(phase: &'static str) -> Self {
        Self::new(Fault::Protocol, phase, format!("the worker gave an answer to {phase} that is none"))
    }

    /// What a plugin said in answer to a request that was to be stopped.
    pub fn of_reply(phase: &'static str, error: RunnerError) -> Self {
        Self::said(phase, error, None)
    }

    /// A runner that calls itself otherwise than the metadata of its file.
    pub fn other_name(path: &Path, name: &str, said: &str) -> Self {
        let message =
            format!("{} is named {name:?} in its metadata, but calls itself {said:?}", path.display());
        Self::new(Fault::Refused(Refusal::Other), "load", message)
    }

    /// The user asked to stop between two calls.
    pub fn interrupted(phase: &'static str) -> Self {
        Self::new(Fault::Interrupted, phase, format!("interrupted in {phase}"))
    }

    /// What the judge found in the answer or the claims of a run.
    pub(super) fn judged(fault: Fault, why: String) -> Self {
        Self::new(fault, "judge", why)
    }

    fn said(phase: &'static str, error: RunnerError, refused: Option<Refusal>) -> Self {
        let RunnerError { kind, message, remedy } = error;
        let fault = refused.map_or(Fault::Said(kind), Fault::Refused);
        Self { fault, phase: phase.into(), message, remedy }
    }
}

/// Where workers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Isolation {
    /// In a process of their own.
    Process,
    /// In this process, without deadlines.
    None,
}

impl Isolation {
    /// As the command line and records have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::None => "none",
        }
    }
}

/// What it takes to start a worker.
#[derive(Clone)]
pub struct Launch {
    /// Where it runs.
    pub isolation: Isolation,
    /// This program's own file, which is also the worker's.
    pub executable: PathBuf,
    /// How much of the log is wanted.
    pub log_level: log::LevelFilter,
    /// What its processes may take.
    pub limits: Limits,
    /// How long each phase may take.
    pub deadlines: Deadlines,
    /// What ends every wait.
    pub interrupt: Interrupt,
    /// The cores that its whole process tree is kept to; without any, all that this process may use. Of no effect
    /// without a process of its own.
    pub cores: Option<Cores>,
}

enum Endpoint {
    Process(Box<Sandbox>),
    Here(Box<Worker>),
}

/// One worker.
pub struct WorkerSession {
    endpoint: Endpoint,
    interrupt: Interrupt,
    limits: Limits,
    deadlines: Deadlines,
    log: PathBuf,
}

impl WorkerSession {
    /// Starts a worker whose output goes to the file at `log`.
    ///
    /// # Errors
    /// When no process can be started, or it is not this version's worker.
    pub fn start(launch: &Launch, log: &Path) -> Result<Self, CallError> {
        Self::start_command(launch, command(launch, log), log)
    }

    /// Starts a worker for a backend, which may write other logs beside the one at `log`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_backend(launch: &Launch, log: &Path) -> Result<Self, CallError> {
        Self::start_command(launch, command(launch, log).with_logs_beside(), log)
    }

    fn start_command(launch: &Launch, command: sandbox::Command, log: &Path) -> Result<Self, CallError> {
        let endpoint = match launch.isolation {
            Isolation::None => {
                Endpoint::Here(Box::new(worker::here(launch.log_level, launch.interrupt.clone())))
            }
            Isolation::Process => Endpoint::Process(Box::new(start_process(&command, log)?)),
        };
        let Launch { interrupt, limits, deadlines, .. } = launch.clone();
        let mut session = Self { endpoint, interrupt, limits, deadlines, log: log.into() };
        let hello = Request::Hello { version: VERSION, log_level: launch.log_level as u32 };
        match session.call("start", hello, Some(HELLO), &mut Deaf)? {
            Reply::Hello { version: VERSION } => Ok(session),
            _ => Err(CallError::new(
                Fault::Protocol,
                "start",
                "the worker is of another version than this program; was its file replaced meanwhile?",
            )),
        }
    }

    /// A session with a worker in this process.
    pub fn with_worker(worker: Worker, interrupt: Interrupt) -> Self {
        let (limits, deadlines) = (Limits::usual(), Deadlines::default());
        Self { endpoint: Endpoint::Here(Box::new(worker)), interrupt, limits, deadlines, log: PathBuf::new() }
    }

    /// Asks for `request` and waits for the answer until `deadline` has passed.
    ///
    /// # Errors
    /// [`CallError`] when the plugin refuses or fails, the worker dies, or the time is up. After a crash or a time-out
    /// the session is of no more use.
    pub fn call(
        &mut self,
        phase: &'static str,
        request: Request,
        deadline: Option<Duration>,
        observer: &mut dyn Observer,
    ) -> Result<Reply, CallError> {
        let reply = match &mut self.endpoint {
            Endpoint::Here(worker) => worker.handle(request),
            Endpoint::Process(process) => {
                let (interrupt, limits, log) = (&self.interrupt, &self.limits, &self.log);
                let mut call = Call { process, interrupt, limits, log, phase };
                call.exchange(&request, deadline, observer)?
            }
        };
        match reply {
            Reply::Failed { error, refused } => Err(CallError::said(phase, error, refused)),
            reply => Ok(reply),
        }
    }

    /// Asks for `request`, asks it to stop when `after` has passed, and waits for the answer until `grace` has passed too.
    /// Also says how long the answer took from then on; nothing if it came before.
    ///
    /// # Errors
    /// As [`call`](Self::call), also when there is no process that could be asked.
    pub fn call_and_cancel(
        &mut self,
        phase: &'static str,
        request: &Request,
        after: Duration,
        grace: Duration,
    ) -> Result<(Reply, Option<Duration>), CallError> {
        let Endpoint::Process(process) = &mut self.endpoint else { return Err(CallError::unexpected(phase)) };
        let (interrupt, limits, log) = (&self.interrupt, &self.limits, &self.log);
        Call { process, interrupt, limits, log, phase }.exchange_and_cancel(request, after, grace)
    }

    /// What the worker's process has.
    ///
    /// # Errors
    /// When the worker dies or hangs.
    pub(super) fn snapshot(&mut self) -> Result<ResourceSnapshot, CallError> {
        match self.call("snapshot", Request::Snapshot, Some(AT_ONCE), &mut Deaf)? {
            Reply::Snapshot(snapshot) => Ok(snapshot),
            _ => Err(CallError::unexpected("snapshot")),
        }
    }

    /// What the worker's processes have used so far; their peaks count from now on. Nothing for a worker in this process.
    pub fn begin_usage(&self) -> Option<Usage> {
        match &self.endpoint {
            Endpoint::Process(process) => process.begin_usage(),
            Endpoint::Here(_) => None,
        }
    }

    /// What the worker's processes have used so far.
    pub fn usage(&self) -> Option<Usage> {
        match &self.endpoint {
            Endpoint::Process(process) => process.usage(),
            Endpoint::Here(_) => None,
        }
    }

    /// Ends the worker and everything it started.
    pub fn end(self) -> Option<Ending> {
        match self.endpoint {
            Endpoint::Process(process) => Some(process.end(END_GRACE)),
            Endpoint::Here(_) => None,
        }
    }

    /// Ends the worker and everything it started, where no record can take a warning.
    pub fn dismiss(self) {
        if let Some(unremoved) = self.end().and_then(|ending| ending.unremoved) {
            log::warn!("{unremoved}");
        }
    }

    /// How long each phase may take.
    pub fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// The file with the worker's output.
    pub fn log(&self) -> &Path {
        &self.log
    }
}

fn command(launch: &Launch, log: &Path) -> sandbox::Command {
    let command = sandbox::Command::new(&launch.executable, [worker::COMMAND], log);
    command.on(launch.cores.clone()).with_limits(launch.limits)
}

fn start_process(command: &sandbox::Command, log: &Path) -> Result<Sandbox, CallError> {
    Sandbox::start(command).map_err(|error| {
        let message = format!("no worker could be started: {error}{}", last_lines(log));
        CallError::new(Fault::Protocol, "start", message)
    })
}

/// One request under way in another process.
struct Call<'a> {
    process: &'a mut Sandbox,
    interrupt: &'a Interrupt,
    limits: &'a Limits,
    log: &'a Path,
    phase: &'static str,
}

impl Call<'_> {
    fn exchange(
        &mut self,
        request: &Request,
        limit: Option<Duration>,
        observer: &mut dyn Observer,
    ) -> Result<Reply, CallError> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        self.send(request, deadline)?;
        match self.answer(deadline, self.interrupt, observer) {
            Err(Failure::Deadline) => {
                self.cancel();
                Err(self.timed_out(limit))
            }
            Err(Failure::Interrupted) => {
                self.cancel();
                Err(CallError::new(Fault::Interrupted, self.phase, format!("interrupted in {}", self.phase)))
            }
            Err(failure) => Err(self.failed(&failure)),
            Ok(reply) => Ok(reply),
        }
    }

    fn exchange_and_cancel(
        &mut self,
        request: &Request,
        after: Duration,
        grace: Duration,
    ) -> Result<(Reply, Option<Duration>), CallError> {
        let deadline = Instant::now().checked_add(after);
        self.send(request, deadline)?;
        match self.answer(deadline, self.interrupt, &mut Deaf) {
            Ok(reply) => return Ok((reply, None)),
            Err(Failure::Deadline) => {}
            Err(failure) => return Err(self.failed(&failure)),
        }
        let asked = Instant::now();
        let deadline = asked.checked_add(grace);
        self.send(&Request::Cancel, deadline)?;
        match self.answer(deadline, self.interrupt, &mut Deaf) {
            Ok(reply) => Ok((reply, Some(asked.elapsed()))),
            Err(Failure::Deadline) => Err(self.timed_out(Some(grace))),
            Err(failure) => Err(self.failed(&failure)),
        }
    }

    fn send(&mut self, request: &Request, deadline: Option<Instant>) -> Result<(), CallError> {
        let json = request.json().map_err(|error| {
            CallError::new(Fault::Protocol, self.phase, format!("a request cannot be sent: {error}"))
        })?;
        let sent = self.process.send(&json, request.attachment(), deadline);
        sent.map_err(|failure| self.failed(&failure))
    }

    /// Reads messages until one is an answer.
    fn answer(
        &mut self,
        deadline: Option<Instant>,
        interrupt: &Interrupt,
        observer: &mut dyn Observer,
    ) -> Result<Reply, Failure> {
        loop {
            let frame = self.process.receive(deadline, interrupt)?;
            match Reply::of_frame(frame).ok_or(Failure::Malformed)? {
                Reply::Progress(progress) => observer.progress(progress),
                Reply::Log { level, target, message } => observer.log(level, &target, &message),
                reply => return Ok(reply),
            }
        }
    }

    /// Asks the call to stop and gives it a moment: an engine that stops by itself cleans up better.
    fn cancel(&mut self) {
        let grace = Instant::now().checked_add(CANCEL_GRACE);
        if self.send(&Request::Cancel, grace).is_ok() {
            let _ = self.answer(grace, &Interrupt::never(), &mut Deaf);
        }
    }

    fn timed_out(&self, limit: Option<Duration>) -> CallError {
        let seconds = limit.unwrap_or_default().as_secs_f64();
        let message = format!("no answer to {} within {seconds} s{}", self.phase, last_lines(self.log));
        let remedy = match self.phase {
            "run" => Some("a longer --timeout".to_owned()),
            phase if Deadlines::default().of_phase(phase).is_some() => {
                Some(format!("export CROSSRUN_DEADLINES={phase}=TIME, with more than {seconds}s"))
            }
            _ => None,
        };
        CallError { remedy, ..CallError::new(Fault::TimedOut, self.phase, message) }
    }

    fn failed(&self, failure: &Failure) -> CallError {
        if let Failure::Exceeded(excess) = failure {
            return self.exceeded(*excess);
        }
        let (fault, what) = match failure {
            Failure::Died(death) => (Fault::Crashed, death.to_string()),
            other => (Fault::Protocol, other.to_string()),
        };
        let message = format!("the worker was lost in {}: {what}{}", self.phase, last_lines(self.log));
        let remedy = (fault == Fault::Crashed).then(|| "--isolation none in a debugger".to_owned());
        CallError { remedy, ..CallError::new(fault, self.phase, message) }
    }

    fn exceeded(&self, excess: Excess) -> CallError {
        let what = excess.beside(self.limits);
        let message = format!("the worker was ended in {}: {what}{}", self.phase, last_lines(self.log));
        let remedy = Some(excess.remedy(self.limits));
        CallError { remedy, ..CallError::new(Fault::Exceeded(excess), self.phase, message) }
    }
}

/// The end of a worker's log, for a message.
fn last_lines(log: &Path) -> String {
    let tail = tail(log).unwrap_or_default();
    if tail.is_empty() { tail } else { format!("; its last output: {tail}") }
}

/// The last lines of a file, in one line without control characters.
fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.iter().skip(lines.len().saturating_sub(TAIL_LINES));
    Ok(last.copied().collect::<Vec<_>>().join(" / ").replace(char::is_control, "?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_quotes_the_last_lines_without_escapes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("{}\none\n\ntwo \x1b[31mred\nthree\n", "x".repeat(5000));
        std::fs::write(&file, text).unwrap();
        assert_eq!(tail(file.path()).unwrap(), "one / two ?[31mred / three");
    }
}
