//! Runs a worker in a process tree of its own, of which nothing is left afterwards.
//!
//! ```text
//! this process ── __supervise ── __init (PID 1 of a namespace) ── worker ── whatever it starts
//! ```
//!
//! The supervisor leads a session of its own and notices when this process dies, however that happens. Where the
//! system allows it, everything below stands in a PID namespace, which the kernel empties as a whole; elsewhere the
//! supervisor is the subreaper of all that the worker starts, and finds it by parentage and by a marker in the
//! environment. Each tree has a private temporary folder, which goes with it, whoever of the two is left to remove it. Messages do not pass through either: this process and the worker share a channel of their own.

mod cores;
mod death;
pub(crate) mod frame;
pub(crate) mod init;
pub(crate) mod interrupt;
pub(crate) mod limits;
mod logs;
mod namespace;
mod orders;
pub(crate) mod reports;
mod scratch;
pub(crate) mod supervise;
mod tree;
mod usage;
mod watch;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub(crate) use cores::Cores;
pub(crate) use death::Death;
pub(crate) use interrupt::Interrupt;
pub(crate) use limits::{Bytes, Excess, Limits};
pub(crate) use usage::Usage;

use frame::Frame;
use orders::Orders;
use reports::{Report, Reports};

/// The hidden command of the supervisor.
pub(crate) const SUPERVISE: &str = "__supervise";
/// The hidden command of the first process in a namespace.
pub(crate) const INIT: &str = "__init";
/// The environment variable that marks every process of one worker's tree.
pub(crate) const MARKER: &str = "CROSSRUN_SESSION";
/// Set to `off`, workers get no namespace of their own.
pub(crate) const NAMESPACES: &str = "CROSSRUN_NAMESPACES";
/// How the supervisor is told which cores its tree may use.
pub(crate) const CORES: &str = "CROSSRUN_CORES";

/// Where programs find the folder for their temporary files: a worker's tree has one of its own.
const TEMPORARY_FOLDER: &str = "TMPDIR";

/// How long after a closed channel the news of a death may take, and how long killing may.
const SETTLE: Duration = Duration::from_secs(10);

/// How much is read from a channel before the messages in it are looked at: a worker that never stops talking would
/// otherwise be listened to for ever, and into all memory.
const READ_AT_ONCE: usize = 256 << 10;

/// What to run in isolation.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    executable: PathBuf,
    arguments: Vec<OsString>,
    log: PathBuf,
    cores: Option<Cores>,
    limits: Limits,
    owns_folder: bool,
}

impl Command {
    /// `executable`, which is a crossrun, with `arguments`; what the worker prints is appended to the file at `log`.
    pub(crate) fn new<A: AsRef<OsStr>>(
        executable: &Path,
        arguments: impl IntoIterator<Item = A>,
        log: &Path,
    ) -> Self {
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        let limits = Limits::usual();
        Self {
            executable: executable.into(),
            arguments,
            log: log.into(),
            cores: None,
            limits,
            owns_folder: false,
        }
    }

    /// Keeps the whole tree to these cores; without any, it may use what this process may.
    #[must_use]
    pub(crate) fn on(self, cores: Option<Cores>) -> Self {
        Self { cores, ..self }
    }

    /// What the tree may take.
    #[must_use]
    pub(crate) fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Every log in the folder of its log is kept small, not just its own: plugins write others beside it.
    #[must_use]
    pub(crate) fn with_logs_beside(self) -> Self {
        Self { owns_folder: true, ..self }
    }

    fn orders(&self, shelter: Shelter, scratch: PathBuf) -> Orders {
        let folder = self.log.parent().filter(|_| self.owns_folder);
        let mut command = vec![self.executable.clone().into()];
        command.extend_from_slice(&self.arguments);
        Orders { shelter, scratch, limits: self.limits, logs: folder.map(Path::to_owned), command }
    }
}

/// Why a message could not be exchanged.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The worker could not be started.
    #[error("cannot start {}: {error}", path.display())]
    Start {
        /// The executable, or the log.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The time was up.
    #[error("the time was up")]
    Deadline,
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The worker died.
    #[error("it {0}")]
    Died(Death),
    /// It had too much of something, and was ended.
    #[error("it had too much of something")]
    Exceeded(Excess),
    /// What came was no message.
    #[error("it sent something that is no message")]
    Malformed,
    /// The channel was closed, though the worker lives.
    #[error("it closed its channel")]
    Closed,
    /// The system failed.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// How a worker's tree ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How the worker died; nothing if that is not known.
    pub death: Option<Death>,
    /// How many processes it left behind, which were then killed. Not counted if the worker itself had to be killed.
    pub leftovers: u32,
    /// Whether the beginning of a log was left out, as it grew too large.
    pub log_cut: bool,
    /// The temporary folder, if it could not be removed, and why.
    pub unremoved: Option<Unremoved>,
}

/// A temporary folder that could not be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unremoved {
    /// The folder.
    pub path: PathBuf,
    /// The system's words.
    pub why: String,
}

/// Whether this machine allows namespaces is found out once.
static NO_NAMESPACES: AtomicBool = AtomicBool::new(false);

/// Starts `command` as a worker.
///
/// # Errors
/// [`Failure::Start`] when no process can be made or the log cannot be written.
pub(crate) fn start(command: &Command) -> Result<Isolated, Failure> {
    if namespaces_wanted() && !NO_NAMESPACES.load(Ordering::Relaxed) {
        let mut isolated = Isolated::spawn(command, Shelter::Namespace)?;
        match isolated.await_start()? {
            Report::NoNamespace(errno) => {
                let why = io::Error::from_raw_os_error(errno);
                log::info!("no namespace for workers here ({why}); their processes are found by parentage");
                NO_NAMESPACES.store(true, Ordering::Relaxed);
            }
            _ => return Ok(isolated),
        }
    }
    let mut isolated = Isolated::spawn(command, Shelter::Subreaper)?;
    isolated.await_start()?;
    Ok(isolated)
}

fn namespaces_wanted() -> bool {
    std::env::var_os(NAMESPACES).is_none_or(|value| value != "off")
}

/// What keeps a worker's processes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shelter {
    Namespace,
    Subreaper,
}

impl Shelter {
    fn word(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Subreaper => "subreaper",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        [Self::Namespace, Self::Subreaper].into_iter().find(|shelter| shelter.word() == word)
    }
}

/// A worker's process tree.
#[derive(Debug)]
pub(crate) struct Isolated {
    supervisor: Child,
    shelter: Shelter,
    marker: String,
    /// Closing it ends the tree; the supervisor's reports come out of it.
    control: UnixStream,
    reports: Reports,
    /// The way to the worker.
    channel: UnixStream,
    channel_closed: bool,
    incoming: frame::Incoming,
    death: Option<Death>,
    excess: Option<Excess>,
    leftovers: u32,
    log_cut: bool,
    /// The tree's temporary folder.
    scratch: PathBuf,
    unremoved: Option<Unremoved>,
    ended: bool,
}

impl Isolated {
    fn spawn(command: &Command, shelter: Shelter) -> Result<Self, Failure> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| Failure::Start { path, error }
        };
        let log = OpenOptions::new().create(true).append(true).open(&command.log);
        let log = log.map_err(at(&command.log))?;
        let (control, supervisor_end) = UnixStream::pair()?;
        let (channel, worker_end) = UnixStream::pair()?;
        control.set_nonblocking(true)?;
        channel.set_nonblocking(true)?;
        let marker = new_marker();
        let scratch = scratch::make().map_err(at(&std::env::temp_dir()))?;
        let mut supervisor = process::Command::new(&command.executable);
        match &command.cores {
            Some(cores) => supervisor.env(CORES, cores.to_string()),
            None => supervisor.env_remove(CORES),
        };
        let supervisor = supervisor
            .arg(SUPERVISE)
            .args(command.orders(shelter, scratch.clone()).words())
            .env(MARKER, &marker)
            .env(TEMPORARY_FOLDER, &scratch)
            .stdin(Stdio::from(OwnedFd::from(supervisor_end)))
            .stdout(Stdio::from(OwnedFd::from(worker_end)))
            .stderr(Stdio::from(log))
            .spawn()
            .inspect_err(|_| drop(scratch::remove(&scratch)))
            .map_err(at(&command.executable))?;
        Ok(Self {
            supervisor,
            shelter,
            marker,
            control,
            reports: Reports::default(),
            channel,
            channel_closed: false,
            incoming: frame::Incoming::default(),
            death: None,
            excess: None,
            leftovers: 0,
            log_cut: false,
            scratch,
            unremoved: None,
            ended: false,
        })
    }

    /// Waits for the supervisor's first word.
    fn await_start(&mut self) -> Result<Report, Failure> {
        let deadline = Instant::now() + SETTLE;
        loop {
            if let Some(report) = self.next_report()? {
                return Ok(report);
            }
            if self.reports.closed() {
                return Err(Failure::Died(Death::Lost));
            }
            wait(&[(&self.control, PollFlags::IN)], None, Some(deadline))?;
        }
    }

    /// Sends one message to the worker, and what is attached to it.
    ///
    /// # Errors
    /// [`Failure`] when the worker died or does not read until `deadline`.
    pub(crate) fn send(
        &mut self,
        message: &[u8],
        attachment: &[u8],
        deadline: Option<Instant>,
    ) -> Result<(), Failure> {
        self.write(&frame::head(message, attachment)?, deadline)?;
        self.write(attachment, deadline)
    }

    fn write(&mut self, mut rest: &[u8], deadline: Option<Instant>) -> Result<(), Failure> {
        while !rest.is_empty() {
            match self.channel.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait(&[(&self.channel, PollFlags::OUT)], None, deadline)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(self.why_closed()),
            }
        }
        Ok(())
    }

    /// Waits for the worker's next message.
    ///
    /// # Errors
    /// [`Failure`] when the worker dies, has too much, sends no message, or `deadline` or an interrupt comes first.
    pub(crate) fn receive(
        &mut self,
        deadline: Option<Instant>,
        interrupt: &Interrupt,
    ) -> Result<Frame, Failure> {
        loop {
            if let Some(frame) = self.incoming.take()? {
                return Ok(frame);
            }
            if let Some(excess) = self.excess {
                return Err(Failure::Exceeded(excess));
            }
            if self.channel_closed {
                return Err(self.why_closed());
            }
            // A channel with something in it is ready whatever the time: a worker that talks on and on has its deadline too.
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(Failure::Deadline);
            }
            let watched = [(&self.channel, PollFlags::IN), (&self.control, PollFlags::IN)];
            let watched = if self.reports.closed() { &watched[..1] } else { &watched[..] };
            let ready = wait(watched, Some(interrupt), deadline)?;
            if ready.contains(&1) {
                self.read_reports()?;
            }
            self.read_channel()?;
            // A process that the worker forked may hold the channel open: its death says that no more will come.
            self.channel_closed |= self.death.is_some();
        }
    }

    fn read_channel(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        let mut come = 0;
        loop {
            match self.channel.read(&mut chunk) {
                Ok(0) => self.channel_closed = true,
                Ok(length) => {
                    self.incoming.extend(&chunk[..length]);
                    come += length;
                    if length == chunk.len() && come < READ_AT_ONCE {
                        continue;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => self.channel_closed = true,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }

    /// The next report that has come, having taken note of it.
    fn next_report(&mut self) -> io::Result<Option<Report>> {
        let report = self.reports.read(&mut self.control)?;
        match report {
            Some(Report::Died(death)) => self.death = Some(death),
            Some(Report::Leftovers(count)) => self.leftovers = count,
            Some(Report::Exceeded(excess)) => self.excess = Some(excess),
            Some(Report::LogCut) => self.log_cut = true,
            Some(Report::Started | Report::NoNamespace(_)) => {}
            None if self.reports.closed() => {
                self.death.get_or_insert(Death::Lost);
            }
            None => {}
        }
        Ok(report)
    }

    fn read_reports(&mut self) -> io::Result<()> {
        while self.next_report()?.is_some() {}
        Ok(())
    }

    /// The channel is closed: most often because the worker died, of which the news may take a moment.
    fn why_closed(&mut self) -> Failure {
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.death.is_none() && self.excess.is_none() {
            if self.read_reports().is_err() || self.death.is_some() {
                break;
            }
            if wait(&[(&self.control, PollFlags::IN)], None, Some(deadline)).is_err() {
                break;
            }
        }
        // It was the supervisor then who killed the worker.
        let excess = self.excess.map(Failure::Exceeded);
        excess.or(self.death.map(Failure::Died)).unwrap_or(Failure::Closed)
    }

    /// What the tree has used so far; peaks count from now on.
    pub(crate) fn begin_usage(&self) -> Usage {
        usage::begin(self.supervisor.id() as i32)
    }

    /// What the tree has used so far.
    pub(crate) fn usage(&self) -> Usage {
        usage::of(self.supervisor.id() as i32)
    }

    /// Lets the worker leave, kills it and all that it started after `grace`, and returns when nothing is left.
    pub(crate) fn end(mut self, grace: Duration) -> Ending {
        self.finish(grace);
        let Self { death, leftovers, log_cut, ref mut unremoved, .. } = self;
        Ending { death, leftovers, log_cut, unremoved: unremoved.take() }
    }

    fn finish(&mut self, grace: Duration) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        // The worker leaves when its channel ends.
        let _ = self.channel.shutdown(Shutdown::Both);
        self.await_end(grace);
        // The supervisor kills everything when its control socket ends.
        let _ = self.control.shutdown(Shutdown::Write);
        let orderly = self.await_end(SETTLE);
        if !orderly {
            let _ = self.supervisor.kill();
        }
        let orderly = self.supervisor.wait().is_ok_and(|status| status.success()) && orderly;
        if !orderly || self.shelter == Shelter::Subreaper {
            tree::end_marked(&self.marker);
        }
        // The supervisor has done this already, if it lived to the end.
        self.unremoved = scratch::remove(&self.scratch)
            .err()
            .map(|error| Unremoved { path: self.scratch.clone(), why: error.to_string() });
    }

    /// Reads reports until the supervisor has gone, or `limit` has passed.
    fn await_end(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.read_reports().is_ok() {
            if self.reports.closed() {
                return true;
            }
            if wait(&[(&self.control, PollFlags::IN)], None, Some(deadline)).is_err() {
                break;
            }
        }
        false
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        self.finish(Duration::ZERO);
        if let Some(unremoved) = &self.unremoved {
            log::warn!("{unremoved}");
        }
    }
}

impl fmt::Display for Unremoved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, why } = self;
        write!(formatter, "the temporary folder {} could not be removed: {why}", path.display())
    }
}

/// A word that no other session of this machine has.
fn new_marker() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{count}", process::id(), since.as_nanos())
}

/// Waits until one of `sockets` is ready or closed, and says which.
fn wait(
    sockets: &[(&UnixStream, PollFlags)],
    interrupt: Option<&Interrupt>,
    deadline: Option<Instant>,
) -> Result<Vec<usize>, Failure> {
    loop {
        let mut polled: Vec<_> =
            sockets.iter().map(|(socket, flags)| PollFd::from_borrowed_fd(socket.as_fd(), *flags)).collect();
        let signal = interrupt.and_then(Interrupt::fd);
        polled.extend(signal.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut polled, timeout.as_ref()) {
            Ok(0) => return Err(Failure::Deadline),
            Ok(_) if signal.is_some() && polled.last().is_some_and(|fd| !fd.revents().is_empty()) => {
                return Err(Failure::Interrupted);
            }
            Ok(_) => {
                let ready = |index: &usize| !polled[*index].revents().is_empty();
                return Ok((0..sockets.len()).filter(ready).collect());
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Failure::System(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_worker_that_never_stops_talking_meets_its_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let (talk, talker) = (folder.path().join("talk"), folder.path().join("talker"));
        let frame = frame::head(&[b'x'; 500], &[]).unwrap();
        fs::write(&talk, frame.repeat(4000)).unwrap();
        fs::write(&talker, format!("#!/bin/sh\nwhile cat {}; do :; done\n", talk.display())).unwrap();
        fs::set_permissions(&talker, Permissions::from_mode(0o700)).unwrap();
        let command = Command::new(&talker, ["unused"], &folder.path().join("log"));
        let mut isolated = Isolated::spawn(&command, Shelter::Subreaper).unwrap();
        let deadline = Instant::now() + Duration::from_millis(200);
        let mut messages = 0;
        let failure = loop {
            match isolated.receive(Some(deadline), &Interrupt::never()) {
                Ok(_) => messages += 1,
                Err(failure) => break failure,
            }
            assert!(isolated.incoming.waiting() <= 2 * READ_AT_ONCE);
        };
        assert!(matches!(failure, Failure::Deadline), "{failure} after {messages} messages");
    }
}
