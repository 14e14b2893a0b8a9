//! What `/proc` says of processes.

use std::fmt::Display;
use std::fs;
use std::io::Read as _;
use std::str::FromStr;

use rustix::process::WaitStatus;

use crate::sandbox::exit_reason::ExitReason;
use crate::text::number_of;

/// The environment variable that marks every process of one worker's tree.
pub(super) const MARKER: &str = "CROSSRUN_SESSION";

/// How a process exited, by the status of `wait`; `None` if it was only stopped.
pub(super) fn exit_reason(status: WaitStatus) -> Option<ExitReason> {
    let signalled = status.terminating_signal().map(ExitReason::Signalled);
    status.exit_status().map(ExitReason::Exited).or(signalled)
}

pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// Whether it is more than a zombie, which waits to be reaped.
    pub(super) alive: bool,
    /// Whether a signal has stopped it; not whether a debugger holds it.
    pub(super) stopped: bool,
    /// The number of its threads; a zombie counts as one, as it has a process id.
    pub(super) threads: u32,
    pub(super) resident_bytes: u64,
    /// When it began, in ticks since the system did.
    pub(super) started: u64,
}

/// Whether `/proc` shows this process under its own number. In the `/proc` of another PID namespace, a number means another process.
pub(in crate::sandbox) fn are_visible() -> bool {
    fs::read_link("/proc/self").is_ok_and(|own| own.to_str() == Some(&own_pid().to_string()))
}

/// The ids of all processes that this one can see; none where their numbers mean other processes.
pub(super) fn all() -> impl Iterator<Item = i32> {
    let entries = are_visible().then(|| fs::read_dir("/proc").ok()).flatten().into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// All processes that this one can see.
pub(super) fn processes() -> Vec<Process> {
    all().filter_map(process).collect()
}

/// A file of `/proc` that belongs to the process `pid`. `/proc` says of no file how long it is: without `take` it would be asked, and
/// without room for most of them each would take several calls. These are read of each process before and after each run.
pub(super) fn read(pid: impl Display, name: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    let file = fs::File::open(format!("/proc/{pid}/{name}")).ok()?;
    file.take(u64::MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The fields of `/proc/<pid>/stat` after the name, which may hold anything and stands in parentheses.
pub(super) fn stat(pid: i32) -> Option<String> {
    let mut stat = read(pid, "stat")?;
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    String::from_utf8(stat.split_off(name_end + 1)).ok()
}

pub(super) fn process(pid: i32) -> Option<Process> {
    let stat = stat(pid)?;
    let mut fields = stat.split_ascii_whitespace();
    // The fields 3, 4, 5, 20, 22 and 24 of proc(5).
    let (state, parent, group) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let threads = fields.nth(14)?.parse::<u32>().ok()?.max(1);
    let started = fields.nth(1)?.parse().ok()?;
    let resident_pages: u64 = fields.nth(1)?.parse().ok()?;
    let resident_bytes = resident_pages * rustix::param::page_size() as u64;
    // The first thread may have ended before the others.
    let (alive, stopped) = (!matches!(state, "Z" | "X") || threads > 1, state == "T");
    Some(Process { pid, parent, group, alive, stopped, threads, resident_bytes, started })
}

/// Every other process of this user that was started with `marker` in its environment.
pub(super) fn marked(marker: &str) -> Vec<Process> {
    let entry = format!("{MARKER}={marker}");
    let has_marker = |process: &Process| {
        let pid = process.pid;
        let environment = read(pid, "environ").unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes())
    };
    let others = processes().into_iter().filter(|process| process.alive && process.pid != own_pid());
    others.filter(has_marker).collect()
}

/// The process that traces `pid`, if there is one.
pub(super) fn tracer(pid: u32) -> Option<u32> {
    status_number(pid, "TracerPid:").filter(|tracer| *tracer != 0)
}

/// The number after `key` in `/proc/<pid>/status`, which begins with the name of the process: that may hold any bytes.
pub(super) fn status_number<N: FromStr>(pid: impl Display, key: &str) -> Option<N> {
    let status = read(pid, "status")?;
    number_of(key, &String::from_utf8_lossy(&status))
}

pub(super) fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}
