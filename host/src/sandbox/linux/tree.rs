//! The host's side of a worker's process tree: starts the supervisor, and ends the tree.

use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{self, Child, ExitStatus, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::arguments::{Arguments, Containment, NAME, SUPERVISE};
use super::exited::Exited;
use super::processes::{self, MARKER};
use super::scratch::Scratch;
use super::shared_memory::Objects;
use super::{ending, usage};
use crate::sandbox::command::Command;
use crate::sandbox::events::Event;
use crate::sandbox::exit_reason::ExitReason;
use crate::sandbox::failure::{Failure, TEMPORARY, unremoved};
use crate::sandbox::status::Status;
use crate::sandbox::stop::{self, Deadline};
use crate::sandbox::temporary::temporary_folder;
use crate::sandbox::usage::Usage;
use crate::text::with_remedy;

/// The environment variable that switches namespaces off with `off`.
const NAMESPACES: &str = "CROSSRUN_NAMESPACES";

/// The environment variable for the folder of temporary files.
const TEMPORARY_FOLDER: &str = "TMPDIR";

/// How long the supervisor may take to start a worker, and to kill a tree.
const SUPERVISOR_GRACE: Duration = Duration::from_secs(10);

/// A supervisor that has not ended after pauses of this length is held by another process.
const REAP_QUIETLY: Duration = Duration::from_millis(50);

/// Without a namespace only the supervisor finds all processes of a tree. Whoever kills it could leave one that has no marker.
const STRAYS: &str = "the supervisor of the backend's processes was killed: some of them may still run";

/// Such as processes that wait for a disk or a network file system that does not answer.
const REMAIN: &str = "processes of the backend could not be ended in time: some of them may still run";

/// Set once this machine has refused a namespace.
static NO_NAMESPACES: AtomicBool = AtomicBool::new(false);

/// A worker's process tree.
#[derive(Debug)]
pub(crate) struct Tree {
    supervisor: Child,
    containment: Containment,
    marker: String,
    /// The tree's temporary folder.
    scratch: Scratch,
    /// The shared objects before the tree was started, if it shares them with the rest of the machine.
    shared_before: Option<Objects>,
    exited: RefCell<Exited>,
}

impl Tree {
    /// Starts `command` below a supervisor, with `worker_end` of the channel as its standard input.
    pub(in crate::sandbox) fn start(
        command: &Command,
        worker_end: &UnixStream,
    ) -> Result<(Self, Status), Failure> {
        warn_of_hidden_processes();
        if namespaces_wanted() && !NO_NAMESPACES.load(Ordering::Relaxed) {
            match Self::start_in(Containment::Namespace, command, worker_end)? {
                Ok(started) => return Ok(started),
                // There are too many processes, and namespaces as before.
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                    return Err(Failure::cannot("start", &command.executable)(why));
                }
                Err(why) => {
                    log::info!(
                        "no namespace for workers here ({why}); their processes are found by parentage"
                    );
                    NO_NAMESPACES.store(true, Ordering::Relaxed);
                }
            }
        }
        let started = Self::start_in(Containment::Subreaper, command, worker_end)?;
        started.map_err(Failure::System)
    }

    /// The inner error is the reason why the system allows no namespace.
    fn start_in(
        containment: Containment,
        command: &Command,
        worker_end: &UnixStream,
    ) -> Result<io::Result<(Self, Status)>, Failure> {
        let shared_before = Objects::look();
        let (mut tree, mut status) = Self::spawn(containment, command, worker_end)?;
        match first_event(&mut status) {
            Ok(Event::NoNamespace(errno)) => {
                tree.end(&mut status);
                Ok(Err(io::Error::from_raw_os_error(errno)))
            }
            Ok(Event::Failed(errno)) => {
                tree.end(&mut status);
                let error = io::Error::from_raw_os_error(errno);
                Err(Failure::cannot("start", &command.executable)(error))
            }
            Ok(Event::Started { has_shared_memory: true }) => Ok(Ok((tree, status))),
            Ok(_) => {
                tree.shared_before = Some(shared_before);
                Ok(Ok((tree, status)))
            }
            Err(failure) => {
                tree.end(&mut status);
                Err(failure)
            }
        }
    }

    fn spawn(
        containment: Containment,
        command: &Command,
        worker_end: &UnixStream,
    ) -> Result<(Self, Status), Failure> {
        let log = command.open_log()?;
        let (control, supervisor_end) = UnixStream::pair()?;
        let status = Status::new(control)?;
        let worker_end = worker_end.try_clone()?;
        let marker = new_marker();
        let scratch = Scratch::create().map_err(Failure::cannot(TEMPORARY, &temporary_folder()))?;
        let arguments = Arguments::new(command, containment, scratch.path.clone()).encode();
        let arguments = arguments.map_err(|error| Failure::System(error.into()))?;
        let supervisor = process::Command::new(&command.executable)
            .arg0(NAME)
            .arg(SUPERVISE)
            .args(arguments)
            .env(MARKER, &marker)
            .env(TEMPORARY_FOLDER, &scratch.path)
            .stdin(Stdio::from(OwnedFd::from(supervisor_end)))
            .stdout(Stdio::from(OwnedFd::from(worker_end)))
            .stderr(Stdio::from(log))
            .spawn()
            .inspect_err(|_| drop(scratch.remove()))
            .map_err(Failure::cannot("start", &command.executable))?;
        stop::include(supervisor.id());
        Ok((
            Self {
                supervisor,
                containment,
                marker,
                scratch,
                shared_before: None,
                exited: RefCell::default(),
            },
            status,
        ))
    }

    /// The usage of the tree so far. With `reset_peaks`, peaks count from now on; without, the memory is read too.
    pub(in crate::sandbox) fn usage(&self, reset_peaks: bool) -> Option<Usage> {
        if !processes::are_visible() {
            return None;
        }
        let (supervisor, exited) = (self.supervisor.id() as i32, &mut *self.exited.borrow_mut());
        if reset_peaks {
            // First, as a backend could work while peaks are reset, which takes long with many processes: what it has used by
            // then is of no run.
            usage::reset_peaks(supervisor);
            return Some(usage::of(supervisor, exited));
        }
        Some(usage::with_memory(supervisor, exited))
    }

    /// Kills the rest of the tree, and removes its temporary folder. Returns messages about what stays, or may stay.
    pub(in crate::sandbox) fn end(&mut self, status: &mut Status) -> Vec<String> {
        stop::exclude(self.supervisor.id());
        // The supervisor kills the tree when its control socket is closed.
        let _ = status.control.shutdown(Shutdown::Write);
        let orderly = status.await_end(SUPERVISOR_GRACE);
        if !orderly {
            let _ = self.supervisor.kill();
        }
        let ended = self.reap();
        let was_killed = ended.is_some_and(|status| status.signal().is_some());
        let is_subreaper = self.containment == Containment::Subreaper;
        let (waited_in_vain, has_strays) = (!orderly, orderly && was_killed && is_subreaper);
        let orderly = ended.is_some_and(|status| status.success()) && orderly;
        let none_left = (orderly && !is_subreaper) || ending::end_marked(&self.marker);
        // A process that is ending has no marker any more: that its supervisor waited in vain says as much. A namespace ends with its
        // supervisor.
        let remain = !none_left || (waited_in_vain && (is_subreaper || ended.is_none()));
        // A supervisor that lived to the end has done this already.
        let folder = self.scratch.remove().err().map(|error| unremoved(&self.scratch.path, &error));
        let shared = self.shared_before.take().and_then(|before| Objects::left_since(&before));
        let told = [has_strays.then_some(STRAYS), remain.then_some(REMAIN)].into_iter().flatten();
        folder.into_iter().chain(shared).chain(told.map(str::to_owned)).collect()
    }

    /// Waits for the supervisor, which has ended or was killed. A process that traces it gets its end first, and may keep it: such a
    /// process of the tree is killed, and any other process is reported.
    fn reap(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + SUPERVISOR_GRACE;
        let mut pause = Duration::from_micros(50);
        loop {
            match self.supervisor.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => {}
                _ => break,
            }
            if pause > REAP_QUIETLY {
                ending::end_marked(&self.marker);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(200));
        }
        let pid = self.supervisor.id();
        let tracer = processes::tracer(pid)
            .map_or_else(String::new, |tracer| format!(", as process {tracer} traces it"));
        log::warn!("the supervisor, process {pid}, was killed and is not gone{tracer}");
        None
    }
}

fn warn_of_hidden_processes() {
    static ONCE: Once = Once::new();
    if !processes::are_visible() {
        ONCE.call_once(|| {
            let why = "/proc is that of another PID namespace: the processor time and the memory of backends are not measured, and \
                       only the control group limits their memory";
            log::warn!("{}", with_remedy(why, Some("mount -t proc proc /proc")));
        });
    }
}

fn namespaces_wanted() -> bool {
    std::env::var_os(NAMESPACES).is_none_or(|value| value != "off")
}

/// Waits for the supervisor's first event.
fn first_event(status: &mut Status) -> Result<Event, Failure> {
    let deadline = Deadline::after(SUPERVISOR_GRACE);
    loop {
        if let Some(event) = status.next()? {
            return Ok(event);
        }
        if status.is_closed() {
            return Err(Failure::Died(ExitReason::Lost));
        }
        status.wait(deadline)?;
    }
}

/// A marker that no other session of this machine has.
fn new_marker() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{count}", process::id(), since.as_nanos())
}
