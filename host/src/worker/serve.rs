//! The worker's process: reads requests from its channel, answers them, and reports progress and log records meanwhile.

use std::fs::File;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use log::LevelFilter;
use plugin_api::{HostServices, Progress};
use rustix::event::PollFlags;

use super::bounds;
use super::exit_guard;
use super::rate_limit::RateLimit;
use super::snapshot;
use super::state::Worker;
use crate::other_process;
use crate::sandbox::frame::{self, Frame};
use crate::sandbox::{Interrupt, end_with_host};
use crate::worker::protocol::{Message as _, Reply, Request, number_of};

pub(crate) const COMMAND: &str = "__worker";

/// The channel's descriptor: a number that no plugin uses by accident. Where a process may not have so many, the next one is tried.
const CHANNEL_FDS: [i32; 3] = [200, 50, 3];

/// The hidden command: standard input is the channel, the other two are the log.
pub(crate) fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            to_log(&format!("crossrun: the worker failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    snapshot::remember_folder();
    let channel = Arc::new(Channel::take_stdin()?);
    end_with_host(&channel.requests);
    let Some(Request::Hello { log_level, .. }) = channel.request()? else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the host did not say hello"));
    };
    let level = LevelFilter::iter().nth(log_level as usize).unwrap_or(LevelFilter::Trace);
    log_to(&channel, level);
    let mut worker = Worker::new(channel.clone(), level);
    channel.reply(worker.handle(Request::Hello { version: crate::worker::protocol::VERSION, log_level }))?;
    while let Some(request) = channel.request()? {
        // The call to cancel has already been answered: the host does not wait for a reply.
        if !matches!(request, Request::Cancel) {
            let answer = worker.handle(request);
            channel.end_forked_process();
            channel.answer(answer)?;
        }
    }
    // The runner is not dropped: it had `close` to clean up, and its threads may still be at work.
    std::process::exit(0)
}

/// Writes a line to the log file, which may be on a disk that is full.
fn to_log(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The worker's end of the channel.
struct Channel {
    requests: File,
    replies: Mutex<File>,
    limit: RateLimit,
    origin: Instant,
    /// The worker's process.
    owner: u32,
    /// The number of the request that is being handled.
    number: AtomicU64,
}

impl Channel {
    /// Takes standard input, and replaces it with an empty one: a plugin must not read the host's requests.
    fn take_stdin() -> io::Result<Self> {
        let dup = |number: &i32| rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), *number).ok();
        let too_few = || io::Error::other("a process may have too few open files (see ulimit -n)");
        let requests: File = CHANNEL_FDS.iter().find_map(dup).ok_or_else(too_few)?.into();
        let null = File::open("/dev/null")
            .map_err(|error| io::Error::new(error.kind(), format!("cannot open /dev/null: {error}")))?;
        rustix::stdio::dup2_stdin(null)?;
        let replies = Mutex::new(requests.try_clone()?);
        let (origin, owner, number) = (Instant::now(), std::process::id(), AtomicU64::new(0));
        Ok(Self { requests, replies, limit: RateLimit::new(), origin, owner, number })
    }

    /// Ends a process that a plugin forked and that returned from the call: only the worker may read requests and answer them.
    fn end_forked_process(&self) {
        exit_guard::end_if_forked_from(self.owner);
    }

    /// Whether this is a process that a plugin forked.
    fn is_forked(&self) -> bool {
        std::process::id() != self.owner
    }

    fn request(&self) -> io::Result<Option<Request>> {
        let Some(frame) = frame::read(&self.requests)? else { return Ok(None) };
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the host sent a malformed request");
        self.number.store(number_of(&frame), Ordering::Relaxed);
        Request::from_frame(frame).map(Some).ok_or_else(malformed)
    }

    /// Answers a request. An answer that is too large for a message is a failure of the call, not of this process.
    fn answer(&self, answer: Reply) -> io::Result<()> {
        let dropped = self.limit.take_dropped();
        if dropped > 0 {
            let message = format!("{dropped} more log records were left out");
            let (level, target) = (log::Level::Warn as u32, env!("CARGO_PKG_NAME").into());
            self.reply(Reply::Log { level, target, message })?;
        }
        let frame = answer.into_frame(self.number.load(Ordering::Relaxed))?;
        if frame.message.len() <= frame::MAX_LENGTH {
            return self.send(&frame);
        }
        let error = bounds::too_large("the plugin's answer", frame.message.len());
        self.reply(Reply::Failed { error, refused: None })
    }

    fn reply(&self, reply: Reply) -> io::Result<()> {
        self.send(&reply.into_frame(self.number.load(Ordering::Relaxed))?)
    }

    fn send(&self, frame: &Frame) -> io::Result<()> {
        let mut to = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        frame::write(&mut *to, &frame.message, &frame.attachment)
    }
}

impl HostServices for Channel {
    fn log(&self, level: log::Level, target: &str, message: &str) {
        if !self.limit.allows_record() {
            return;
        }
        let (target, message) = (bounds::name(target.to_owned()), bounds::message(message.to_owned()));
        if self.is_forked() {
            // The host takes messages from the worker only; this goes to the log file.
            to_log(&format!("{level} {target}: {message}"));
            return;
        }
        // A host that does not read any more is about to end this process.
        let _ = self.reply(Reply::Log { level: level as u32, target, message });
    }

    fn progress(&self, progress: Progress) {
        if !self.is_forked() && self.limit.allows_progress() {
            let message = bounds::message(progress.message);
            let _ = self.reply(Reply::Progress(Progress { message, ..progress }));
        }
    }

    /// Any request during a call cancels it.
    fn cancelled(&self) -> bool {
        other_process::is_ready(&self.requests, PollFlags::IN)
    }

    fn clock_nanos(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }
}

/// Sends this process's own log records to the host.
fn log_to(channel: &Arc<Channel>, level: LevelFilter) {
    if log::set_boxed_logger(Box::new(ChannelLog(channel.clone()))).is_ok() {
        log::set_max_level(level);
    }
}

struct ChannelLog(Arc<Channel>);

impl log::Log for ChannelLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.log(record.level(), record.target(), &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// A worker in the host's process, which `interrupt` cancels.
pub(crate) fn in_process(log_level: LevelFilter, interrupt: Interrupt) -> Worker {
    exit_guard::arm();
    Worker::new(Arc::new(InProcess { interrupt, origin: Instant::now() }), log_level)
}

/// The host's services for plugins in its own process. Progress is not shown.
struct InProcess {
    interrupt: Interrupt,
    origin: Instant,
}

impl HostServices for InProcess {
    fn log(&self, level: log::Level, target: &str, message: &str) {
        log::log!(target: target, level, "{}", bounds::message(message.to_owned()));
    }

    fn progress(&self, _progress: Progress) {}

    fn cancelled(&self) -> bool {
        self.interrupt.is_set()
    }

    fn clock_nanos(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }
}
