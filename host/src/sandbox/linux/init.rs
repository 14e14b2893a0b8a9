//! The init process of a namespace: starts the worker, reaps orphans, and reports how the worker exited. When init exits, the
//! kernel kills the rest of the namespace.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

use super::arguments::{Arguments, NAME};
use super::{descendants, namespace, out_of_memory, processes};
use crate::sandbox::events::Event;
use crate::sandbox::exit_reason::ExitReason;
use crate::slowdown::ScaledLimit;

/// How long the worker's children may run after it on a quiet machine, before they count as left over.
const LEFTOVER_GRACE: Duration = Duration::from_millis(250);

/// The exit code if the system does not allow a namespace.
const NO_NAMESPACE: u8 = 113;

/// The hidden command: standard input is the supervisor's control socket, standard output the worker's channel, standard error
/// the log.
pub(crate) fn main() -> ExitCode {
    if rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).is_err() {
        return ExitCode::FAILURE;
    }
    let Ok(control) = control() else { return ExitCode::FAILURE };
    let has_shared_memory = match namespace::mount_own() {
        Ok(has_shared_memory) => has_shared_memory,
        Err(error) => {
            Event::NoNamespace(error.raw_os_error().unwrap_or_default()).send(&control);
            return ExitCode::from(NO_NAMESPACE);
        }
    };
    let Some(arguments) = Arguments::of_this_process() else { return ExitCode::FAILURE };
    let worker = match start_worker(&arguments) {
        Ok(worker) => worker,
        Err(error) => {
            report_failure(&error);
            let _ = writeln!(io::stderr(), "crossrun: cannot start the worker: {error}");
            return ExitCode::FAILURE;
        }
    };
    Event::Started { has_shared_memory }.send(&control);
    Event::Exited(reap_until(worker)).send(&control);
    Event::Leftovers(count_leftovers()).send(&control);
    ExitCode::SUCCESS
}

/// Tells the host why no worker was started. Later, when one runs, it is ignored.
pub(super) fn report_failure(error: &io::Error) {
    if let (Some(errno), Ok(control)) = (error.raw_os_error(), control()) {
        Event::Failed(errno).send(&control);
    }
}

/// The control socket, by a descriptor that no child inherits.
pub(super) fn control() -> io::Result<File> {
    Ok(rustix::stdio::stdin().try_clone_to_owned()?.into())
}

/// Starts the worker, with the channel as its standard input and the log as its output.
pub(super) fn start_worker(arguments: &Arguments) -> io::Result<Pid> {
    namespace::withhold_rights();
    let (executable, arguments) = arguments.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let channel: OwnedFd = rustix::stdio::stdout().try_clone_to_owned()?;
    let log = || rustix::stdio::stderr().try_clone_to_owned().map(Stdio::from);
    let mut command = Command::new(executable);
    // A group of its own, which can be killed without this process.
    command
        .arg0(NAME)
        .args(arguments)
        .process_group(0)
        .stdin(Stdio::from(channel))
        .stdout(log()?)
        .stderr(log()?);
    // Dropping the handle neither kills nor reaps: the caller does.
    let child = command.spawn()?;
    // It waits for its first request still, so that all that a plugin starts inherits this.
    out_of_memory::end_early(&child.id().to_string(), out_of_memory::WORKER);
    Pid::from_raw(child.id() as i32).ok_or_else(|| io::ErrorKind::Other.into())
}

/// Reaps all processes that exit, until the worker does.
fn reap_until(worker: Pid) -> ExitReason {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == worker => {
                if let Some(reason) = processes::exit_reason(status) {
                    return reason;
                }
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return ExitReason::Lost,
        }
    }
}

/// How many processes are still alive after a grace period.
pub(super) fn count_leftovers() -> u32 {
    let (since, mut limit) = (Instant::now(), ScaledLimit::new(LEFTOVER_GRACE));
    loop {
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        let left = descendants::living().len();
        if left == 0 || limit.is_exceeded_by(since.elapsed()) {
            return left as u32;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
