//! A worker's process tree, as the host holds it: its supervisor.

use std::fs::OpenOptions;
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{self, Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::arguments::{Arguments, CORES, SUPERVISE};
use super::containment::Containment;
use super::processes::{self, MARKER};
use super::{scratch, usage};
use crate::sandbox::command::Command;
use crate::sandbox::death::Death;
use crate::sandbox::ending::Unremoved;
use crate::sandbox::events::Event;
use crate::sandbox::failure::Failure;
use crate::sandbox::status::Status;
use crate::sandbox::usage::Usage;

/// Set to `off`, workers get no namespace of their own.
const NAMESPACES: &str = "CROSSRUN_NAMESPACES";

/// Where programs find the folder for their temporary files: a worker's tree has one of its own.
const TEMPORARY_FOLDER: &str = "TMPDIR";

/// How long the supervisor may take to start a worker, and how long killing may take.
const SETTLE: Duration = Duration::from_secs(10);

/// Whether this machine allows namespaces is found out once.
static NO_NAMESPACES: AtomicBool = AtomicBool::new(false);

/// A worker's process tree.
#[derive(Debug)]
pub(crate) struct Tree {
    supervisor: Child,
    containment: Containment,
    marker: String,
    /// The tree's temporary folder.
    scratch: PathBuf,
}

impl Tree {
    /// Starts `command` below a supervisor, with `worker_end` of the channel as its standard input.
    pub(in crate::sandbox) fn start(
        command: &Command,
        worker_end: &UnixStream,
    ) -> Result<(Self, Status), Failure> {
        if namespaces_wanted() && !NO_NAMESPACES.load(Ordering::Relaxed) {
            match Self::start_in(Containment::Namespace, command, worker_end)? {
                Ok(started) => return Ok(started),
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

    /// The inner error says why there can be no namespace.
    fn start_in(
        containment: Containment,
        command: &Command,
        worker_end: &UnixStream,
    ) -> Result<io::Result<(Self, Status)>, Failure> {
        let (mut tree, mut status) = Self::spawn(containment, command, worker_end)?;
        match first_event(&mut status) {
            Ok(Event::NoNamespace(errno)) => {
                tree.end(&mut status);
                Ok(Err(io::Error::from_raw_os_error(errno)))
            }
            Ok(_) => Ok(Ok((tree, status))),
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
        let log = OpenOptions::new().create(true).append(true).open(&command.log);
        let log = log.map_err(Failure::to_start(&command.log))?;
        let (control, supervisor_end) = UnixStream::pair()?;
        let status = Status::of(control)?;
        let worker_end = worker_end.try_clone()?;
        let marker = new_marker();
        let scratch = scratch::make().map_err(Failure::to_start(&std::env::temp_dir()))?;
        let mut supervisor = process::Command::new(&command.executable);
        match &command.cores {
            Some(cores) => supervisor.env(CORES, cores.to_string()),
            None => supervisor.env_remove(CORES),
        };
        let supervisor = supervisor
            .arg(SUPERVISE)
            .args(Arguments::of(command, containment, scratch.clone()).words())
            .env(MARKER, &marker)
            .env(TEMPORARY_FOLDER, &scratch)
            .stdin(Stdio::from(OwnedFd::from(supervisor_end)))
            .stdout(Stdio::from(OwnedFd::from(worker_end)))
            .stderr(Stdio::from(log))
            .spawn()
            .inspect_err(|_| drop(scratch::remove(&scratch)))
            .map_err(Failure::to_start(&command.executable))?;
        Ok((Self { supervisor, containment, marker, scratch }, status))
    }

    /// What the tree has used so far; peaks count from now on.
    pub(in crate::sandbox) fn begin_usage(&self) -> Option<Usage> {
        Some(usage::begin(self.supervisor.id() as i32))
    }

    pub(in crate::sandbox) fn usage(&self) -> Option<Usage> {
        Some(usage::of(self.supervisor.id() as i32))
    }

    /// Kills whatever is left of the tree, and removes its temporary folder.
    pub(in crate::sandbox) fn end(&mut self, status: &mut Status) -> Option<Unremoved> {
        // The supervisor kills everything when its control socket ends.
        let _ = status.control.shutdown(Shutdown::Write);
        let orderly = status.await_end(SETTLE);
        if !orderly {
            let _ = self.supervisor.kill();
        }
        let orderly = self.supervisor.wait().is_ok_and(|status| status.success()) && orderly;
        if !orderly || self.containment == Containment::Subreaper {
            processes::end_marked(&self.marker);
        }
        // The supervisor has done this already, if it lived to the end.
        let removed = scratch::remove(&self.scratch).err();
        removed.map(|error| Unremoved { path: self.scratch.clone(), why: error.to_string() })
    }
}

fn namespaces_wanted() -> bool {
    std::env::var_os(NAMESPACES).is_none_or(|value| value != "off")
}

/// Waits for the supervisor's first word.
fn first_event(status: &mut Status) -> Result<Event, Failure> {
    let deadline = Instant::now() + SETTLE;
    loop {
        if let Some(event) = status.next()? {
            return Ok(event);
        }
        if status.is_closed() {
            return Err(Failure::Died(Death::Lost));
        }
        status.wait(deadline)?;
    }
}

/// A word that no other session of this machine has.
fn new_marker() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{}-{count}", process::id(), since.as_nanos())
}
