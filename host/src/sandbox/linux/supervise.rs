//! The supervisor: starts a worker's tree, and kills all of it when the worker has exited or the host is gone.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, kill_process, kill_process_group, pidfd_open,
    set_child_subreaper, setpriority_process, setrlimit, setsid,
};

use super::arguments::{Arguments, Containment, INIT, NAME};
use super::logs::Logs;
use super::processes::{self, MARKER};
use super::shared_memory::SegmentsBefore;
use super::watch::{self, Watch};
use super::{affinity, descendants, ending, init, namespace, out_of_memory, scratch};
use crate::sandbox::events::Event;
use crate::sandbox::exit_reason::ExitReason;

/// The niceness of the supervisor, so that a busy tree does not keep it from watching.
const NICENESS: i32 = -10;

/// The hidden command: standard input is the control socket, standard output the worker's channel, standard error the log.
pub(crate) fn main() -> ExitCode {
    match supervise() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            init::report_failure(&error);
            // The log may be on a disk that is full.
            let _ = writeln!(io::stderr(), "crossrun: the supervisor failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn supervise() -> io::Result<()> {
    // A session of its own, so that Ctrl-C reaches only the host, which then ends the tree in order.
    setsid()?;
    namespace::close_descriptors_on_exec()?;
    set_child_subreaper(Some(rustix::process::getpid()))?;
    // The host reports crashes; a core file in the user's folder helps nobody.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // A worker whose memory is not free yet is no candidate any more, and the host would be the next.
    out_of_memory::end_early("self", out_of_memory::WATCHES);
    let control = init::control()?;
    let arguments = Arguments::of_this_process().ok_or(io::ErrorKind::InvalidInput)?;
    // Before anything is started, so that all of the tree inherits the set.
    arguments.cores.as_ref().map_or(Ok(()), |cores| affinity::set(cores.numbers()))?;
    let watch = Watch::new(arguments.limits, Logs::of_this_process(arguments.logs.clone()));
    let mut supervisor = Supervisor { control, watch, reaped: None };
    let ended = match arguments.containment {
        Containment::Namespace => in_namespace(&arguments, &mut supervisor),
        Containment::Subreaper => as_subreaper(&arguments, &mut supervisor),
    };
    // The host removes it too, and reports a failure; but the host may be gone.
    let _ = scratch::remove(&arguments.scratch);
    ended
}

/// The init process of the namespace starts and reaps the worker; this process kills init when the host is gone, or the tree
/// exceeds a limit.
fn in_namespace(arguments: &Arguments, supervisor: &mut Supervisor) -> io::Result<()> {
    let init = match namespace::enter().and_then(|()| start_init(arguments)) {
        Ok(init) => init,
        Err(error) => {
            Event::NoNamespace(error.raw_os_error().unwrap_or_default()).send(&supervisor.control);
            return Ok(());
        }
    };
    supervisor.watch.init = Some(init.as_raw_nonzero().get());
    if supervisor.watch_until_end(init)? != Ended::Child {
        kill_process(init, Signal::KILL)?;
    }
    while !matches!(rustix::process::waitpid(Some(init), WaitOptions::empty()), Ok(Some(_)) | Err(_)) {}
    supervisor.cut_logs();
    Ok(())
}

fn start_init(arguments: &Arguments) -> io::Result<Pid> {
    let executable = arguments.command.first().ok_or(io::ErrorKind::InvalidInput)?;
    let inherited = |fd: io::Result<OwnedFd>| fd.map(Stdio::from);
    let child = Command::new(executable)
        .arg0(NAME)
        .arg(INIT)
        .args(arguments.encode()?)
        .stdin(inherited(rustix::stdio::stdin().try_clone_to_owned())?)
        .stdout(inherited(rustix::stdio::stdout().try_clone_to_owned())?)
        .stderr(Stdio::inherit())
        .spawn()?;
    Pid::from_raw(child.id() as i32).ok_or_else(|| io::ErrorKind::Other.into())
}

/// Without a namespace, the orphans of the worker become this process's children, by which it finds them.
fn as_subreaper(arguments: &Arguments, supervisor: &mut Supervisor) -> io::Result<()> {
    let segments = SegmentsBefore::look();
    let worker = init::start_worker(arguments)?;
    Event::Started { has_shared_memory: false }.send(&supervisor.control);
    let ended = supervisor.watch_until_end(worker)?;
    let mut tree = std::mem::take(&mut supervisor.watch.seen);
    tree.extend(descendants::glance().iter().map(|process| process.pid));
    tree.insert(worker.as_raw_nonzero().get());
    if ended == Ended::Child {
        let reason = supervisor.reaped.or_else(|| reap(worker)).unwrap_or(ExitReason::Lost);
        Event::Exited(reason).send(&supervisor.control);
        Event::Leftovers(init::count_leftovers()).send(&supervisor.control);
    }
    if !processes::are_visible() {
        // At least those of the worker's group are found.
        let _ = kill_process_group(worker, Signal::KILL);
    }
    ending::end_descendants();
    let marker = std::env::var(MARKER).unwrap_or_default();
    if !marker.is_empty() {
        ending::end_marked(&marker);
    }
    segments.remove_made_by(&tree);
    supervisor.cut_logs();
    Ok(())
}

fn reap(worker: Pid) -> Option<ExitReason> {
    let reaped = rustix::process::waitpid(Some(worker), WaitOptions::empty());
    reaped.ok().flatten().and_then(|(_, status)| processes::exit_reason(status))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Child,
    /// The host closed its end of the control socket.
    Host,
    /// The tree exceeded a limit.
    Excess,
}

struct Supervisor {
    control: File,
    watch: Watch,
    /// How the child exited, if it was reaped together with orphans.
    reaped: Option<ExitReason>,
}

impl Supervisor {
    /// Watches the tree until `child` exits, the host is gone, or the tree exceeds a limit, which is reported to the host.
    fn watch_until_end(&mut self, child: Pid) -> io::Result<Ended> {
        // Without this call, as before Linux 5.3 or under an old filter of system calls, the end of the child is seen a tick later.
        let process = pidfd_open(child, PidfdFlags::empty()).ok();
        // Where that is allowed. What was started before keeps its own niceness.
        let _ = setpriority_process(None, NICENESS);
        let tick = Timespec::try_from(watch::TICK).ok();
        loop {
            let mut polled = vec![PollFd::from_borrowed_fd(self.control.as_fd(), PollFlags::IN)];
            polled.extend(
                process.as_ref().map(|process| PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)),
            );
            match poll(&mut polled, tick.as_ref()) {
                Ok(_) if polled.get(1).is_some_and(|child| !child.revents().is_empty()) => {
                    return Ok(Ended::Child);
                }
                // The host never writes here: the socket is readable only at its end.
                Ok(_) if !polled[0].revents().is_empty() => return Ok(Ended::Host),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if self.reap_orphans(child) {
                return Ok(Ended::Child);
            }
            if self.watch.cut_due_logs() {
                Event::LogCut.send(&self.control);
            }
            if let Some(excess) = self.watch.excess() {
                Event::Exceeded(excess).send(&self.control);
                return Ok(Ended::Excess);
            }
        }
    }

    /// Reaps all processes that have exited. Without a namespace nobody else does, and a machine has a limited number of process
    /// ids. Returns whether `child` was among them.
    fn reap_orphans(&mut self, child: Pid) -> bool {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == child {
                self.reaped = processes::exit_reason(status);
                return true;
            }
        }
        false
    }

    fn cut_logs(&self) {
        if self.watch.cut_logs() {
            Event::LogCut.send(&self.control);
        }
    }
}
