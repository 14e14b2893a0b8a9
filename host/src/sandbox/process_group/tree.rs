//! A worker in a process group. The group is killed at the end, and processes that left the group are not found. There are no
//! limits on memory, processes and logs, and no usage. When this process dies, the worker ends its group itself.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{self, Child, ExitCode, Stdio};
use std::sync::Once;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpgrp, kill_process_group};
use tempfile::TempDir;

use crate::sandbox::command::Command;
use crate::sandbox::events::Event;
use crate::sandbox::exit_reason::ExitReason;
use crate::sandbox::failure::{Failure, TEMPORARY, unremoved};
use crate::sandbox::status::Status;
use crate::sandbox::temporary::temporary_folder;
use crate::sandbox::usage::Usage;

/// How long a killed worker may take to exit.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// The hidden command `name`: there is none.
pub(crate) fn hidden_command(_name: &str) -> Option<fn() -> ExitCode> {
    None
}

/// Ends the group of this worker a while after its host is gone. The worker notices that only between two calls of a plugin, and a call
/// may never return.
pub(crate) fn end_with_host(channel: &File) {
    let Ok(channel) = channel.try_clone() else { return };
    // Where no thread can be started, the worker ends after the call.
    let _ = std::thread::Builder::new().spawn(move || {
        let mut polled = [PollFd::new(&channel, PollFlags::empty())];
        while poll(&mut polled, None) == Err(Errno::INTR) {}
        if polled[0].revents().contains(PollFlags::HUP) {
            std::thread::sleep(KILL_GRACE);
            let _ = kill_process_group(getpgrp(), Signal::KILL);
        }
    });
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
        warn_of_missing_supervisor();
        log::debug!("not enforced: {:?}, logs beside the worker's: {}", command.limits, command.owns_folder);
        let at_executable = || Failure::cannot("start", &command.executable);
        if command.cores.is_some() {
            let why = "this system cannot restrict processes to some cores";
            return Err(at_executable()(io::Error::new(io::ErrorKind::Unsupported, why)));
        }
        let (control, events) = UnixStream::pair()?;
        let place = temporary_folder();
        let temporary = tempfile::tempdir_in(&place).map_err(Failure::cannot(TEMPORARY, &place))?;
        let log = command.open_log()?;
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
        crate::sandbox::stop::include(child.id());
        std::thread::spawn(move || report_exit(child, &events));
        Ok((Self { group, temporary: Some(temporary) }, Status::new(control)?))
    }

    /// The usage of the tree: unknown.
    pub(in crate::sandbox) fn usage(&self, _reset_peaks: bool) -> Option<Usage> {
        None
    }

    /// Kills the worker and its group, and removes the temporary folder. Returns a message if the folder stays.
    pub(in crate::sandbox) fn end(&mut self, status: &mut Status) -> Vec<String> {
        if let Some(group) = self.group.take() {
            crate::sandbox::stop::exclude(group.as_raw_nonzero().get() as u32);
            let _ = kill_process_group(group, Signal::KILL);
        }
        status.await_end(KILL_GRACE);
        let Some(temporary) = self.temporary.take() else { return Vec::new() };
        let path = temporary.path().to_owned();
        temporary.close().err().map(|error| unremoved(&path, &error)).into_iter().collect()
    }
}

/// Waits for the worker's exit, and sends the event that a supervisor would send.
fn report_exit(mut worker: Child, events: &UnixStream) {
    let reason = worker.wait().map_or(ExitReason::Lost, ExitReason::from);
    Event::Exited(reason).send(events);
}

fn warn_of_missing_supervisor() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::warn!(
            "this build has no supervisor for workers: there are no limits on memory, processes and logs, the usage of \
             processes is not known, and processes that leave a worker's group may outlive it"
        );
    });
}
