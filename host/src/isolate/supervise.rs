//! The supervisor: starts a worker's tree, and ends all of it when the worker has died or the host is gone.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, kill_process, pidfd_open, set_child_subreaper,
    setrlimit, setsid,
};

use super::reports::Report;
use super::{CORES, Cores, Death, INIT, MARKER, Shelter, init, namespace, scratch, tree};

/// What the hidden command does: its arguments are the shelter, the temporary folder and the worker's command; standard input is the control
/// socket, standard output the worker's channel, standard error the log.
pub fn main() -> ExitCode {
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
    set_child_subreaper(Some(rustix::process::getpid()))?;
    // A crash is reported as such; a core file in the user's folder helps nobody.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // Before anything is started, so that all of it inherits the set.
    if let Ok(cores) = std::env::var(CORES) {
        cores.parse::<Cores>()?.keep()?;
    }
    let control = init::control()?;
    let words = || std::env::args_os().skip(2);
    let scratch = words().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    let in_namespace = words().next().is_some_and(|shelter| shelter == Shelter::Namespace.word());
    let ended = if in_namespace { self::in_namespace(control) } else { as_subreaper(control) };
    // The host removes it too, and tells if it cannot; but it may be gone.
    let _ = scratch::remove(Path::new(&scratch));
    ended
}

/// The first process of a namespace does the work; this one ends it when the host is gone.
fn in_namespace(control: File) -> io::Result<()> {
    if let Err(error) = namespace::enter() {
        Report::NoNamespace(error.raw_os_error().unwrap_or_default()).send(&control);
        return Ok(());
    }
    let first = match start_init() {
        Ok(first) => first,
        Err(error) => {
            Report::NoNamespace(error.raw_os_error().unwrap_or_default()).send(&control);
            return Ok(());
        }
    };
    if !ended_before_host(&control, first)? {
        kill_process(first, Signal::KILL)?;
    }
    while !matches!(rustix::process::waitpid(Some(first), WaitOptions::empty()), Ok(Some(_)) | Err(_)) {}
    Ok(())
}

fn start_init() -> io::Result<Pid> {
    let executable = std::env::args_os().nth(init::WORKER_COMMAND).ok_or(io::ErrorKind::InvalidInput)?;
    let inherited = |fd: io::Result<OwnedFd>| fd.map(Stdio::from);
    let child = Command::new(executable)
        .arg(INIT)
        .args(std::env::args_os().skip(2))
        .stdin(inherited(rustix::stdio::stdin().try_clone_to_owned())?)
        .stdout(inherited(rustix::stdio::stdout().try_clone_to_owned())?)
        .stderr(Stdio::inherit())
        .spawn()?;
    Pid::from_raw(child.id() as i32).ok_or_else(|| io::ErrorKind::Other.into())
}

/// Without a namespace: the orphans of the worker become this process's children, and are found as such.
fn as_subreaper(control: File) -> io::Result<()> {
    let worker = init::start_worker()?;
    Report::Started.send(&control);
    if ended_before_host(&control, worker)? {
        Report::Died(reap(worker)).send(&control);
        Report::Leftovers(init::count_leftovers()).send(&control);
    }
    let marker = std::env::var(MARKER).unwrap_or_default();
    tree::end(|| {
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        let mut found = tree::descendants();
        found.extend(tree::marked(&marker).into_iter().filter(|_| !marker.is_empty()));
        found
    });
    Ok(())
}

fn reap(worker: Pid) -> Death {
    match rustix::process::waitpid(Some(worker), WaitOptions::empty()) {
        Ok(Some((_, status))) => Death::of(status).unwrap_or(Death::Lost),
        _ => Death::Lost,
    }
}

/// Waits until `child` ends, or the host closes its end of `control`, and says which came first.
fn ended_before_host(control: &File, child: Pid) -> io::Result<bool> {
    let process = pidfd_open(child, PidfdFlags::empty())?;
    loop {
        let mut polled = [
            PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(control.as_fd(), PollFlags::IN),
        ];
        match poll(&mut polled, None::<&Timespec>) {
            Ok(_) if !polled[0].revents().is_empty() => return Ok(true),
            // The host never writes here: what can be read is the end.
            Ok(_) if !polled[1].revents().is_empty() => return Ok(false),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
