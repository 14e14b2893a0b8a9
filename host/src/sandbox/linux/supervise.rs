//! The supervisor: starts a worker's tree, and ends all of it when the worker has died or the host is gone.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, kill_process, pidfd_open, set_child_subreaper,
    setpriority_process, setrlimit, setsid,
};

use super::arguments::{Arguments, CORES, INIT};
use super::containment::Containment;
use super::logs::Logs;
use super::processes::{self, MARKER};
use super::watch::{self, Watch};
use super::{affinity, init, namespace, scratch};
use crate::sandbox::affinity::Cores;
use crate::sandbox::death::Death;
use crate::sandbox::events::Event;

/// The priority of the process that watches, as `nice` counts it.
const URGENT: i32 = -10;

/// What the hidden command does: its arguments say how the tree is to be kept; standard input is the control socket, standard output the
/// worker's channel, standard error the log.
pub(crate) fn main() -> ExitCode {
    match supervise() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crossrun: the supervisor failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn supervise() -> io::Result<()> {
    // A session of one's own: Ctrl-C reaches the host only, which then ends the tree in order.
    setsid()?;
    namespace::keep_descriptors()?;
    set_child_subreaper(Some(rustix::process::getpid()))?;
    // A crash is reported as such; a core file in the user's folder helps nobody.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // Before anything is started, so that all of it inherits the set.
    if let Ok(cores) = std::env::var(CORES) {
        affinity::keep(cores.parse::<Cores>()?.numbers())?;
    }
    let control = init::control()?;
    let arguments = Arguments::of_this_process().ok_or(io::ErrorKind::InvalidInput)?;
    let mut guard = Guard {
        control,
        watch: Watch::new(arguments.limits, Logs::of_this_process(arguments.logs.clone())),
        reaped: None,
    };
    let ended = match arguments.containment {
        Containment::Namespace => in_namespace(&arguments, &mut guard),
        Containment::Subreaper => as_subreaper(&arguments, &mut guard),
    };
    // The host removes it too, and tells if it cannot; but it may be gone.
    let _ = scratch::remove(&arguments.scratch);
    ended
}

/// The first process of a namespace does the work; this one ends it when the host is gone, or the tree has too much.
fn in_namespace(arguments: &Arguments, guard: &mut Guard) -> io::Result<()> {
    if let Err(error) = namespace::enter() {
        Event::NoNamespace(error.raw_os_error().unwrap_or_default()).send(&guard.control);
        return Ok(());
    }
    let first = match start_init(arguments) {
        Ok(first) => first,
        Err(error) => {
            Event::NoNamespace(error.raw_os_error().unwrap_or_default()).send(&guard.control);
            return Ok(());
        }
    };
    if guard.stand_until_ended(first)? != Ended::Child {
        kill_process(first, Signal::KILL)?;
    }
    while !matches!(rustix::process::waitpid(Some(first), WaitOptions::empty()), Ok(Some(_)) | Err(_)) {}
    guard.watch_logs();
    Ok(())
}

fn start_init(arguments: &Arguments) -> io::Result<Pid> {
    let executable = arguments.command.first().ok_or(io::ErrorKind::InvalidInput)?;
    let inherited = |fd: io::Result<OwnedFd>| fd.map(Stdio::from);
    let child = Command::new(executable)
        .arg(INIT)
        .args(arguments.words())
        .stdin(inherited(rustix::stdio::stdin().try_clone_to_owned())?)
        .stdout(inherited(rustix::stdio::stdout().try_clone_to_owned())?)
        .stderr(Stdio::inherit())
        .spawn()?;
    Pid::from_raw(child.id() as i32).ok_or_else(|| io::ErrorKind::Other.into())
}

/// Without a namespace: the orphans of the worker become this process's children, and are found as such.
fn as_subreaper(arguments: &Arguments, guard: &mut Guard) -> io::Result<()> {
    let worker = init::start_worker(arguments)?;
    Event::Started.send(&guard.control);
    if guard.stand_until_ended(worker)? == Ended::Child {
        let death = guard.reaped.or_else(|| reap(worker)).unwrap_or(Death::Lost);
        Event::Died(death).send(&guard.control);
        Event::Leftovers(init::count_leftovers()).send(&guard.control);
    }
    processes::end_descendants();
    let marker = std::env::var(MARKER).unwrap_or_default();
    if !marker.is_empty() {
        processes::end_marked(&marker);
    }
    guard.watch_logs();
    Ok(())
}

fn reap(worker: Pid) -> Option<Death> {
    let reaped = rustix::process::waitpid(Some(worker), WaitOptions::empty());
    reaped.ok().flatten().and_then(|(_, status)| processes::death(status))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Child,
    /// The host closed its end of the control socket.
    Host,
    /// The tree has too much of something.
    Excess,
}

/// Stands between the host and the tree.
struct Guard {
    control: File,
    watch: Watch,
    /// How the child died, if it was reaped with others.
    reaped: Option<Death>,
}

impl Guard {
    /// Watches the tree until `child` ends, the host is gone, or the tree has too much, which the host is told.
    fn stand_until_ended(&mut self, child: Pid) -> io::Result<Ended> {
        let process = pidfd_open(child, PidfdFlags::empty())?;
        // Where that is allowed, no crowd below keeps this process from its looks. What was started before keeps its own.
        let _ = setpriority_process(None, URGENT);
        let tick = Timespec::try_from(watch::TICK).ok();
        loop {
            let mut polled = [
                PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(self.control.as_fd(), PollFlags::IN),
            ];
            match poll(&mut polled, tick.as_ref()) {
                Ok(_) if !polled[0].revents().is_empty() => return Ok(Ended::Child),
                // The host never writes here: what can be read is the end.
                Ok(_) if !polled[1].revents().is_empty() => return Ok(Ended::Host),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if self.reap_orphans(child) {
                return Ok(Ended::Child);
            }
            self.watch_logs();
            if let Some(excess) = self.watch.excess() {
                Event::Exceeded(excess).send(&self.control);
                return Ok(Ended::Excess);
            }
        }
    }

    /// Reaps what has ended, as nobody else does without a namespace: a machine has only so many numbers for processes. Says
    /// whether `child` was among it.
    fn reap_orphans(&mut self, child: Pid) -> bool {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == child {
                self.reaped = processes::death(status);
                return true;
            }
        }
        false
    }

    fn watch_logs(&self) {
        if self.watch.cut_logs() {
            Event::LogCut.send(&self.control);
        }
    }
}
