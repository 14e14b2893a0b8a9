//! Names the other processes that this one waits for, as far as the system says who they are.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::shell;
use crate::text::single_line;

/// So many characters of a command line are shown.
const SHOWN: usize = 200;

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
    let pipe = rustix::fs::fstat(end)
        .ok()
        .filter(|status| rustix::fs::FileType::from_raw_mode(status.st_mode) == rustix::fs::FileType::Fifo)?;
    let (device, inode) = (pipe.st_dev, pipe.st_ino);
    let is_it = |path: &Path| {
        rustix::fs::stat(path).is_ok_and(|found| (found.st_dev, found.st_ino) == (device, inode))
    };
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
        let named = reader_of(reader.stdin.as_ref().unwrap());
        reader.kill().unwrap();
        reader.wait().unwrap();
        assert_eq!(named, Some(format!("process {}: sleep 600", reader.id())));
        assert_eq!(reader_of(&fs::File::open("/dev/null").unwrap()), None);
    }
}
