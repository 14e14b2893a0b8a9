//! A worker on a system of which nothing is asked but process groups: what it starts is ended with its group, and what has
//! left the group is not found. Nothing is watched: there are no limits on memory, processes and logs, no usage, and no
//! kernel that ends the tree when this process dies.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{self, Child, ExitCode, Stdio};
use std::sync::Once;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::sandbox::command::Command;
use crate::sandbox::death::Death;
use crate::sandbox::ending::Unremoved;
use crate::sandbox::events::Event;
use crate::sandbox::failure::Failure;
use crate::sandbox::status::Status;
use crate::sandbox::usage::Usage;

/// How long a killed worker may take to end.
const SETTLE: Duration = Duration::from_secs(10);

/// What the hidden command `word` does: there is none.
pub(crate) fn hidden_command(_word: &str) -> Option<fn() -> ExitCode> {
    None
}

/// A worker's process group.
#[derive(Debug)]
pub(crate) struct Tree {
    group: Option<Pid>,
    temporary: Option<TempDir>,
}

impl Tree {
    /// Starts `command`, with `worker_end` of the channel as its standard input.
    pub(in crate::sandbox) fn start(
        command: &Command,
        worker_end: &UnixStream,
    ) -> Result<(Self, Status), Failure> {
        tell_what_is_missing();
        log::debug!("not watched: {:?}, logs beside the worker's: {}", command.limits, command.owns_folder);
        let at_executable = || Failure::to_start(&command.executable);
        if command.cores.is_some() {
            let why = "this system cannot keep processes to some cores";
            return Err(at_executable()(io::Error::new(io::ErrorKind::Unsupported, why)));
        }
        let (control, events) = UnixStream::pair()?;
        let temporary = tempfile::tempdir().map_err(Failure::to_start(&std::env::temp_dir()))?;
        let log = OpenOptions::new().create(true).append(true).open(&command.log);
        let log = log.map_err(Failure::to_start(&command.log))?;
        let child = process::Command::new(&command.executable)
            .args(&command.arguments)
            .env("TMPDIR", temporary.path())
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(worker_end.try_clone()?)))
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .spawn()
            .map_err(at_executable())?;
        let group = Pid::from_raw(child.id() as i32);
        std::thread::spawn(move || tell_death(child, &events));
        Ok((Self { group, temporary: Some(temporary) }, Status::of(control)?))
    }

    pub(in crate::sandbox) fn begin_usage(&self) -> Option<Usage> {
        None
    }

    pub(in crate::sandbox) fn usage(&self) -> Option<Usage> {
        None
    }

    /// Kills the worker and its group, and removes the temporary folder.
    pub(in crate::sandbox) fn end(&mut self, status: &mut Status) -> Option<Unremoved> {
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
        status.await_end(SETTLE);
        let temporary = self.temporary.take()?;
        let path = temporary.path().to_owned();
        temporary.close().err().map(|error| Unremoved { path, why: error.to_string() })
    }
}

/// Waits for the worker's death, and tells it as a supervisor does.
fn tell_death(mut worker: Child, events: &UnixStream) {
    let death = worker.wait().map_or(Death::Lost, Death::from);
    Event::Died(death).send(events);
}

fn tell_what_is_missing() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::warn!(
            "this build has no supervisor for workers: limits on memory, processes and logs do not hold, nothing is known of \
             what they use, and processes that leave a worker's group may outlive it"
        );
    });
}
