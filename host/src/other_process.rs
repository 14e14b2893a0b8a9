//! Waits for other processes, and names them as far as the system says who they are.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::sandbox::Interrupt;
use crate::shell;
use crate::text::single_line;

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// How long a wait goes on before it looks for an interrupt.
const POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// After this time a wait is reported.
pub(crate) const REPORTED_AFTER: Duration = Duration::from_secs(2);
/// So many bytes fit into a pipe that is ready: a longer write would wait for the reader.
pub(crate) const AT_ONCE: usize = 4096;
/// So many characters of a command line are shown.
const SHOWN: usize = 200;

/// Waits until what another process reads or writes is ready. `meanwhile` is called again and again with the time so far, and may end
/// the wait, as it should after an interrupt.
pub(crate) fn await_ready(
    end: &impl AsFd,
    ready: PollFlags,
    mut meanwhile: impl FnMut(Duration) -> io::Result<()>,
) -> io::Result<()> {
    let (since, mut pause) = (Instant::now(), NOW);
    while let Ok(0) | Err(Errno::INTR) = poll(&mut [PollFd::new(end, ready)], Some(&pause)) {
        Interrupt::install_for_wait();
        meanwhile(since.elapsed())?;
        pause = POLL;
    }
    Ok(())
}

/// Whether what another process reads or writes is ready now.
pub(crate) fn is_ready(end: &impl AsFd, ready: PollFlags) -> bool {
    poll(&mut [PollFd::new(end, ready)], Some(&NOW)).is_ok_and(|ready| ready > 0)
}

/// The process with its command, `process 12: sleep 5`; without the command where the system hides it.
pub(crate) fn named(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words =
        line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(std::ffi::OsStr::from_bytes);
    let Some(program) = words.next() else { return format!("process {pid}") };
    let command: String = single_line(&shell::command(program, words)).chars().take(SHOWN).collect();
    format!("process {pid}: {command}")
}

/// The process that reads from the pipe `end`, if it is a pipe and the system says who that is.
pub(crate) fn reader_of(end: &impl AsFd) -> Option<String> {
    rustix::fs::fstat(end)
        .ok()
        .filter(|status| rustix::fs::FileType::from_raw_mode(status.st_mode) == rustix::fs::FileType::Fifo)?;
    // By its name: for the status of another file the system may ask a server that does not answer.
    let pipe = fs::read_link(format!("/proc/self/fd/{}", end.as_fd().as_raw_fd())).ok()?;
    let is_it = |path: &Path| fs::read_link(path).is_ok_and(|found| found == pipe);
    let own = std::process::id();
    let pids =
        fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let reads = |pid: &u32| reads_from(*pid, is_it).unwrap_or_default();
    pids.filter(|pid| *pid != own).find(reads).map(named)
}

/// Whether a process has a file open for reading.
fn reads_from(pid: u32, is_it: impl Fn(&Path) -> bool) -> io::Result<bool> {
    let folder = Path::new("/proc").join(pid.to_string());
    for entry in fs::read_dir(folder.join("fd"))?.flatten() {
        if is_it(&entry.path()) {
            let info = fs::read_to_string(folder.join("fdinfo").join(entry.file_name()))?;
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            // The last bits are those of the access: 0 for reading only, 1 for writing only.
            if flags.is_some_and(|flags| !flags.trim().ends_with('1')) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_reader_of_a_pipe_is_named_with_its_command() {
        let mut reader = Command::new("sleep").arg("600").stdin(Stdio::piped()).spawn().unwrap();
        let expected = Some(format!("process {}: sleep 600", reader.id()));
        let read = || reader_of(reader.stdin.as_ref().unwrap());
        let (mut named, deadline) = (read(), Instant::now() + Duration::from_secs(300));
        // It has no command yet while the system replaces its program, and one that another test is just starting has the pipe open too.
        while named != expected && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
            named = read();
        }
        reader.kill().unwrap();
        reader.wait().unwrap();
        assert_eq!(named, expected);
        assert_eq!(reader_of(&fs::File::open("/dev/null").unwrap()), None);
    }
}
