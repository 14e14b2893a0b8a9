//! A session with one worker: requests with deadlines, what the worker reports meanwhile, and the end of its processes.

mod call_error;
mod deadlines;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use signal_hook::consts::{SIGKILL, SIGXCPU, SIGXFSZ};

use crate::control_group;
use crate::regular_file;
use crate::resource_limit::{self, Resource};
use crate::sandbox::{
    self, Cores, Deadline, ExitReason, Failure, Interrupt, Limits, Sandbox, Teardown, Usage,
};
use crate::shell;
use crate::worker::protocol::{Message as _, Reply, Request, ResourceSnapshot, VERSION, number_of};
use crate::worker::{self, Worker};

pub(crate) use call_error::{CallError, Fault, NEGOTIATION, START};
pub use deadlines::Deadlines;

/// How long a worker may take to answer the first request.
const HELLO: Duration = Duration::from_secs(10);
/// How long a run may go on after it was asked to stop.
pub(crate) const CANCEL_GRACE: Duration = Duration::from_secs(2);
/// And a set-up, which has files to remove: what it leaves would be of no use.
const CANCEL_SETUP_GRACE: Duration = Duration::from_secs(10);
/// How long a worker may take for a request that runs no code of a plugin.
pub(super) const NO_PLUGIN: Duration = Duration::from_secs(10);
/// How long a worker may take to exit when it is no longer needed.
const END_GRACE: Duration = Duration::from_secs(2);
/// How many bytes of a log's end are read for a message.
const TAIL_BYTES: u64 = 64 << 10;
/// How many of a log's last lines a message quotes, and how many characters of each.
const TAIL_LINES: usize = 3;
const LINE_CHARACTERS: usize = 500;

const MORE_MEMORY: &str = "fewer --items, or more memory for the container, the control group or the machine";

/// What the standard libraries of Rust and of C++ print before they end a process that gets no memory.
const OUT_OF_MEMORY: [&str; 2] = ["memory allocation of ", "std::bad_alloc"];

/// What the standard library of Rust prints when an exception of C++ leaves a plugin, which ends the process.
const FOREIGN_EXCEPTION: &str = "cannot catch foreign exceptions";

/// Receives what a worker reports while a call is under way: [`Reply::Progress`] and [`Reply::Log`].
pub(crate) type Observer<'a> = &'a mut dyn FnMut(Reply);

/// Where workers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// In a process of its own.
    Process,
    /// In this process, without deadlines and limits: for debuggers.
    None,
}

/// How workers are started.
#[derive(Clone)]
pub struct Launch {
    pub isolation: Isolation,
    /// This program's own file, which is also the worker's.
    pub executable: PathBuf,
    /// The highest level of log records that a worker sends.
    pub log_level: log::LevelFilter,
    /// The limits of a worker's process tree.
    pub limits: Limits,
    pub deadlines: Deadlines,
    /// Ends every wait.
    pub interrupt: Interrupt,
    /// The affinity set of the process tree; without one, it may use all cores that this process may use. Ignored without
    /// isolation.
    pub cores: Option<Cores>,
}

enum Endpoint {
    Process(Box<Sandbox>),
    InProcess(Box<Worker>),
}

/// One worker.
pub struct WorkerSession {
    endpoint: Endpoint,
    interrupt: Interrupt,
    limits: Limits,
    pub(super) deadlines: Deadlines,
    /// The file with the worker's output.
    log: PathBuf,
    /// How long that was when the worker was started: workers before it wrote there too.
    log_start: u64,
    /// The number of the last request.
    number: u64,
    /// How many processes the system had killed for lack of memory when the worker was started.
    killed_for_memory: Option<u64>,
}

impl WorkerSession {
    /// Starts a worker whose output goes to the file at `log`. That of a backend `owns_folder`: it may write other logs beside it.
    ///
    /// # Errors
    /// When no process can be started, or the worker is of another version.
    pub fn start(launch: &Launch, log: &Path, owns_folder: bool) -> Result<Self, CallError> {
        let Launch { interrupt, limits, deadlines, log_level, .. } = launch.clone();
        let log_start = std::fs::metadata(log).map_or(0, |file| file.len());
        let endpoint = match launch.isolation {
            Isolation::None => {
                sandbox::stop::watch();
                Endpoint::InProcess(Box::new(worker::in_process(log_level, interrupt.clone())))
            }
            Isolation::Process => {
                Endpoint::Process(Box::new(start_process(launch, log, log_start, owns_folder)?))
            }
        };
        let (log, number) = (log.into(), 0);
        let killed_for_memory = control_group::killed_for_memory(Path::new("/"));
        let mut session =
            Self { endpoint, interrupt, limits, deadlines, log, log_start, number, killed_for_memory };
        let hello = Request::Hello { version: VERSION, log_level: log_level as u32 };
        match session.call(START, hello, Some(HELLO), &mut |_| ()).map_err(CallError::of_host)? {
            Reply::Hello { version: VERSION } => Ok(session),
            _ => Err(CallError::new(
                Fault::Host,
                START,
                "the worker is of another version than this program; was its file replaced meanwhile?",
            )),
        }
    }

    /// Sends `request`, waits until `limit` has passed, and reads the answer.
    ///
    /// # Errors
    /// As [`call`](Self::call), and for an answer of another type.
    pub(crate) fn ask<T: DeserializeOwned>(
        &mut self,
        phase: &'static str,
        request: Request,
        limit: Duration,
    ) -> Result<T, CallError> {
        self.call(phase, request, Some(limit), &mut |_| ()).and_then(|reply| answer_in(reply, phase))
    }

    /// Sends `request` and waits for the answer until `limit` has passed.
    ///
    /// # Errors
    /// [`CallError`] when the plugin refuses or fails, the worker dies, or the deadline passes. After a crash or a time-out
    /// the session cannot be used any more.
    pub fn call(
        &mut self,
        phase: &'static str,
        request: Request,
        limit: Option<Duration>,
        observer: Observer<'_>,
    ) -> Result<Reply, CallError> {
        let reply = match &mut self.endpoint {
            Endpoint::InProcess(worker) => {
                let reply = worker.handle(request);
                // It would go on as a second crossrun, which judges and records as well.
                worker::end_forked_process();
                reply
            }
            Endpoint::Process(_) => self.exchange(request, limit, observer).map_err(|failure| {
                let failure = unless_ended_too(failure, self.interrupt.is_set());
                if matches!(failure, Failure::Deadline | Failure::Interrupted) {
                    self.cancel(phase);
                }
                self.call_error(phase, failure, limit)
            })?,
        };
        match reply {
            Reply::Failed { error, refused } => Err(CallError::reported(phase, error, refused)),
            reply => Ok(reply),
        }
    }

    /// As [`call`](Self::call), and the seconds until the answer.
    pub(super) fn timed(
        &mut self,
        phase: &'static str,
        request: Request,
        limit: Duration,
        observer: Observer<'_>,
    ) -> Result<(Reply, f64), CallError> {
        let started = Instant::now();
        let reply = self.call(phase, request, Some(limit), observer)?;
        Ok((reply, started.elapsed().as_secs_f64()))
    }

    /// Sends `request`, cancels it when `after` has passed, and waits for the answer until `grace` has passed too.
    /// Also returns the time from cancelling to the answer; `None` if the answer came before.
    ///
    /// # Errors
    /// As [`call`](Self::call), also for a worker in this process, which nobody can cancel.
    pub fn call_and_cancel(
        &mut self,
        phase: &'static str,
        request: Request,
        after: Duration,
        grace: Duration,
    ) -> Result<(Reply, Option<Duration>), CallError> {
        match self.exchange(request, Some(after), &mut |_| ()) {
            Err(Failure::Deadline) => {}
            Ok(reply) => return Ok((reply, None)),
            Err(failure) => return Err(self.call_error(phase, failure, None)),
        }
        let cancelled = Instant::now();
        match self.exchange(Request::Cancel, Some(grace), &mut |_| ()) {
            Ok(reply) => Ok((reply, Some(cancelled.elapsed()))),
            Err(failure) => Err(self.call_error(phase, failure, Some(grace))),
        }
    }

    /// Whether there is no other process: for debuggers, a plugin is then called in the thread that loaded it.
    pub(super) fn is_in_process(&self) -> bool {
        matches!(self.endpoint, Endpoint::InProcess(_))
    }

    /// The threads and temporary files of the worker's process.
    pub(crate) fn snapshot(&mut self) -> Result<ResourceSnapshot, CallError> {
        self.ask("snapshot", Request::Snapshot, NO_PLUGIN)
    }

    /// What the worker's processes have used so far. With `reset_peaks`, peaks are counted anew; without, the memory is read too.
    /// `None` for a worker in this process, and where the system does not say.
    pub(super) fn usage(&self, reset_peaks: bool) -> Option<Usage> {
        match &self.endpoint {
            Endpoint::Process(process) => process.usage(reset_peaks),
            Endpoint::InProcess(_) => None,
        }
    }

    /// Ends the worker and everything that it started.
    pub fn end(self) -> Option<Teardown> {
        match self.endpoint {
            Endpoint::Process(process) => Some(process.end(END_GRACE)),
            Endpoint::InProcess(_) => None,
        }
    }

    /// Ends the worker and everything that it started now. How that went is said when the session ends.
    pub(super) fn end_processes(&mut self) {
        if let Endpoint::Process(process) = &mut self.endpoint {
            process.end_early(END_GRACE);
        }
    }

    /// Ends the worker and everything that it started, where no record can take a warning.
    pub fn discard(self) {
        for unremoved in self.end().map(|teardown| teardown.unremoved).unwrap_or_default() {
            log::warn!("{unremoved}");
        }
    }

    /// Sends `request`, and receives messages until one is an answer.
    fn exchange(
        &mut self,
        request: Request,
        limit: Option<Duration>,
        observer: Observer<'_>,
    ) -> Result<Reply, Failure> {
        let Endpoint::Process(process) = &mut self.endpoint else { return Err(Failure::Closed) };
        let deadline = limit.and_then(Deadline::after);
        // The answer to the call that is cancelled comes, and none to the request to cancel it.
        self.number += u64::from(!matches!(request, Request::Cancel));
        process.send(&request.into_frame(self.number)?, deadline)?;
        answer(process, self.number, deadline, &self.interrupt, observer)
    }

    /// Asks the call to stop and gives it a moment: an engine that stops by itself cleans up better.
    fn cancel(&mut self, phase: &str) {
        let Endpoint::Process(process) = &mut self.endpoint else { return };
        let deadline = Deadline::after(if phase == "setup" { CANCEL_SETUP_GRACE } else { CANCEL_GRACE });
        let cancel = Request::Cancel.into_frame(self.number);
        if cancel.is_ok_and(|cancel| process.send(&cancel, deadline).is_ok()) {
            let _ = answer(process, self.number, deadline, &Interrupt::never(), &mut |_| ());
        }
    }

    /// Whether the system has killed processes for lack of memory since the worker was started.
    fn lacked_memory(&self) -> bool {
        let killed = control_group::killed_for_memory(Path::new("/"));
        killed.zip(self.killed_for_memory).is_some_and(|(now, before)| now > before)
    }

    /// Why a call in `phase` that might take `limit` failed.
    fn call_error(&self, phase: &'static str, failure: Failure, limit: Option<Duration>) -> CallError {
        let (seconds, last) =
            (limit.unwrap_or_default().as_secs_f64(), last_lines(&self.log, self.log_start));
        let (fault, message, remedy) = match failure {
            Failure::Interrupted => return CallError::interrupted(phase),
            Failure::Deadline => {
                let message = format!("no answer to {phase} within {seconds} s");
                (Fault::TimedOut, message, longer_deadline(phase, seconds))
            }
            Failure::Exceeded(excess) => {
                let message = format!("the worker was ended in {phase}: {}", excess.message(&self.limits));
                (Fault::Exceeded(excess), message, Some(excess.remedy(&self.limits)))
            }
            // If the system has ended the supervisor too, nobody says how the worker exited.
            Failure::Died(ExitReason::Signalled(SIGKILL) | ExitReason::Lost) | Failure::Closed
                if self.lacked_memory() =>
            {
                let message = format!(
                    "the worker was lost in {phase}: the system has killed it, or a process of its tree, for lack of memory"
                );
                (Fault::OutOfMemory, message, Some(MORE_MEMORY.to_owned()))
            }
            Failure::Died(reason) => {
                let message = format!("the worker was lost in {phase}: it {reason}");
                // No code of a plugin runs before it is loaded.
                let crash = || (phase != START).then(|| crash_remedy(&last).to_owned());
                let remedy = more_processor_time(reason).or_else(|| larger_files(reason));
                let remedy = remedy.or_else(|| more_address_space(&last));
                let remedy = remedy.or_else(null_device).or_else(crash);
                (Fault::Crashed, message, remedy)
            }
            other => (Fault::Protocol, format!("the worker was lost in {phase}: {other}"), None),
        };
        CallError { remedy, ..CallError::new(fault, phase, message + &last) }
    }
}

/// What to do about a process that ended so, if it may have used up what the limit of this shell allows.
fn more_processor_time(reason: ExitReason) -> Option<String> {
    let ExitReason::Signalled(SIGKILL | SIGXCPU) = reason else { return None };
    let seconds = resource_limit::of(Resource::ProcessorTime).soft?;
    let more = resource_limit::shell_with_more(Resource::ProcessorTime, seconds);
    Some(format!("{more}, if the worker has used that up"))
}

/// What to do about a process that ended so because it wrote a file that is larger than this shell allows, which may be its log.
fn larger_files(reason: ExitReason) -> Option<String> {
    matches!(reason, ExitReason::Signalled(SIGXFSZ)).then(|| resource_limit::raise(Resource::FileSize, None))
}

/// What to do if there is no null device, which every worker needs.
fn null_device() -> Option<String> {
    let is_there = std::fs::metadata("/dev/null").is_ok_and(|found| !found.is_file());
    (!is_there).then(|| shell::as_root("sudo mknod -m 666 /dev/null c 1 3, in the place of what is there"))
}

/// What to do about a process with these last lines of output, if the limit of this shell let it have no more memory.
fn more_address_space(last: &str) -> Option<String> {
    if !OUT_OF_MEMORY.iter().any(|words| last.contains(words)) {
        return None;
    }
    let limited = |resource| {
        let bytes = resource_limit::of(resource).soft?;
        Some(resource_limit::shell_with_more(resource, bytes))
    };
    [Resource::AddressSpace, Resource::Data].into_iter().find_map(limited)
}

/// What to do about a crash with these last lines of output.
fn crash_remedy(last: &str) -> &'static str {
    if last.contains(FOREIGN_EXCEPTION) {
        return "call crossrun::guarded of crossrun.h, or declare the function noexcept: both tell what() of the exception";
    }
    "crossrun run, with --isolation none in a debugger"
}

/// The option that gives a phase a longer deadline than `seconds`, if there is one.
fn longer_deadline(phase: &str, seconds: f64) -> Option<String> {
    match phase {
        "run" => Some("a longer --timeout".to_owned()),
        START => Some("end other programs, or copy crossrun to a local disk".to_owned()),
        "reference" => {
            Some(format!("export CROSSRUN_DEADLINES=expect=TIME, and --timeout, with more than {seconds}s"))
        }
        phase => Deadlines::default()
            .of_phase(phase)
            .map(|_| format!("export CROSSRUN_DEADLINES={phase}=TIME, with more than {seconds}s")),
    }
}

/// The answer to a request in this phase.
pub(super) fn answer_in<T: DeserializeOwned>(reply: Reply, phase: &'static str) -> Result<T, CallError> {
    let answer = if let Reply::Done { answer } = reply { serde_json::from_value(answer).ok() } else { None };
    answer.ok_or_else(|| CallError::unexpected(phase))
}

/// Receives messages until one is the answer to the request `number`.
fn answer(
    process: &mut Sandbox,
    number: u64,
    deadline: Option<Deadline>,
    interrupt: &Interrupt,
    observer: Observer<'_>,
) -> Result<Reply, Failure> {
    loop {
        let frame = process.receive(deadline, interrupt)?;
        let answered = number_of(&frame);
        match worker::within_limits(Reply::from_frame(frame).ok_or(Failure::Malformed)?) {
            report @ (Reply::Progress(_) | Reply::Log { .. }) => observer(report),
            reply if answered == number => return Ok(reply),
            _ => return Err(Failure::Malformed),
        }
    }
}

fn start_process(
    launch: &Launch,
    log: &Path,
    log_start: u64,
    owns_folder: bool,
) -> Result<Sandbox, CallError> {
    let command = sandbox::Command {
        executable: launch.executable.clone(),
        arguments: vec![worker::COMMAND.into()],
        log: log.into(),
        cores: launch.cores.clone(),
        limits: launch.limits,
        owns_folder,
    };
    Sandbox::start(&command).map_err(|error| {
        let message = format!("no worker could be started: {error}{}", last_lines(log, log_start));
        CallError { remedy: error.remedy(), ..CallError::new(Fault::Host, START, message) }
    })
}

/// Whoever ends all processes of a service or a job ends the worker too, which then is no failure of a backend.
fn unless_ended_too(failure: Failure, is_interrupted: bool) -> Failure {
    match failure {
        Failure::Died(_) | Failure::Closed if is_interrupted => Failure::Interrupted,
        failure => failure,
    }
}

/// The end of a worker's log, which begins at `start` of the file, for a message.
fn last_lines(log: &Path, start: u64) -> String {
    let tail = tail(log, start).unwrap_or_default();
    if tail.is_empty() { tail } else { format!("; its last output: {tail}") }
}

/// The last lines of a file behind the place `start`, in one line without control characters.
fn tail(path: &Path, start: u64) -> std::io::Result<String> {
    let mut file = regular_file::open(path, File::options().read(true))?;
    let length = file.metadata()?.len();
    // A log that was cut meanwhile may be shorter.
    let start = if start <= length { start } else { 0 };
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES).max(start)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.split('\n').map(shown);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty() && !is_of_a_backtrace(line)).collect();
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let last: Vec<String> = last.iter().map(|line| line.chars().take(LINE_CHARACTERS).collect()).collect();
    Ok(last.join(" / ").replace(char::is_control, "?"))
}

/// What a terminal shows in the end of a line: a bar that shows progress returns to the beginning of its line for each state.
fn shown(line: &str) -> &str {
    let is_visible = |part: &&str| part.chars().any(|c| !c.is_control() && !c.is_whitespace());
    line.rsplit('\r').find(is_visible).unwrap_or_default().trim()
}

/// Whether a line says where a process was, as Rust (with `RUST_BACKTRACE`) and Java print it after the reason.
fn is_of_a_backtrace(line: &str) -> bool {
    let is_frame = |(number, _): (&str, &str)| number.parse::<u32>().is_ok();
    line == "stack backtrace:"
        || line.starts_with("at ")
        || line.starts_with("note: Some details are omitted")
        || line.split_once(": ").is_some_and(is_frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is quoted of a log with this text after so many bytes of another worker.
    fn quoted(text: &str, start: u64) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        tail(file.path(), start).unwrap()
    }

    #[test]
    fn the_reason_is_quoted_and_not_the_backtrace_after_it() {
        let frames: String =
            (0..300).map(|number| format!("  {number}: f\n      at /src/f.rs:{number}\n")).collect();
        let note = "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.";
        let text = format!("memory allocation of 9 bytes failed\nstack backtrace:\n{frames}{note}\n");
        assert_eq!(quoted(&text, 0), "memory allocation of 9 bytes failed");
    }

    #[test]
    fn a_message_quotes_the_last_lines_without_escapes_and_little_of_a_bar_and_of_a_long_line() {
        let bar: String = (0..100).map(|percent| format!("{percent} %\r")).collect();
        let (long, cut) = ("é".repeat(5000), "é".repeat(500));
        for (text, expected) in [
            (format!("{long}\none\n\ntwo \x1b[31mred\nthree\n"), "one / two ?[31mred / three"),
            (format!("{bar}\r\nno room\n{long}\n"), format!("99 % / no room / {cut}").as_str()),
            (format!("no room\n{bar}"), "no room / 99 %"),
            (format!("no room\r\n{bar}\x1b\r \n"), "no room / 99 %"),
            (format!("{bar}no room\n\r\n"), "no room"),
        ] {
            assert_eq!(quoted(&text, 0), expected);
        }
    }

    #[test]
    fn a_message_quotes_nothing_of_the_worker_before() {
        assert_eq!(quoted("old\n", 4), "");
        assert_eq!(quoted("old\nnew\n", 4), "new");
        assert_eq!(quoted("old\nnew\n", 99), "old / new");
    }

    #[test]
    fn a_reference_has_the_deadline_of_the_expected_answer() {
        let remedy = longer_deadline("reference", 60.0).unwrap();
        assert!(remedy.starts_with("export CROSSRUN_DEADLINES=expect=TIME"), "{remedy}");
    }

    #[test]
    fn a_worker_that_ends_with_the_host_is_no_failure() {
        let is_interrupted = |failure, set| matches!(unless_ended_too(failure, set), Failure::Interrupted);
        assert!(
            is_interrupted(Failure::Died(ExitReason::Lost), true) && is_interrupted(Failure::Closed, true)
        );
        assert!(!is_interrupted(Failure::Died(ExitReason::Lost), false));
        assert!(!is_interrupted(Failure::Malformed, true));
    }
}
