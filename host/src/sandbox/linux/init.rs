//! The first process of a namespace: starts the worker, reaps what is orphaned, and tells how the worker died. When it
//! leaves, the kernel ends whatever is left in the namespace.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

use super::arguments::Arguments;
use super::{namespace, processes};
use crate::pace::Patience;
use crate::sandbox::death::Death;
use crate::sandbox::events::Event;

/// How long after the worker its children may take to leave by themselves, on a quiet machine.
pub(super) const LEAVE: Duration = Duration::from_millis(250);

/// The exit code for a namespace that cannot be had.
pub(super) const NO_NAMESPACE: i32 = 113;

/// What the hidden command does: standard input is the supervisor's control socket, standard output the worker's
/// channel, standard error the log.
pub(crate) fn main() -> ExitCode {
    if rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).is_err() {
        return ExitCode::FAILURE;
    }
    let Ok(control) = control() else { return ExitCode::FAILURE };
    if let Err(error) = namespace::mount_proc() {
        Event::NoNamespace(error.raw_os_error().unwrap_or_default()).send(&control);
        return ExitCode::from(NO_NAMESPACE as u8);
    }
    let Some(arguments) = Arguments::of_this_process() else { return ExitCode::FAILURE };
    let worker = match start_worker(&arguments) {
        Ok(worker) => worker,
        Err(error) => {
            eprintln!("crossrun: cannot start the worker: {error}");
            return ExitCode::FAILURE;
        }
    };
    Event::Started.send(&control);
    Event::Died(reap_until(worker)).send(&control);
    Event::Leftovers(count_leftovers()).send(&control);
    ExitCode::SUCCESS
}

/// A handle on the control socket that no child inherits.
pub(super) fn control() -> io::Result<File> {
    Ok(rustix::stdio::stdin().try_clone_to_owned()?.into())
}

/// Starts the worker's command, with the channel as its standard input and the log as the rest.
pub(super) fn start_worker(arguments: &Arguments) -> io::Result<Pid> {
    let (executable, words) = arguments.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let channel: OwnedFd = rustix::stdio::stdout().try_clone_to_owned()?;
    let log = || rustix::stdio::stderr().try_clone_to_owned().map(Stdio::from);
    let mut command = Command::new(executable);
    // A group of its own, which can be killed without this process.
    command.args(words).process_group(0).stdin(Stdio::from(channel)).stdout(log()?).stderr(log()?);
    // Dropping the handle neither kills nor reaps: that is `reap_until`'s.
    let child = command.spawn()?;
    Pid::from_raw(child.id() as i32).ok_or_else(|| io::ErrorKind::Other.into())
}

/// Reaps whatever ends until it is the worker.
fn reap_until(worker: Pid) -> Death {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == worker => {
                if let Some(death) = processes::death(status) {
                    return death;
                }
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Death::Lost,
        }
    }
}

/// How many processes are alive when all had time to leave.
pub(super) fn count_leftovers() -> u32 {
    let (since, mut patience) = (Instant::now(), Patience::new(LEAVE));
    loop {
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        let left = processes::descendants().len();
        if left == 0 || patience.is_over(since.elapsed()) {
            return left as u32;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
